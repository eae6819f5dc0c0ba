"""Exact intersection over union of quadrilaterals, vectorised over pairs.

For two closed polygons, over every x the signs of the edges of one sum to zero, and the area between them becomes

    area(A and B) = -1/2 sum over edges i of A, j of B of s_i s_j integral |y_i(x) - y_j(x)| dx over their common x,

with s the direction of the edge along x. (Write the indicator of a polygon as the signed sum of "below edge i", the
overlap of two such regions as min(y_i, y_j) = (y_i + y_j - |y_i - y_j|) / 2, and see the first two terms cancel.)
Every term is continuous in the corners, so shared and touching edges need no special case; convexity is not needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rsground.geometry.checks import Bools, Floats, as_last, as_quads, same_length
from rsground.geometry.hbb import quad_to_hbb
from rsground.geometry.rotated_iou import SPECK, hbb_overlap

_PAIRS_AT_ONCE = 512
_CELLS_AT_ONCE = 1 << 20


def quad_area(quad: ArrayLike) -> Floats:
    """Area ``(...)`` enclosed by quads ``(..., 4, 2)``; corners whose edges cross are put in order first."""
    corners = as_last(quad, (4, 2), "quad")
    flat = corners.reshape(-1, 4, 2)
    with np.errstate(all="ignore"):
        return np.abs(_signed_area(_untangled(flat - flat[:, :1]))).reshape(corners.shape[:-2])


def iou_quad(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of quad i of ``a`` and quad i of ``b``; exact.

    Args:
        a, b: ``(N, 4, 2)`` each, corners in boundary order either way round (a quad whose edges cross, as a model
            may write it, is taken with two corners exchanged so that they do not), or one of them a single quad.

    Returns:
        ``(N,)`` in [0, 1]; 0 for quads that only touch, have no area or hold a NaN or an infinity.

    Raises:
        ShapeError: the arrays are no quads, or do not pair up.
    """
    first, second = as_quads(a, "a"), as_quads(b, "b")
    count = same_length(first, second, "iou_quad")
    return _iou_pairs(np.broadcast_to(first, (count, 4, 2)), np.broadcast_to(second, (count, 4, 2)))


def iou_quad_matrix(a: ArrayLike, b: ArrayLike) -> Floats:
    """As :func:`iou_quad`, for every quad of ``a`` ``(N, 4, 2)`` with every one of ``b`` ``(M, 4, 2)``: ``(N, M)``."""
    first, second = as_quads(a, "a"), as_quads(b, "b")
    matrix = np.zeros((len(first), len(second)))
    around_a, around_b = quad_to_hbb(first), quad_to_hbb(second)
    step = max(1, _CELLS_AT_ONCE // max(len(second), 1))
    for top in range(0, len(first), step):
        rows, columns = np.nonzero(hbb_overlap(around_a[top : top + step], around_b))
        rows += top
        matrix[rows, columns] = _iou_pairs(first[rows], second[columns])
    return matrix


def _iou_pairs(a: Floats, b: Floats) -> Floats:
    iou = np.zeros(len(a))
    with np.errstate(all="ignore"):
        for start in range(0, len(a), _PAIRS_AT_ONCE):
            block = slice(start, start + _PAIRS_AT_ONCE)
            iou[block] = _iou_block(a[block], b[block])
    return iou


def _iou_block(a: Floats, b: Floats) -> Floats:
    """IoU of one block of pairs, each moved to the origin and scaled to unit size first."""
    both = np.stack([a, b], axis=1)  # (n, 2, 4, 2)
    both = both - both.mean(axis=(1, 2), keepdims=True)
    both = both / np.abs(both).max(axis=(1, 2, 3), keepdims=True)
    first, second = _untangled(both[:, 0]), _untangled(both[:, 1])
    signed_a, signed_b = _signed_area(first), _signed_area(second)
    inter = _inter(first, second) * np.sign(signed_a) * np.sign(signed_b)
    area_a, area_b = np.abs(signed_a), np.abs(signed_b)
    inter = np.minimum(inter, np.minimum(area_a, area_b))
    iou = np.where((area_a > 0.0) & (area_b > 0.0), inter / (area_a + area_b - inter), 0.0)
    return np.where(iou > SPECK, np.fmin(iou, 1.0), 0.0)


def _inter(a: Floats, b: Floats) -> Floats:
    """Signed overlap of quads ``(n, 4, 2)``: positive where both run the same way round."""
    low_a, high_a, sign_a, x_a, y_a, slope_a = (v[:, :, None] for v in _edges(a))
    low_b, high_b, sign_b, x_b, y_b, slope_b = (v[:, None, :] for v in _edges(b))
    low, high = np.maximum(low_a, low_b), np.minimum(high_a, high_b)
    at_low = np.abs(gap_low := (y_a + (low - x_a) * slope_a) - (y_b + (low - x_b) * slope_b))
    at_high = np.abs(gap_high := (y_a + (high - x_a) * slope_a) - (y_b + (high - x_b) * slope_b))
    total = at_low + at_high
    crossing = (gap_low < 0.0) != (gap_high < 0.0)
    mean = np.where(crossing & (total > 0.0), (at_low**2 + at_high**2) / (total + (total == 0.0)), total) / 2
    area: Floats = (np.maximum(high - low, 0.0) * mean * (sign_a * sign_b)).sum(axis=(1, 2)) / -2
    return area


def _edges(quad: Floats) -> tuple[Floats, ...]:
    """(lower x, upper x, direction along x, x and y of the start, slope) of the edges, ``(n, 4)`` each."""
    x, y = quad[..., 0], quad[..., 1]
    next_x, next_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    run = next_x - x
    slope = np.where(run == 0.0, 0.0, (next_y - y) / np.where(run == 0.0, 1.0, run))
    return np.minimum(x, next_x), np.maximum(x, next_x), np.sign(run), x, y, slope


def _signed_area(quad: Floats) -> Floats:
    """Half the cross product of the diagonals: positive for corners clockwise on screen."""
    first, second = quad[:, 2] - quad[:, 0], quad[:, 3] - quad[:, 1]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def _untangled(quad: Floats) -> Floats:
    """Quads whose opposite edges cross get two corners exchanged, so that they enclose something."""
    p0, p1, p2, p3 = (quad[:, k] for k in range(4))
    swap_12, swap_23 = _cross(p0, p1, p2, p3), _cross(p1, p2, p3, p0)
    if not (swap_12.any() or swap_23.any()):
        return quad
    order = np.tile(np.arange(4), (len(quad), 1))
    order[swap_12] = [0, 2, 1, 3]
    order[swap_23 & ~swap_12] = [0, 1, 3, 2]
    return np.take_along_axis(quad, order[:, :, None], axis=1)


def _cross(p: Floats, q: Floats, r: Floats, s: Floats) -> Bools:
    """Whether segments pq and rs cross properly."""
    return (_side(p, q, r) * _side(p, q, s) < 0.0) & (_side(r, s, p) * _side(r, s, q) < 0.0)


def _side(p: Floats, q: Floats, r: Floats) -> Floats:
    return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])
