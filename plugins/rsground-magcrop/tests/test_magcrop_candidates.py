"""Candidate boxes against sums taken cell by cell."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsground.errors import ShapeError
from rsground_magcrop.candidates import (
    Search,
    best_box,
    candidate_boxes,
    contrasts,
    standing_out,
    summed_area,
    totals,
)

Floats = NDArray[np.float64]
_BOTH: tuple[Literal["total"], Literal["mean"]] = ("total", "mean")


@st.composite
def maps(draw: st.DrawFn) -> Floats:
    """Small maps of whole numbers, so that sums are exact in floating point."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    cells = draw(st.lists(st.integers(0, 50), min_size=height * width, max_size=height * width))
    return np.asarray(cells, np.float64).reshape(height, width)


def contrast_by_hand(heat: Floats, box: tuple[int, int, int, int], surround: float) -> float:
    """One cell after the other."""
    x1, y1, x2, y2 = box
    across, down = max(1, round(surround * (x2 - x1))), max(1, round(surround * (y2 - y1)))
    inside, around, cells = 0.0, 0.0, 0
    for y in range(heat.shape[0]):
        for x in range(heat.shape[1]):
            if x1 <= x < x2 and y1 <= y < y2:
                inside += heat[y, x]
            elif x1 - across <= x < x2 + across and y1 - down <= y < y2 + down:
                around += heat[y, x]
                cells += 1
    return inside - around / cells * (x2 - x1) * (y2 - y1) if cells else 0.0


@settings(max_examples=60, deadline=None)
@given(maps(), st.sampled_from([0.5, 1.0, 2.0]))
def test_contrasts_are_those_by_hand(heat: Floats, surround: float) -> None:
    boxes = candidate_boxes(*heat.shape, Search(sizes=(0.2, 0.5, 0.9), surround=surround))
    found, inside = contrasts(summed_area(heat), boxes, surround)
    for box, value, total in zip(boxes, found, inside, strict=True):
        x1, y1, x2, y2 = (int(edge) for edge in box)
        assert total == heat[y1:y2, x1:x2].sum()
        assert value == pytest.approx(contrast_by_hand(heat, (x1, y1, x2, y2), surround), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(maps())
def test_the_winner_is_the_greatest_difference(heat: Floats) -> None:
    search = Search(sizes=(0.25, 0.5), ratios=(1.0, 2.0))
    by_hand = [contrast_by_hand(heat, tuple(map(int, box)), 1.0) for box in candidate_boxes(*heat.shape, search)]
    found = best_box(heat, search)
    if found is None:
        assert max(by_hand, default=0.0) <= 1e-9 * heat.sum() + 1e-12
    else:
        assert found.contrast == pytest.approx(max(by_hand), abs=1e-9)
        assert found.contrast == pytest.approx(contrast_by_hand(heat, found.box, 1.0), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(maps(), st.sampled_from(["total", "mean"]), st.sampled_from(["smallest", "largest"]))
def test_each_of_several_is_the_best_of_what_lies_apart(heat: Floats, contrast: str, ties: str) -> None:
    search = Search(sizes=(0.25, 0.5), ratios=(1.0, 2.0), contrast=contrast, ties=ties)  # type: ignore[arg-type]
    left = [tuple(map(int, box)) for box in candidate_boxes(*heat.shape, search)]

    def worth(box: tuple[int, ...]) -> float:
        cells = (box[2] - box[0]) * (box[3] - box[1])
        return contrast_by_hand(heat, box, 1.0) / (cells if contrast == "mean" else 1)  # type: ignore[arg-type]

    for found in standing_out(heat, search):
        best = max(map(worth, left))
        equals = [box for box in left if worth(box) == pytest.approx(best, abs=1e-9)]
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in equals]
        mine = (found.box[2] - found.box[0]) * (found.box[3] - found.box[1])
        assert found.contrast == pytest.approx(best, abs=1e-9)
        assert mine == (min(areas) if ties == "smallest" else max(areas))
        assert found.box == min(
            (box for box, area in zip(equals, areas, strict=True) if area == mine),
            key=lambda box: (box[3] - box[1], box[1], box[0]),
        )
        x1, y1, x2, y2 = found.box
        left = [box for box in left if box[0] >= x2 or box[2] <= x1 or box[1] >= y2 or box[3] <= y1]
    assert max(map(worth, left), default=0.0) <= 1e-6


def test_two_bright_patches_are_both_found() -> None:
    heat = np.ones((40, 60))
    heat[4:12, 6:14], heat[24:32, 44:52] = 9.0, 7.0
    search = Search(sizes=(8 / np.sqrt(2400), 0.4), ratios=(1.0,), stride=0.25)
    first, second = (found.box for found, _ in zip(standing_out(heat, search), range(2), strict=False))
    assert (first, second) == ((6, 4, 14, 12), (44, 24, 52, 32))


def test_the_mean_of_a_box_does_not_grow_with_it() -> None:
    heat = np.ones((48, 48))
    heat[8:32, 8:32], heat[10:16, 10:16] = 3.0, 12.0
    sizes = Search(sizes=(6 / 48, 24 / 48), ratios=(1.0,), stride=1 / 6)
    total, mean = (best_box(heat, Search(sizes.sizes, sizes.ratios, sizes.stride, contrast=each)) for each in _BOTH)
    assert total is not None
    assert mean is not None
    assert (total.box, mean.box) == ((8, 8, 32, 32), (10, 10, 16, 16))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.1, 0.25, 1.0]))
