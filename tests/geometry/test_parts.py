"""Connected parts of masks, against OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rsground.errors import ShapeError
from rsground.geometry import largest_part

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=16))


@given(mask=masks, connectivity=st.sampled_from([4, 8]))
def test_the_largest_part_is_one_of_opencvs_and_none_is_larger(mask, connectivity):
    found = largest_part(mask, connectivity=connectivity)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    parts = [labels == number for number in range(1, count)]
    assert found.dtype == bool
    if not parts:
        assert not found.any()
        return
    assert any(np.array_equal(found, part) for part in parts)
    assert found.sum() == max(part.sum() for part in parts)


def test_holes_and_what_lies_in_them_do_not_count():
    mask = np.ones((7, 7), dtype=bool)
    mask[1:6, 1:6] = False
    mask[3, 3] = True
    mask = np.pad(mask, ((0, 0), (0, 9)))
    mask[1:6, 9:14] = True  # 25 pixels beside a ring of 24 around one
    found = largest_part(mask)
    assert found.sum() == 25
    assert found[:, 9:14].sum() == 25


def test_the_first_of_equals_and_bad_masks():
    mask = np.zeros((4, 5), dtype=bool)
    mask[0, 3] = mask[2, 0] = True
    assert np.argwhere(largest_part(mask)).tolist() == [[0, 3]]
    with pytest.raises(ShapeError):
        largest_part(np.zeros(3, dtype=bool))
    with pytest.raises(ShapeError, match="connectivity"):
        largest_part(mask, connectivity=6)
