"""Exact intersection over union of oriented boxes, vectorised over pairs.

By Green's theorem the area of A inside B is a line integral along A's boundary alone. In B's own frame B is
[-u, u] x [-v, v], and with G(x, y) = clamp(y, -v, v) for x in [-u, u], 0 elsewhere, dG/dy is B's indicator, so

    area(A and B) = -(closed integral of G dx along A) = -(sum over A's four edges of the integral of clamp(y) dx).

Each edge's integral is closed form and *continuous* in its ends: an edge of A that runs along an edge of B is no
special case (it is what makes kernels that collect and sort intersection points answer up to 3.0), and rounding
costs some 1e-16 of the boxes' own area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rsground.geometry.checks import Bools, Floats, as_rows, same_length
from rsground.geometry.obb import obb_to_hbb

_PAIRS_AT_ONCE = 1024
"""Pairs per block: a block's working arrays (ten of 4 x 1024 float64) stay in the second-level cache."""
_CELLS_AT_ONCE = 1 << 20
_PLAIN = (1e-30, 1e30)
"""Side lengths that are computed with as they are; beyond them a pair is scaled to unit size first."""
_NO_ZERO = 1e-200
"""Added to divisors that may be 0 where the quotient is then multiplied by 0."""
SPECK = 1e-14
"""An IoU below is rounding, not overlap: boxes that touch get exactly 0."""
_UPRIGHT = 1e20
"""Slopes stop here: an edge this steep has no extent along x that matters."""


