"""Masks and boxes from a label map agree with pycocotools and with brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from rsground.datasets.scenes.graph import fits_square
from rsground.datasets.scenes.runs import label_runs
from rsground.datasets.scenes.shadows import sweep
from rsground.geometry.rle import rle_to_mask

maps = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=17), elements=st.integers(0, 4))


@given(labels=maps)
def test_masks_equal_those_of_pycocotools_byte_for_byte(labels):
    runs = label_runs(labels, np.ones(5, bool))
    assert runs.wanted.tolist() == np.unique(labels).tolist()
    for label, rle, area in zip(runs.wanted, runs.rles(), runs.areas, strict=True):
        expected = coco.encode(np.asfortranarray((labels == label).astype(np.uint8)))
        assert rle.counts == expected["counts"]
        assert list(rle.size) == expected["size"]
        assert area == np.count_nonzero(labels == label)


@given(labels=maps)
def test_boxes_are_tight(labels):
    runs = label_runs(labels, np.ones(5, bool))
    for label, box in zip(runs.wanted, runs.boxes(), strict=True):
        ys, xs = np.nonzero(labels == label)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@given(labels=maps, angle=st.floats(0, 2 * math.pi))
def test_oriented_boxes_cover_every_pixel_and_touch_on_four_sides(labels, angle):
    runs = label_runs(labels, np.ones(5, bool))
    cos, sin = np.full(len(runs.wanted), math.cos(angle)), np.full(len(runs.wanted), math.sin(angle))
    for label, quad in zip(runs.wanted, runs.quads(cos, sin), strict=True):
        ys, xs = np.nonzero(labels == label)
        corners = np.array([(x + i, y + j) for x, y in zip(xs, ys, strict=True) for i in (0, 1) for j in (0, 1)])
        for here, after in zip(quad, np.roll(quad, -1, axis=0), strict=True):
            side = after - here
            inside = side[0] * (corners[:, 1] - here[1]) - side[1] * (corners[:, 0] - here[0])
            assert inside.min() >= -1e-6 * (1 + np.abs(side).max())
            assert inside.min() <= 1e-6 * (1 + np.abs(side).max())


def test_only_wanted_labels_are_listed():
    labels = np.array([[0, 1, 1], [2, 2, 1]], np.int32)
    runs = label_runs(labels, np.array([False, True, False]))
    assert runs.wanted.tolist() == [1]
    assert runs.boxes().tolist() == [[1.0, 0.0, 3.0, 2.0]]


def test_a_map_without_wanted_labels_gives_empty_arrays():
    runs = label_runs(np.zeros((3, 4), np.int32), np.zeros(1, bool))
    assert runs.rles() == []
    assert runs.boxes().shape == (0, 4)
    assert runs.quads(np.zeros(0), np.zeros(0)).shape == (0, 4, 2)


def test_long_runs_of_a_large_map_survive():
    labels = np.zeros((3000, 2500), np.int32)
    labels[700:, 1200:] = 1
    rle = label_runs(labels, np.array([False, True])).rles()[0]
    assert np.array_equal(rle_to_mask(rle), labels == 1)


@given(free=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8)), side=st.integers(1, 9))
def test_a_free_square_is_found_where_there_is_one(free, side):
    height, width = free.shape
    expected = any(
        free[y : y + side, x : x + side].all() for y in range(height - side + 1) for x in range(width - side + 1)
    )
    assert fits_square(free, side) == expected


@settings(max_examples=40)
@given(
    solid=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=6)),
    dx=st.floats(-20, 20),
    dy=st.floats(-20, 20),
)
def test_a_swept_shadow_is_the_union_of_its_steps(solid, dx, dy):
    swept, x0, y0 = sweep(solid, dx, dy)
    end_x, end_y = round(dx), round(dy)
    assert swept.shape == (solid.shape[0] + abs(end_y), solid.shape[1] + abs(end_x))
    rows, columns = solid.shape
    for part, (x, y) in {"start": (0, 0), "end": (end_x, end_y)}.items():
        piece = swept[y - y0 : y - y0 + rows, x - x0 : x - x0 + columns]
        assert (piece | ~solid).all(), part
    if solid.any():
        # nothing of the swept mask is further than a pixel from the exact way of some pixel
        ys, xs = np.nonzero(solid)
        length = max(abs(dx), abs(dy), 1.0)
        t = np.linspace(0, 1, int(4 * length) + 2)
        for y, x in np.argwhere(swept):
            gap_x = np.abs(xs[:, None] + t * dx - (x + x0))
            gap_y = np.abs(ys[:, None] + t * dy - (y + y0))
            assert np.maximum(gap_x, gap_y).min() <= 2.0
    else:
        assert not swept.any()


@pytest.mark.parametrize("length", [1, 7, 40])
def test_a_swept_pixel_leaves_no_gap(length):
    swept, _, _ = sweep(np.ones((1, 1), bool), float(length), 0.0)
    assert swept.all()
