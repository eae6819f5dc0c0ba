"""Arrays in: one place that turns what a caller passed into float64 or bool arrays of the right shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def as_rows(values: ArrayLike, width: int, what: str) -> Floats:
    """``(N, width)`` float64; one box of shape ``(width,)`` becomes ``(1, width)`` and ``[]`` becomes ``(0, width)``.

    Raises:
        ShapeError: any other shape.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim == 1 and rows.size in (0, width):
        rows = rows.reshape(-1, width)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ShapeError(f"{what} must be (N, {width}) or ({width},), got {np.shape(values)}")
    return rows


def as_last(values: ArrayLike, shape: tuple[int, ...], what: str) -> Floats:
    """Float64 array of shape ``(..., *shape)``.

    Raises:
        ShapeError: the last axes are others.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape[max(array.ndim - len(shape), 0) :] != shape:
        raise ShapeError(f"{what} must be (..., {', '.join(map(str, shape))}), got {array.shape}")
    return array


def as_quads(values: ArrayLike, what: str) -> Floats:
    """``(N, 4, 2)`` float64 from ``(N, 4, 2)``, ``(4, 2)`` or an empty list.

    Raises:
        ShapeError: any other shape.
    """
    quads = np.asarray(values, dtype=np.float64)
    if quads.size == 0:
        return np.zeros((0, 4, 2))
    if quads.shape == (4, 2):
        quads = quads[None]
    if quads.ndim != 3 or quads.shape[1:] != (4, 2):
        raise ShapeError(f"{what} must be (N, 4, 2) or (4, 2), got {quads.shape}")
    return quads


def as_points(values: ArrayLike, what: str = "points") -> Floats:
    """``(N, 2)`` float64 (x, y).

    Raises:
        ShapeError: any other shape, or a coordinate that is not finite.
    """
    points = as_rows(values, 2, what)
    if not np.isfinite(points).all():
        raise ShapeError(f"{what} must be finite, got {points[~np.isfinite(points).all(1)][0].tolist()}")
    return points


def as_masks(values: Any, what: str = "mask") -> Bools:
    """Bool array of at least two axes; 0/1 integers are taken as they are meant.

    Raises:
        ShapeError: fewer axes, or floats (a probability map needs a threshold first).
    """
    mask = np.asarray(values)
    if mask.ndim < 2 or mask.dtype.kind not in "bui":
        raise ShapeError(f"{what} must be bool (..., H, W), got {mask.dtype} of {mask.shape}; threshold floats first")
    return mask if mask.dtype == np.bool_ else mask != 0


def as_mask(values: Any, what: str = "mask") -> Bools:
    """One bool mask ``(H, W)``.

    Raises:
        ShapeError: any other number of axes, or floats.
    """
    mask = as_masks(values, what)
    if mask.ndim != 2:
        raise ShapeError(f"{what} must be one mask (H, W), got {mask.shape}")
    return mask


def same_length(a: NDArray[Any], b: NDArray[Any], what: str) -> int:
    """Number of pairs, when ``a`` and ``b`` pair up; one row against N is repeated N times.

    Raises:
        ShapeError: they do not pair up.
    """
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise ShapeError(
            f"{what} pairs row i with row i: got {len(a)} and {len(b)} rows; use {what}_matrix for all pairs"
        )
    return 0 if 0 in (len(a), len(b)) else max(len(a), len(b))