def iou_obb(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of oriented box i of ``a`` and oriented box i of ``b``; exact.

    Args:
        a, b: ``(N, 5)`` each (cx, cy, w, h, theta), any angle and convention, or one of them a single box that is
            paired with all of the other.

    Returns:
        ``(N,)`` in [0, 1]; 0 for boxes that only touch, have no area (w or h <= 0) or hold a NaN or an infinity.

    Raises:
        ShapeError: the arrays are no oriented boxes, or do not pair up.
    """
    first, second = as_rows(a, 5, "a"), as_rows(b, 5, "b")
    count = same_length(first, second, "iou_obb")
    return _iou_pairs(np.broadcast_to(first, (count, 5)), np.broadcast_to(second, (count, 5)))


def iou_obb_matrix(a: ArrayLike, b: ArrayLike) -> Floats:
    """As :func:`iou_obb`, for every box of ``a`` ``(N, 5)`` with every box of ``b`` ``(M, 5)``: ``(N, M)``.

    Only pairs whose bounding boxes overlap are computed.
    """
    first, second = as_rows(a, 5, "a"), as_rows(b, 5, "b")
    matrix = np.zeros((len(first), len(second)))
    with np.errstate(all="ignore"):
        around_a, around_b = obb_to_hbb(first), obb_to_hbb(second)
    step = max(1, _CELLS_AT_ONCE // max(len(second), 1))
    for top in range(0, len(first), step):
        rows, columns = np.nonzero(hbb_overlap(around_a[top : top + step], around_b))
        rows += top
        matrix[rows, columns] = _iou_pairs(first[rows], second[columns])
    return matrix


def hbb_overlap(a: Floats, b: Floats) -> Bools:
    """``(N, M)``: whether the insides of boxes ``(N, 4)`` and ``(M, 4)`` may meet."""
    left, top, right, bottom = (column[:, None] for column in a.T)
    overlap: Bools = (left < b[:, 2]) & (b[:, 0] < right)
    overlap &= (top < b[:, 3]) & (b[:, 1] < bottom)
    return overlap


def _iou_pairs(a: Floats, b: Floats) -> Floats:
    """IoU of rows of ``a`` and ``b``; pairs whose circumscribed circles do not meet are not looked at further."""
    iou = np.zeros(len(a))
    with np.errstate(all="ignore"):
        columns = np.empty((8, len(a)))  # offset x, y, sides of A, sides of B, theta of A from B's, theta of B
        np.subtract(a[:, :2].T, b[:, :2].T, out=columns[:2])
        columns[2:4], columns[4:6] = a[:, 2:4].T, b[:, 2:4].T
        np.subtract(a[:, 4], b[:, 4], out=columns[6])
        columns[7] = b[:, 4]
        sides = columns[2:6]
        if len(a) and not (sides.min() > _PLAIN[0] and sides.max() < _PLAIN[1]):
            columns[:6] /= sides.max(axis=0)
        reach = np.sqrt(sides[0] ** 2 + sides[1] ** 2) + np.sqrt(sides[2] ** 2 + sides[3] ** 2)
        near = 4.0 * (columns[0] ** 2 + columns[1] ** 2) < reach * reach
        near &= (sides[0] > 0) & (sides[1] > 0) & (sides[2] > 0) & (sides[3] > 0)
        chosen = np.flatnonzero(near)
        if len(chosen) < len(a):
            columns = columns[:, chosen]
        found = np.empty(len(chosen))
        for start in range(0, len(chosen), _PAIRS_AT_ONCE):
            block = slice(start, start + _PAIRS_AT_ONCE)
            found[block] = _iou_block(columns[:, block])
    iou[chosen] = found
    return iou


def _iou_block(columns: Floats) -> Floats:
    """IoU of one block of pairs; see the module's docstring for the formula."""
    offset_x, offset_y, width_a, height_a, width_b, height_b, turn, theta = columns
    x, y = _corners_in_b(offset_x, offset_y, width_a / 2, height_a / 2, turn, theta)
    u, v = width_b / 2, height_b / 2
    inter = np.fmax(_inter(x, y, u, v), 0.0)
    area_a, area_b = width_a * height_a, width_b * height_b
    np.minimum(inter, np.minimum(area_a, area_b), out=inter)
    iou: Floats = np.fmin(np.fmax(inter / (area_a + area_b - inter), 0.0), 1.0)
    iou[iou < SPECK] = 0.0
    return iou


def _corners_in_b(
    offset_x: Floats, offset_y: Floats, half_w: Floats, half_h: Floats, turn: Floats, theta: Floats
) -> tuple[Floats, Floats]:
    """x and y ``(5, n)`` of A's corners in B's frame, the first one repeated; in the order of ``obb_to_quad``."""
    cos, sin = np.cos(theta), np.sin(theta)
    centre_x, centre_y = offset_x * cos + offset_y * sin, offset_y * cos - offset_x * sin
    np.cos(turn, out=cos)
    np.sin(turn, out=sin)
    x, y = np.empty((5, len(turn))), np.empty((5, len(turn)))
    for out, centre, along, across in (
        (x, centre_x, half_w * cos, -half_h * sin),
        (y, centre_y, half_w * sin, half_h * cos),
    ):
        upper, lower = centre - across, centre + across
        np.subtract(upper, along, out=out[0])
        np.add(upper, along, out=out[1])
        np.add(lower, along, out=out[2])
        np.subtract(lower, along, out=out[3])
        out[4] = out[0]
    return x, y


def _inter(x: Floats, y: Floats, u: Floats, v: Floats) -> Floats:
    """Area ``(n,)`` of the parallelograms with corners (x, y) ``(5, n)`` inside [-u, u] x [-v, v]."""
    slope = np.empty((2, len(u)))
    np.divide(y[1] - y[0], x[1] - x[0] + _NO_ZERO, out=slope[0])
    np.divide(y[2] - y[1], x[2] - x[1] + _NO_ZERO, out=slope[1])
    np.clip(slope, -_UPRIGHT, _UPRIGHT, out=slope)
    clipped = np.minimum(x, u)
    np.maximum(clipped, -u, out=clipped)
    run = clipped[1:] - clipped[:-1]
    moved = clipped - x
    start = _on_edge(moved[:-1], y[:-1], slope)
    end = _on_edge(moved[1:], y[1:], slope)
    start_in, end_in = _clamp(start, v), _clamp(end, v)
    total, rise = start + end, end - start
    rise += _NO_ZERO
    np.add(start_in, end_in, out=start)
    np.subtract(end_in, start_in, out=end)
    total -= start
    total /= rise
    total *= end
    total += start
    area: Floats = np.einsum("kn,kn->n", run, total) * -0.5
    return area


def _on_edge(moved: Floats, y: Floats, slope: Floats) -> Floats:
    """y ``(4, n)`` of the four edges, ``moved`` along x from ``y``; edges 0 and 2 have one slope, 1 and 3 the other."""
    out = np.empty_like(moved)
    np.multiply(moved[0::2], slope[0], out=out[0::2])
    np.multiply(moved[1::2], slope[1], out=out[1::2])
    out += y
    return out


def _clamp(y: Floats, v: Floats) -> Floats:
    out = np.minimum(y, v)
    np.maximum(out, -v, out=out)
    return out
