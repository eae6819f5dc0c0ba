"""Masks: boxes, oriented boxes, overlap; polygons in and out."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from rsground.errors import ShapeError
from rsground.geometry import (
    invert_affine,
    iou_mask,
    iou_mask_matrix,
    iou_quad,
    mask_to_hbb,
    mask_to_obb,
    mask_to_polygons,
    obb_to_quad,
    polygons_to_mask,
    rle_from_coco,
    rle_to_mask,
    warp_mask,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools.decode

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=16))
pairs = array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(lambda s: st.tuples(arrays(bool, s), arrays(bool, s)))
rings = arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(-8, 40, width=32))
inner_rings = arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(1, 19, width=32))


@given(pair=pairs)
def test_overlap_agrees_with_the_definition(pair):
    a, b = pair
    union = (a | b).sum()
    expected = 1.0 if union == 0 else (a & b).sum() / union
    assert iou_mask(a, b) == pytest.approx(expected)
    np.testing.assert_allclose(iou_mask_matrix(np.stack([a, b]), b), [[expected], [1.0]])


def test_overlap_of_stacks():
    rng = np.random.default_rng(0)
    a, b = rng.random((5, 30, 20)) < 0.3, rng.random((4, 30, 20)) < 0.5
    matrix = iou_mask_matrix(a, b)
    assert matrix.shape == (5, 4)
    for k in range(4):
        np.testing.assert_allclose(iou_mask(a, b[k]), matrix[:, k])
    np.testing.assert_allclose(iou_mask(a[:4], b), np.diag(matrix))
    assert iou_mask(a[0].astype(np.uint8), a[0]) == 1.0
    assert iou_mask(a[:0], b[0]).shape == (0,)
    with pytest.raises(ShapeError, match=r"one size, got \(30, 20\) and \(20, 30\)"):
        iou_mask(a, b.swapaxes(1, 2))
    with pytest.raises(ShapeError, match="threshold floats first"):
        iou_mask(a[0] * 0.5, b[0])


@given(mask=masks)
def test_the_box_is_the_tightest_on_pixel_edges(mask):
    box = mask_to_hbb(mask)
    if not mask.any():
        assert np.isnan(box).all()
        return
    x1, y1, x2, y2 = box.astype(int)
    inside = mask[y1:y2, x1:x2]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


def test_boxes_of_a_stack():
    stack = np.zeros((3, 5, 7), bool)
    stack[0, 1:3, 2:6] = True
    stack[2, 4, 6] = True
    np.testing.assert_array_equal(mask_to_hbb(stack), [[2, 1, 6, 3], [np.nan] * 4, [6, 4, 7, 5]])
    assert np.isnan(mask_to_hbb(np.zeros((0, 3), bool))).all()


@given(mask=masks)
def test_the_oriented_box_covers_every_pixel_and_is_no_larger_than_opencvs(mask):
    box = mask_to_obb(mask)
    if not mask.any():
        assert np.isnan(box).all()
        return
    y, x = np.nonzero(mask)
    corners = np.array([(u + i, v + j) for u, v in zip(x, y, strict=True) for i in (0, 1) for j in (0, 1)], np.float32)
    _, size, _ = cv2.minAreaRect(corners)
    assert box[2] * box[3] <= size[0] * size[1] * (1 + 1e-5)
    assert box[2] * box[3] >= size[0] * size[1] * (1 - 1e-5)
    frame = shapely.Polygon(obb_to_quad(box)).buffer(1e-9)
    assert shapely.covers(frame, shapely.points(corners.astype(float))).all()


def test_a_turned_rectangle_is_found_again():
    truth = np.array([100, 80, 90, 30, 0.4])
    mask = polygons_to_mask([obb_to_quad(truth)], (160, 200))
    np.testing.assert_allclose(mask_to_obb(mask, convention="oc"), truth, atol=1.5, rtol=0.05)


@given(x1=st.integers(-3, 9), y1=st.integers(-3, 9), w=st.integers(0, 9), h=st.integers(0, 9))
def test_rings_on_pixel_edges_are_filled_exactly(x1, y1, w, h):
    expected = np.zeros((8, 10), bool)
    expected[max(y1, 0) : max(y1 + h, 0), max(x1, 0) : max(x1 + w, 0)] = True
    ring = [(x1, y1), (x1 + w, y1), (x1 + w, y1 + h), (x1, y1 + h)]
    np.testing.assert_array_equal(polygons_to_mask([ring], (8, 10)), expected)


@given(ring=rings)
def test_a_pixel_is_in_when_its_centre_is(ring):
    mask = polygons_to_mask([ring], (20, 30))
    shape = shapely.Polygon(ring)
    if not shape.is_valid:
        return
    x, y = np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5)
    centres = shapely.points(x, y)
    clear = shapely.distance(centres, shape.boundary) > 1e-9
    np.testing.assert_array_equal(mask[clear], shapely.contains(shape, centres)[clear])


@given(ring=inner_rings)
def test_other_rasterisers_differ_along_the_boundary_only(ring):
    if not shapely.Polygon(ring).is_valid:
        return
    mask = polygons_to_mask([ring], (20, 30))
    by_coco = coco.decode(coco.merge(coco.frPyObjects([ring.ravel().tolist()], 20, 30))).astype(bool)
    by_cv2 = np.zeros((20, 30), np.uint8)
    cv2.fillPoly(by_cv2, [np.round(ring * 256 - 128).astype(np.int32)], 1, shift=8)
    x, y = np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5)
    away = shapely.distance(shapely.points(x, y), shapely.Polygon(ring).boundary) > 2
    np.testing.assert_array_equal(mask[away], by_coco[away])
    np.testing.assert_array_equal(mask[away], by_cv2[away].astype(bool))


def test_rings_unite_and_abutting_ones_share_nothing():
    left, right = [(0, 0), (3.3, 0), (5.1, 6), (0, 6)], [(3.3, 0), (9, 0), (9, 6), (5.1, 6)]
    both = [polygons_to_mask([ring], (6, 9)) for ring in (left, right)]
    assert not (both[0] & both[1]).any()
    assert (both[0] | both[1]).all()
    np.testing.assert_array_equal(polygons_to_mask([left, right], (6, 9)), both[0] | both[1])
    np.testing.assert_array_equal(polygons_to_mask([left, left], (6, 9)), both[0])


def test_odd_rings():
    assert not polygons_to_mask([], (3, 4)).any()
    assert not polygons_to_mask([[(0, 0), (4, 3)], []], (3, 4)).any()
    assert not polygons_to_mask([[(50, 50), (60, 50), (60, 60)]], (3, 4)).any()
    assert polygons_to_mask([[(-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9)]], (3, 4)).all()
    assert polygons_to_mask([[(0, 0), (4, 0), (4, 3)]], (0, 4)).shape == (0, 4)
    bow_tie = polygons_to_mask([[(0, 0), (8, 8), (8, 0), (0, 8)]], (8, 8))
    assert bow_tie[3, 0]
    assert not bow_tie[0, 3]
    with pytest.raises(ShapeError, match="ring must be finite"):
        polygons_to_mask([[(0, 0), (np.nan, 0), (1, 1)]], (3, 4))


@given(mask=masks, connectivity=st.sampled_from([4, 8]))
def test_bridged_outlines_give_every_mask_back(mask, connectivity):
    found = mask_to_polygons(mask, holes="bridge", connectivity=connectivity)
    np.testing.assert_array_equal(polygons_to_mask(found, mask.shape), mask)
    structure = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)[0] - 1
    assert len(found) == structure


@given(mask=masks, connectivity=st.sampled_from([4, 8]))
def test_filled_outlines_fill_the_holes_and_nothing_else(mask, connectivity):
    found = polygons_to_mask(mask_to_polygons(mask, connectivity=connectivity), mask.shape)
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    labels = cv2.connectedComponents(outside, connectivity=12 - connectivity)[1]
    holes = (outside.astype(bool) & (labels != labels[0, 0]))[1:-1, 1:-1]
    # an island in a hole is filled over with it
    filled = found & ~mask
    np.testing.assert_array_equal(filled, holes & ~mask)


@given(mask=masks)
def test_four_connected_rings_run_clockwise_along_corners_only(mask):
    for ring in mask_to_polygons(mask, connectivity=4):
        x, y = ring.T
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all()  # along an axis
        assert ((steps * np.roll(steps, -1, axis=0)).sum(axis=1) == 0).all()  # turning at each point


def test_nested_holes_and_islands():
    mask = np.zeros((21, 23), bool)
    for k in range(0, 10, 2):
        mask[k : 21 - k, k : 23 - k] = True
        mask[k + 1 : 20 - k, k + 1 : 22 - k] = False
    assert [ring.tolist() for ring in mask_to_polygons(mask)] == [[[0, 0], [23, 0], [23, 21], [0, 21]]]
    np.testing.assert_array_equal(polygons_to_mask(mask_to_polygons(mask, holes="bridge"), mask.shape), mask)
    noise = np.random.default_rng(0).random((150, 130)) < 0.45
    for connectivity in (4, 8):
        bridged = mask_to_polygons(noise, holes="bridge", connectivity=connectivity)
        np.testing.assert_array_equal(polygons_to_mask(bridged, noise.shape), noise)
        filled = mask_to_polygons(noise, connectivity=connectivity)
        assert len(filled) <= len(bridged)


def test_real_masks_come_back_from_their_outlines_and_have_the_annotated_boxes(shared_data):
    instances = json.loads((shared_data / "isaid_mini" / "instances.json").read_text())
    for record in instances["annotations"][:120]:
        mask = rle_to_mask(rle_from_coco(record["segmentation"]))
        rings = mask_to_polygons(mask, holes="bridge")
        np.testing.assert_array_equal(polygons_to_mask(rings, mask.shape), mask)
        quad = obb_to_quad(mask_to_obb(mask))
        assert iou_quad(quad, np.reshape(record["obb"], (4, 2)))[0] > 0.98


def test_outline_examples():
    mask = np.zeros((5, 6), bool)
    assert mask_to_polygons(mask) == []
    mask[1:4, 1:5] = True
    mask[2, 2] = False
    assert [ring.tolist() for ring in mask_to_polygons(mask)] == [[[1, 1], [5, 1], [5, 4], [1, 4]]]
    diagonal = np.eye(3, dtype=bool)
    assert len(mask_to_polygons(diagonal)) == 1
    assert len(mask_to_polygons(diagonal, connectivity=4)) == 3
    with pytest.raises(ShapeError, match="holes is 'fill' or 'bridge'"):
        mask_to_polygons(mask, holes="cut")


@given(mask=masks, zoom=st.integers(1, 4), dx=st.integers(0, 5), dy=st.integers(0, 5))
def test_enlarging_and_coming_back_is_exact(mask, zoom, dx, dy):
    height, width = mask.shape
    affine = (zoom, 0, dx, 0, zoom, dy)
    large = warp_mask(mask, affine, (height * zoom + dy, width * zoom + dx))
    assert large.sum() == mask.sum() * zoom**2
    np.testing.assert_array_equal(warp_mask(large, invert_affine(affine), mask.shape), mask)
    thirds = warp_mask(mask, (1 / 3, 0, 0, 0, 1 / 3, 0), (-(-height // 3), -(-width // 3)))
    assert thirds[0, 0] == (mask[1, 1] if min(mask.shape) > 1 else thirds[0, 0])  # the centre of the three


@given(mask=masks)
def test_turning_by_a_right_angle_is_exact(mask):
    height, width = mask.shape
    turned = warp_mask(mask, (0, -1, height, 1, 0, 0), (width, height))  # x' = H - y, y' = x
    np.testing.assert_array_equal(turned, np.rot90(mask, -1))
    np.testing.assert_array_equal(warp_mask(mask, (-1, 0, width, 0, 1, 0), mask.shape), mask[:, ::-1])


def test_maps_that_flatten_are_refused():
    with pytest.raises(ShapeError, match="invertible"):
        invert_affine((1, 2, 0, 2, 4, 0))
