"""Both heads on tiny random models: what is taught falls, what is decoded parses, several objects and none are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rsground.contracts import Prompt, TextHead
from rsground.geometry import iou_hbb
from rsground.regions import hbb_of, union_mask
from rsground.testing import miniature
from rsground.types import Generation, Prediction, Sample, Task, View
from rsground_textmask.box_mask import BoxMaskHead
from rsground_textmask.geoground import GeoGroundHead

FAMILIES = ["tower", "llava"]


def heads() -> list[TextHead]:
    """Grids of eight cells, so that answers are short."""
    return [GeoGroundHead(resolution=8), GeoGroundHead(resolution=8, signals="all"), BoxMaskHead(resolution=4)]


def view_of(sample: Sample, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    return View(tuple(rng.integers(0, 256, (*ref.size, 3), np.uint8) for ref in sample.images), sample.size)


def asked() -> list[tuple[TextHead, Sample, View]]:
    """Every head with every task it serves."""
    cases = []
    for head in heads():
        for task in sorted(head.tasks):
            sample = miniature(task, targets=1, size=(60, 80))
            cases.append((head, sample, view_of(sample)))
    return cases


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_constrained_model_says_is_read(family: str, tiny_backbone: Callable[..., Any]) -> None:
    backbone = tiny_backbone(family, temperature=1.0)
    cases = asked()
    prompts = [
        replace(head.prompt(sample, view), max_new_tokens=220, options={"seed": seed})
        for seed, (head, sample, view) in enumerate(cases)
    ]
    for (head, sample, view), prompt, said in zip(cases, prompts, backbone.generate(prompts), strict=True):
        assert prompt.grammar.matches(said.text), (sample.task, said.text)
        found = head.read(said, sample, view)
        assert found.parsed


@pytest.mark.parametrize(
    ("family", "supervision"),
    [("tower", "base"), ("tower", "pal"), ("tower", "ggl"), ("tower", "hybrid"), ("llava", "hybrid")],
)
def test_every_supervision_is_learned(
    family: str, supervision: str, tiny_backbone: Callable[..., Any], taught: Callable[..., tuple[float, float]]
) -> None:
    head = GeoGroundHead(resolution=8, supervision=supervision)  # type: ignore[arg-type]
    prompts, kinds = [], set()
    for task in (Task.HBB, Task.MASK):
        sample = miniature(task, targets=1)
        view = view_of(sample)
        for pair in head.training_pairs(sample, view, np.random.default_rng(0)):
            kinds.add(pair.kind)
            prompts.append(Prompt(pair.prompt, view if pair.use_image else None, answer=pair.answer))
    wanted = {"base": set(), "hybrid": {"pal", "ggl"}}.get(supervision, {supervision})
    assert kinds == {"base", *wanted}
    assert any(prompt.view is None for prompt in prompts) is ("ggl" in kinds)
    first, last = taught(tiny_backbone(family), prompts)
    assert last < 0.7 * first


def test_text_alone_is_learned(tiny_backbone: Callable[..., Any], taught: Callable[..., tuple[float, float]]) -> None:
    """A batch of nothing but geometry-guided pairs shows no image at all."""
    head, sample = GeoGroundHead(resolution=8, supervision="ggl"), miniature(Task.MASK)
    pairs = [
        pair
        for seed in range(3)
        for pair in head.training_pairs(sample, view_of(sample), np.random.default_rng(seed))
        if pair.kind == "ggl"
    ]
    first, last = taught(tiny_backbone("tower"), [Prompt(pair.prompt, answer=pair.answer) for pair in pairs])
    assert last < 0.7 * first


@pytest.mark.parametrize("head", heads(), ids=["geoground", "all", "box-mask"])
@pytest.mark.parametrize("targets", [0, 3])
def test_several_objects_and_none(head: TextHead, targets: int) -> None:
    for task in sorted(head.tasks):
        sample = miniature(task, targets=targets, size=(96, 128))
        found = read(head, sample)
        assert found.parsed
        assert not found.issues
        one = task is Task.MASK and isinstance(head, GeoGroundHead) and head._all is None  # one grid for all of them
        assert len(found.regions) == (min(targets, 1) if one else targets)
        if targets and not one:
            boxes = np.array([hbb_of(region) for region in found.regions])
            truth = np.array([region.hbb for region in sample.targets or ()])
            assert iou_hbb(boxes, truth).min() > 0.5


def test_objects_share_out_the_mask_that_was_written() -> None:
    sample = miniature(Task.MASK, targets=3, size=(96, 128))
    shared = read(GeoGroundHead(signals="all"), sample).regions
    (whole,) = read(GeoGroundHead(), sample).regions
    np.testing.assert_array_equal(union_mask(shared, sample.size), union_mask([whole], sample.size))
    areas = [int(union_mask([region], sample.size).sum()) for region in shared]
    assert sum(areas) == int(union_mask(shared, sample.size).sum())
    assert min(areas) > 0


def read(head: TextHead, sample: Sample) -> Prediction:
    view = view_of(sample)
    answer = head.target(sample, view)
    grammar = head.grammar(sample, view)
    assert grammar is not None
    assert grammar.matches(answer)
    return head.read(Generation(answer), sample, view)
