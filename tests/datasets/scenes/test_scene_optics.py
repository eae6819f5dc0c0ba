"""The optics of a picture: the fast blur against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest

from rsground.datasets.scenes.render import _blur


def plain_blur(planes: np.ndarray, side: int) -> np.ndarray:
    """Every pixel gives a share to each neighbour of its line; at a border it keeps that share."""
    for axis in (2, 1):
        share = (planes.astype(int) * side) >> 6
        wide = np.pad(share, [(1, 1) if at == axis else (0, 0) for at in range(3)], mode="edge")
        before, after = (np.take(wide, range(first, first + planes.shape[axis]), axis) for first in (0, 2))
        planes = planes - 2 * share + before + after
    return planes


@pytest.mark.parametrize(("height", "width", "side"), [(7, 5, 9), (1, 6, 4), (6, 1, 4), (64, 80, 2), (33, 40, 0)])
def test_the_blur_is_three_taps_each_way_with_repeated_borders(height, width, side):
    planes = np.random.default_rng(height).integers(0, 1200, (3, height, width)).astype(np.int16)
    np.testing.assert_array_equal(_blur(planes.copy(), side), plain_blur(planes, side))
