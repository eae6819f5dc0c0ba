"""Oriented boxes ``(cx, cy, w, h, theta)``: pixels, y down, theta in radians from +x towards +y (clockwise on screen).

``w`` runs along theta. Three conventions make the numbers of a rectangle unique; each names the same rectangles:

========= ============ ===================== ==========================================================
name      edges        theta                 note
========= ============ ===================== ==========================================================
``le90``  w >= h       [-pi/2, pi/2)         direction of the long edge
``le135`` w >= h       [-pi/4, 3 pi/4)       direction of the long edge
``oc``    any          (0, pi/2]             as OpenCV 4.5.1 to 4.x documents; an upright box has pi/2
========= ============ ===================== ==========================================================

A square has no long edge: in ``le90`` and ``le135`` its theta is wrapped to [-pi/4, pi/4).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from rsground.errors import ShapeError
from rsground.geometry.checks import Floats, as_last

Convention = Literal["le90", "oc", "le135"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)

_QUARTER = np.pi / 2
_START = {"le90": -np.pi / 2, "le135": -np.pi / 4}


def _check_convention(name: str) -> None:
    if name not in CONVENTIONS:
        raise ShapeError(f"an angle convention is one of {', '.join(CONVENTIONS)}, got {name!r}")


def convert_obb(obb: ArrayLike, *, source: Convention, target: Convention) -> Floats:
    """The same rectangles, written in another convention.

    Args:
        obb: ``(..., 5)``. Angles outside of ``source``'s range are welcome: they mean what they say.
        source: convention the boxes come in. All three measure theta alike, so it decides nothing; naming it keeps
            callers from mixing up the numbers.
        target: convention to write them in.

    Returns:
        ``(..., 5)`` float64.

    Raises:
        ShapeError: unknown convention, or no oriented boxes.
    """
    _check_convention(source)
    _check_convention(target)
    box = as_last(obb, (5,), "obb").copy()
    if target == "oc":
        turns = np.ceil(box[..., 4] / _QUARTER) - 1.0
        theta = box[..., 4] - turns * _QUARTER
        low, high = theta <= 0.0, theta > _QUARTER  # the last bit of a product may leave the range
        theta = np.where(low, theta + _QUARTER, np.where(high, theta - _QUARTER, theta))
        swap = np.mod(turns - low + high, 2.0) == 1.0
    else:
        swap = box[..., 2] < box[..., 3]
        square = box[..., 2] == box[..., 3]
        theta = _wrap(box[..., 4] + np.where(swap, _QUARTER, 0.0), _START[target], np.pi)
        theta = np.where(square, _wrap(theta, -np.pi / 4, _QUARTER), theta)
    box[..., 2:4] = np.where(swap[..., None], box[..., [3, 2]], box[..., 2:4])
    box[..., 4] = theta
    return box


def _wrap(theta: Floats, start: float, period: float) -> Floats:
    """``theta`` moved by whole periods into [start, start + period); untouched where it already lies there."""
    wrapped = np.mod(theta - start, period) + start
    wrapped = np.where(wrapped >= start + period, wrapped - period, wrapped)
    inside = (theta >= start) & (theta < start + period)
    return np.where(inside, theta, np.maximum(wrapped, start))


def obb_to_quad(obb: ArrayLike) -> Floats:
    """Corners ``(..., 4, 2)`` of boxes ``(..., 5)``, clockwise on screen, from the (-w/2, -h/2) one."""
    box = as_last(obb, (5,), "obb")
    cos, sin = np.cos(box[..., 4]), np.sin(box[..., 4])
    along = np.stack([cos, sin], axis=-1) * (box[..., 2, None] / 2)
    across = np.stack([-sin, cos], axis=-1) * (box[..., 3, None] / 2)
    offsets = np.stack([-along - across, along - across, along + across, across - along], axis=-2)
    return np.asarray(box[..., None, :2] + offsets)


def obb_to_hbb(obb: ArrayLike) -> Floats:
    """Bounding boxes ``(..., 4)`` of oriented boxes ``(..., 5)``; right for any angle."""
    box = as_last(obb, (5,), "obb")
    cos, sin = np.abs(np.cos(box[..., 4])), np.abs(np.sin(box[..., 4]))
    half = np.stack([box[..., 2] * cos + box[..., 3] * sin, box[..., 2] * sin + box[..., 3] * cos], axis=-1) / 2
    return np.concatenate([box[..., :2] - half, box[..., :2] + half], axis=-1)


def quad_to_obb(quad: ArrayLike, *, convention: Convention) -> Floats:
    """The rectangle of least area around each quad; the quad itself where it is a rectangle.

    A least-area rectangle has a side along an edge of the hull, and every hull edge joins two of the four corners:
    trying the six directions between corners finds it without building a hull. Corners may come in any order.

    Args:
        quad: ``(..., 4, 2)``.
        convention: how to write the angle.

    Returns:
        ``(..., 5)``; corners that all coincide give w = h = 0, a NaN corner gives NaN.

    Raises:
        ShapeError: unknown convention, or no quads.
    """
    corners = as_last(quad, (4, 2), "quad")
    centre = corners.mean(axis=-2, keepdims=True)
    local = corners - centre
    first, second = [0, 1, 2, 3, 0, 1], [1, 2, 3, 0, 2, 3]
    sides = local[..., second, :] - local[..., first, :]  # (..., 6, 2)
    length = np.hypot(sides[..., 0], sides[..., 1])
    usable = length > 0.0
    unit = np.where(usable[..., None], sides / np.where(usable, length, 1.0)[..., None], [1.0, 0.0])
    along = np.einsum("...dk,...ck->...dc", unit, local)
    across = np.einsum("...dk,...ck->...dc", np.stack([-unit[..., 1], unit[..., 0]], axis=-1), local)
    extents = np.stack([np.ptp(along, axis=-1), np.ptp(across, axis=-1)], axis=-1)  # (..., 6, 2)
    best = np.argmin(np.where(usable, extents[..., 0] * extents[..., 1], np.inf), axis=-1)[..., None]
    middle = np.stack([along.max(-1) + along.min(-1), across.max(-1) + across.min(-1)], axis=-1) / 2
    pick = best[..., None]
    axis, extent = np.take_along_axis(unit, pick, -2)[..., 0, :], np.take_along_axis(extents, pick, -2)[..., 0, :]
    shift = np.take_along_axis(middle, pick, -2)[..., 0, :]
    centre_x = centre[..., 0, 0] + shift[..., 0] * axis[..., 0] - shift[..., 1] * axis[..., 1]
    centre_y = centre[..., 0, 1] + shift[..., 0] * axis[..., 1] + shift[..., 1] * axis[..., 0]
    theta = np.arctan2(axis[..., 1], axis[..., 0])
    box = np.stack([centre_x, centre_y, extent[..., 0], extent[..., 1], theta], axis=-1)
    return convert_obb(box, source="le90", target=convention)


def canonical_quad(quad: ArrayLike) -> Floats:
    """The same corners, clockwise on screen, from the one that best begins the list.

    The corner chosen makes the sum of distances from the four corners to the respective corners (top-left,
    top-right, bottom-right, bottom-left) of the bounding box least: the "best begin point" of DOTA's tools. Ties go
    to the corner that is higher on screen, then to the one further left.

    Args:
        quad: ``(..., 4, 2)`` corners in boundary order, either way round.
    """
    corners = as_last(quad, (4, 2), "quad")
    x, y = corners[..., 0], corners[..., 1]
    doubled = (x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1)
    corners = np.where((doubled < 0.0)[..., None, None], corners[..., ::-1, :], corners)
    low, high = corners.min(-2), corners.max(-2)
    frame = np.stack(
        [low, np.stack([high[..., 0], low[..., 1]], -1), high, np.stack([low[..., 0], high[..., 1]], -1)], axis=-2
    )
    turns = np.stack([np.roll(corners, -k, axis=-2) for k in range(4)], axis=-3)  # (..., 4 starts, 4, 2)
    cost = np.linalg.norm(turns - frame[..., None, :, :], axis=-1).sum(-1)
    slack = 1e-9 * (1.0 + cost.min(-1, keepdims=True))
    tied = cost <= cost.min(-1, keepdims=True) + slack
    start = turns[..., 0, :]
    order = np.lexsort((start[..., 0], start[..., 1], ~tied), axis=-1)[..., :1]
    return np.take_along_axis(turns, order[..., None, None], axis=-3)[..., 0, :, :]
