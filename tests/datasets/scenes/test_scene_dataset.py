"""The data set: splits apart, samples complete, expressions exact, every difficulty axis exercised."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from rsground.datasets.refer import AXES, evaluate
from rsground.datasets.refer.query import from_json
from rsground.datasets.scenes import Scene, ScenesDataset
from rsground.datasets.scenes import render as render_module
from rsground.datasets.scenes.sheet import main as sheet
from rsground.errors import LayoutError, ShapeError, UnknownNameError
from rsground.registry import load_dataset
from rsground.types import Sample, Task

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(ScenesDataset(None, "val", count=50, size=192))


def test_an_expression_picks_exactly_its_targets(samples):
    """Judged by the plain evaluator from the scene graph, which shares no code with what made the expression."""
    graphs = {}
    checked = 0
    for sample in samples:
        if sample.task is not Task.MASK:
            continue
        index = int(sample.image.uri.rsplit("/", 1)[1])
        graph = graphs.setdefault(index, Scene(0, index, 192).graph)
        picked = evaluate(from_json(sample.meta["query"]), graph)
        assert tuple(item.region for item in graph.by_id(picked)) == sample.targets, sample.expression
        checked += 1
    assert checked > 150


def test_every_axis_occurs():
    wide = ScenesDataset(None, "val", count=160, size=192, tasks="mask")
    axes = Counter(axis for sample in wide for axis in sample.meta["axes"])
    assert set(axes) == set(AXES)


def test_every_task_occurs_and_ids_are_unique(samples):
    assert {sample.task for sample in samples} == {Task.HBB, Task.OBB, Task.MASK, Task.GCG, Task.CHANGE}
    assert len({sample.id for sample in samples}) == len(samples)


def test_targets_carry_every_form(samples):
    for sample in samples:
        assert sample.targets is not None
        for region in sample.targets:
            assert region.rle is not None
            assert region.rle.size == sample.size
            assert region.hbb is not None
            assert region.quad is not None
            assert region.label


def test_samples_can_be_pickled_and_their_facts_written_as_json(samples):
    for sample in samples[::7]:
        again = pickle.loads(pickle.dumps(sample))
        assert again.targets == sample.targets
        json.dumps(dict(sample.meta))
        json.dumps([dict(region.attributes) for region in sample.targets or ()])


def test_descriptions_mark_their_phrases(samples):
    told = [sample for sample in samples if sample.task is Task.GCG]
    assert len(told) > 20
    for sample in told:
        spans = {region.span for region in sample.targets}
        assert len(spans) == sample.answer.count("[SEG]")
        for start, end in spans:
            assert sample.answer[start:end].startswith("<p>")
            assert sample.answer[start:end].endswith("[SEG]")


def test_iterating_draws_no_pixels(monkeypatch):
    def refuse(*args: object) -> None:
        raise AssertionError("a picture was drawn")

    monkeypatch.setattr("rsground.datasets.scenes.scene.expose", refuse)
    monkeypatch.setattr(render_module, "Canvas", refuse)
    assert len(list(islice(ScenesDataset(None, "test", count=3, size=96), 20))) > 5


def test_splits_never_share_a_scene():
    used = {}
    for split in ("train", "val", "test"):
        uris = {sample.image.uri for sample in ScenesDataset(None, split, count=5, size=64, tasks="mask")}
        used[split] = {uri.split("/", 1)[1] for uri in uris}
    assert used["train"].isdisjoint(used["val"] | used["test"])
    assert used["val"].isdisjoint(used["test"])


def test_the_same_set_comes_twice():
    first, second = (ScenesDataset(None, "test", count=4, size=96, seed=6) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        assert (one.id, one.expression, one.targets, one.answer) == (two.id, two.expression, two.targets, two.answer)
    assert first.fingerprint() == second.fingerprint()


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": 128}, {"count": 5}, {"tasks": "mask"}, {"axes": "ordinal"}])
def test_the_fingerprint_knows_every_option(change):
    usual = {"count": 4, "size": 96}
    assert (
        ScenesDataset(None, "val", **usual).fingerprint() != ScenesDataset(None, "val", **usual | change).fingerprint()
    )


def test_axes_filter():
    wanted = ScenesDataset(None, "val", count=30, size=128, tasks="mask", axes=("ordinal", "relation-chain"))
    found = list(wanted)
    assert found
    assert all({"ordinal", "relation-chain"} & set(sample.meta["axes"]) for sample in found)


def test_a_size_hint_is_near():
    dataset = ScenesDataset(None, "val", count=30, size=128)
    assert dataset.size_hint() == pytest.approx(len(list(dataset)), rel=0.4)


def test_the_registry_knows_it():
    dataset = load_dataset("scenes", None, "val", count=1, size=64, tasks="mask")
    assert isinstance(dataset, ScenesDataset)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"root": "/data"}, LayoutError, "takes no root"),
        ({"split": "trian"}, UnknownNameError, "Did you mean 'train'"),
        ({"tasks": "msk"}, UnknownNameError, "Did you mean 'mask'"),
        ({"kinds": "ordnal"}, UnknownNameError, "Did you mean 'ordinal'"),
        ({"axes": ("plural", "plurall")}, UnknownNameError, "Did you mean 'plural'"),
        ({"count": -1}, ShapeError, "count=-1"),
        ({"per_scene": 0}, ShapeError, "per_scene >= 1"),
        ({"size": 10}, ShapeError, "64 to 8192"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        ScenesDataset(**options)


def test_a_contact_sheet_is_written(tmp_path):
    out = tmp_path / "sheet.png"
    assert sheet([str(out), "--size", "64", "--columns", "9", "--outlines"]) == 0
    assert out.stat().st_size > 10_000


def test_the_sheet_in_the_documentation_is_small():
    assert (CHECKOUT / "docs" / "images" / "scenes.jpg").stat().st_size <= 600_000
