"""Pixel counts: arrays, batches and run-length masks agree with each other and with pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from rsground.errors import ShapeError
from rsground.geometry import mask_to_rle, rle_from_counts
from rsground.metrics import mask_iou_counts
from rsground.metrics.masks import resize_floor, resize_nearest

pairs = array_shapes(min_dims=2, max_dims=2, max_side=20).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(pair=pairs)
def test_runs_and_pixels_count_the_same(pair):
    a, b = pair
    inter, union = mask_iou_counts(mask_to_rle(a), mask_to_rle(b))
    assert (inter, union) == ((a & b).sum(), (a | b).sum())
    assert mask_iou_counts(a, b) == (inter, union)
    assert mask_iou_counts(a, mask_to_rle(b)) == (inter, union)


@given(pair=pairs)
def test_runs_agree_with_pycocotools(pair):
    a, b = (coco.encode(np.asfortranarray(mask, np.uint8)) for mask in pair)
    ours = mask_iou_counts(*(mask_to_rle(mask) for mask in pair))
    assert ours == (coco.area(coco.merge([a, b], intersect=True)), coco.area(coco.merge([a, b])))


def test_batches_give_one_number_per_pair():
    masks = np.random.default_rng(0).random((5, 9, 7)) > 0.5
    inter, union = mask_iou_counts(masks, masks[::-1])
    np.testing.assert_array_equal(inter, (masks & masks[::-1]).sum(axis=(1, 2)))
    np.testing.assert_array_equal(union, (masks | masks[::-1]).sum(axis=(1, 2)))
    assert mask_iou_counts(masks[:0], masks[:0])[0].shape == (0,)


def test_integers_count_as_object_where_not_zero():
    assert mask_iou_counts(np.array([[0, 2, 255]], np.uint8), np.array([[1, 1, 0]])) == (1, 3)


def test_runs_without_pixels_do_not_matter():
    plain = rle_from_counts([2, 3, 1], (2, 3))
    padded = rle_from_counts([2, 1, 0, 0, 0, 2, 1], (2, 3))
    assert mask_iou_counts(padded, plain) == (3, 3)


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        (np.zeros((2, 2), bool), np.zeros((2, 3), bool), r"one shape, got pred \(2, 2\) and target \(2, 3\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), "threshold scores first"),
        (rle_from_counts([4], (2, 2)), rle_from_counts([4], (4, 1)), "one size"),
    ],
)
def test_what_does_not_pair_is_refused(a, b, match):
    with pytest.raises(ShapeError, match=match):
        mask_iou_counts(a, b)


def test_nearest_samples_at_pixel_centres():
    mask = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], bool)
    np.testing.assert_array_equal(resize_nearest(mask, (1, 2)), [[True, False]])
    np.testing.assert_array_equal(resize_nearest(mask.T, (4, 4)), np.repeat(mask.T, 2, axis=1))


@pytest.mark.parametrize("size", [(30, 20), (7, 9), (64, 64)])
def test_floor_is_opencvs(size):
    cv2 = pytest.importorskip("cv2")
    mask = np.random.default_rng(1).random((16, 24)) > 0.5
    theirs = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(resize_floor(mask, size), theirs.astype(bool))
