"""Polygons to masks.

The rule: a pixel belongs to a ring when its *centre* lies inside, by the even-odd rule; a centre exactly on a left or
upper edge is in, on a right or lower edge out. Rings on whole pixel edges are therefore filled exactly, and abutting
rings share no pixel. pycocotools and OpenCV draw boundaries more generously; they differ from this along the
boundary only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError
from rsground.geometry.checks import Bools, Floats, as_points
from rsground.geometry.runs import fill_runs
from rsground.types import Size


def polygons_to_mask(rings: Iterable[ArrayLike], size: Size) -> Bools:
    """The union of the filled rings, as a mask ``(H, W)``.

    Args:
        rings: each ``(K, 2)`` points (x, y) in pixels, closed implicitly; what lies outside of the image is cut off.
            A ring of fewer than three points has no inside.
        size: (H, W).

    Raises:
        ShapeError: a ring is no ``(K, 2)``, or holds a coordinate that is not finite.
    """
    height, width = size
    if height < 0 or width < 0:
        raise ShapeError(f"a mask's size must be (H, W) >= 0, got {size}")
    mask = np.zeros((height, width), bool)
    for ring in rings:
        points = as_points(ring, "a polygon ring")
        if len(points) >= 3:
            _fill(mask, points)
    return mask


def _fill(mask: Bools, ring: Floats) -> None:
    """Set the pixels of one ring, working inside its bounding box only."""
    height, width = mask.shape
    low, high = ring.min(axis=0), ring.max(axis=0)
    left, top = (int(v) for v in np.clip(np.floor(low), 0, (width, height)))
    right, bottom = (int(v) for v in np.clip(np.ceil(high), 0, (width, height)))
    if left >= right or top >= bottom:
        return
    rows, columns = _crossings(ring - (left, top), bottom - top, right - left)
    shape = (bottom - top, right - left)
    turns = np.sort(rows * shape[1] + columns)  # each row has an even number, so a row's last never reaches the next
    mask[top:bottom, left:right] |= fill_runs(turns[0::2], turns[1::2], shape[0] * shape[1]).reshape(shape)


def _crossings(ring: Floats, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the ring crosses each row of pixel centres: (row, first column whose centre is right of the crossing)."""
    x0, y0 = ring.T
    x1, y1 = np.roll(ring, -1, axis=0).T
    down = y0 < y1  # always walk an edge downwards, so that an edge and its reverse cross at the same float
    x0, x1 = np.where(down, x0, x1), np.where(down, x1, x0)
    y0, y1 = np.where(down, y0, y1), np.where(down, y1, y0)
    first = np.clip(np.ceil(y0 - 0.5), 0, height).astype(np.intp)
    count = np.maximum(np.clip(np.ceil(y1 - 0.5), 0, height).astype(np.intp) - first, 0)
    edge = np.repeat(np.arange(len(ring)), count)
    start = np.cumsum(count) - count
    row = np.arange(len(edge)) - start[edge] + first[edge]
    share = (row + 0.5 - y0[edge]) / (y1 - y0)[edge]
    x = x0[edge] + share * (x1 - x0)[edge]
    return row, np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
