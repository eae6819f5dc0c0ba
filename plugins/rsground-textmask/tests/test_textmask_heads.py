"""Both heads keep the laws of every head, the paper's strings, and hybrid supervision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsground.contracts import Segmenter
from rsground.metrics.consistency import box_consistency
from rsground.regions import hbb_of, mask_of
from rsground.testing import HeadConformance, MetricConformance, PluginConformance, miniature
from rsground.testing.samples import blank_view
from rsground.types import Generation, Region, Sample, Task
from rsground_textmask.box_mask import BoxMaskHead
from rsground_textmask.geoground import GeoGroundHead
from rsground_textmask.supervision import ASSISTED, GUIDED


class TestPlugin(PluginConformance):
    plugin_name = "textmask"
    plugin_module = "rsground_textmask"


class TestGeoGround(HeadConformance):
    head_name = "geoground"
    least_overlap = 0.4  # a grid of 32 cells dilates a small object by up to a cell


class TestGeoGroundAllSignals(HeadConformance):
    head_name = "geoground"
    head_options = {"signals": "all"}  # noqa: RUF012


class TestBoxMask(HeadConformance):
    head_name = "box-mask"
    least_overlap = 0.9


class TestBcs(MetricConformance):
    metric_name = "bcs"


def test_writes_the_box_printed_in_the_paper() -> None:
    sample = Sample(
        "p",
        miniature(Task.HBB, size=(1000, 1000)).images,
        "the vehicle on the right",
        Task.HBB,
        targets=(Region(hbb=(906, 47, 1000, 141)),),
    )
    assert GeoGroundHead().target(sample, blank_view(sample)) == "<box>[[906,47,1000,141]]</box>"


def test_asks_as_in_figure_two() -> None:
    sample = miniature(Task.HBB)
    asked = GeoGroundHead().prompt(sample, blank_view(sample)).text
    assert asked == f"Output the bounding box of <ref>{sample.expression}</ref>"


def test_all_signals_carries_each_as_written() -> None:
    head = GeoGroundHead(signals="all")
    sample = miniature(Task.MASK, size=(96, 96))
    answer = head.target(sample, blank_view(sample))
    found = head.read(Generation(answer), sample, blank_view(sample))
    (region,) = found.regions
    assert None not in (region.hbb, region.quad, region.rle)
    assert 0.5 < box_consistency(region) <= 1.0


def test_all_signals_without_the_mask_is_less_consistent() -> None:
    head = GeoGroundHead(signals="all")
    sample = miniature(Task.MASK, size=(96, 96))
    answer = head.target(sample, blank_view(sample)).split("<seg>")[0]
    found = head.read(Generation(answer), sample, blank_view(sample))
    assert found.regions[0].rle is None
    assert box_consistency(found.regions[0]) <= 1 / 3


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [("base", {"base"}), ("pal", {"base", "pal"}), ("ggl", {"base", "ggl"}), ("hybrid", {"base", "pal", "ggl"})],
)
def test_supervision_adds_what_it_says(kind: str, kinds: set[str]) -> None:
    sample = miniature(Task.MASK)
    pairs = list(GeoGroundHead(supervision=kind).training_pairs(sample, blank_view(sample), np.random.default_rng(0)))
    assert {pair.kind for pair in pairs} == kinds
    assert all(pair.use_image == (pair.kind != "ggl") for pair in pairs)


def test_guided_answers_follow_from_the_written_signal() -> None:
    """The answer of a GGL pair can be computed from its question alone."""
    head, sample = GeoGroundHead(), miniature(Task.MASK, size=(96, 96))
    view, seen = blank_view(sample), set()
    for seed in range(12):
        for pair in head.training_pairs(sample, view, np.random.default_rng(seed)):
            if pair.kind != "ggl":
                continue
            given = Task.OBB if "<obb>" in pair.prompt else Task.MASK
            seen.add(given)
            (region,) = head.codecs[given].read(pair.prompt, view.size).regions
            box = Region(hbb=hbb_of(region))
            assert head.codecs[Task.HBB].write([box], view.size) == pair.answer
    assert seen == {given for given, _ in GUIDED}


def test_assisted_pairs_go_from_sparse_to_dense() -> None:
    rank = {Task.HBB: 0, Task.OBB: 1, Task.MASK: 2}
    assert all(rank[given] < rank[asked] for given, asked in ASSISTED)


def test_a_segmenter_refines_masks() -> None:
    class Shrink(Segmenter):
        """Answers the box's left half, so that refinement shows."""

        def encode(self, image: np.ndarray) -> None:
            return None

        def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
            masks = np.zeros((len(prompts), *size), bool)
            for mask, prompt in zip(masks, prompts, strict=True):
                assert prompt.mask.shape == size
                x1, y1, x2, y2 = (int(value) for value in prompt.box)
                mask[y1:y2, x1 : (x1 + x2) // 2] = True
            return masks, np.full(len(prompts), 0.5, np.float32)

    head, sample = BoxMaskHead(), miniature(Task.MASK, size=(96, 96))
    answer, view = head.target(sample, blank_view(sample)), blank_view(sample)
    before = mask_of(head.read(Generation(answer), sample, view).regions[0], sample.size)
    head.segmenter = Shrink()
    after = head.read(Generation(answer), sample, view).regions[0]
    assert 0 < mask_of(after, sample.size).sum() < before.sum()
    assert after.score == 0.5