def test_candidates_lie_in_the_map_and_reach_its_edges(height: int, width: int, stride: float) -> None:
    boxes = candidate_boxes(height, width, Search(stride=stride))
    if not len(boxes):
        assert (height, width) == (1, 1) or min(height, width) == 1
        return
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= width).all()
    assert (boxes[:, 3] <= height).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides >= 1).all()
    assert not ((sides[:, 0] == width) & (sides[:, 1] == height)).any()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    for shape in np.unique(sides, axis=0):
        mine = boxes[(sides == shape).all(axis=1)]
        assert mine[:, :2].min(axis=0).tolist() == [0, 0]
        assert mine[:, 2:].max(axis=0).tolist() == [width, height]


def test_a_bright_patch_is_found_where_it_is() -> None:
    heat = np.ones((40, 60))
    heat[12:22, 31:41] = 9.0
    found = best_box(heat, Search(sizes=(0.1, 10 / np.sqrt(2400), 0.4), ratios=(1.0,), stride=0.1))
    assert found is not None
    assert found.box == (31, 12, 41, 22)
    assert found.total == 900.0
    assert found.contrast == 800.0  # its surroundings would hold 100


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e12])
def test_a_flat_map_has_no_box(value: float) -> None:
    assert best_box(np.full((17, 23), value), Search()) is None


def test_neighbours_are_eight_boxes_of_the_same_size() -> None:
    heat = np.random.default_rng(0).integers(0, 9, (9, 9)).astype(np.float64)
    table = summed_area(heat)
    (value,), (inside,) = contrasts(table, np.asarray([[3, 3, 6, 6]]), 1.0)
    around = [[3 + dx, 3 + dy, 6 + dx, 6 + dy] for dx in (-3, 0, 3) for dy in (-3, 0, 3) if (dx, dy) != (0, 0)]
    assert value == pytest.approx(inside - totals(table, np.asarray(around)).mean())


def test_a_map_of_a_whole_large_image() -> None:
    heat = np.zeros((4096, 4096))
    heat[1000:1512, 2000:2512] = 1.0
    found = best_box(heat, Search())
    assert found is not None
    x1, y1, x2, y2 = found.box
    overlap = max(0, min(x2, 2512) - max(x1, 2000)) * max(0, min(y2, 1512) - max(y1, 1000))
    assert overlap / (512 * 512) > 0.6


@pytest.mark.parametrize(
    ("search", "option"),
    [
        (Search(sizes=()), "sizes"),
        (Search(sizes=(1.0,)), "sizes"),
        (Search(ratios=(0.0,)), "ratios"),
        (Search(stride=0.0), "stride"),
        (Search(surround=-1.0), "surround"),
    ],
)
def test_values_out_of_range_are_refused(search: Search, option: str) -> None:
    with pytest.raises(ShapeError, match=f"option '{option}'"):
        search.check()
