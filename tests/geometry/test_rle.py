"""COCO run lengths against pycocotools, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from rsground.errors import ShapeError
from rsground.geometry import (
    iou_mask_matrix,
    mask_to_hbb,
    mask_to_rle,
    polygons_to_mask,
    polygons_to_rle,
    rle_area,
    rle_from_coco,
    rle_from_counts,
    rle_iou_matrix,
    rle_to_counts,
    rle_to_hbb,
    rle_to_mask,
    rle_union,
)
from rsground.types import RLE

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools.decode

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=20))
stacks = array_shapes(min_dims=3, max_dims=3, max_side=8).flatmap(lambda shape: arrays(np.bool_, shape))


def uncompressed(mask):
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return runs.tolist() if not flat[0] else [0, *runs.tolist()]


@given(mask=masks)
def test_both_ways_and_as_pycocotools(mask):
    rle = mask_to_rle(mask)
    assert rle.counts == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    np.testing.assert_array_equal(rle_to_mask(rle), mask)
    np.testing.assert_array_equal(rle_to_mask(rle), coco.decode({"size": list(rle.size), "counts": rle.counts}))
    assert rle_to_counts(rle).tolist() == uncompressed(mask)
    assert rle_from_counts(uncompressed(mask), mask.shape) == rle
    assert rle_area(rle) == mask.sum()
    np.testing.assert_array_equal(rle_to_hbb(rle), mask_to_hbb(mask))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (300, 400), (2000, 1500)])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 1.0])
def test_large_runs(shape, share):
    mask = np.random.default_rng(1).random(shape) < share
    np.testing.assert_array_equal(rle_to_mask(mask_to_rle(mask)), mask)


@given(stack=stacks)
def test_union_and_overlap_are_those_of_the_masks(stack):
    rles = [mask_to_rle(mask) for mask in stack]
    np.testing.assert_array_equal(rle_to_mask(rle_union(rles)), stack.any(axis=0))
    np.testing.assert_allclose(rle_iou_matrix(rles, rles[:2]), iou_mask_matrix(stack, stack[:2]))


def test_nothing_to_unite():
    assert rle_area(rle_union([], (3, 4))) == 0
    assert rle_iou_matrix([], []).shape == (0, 0)
    with pytest.raises(ShapeError, match="no mask and no size"):
        rle_union([])
    with pytest.raises(ShapeError, match="one size"):
        rle_union([mask_to_rle(np.zeros((2, 2), bool)), mask_to_rle(np.zeros((2, 3), bool))])


def test_coco_dictionaries():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:4] = True
    rle = mask_to_rle(mask)
    assert rle_from_coco({"size": [4, 5], "counts": rle.counts.decode()}) == rle
    assert rle_from_coco({"size": [4, 5], "counts": rle.counts}) == rle
    assert rle_from_coco({"size": [4, 5], "counts": uncompressed(mask)}) == rle
    ring = [(2, 1), (4, 1), (4, 3), (2, 3)]
    assert polygons_to_rle([ring], (4, 5)) == rle
    np.testing.assert_array_equal(polygons_to_mask([ring], (4, 5)), mask)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"size": [4, 5]},
        {"size": [4], "counts": "0"},
        {"size": "45", "counts": [3]},
        {"size": [4, 5], "counts": [3, 4]},
        {"size": [4, 5], "counts": [-3, 23]},
        {"size": [4, 5], "counts": ["a"]},
        {"size": [4, 5], "counts": [2**63, 2**63]},
        {"size": [4, 5], "counts": [2**62] * 4 + [20]},
        {"size": [4, 5], "counts": None},
        {"size": [4, 5], "counts": ""},
        {"size": [4, 5], "counts": "\u20ac"},
        {"size": [4, 5], "counts": "zzzzzzzzzzzzzzzzz"},
        {"size": [4, 5], "counts": "P" * 30},
        {"size": [4, 5], "counts": b"o"},
        {"size": [-4, -5], "counts": [20]},
        {"size": [2**20, 2**20], "counts": [2**40]},
    ],
)
def test_bad_runs_are_refused_before_anything_is_decoded(bad):
    with pytest.raises(ShapeError):
        rle_from_coco(bad)


@given(counts=st.binary(max_size=40), height=st.integers(0, 9), width=st.integers(0, 9))
def test_any_bytes_give_a_mask_or_an_error(counts, height, width):
    rle = RLE((height, width), counts)
    try:
        mask = rle_to_mask(rle)
    except ShapeError:
        return
    assert mask.shape == (height, width)
    assert rle_area(rle) == mask.sum()


def test_real_masks_are_read_as_pycocotools_reads_them(shared_data):
    instances = json.loads((shared_data / "isaid_mini" / "instances.json").read_text())
    assert len(instances["annotations"]) > 100
    for record in instances["annotations"][:150]:
        rle = rle_from_coco(record["segmentation"])
        mask = rle_to_mask(rle)
        np.testing.assert_array_equal(mask, coco.decode(record["segmentation"]))
        assert rle_area(rle) == record["area"]
        x, y, w, h = record["bbox"]
        assert rle_to_hbb(rle).tolist() == [x, y, x + w, y + h]
