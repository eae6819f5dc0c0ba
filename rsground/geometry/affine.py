"""Affine maps ``(a, b, c, d, e, f)``: x' = a x + b y + c, y' = d x + e y + f; of points and of masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError
from rsground.geometry.checks import Bools, Floats, as_last, as_mask
from rsground.types import Size

Affine = tuple[float, float, float, float, float, float]
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

_ROWS_AT_ONCE = 1 << 20


def determinant(affine: Affine) -> float:
    """Signed area scale of a map; negative where it mirrors."""
    a, b, _, d, e, _ = affine
    return a * e - b * d


def invert_affine(affine: Affine) -> Affine:
    """The map that undoes ``affine``.

    Raises:
        ShapeError: the map flattens the plane (its determinant is 0) or is not finite.
    """
    a, b, c, d, e, f = affine
    det = determinant(affine)
    if det == 0.0 or not np.isfinite([*affine, 1.0 / det]).all():
        raise ShapeError(f"an affine map must be invertible (a*e - b*d != 0) and finite, got {tuple(affine)}")
    return (e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det)


def compose_affine(outer: Affine, inner: Affine) -> Affine:
    """The map that does ``inner`` first, then ``outer``."""
    a, b, c, d, e, f = outer
    g, h, i, j, k, m = inner
    return (a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f)


def map_points(points: ArrayLike, affine: Affine) -> Floats:
    """Points ``(..., 2)`` moved by ``affine``."""
    xy = as_last(points, (2,), "points")
    a, b, c, d, e, f = affine
    return np.stack([a * xy[..., 0] + b * xy[..., 1] + c, d * xy[..., 0] + e * xy[..., 1] + f], axis=-1)


def warp_mask(mask: ArrayLike, affine: Affine, size: Size) -> Bools:
    """The mask seen through ``affine``, on a grid of ``size`` (H, W): nearest neighbour.

    Each pixel centre of the result is taken back by the inverse map and reads the pixel it falls into; outside of
    ``mask`` there is nothing. Enlarging by a whole factor and coming back is therefore exact.

    Args:
        mask: ``(h, w)`` bool.
        affine: from pixels of ``mask`` to pixels of the result.
        size: (H, W) of the result.

    Raises:
        ShapeError: no mask, or a map that cannot be inverted.
    """
    source = as_mask(mask)
    a, b, c, d, e, f = invert_affine(affine)
    height, width = size
    x, y = (np.arange(count, dtype=np.float64) + 0.5 for count in (width, height))
    if b == 0.0 and d == 0.0:
        columns, inside_x = _cells(a * x + c, source.shape[1])
        rows, inside_y = _cells(e * y + f, source.shape[0])
        warped = np.zeros(size, bool)
        if inside_x.any() and inside_y.any():
            warped[np.ix_(inside_y, inside_x)] = source[np.ix_(rows[inside_y], columns[inside_x])]
        return warped
    warped = np.zeros(size, bool)
    step = max(1, _ROWS_AT_ONCE // max(width, 1))
    for top in range(0, height, step):
        band = y[top : top + step, None]
        columns, inside_x = _cells(a * x + b * band + c, source.shape[1])
        rows, inside_y = _cells(d * x + e * band + f, source.shape[0])
        inside = inside_x & inside_y
        warped[top : top + step][inside] = source[rows[inside], columns[inside]]
    return warped


def _cells(position: Floats, count: int) -> tuple[NDArray[np.intp], Bools]:
    """Pixel index under each position, and whether there is one."""
    nudged = np.floor(position + 1e-9)  # a centre that maps onto an edge belongs to the pixel right of or below it
    inside = (nudged >= 0) & (nudged < count)
    return np.where(inside, nudged, 0).astype(np.intp), inside
