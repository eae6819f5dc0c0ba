"""Convex hulls and the rectangle of least area around points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rsground.geometry.checks import Floats, as_points
from rsground.geometry.obb import Convention, convert_obb

_EDGES_AT_ONCE = 512


def convex_hull(points: ArrayLike) -> Floats:
    """Corners ``(M, 2)`` of the convex hull, clockwise on screen from the leftmost (then topmost) one.

    Points on an edge are left out; M is 1 or 2 where all points coincide or lie on a line (0 for no points).

    Args:
        points: ``(N, 2)`` (x, y).

    Raises:
        ShapeError: no points of two coordinates, or one that is not finite.
    """
    given = as_points(points)
    cloud: Floats = given[np.lexsort((given[:, 1], given[:, 0]))]
    if len(cloud) < 2:
        return cloud
    upper = _chain(_outermost(cloud, highest=True))
    lower = _chain(_outermost(cloud, highest=False)[::-1])
    corners = upper[:-1] + lower[:-1]
    return np.array(corners if upper[0] != upper[-1] else upper[:1], np.float64)


def _outermost(cloud: Floats, *, highest: bool) -> Floats:
    """Of the points with one x, only the highest (or lowest) on screen; the first and last of all are kept.

    ``cloud`` is sorted by x, then y.
    """
    x = cloud[:, 0]
    change = np.flatnonzero(x[1:] != x[:-1])
    first, last = np.concatenate([[0], change + 1]), np.concatenate([change, [len(x) - 1]])
    kept = cloud[first if highest else last]
    return np.concatenate([cloud[:1], kept, cloud[-1:]])


def _chain(points: Floats) -> list[tuple[float, float]]:
    """Half of Andrew's monotone chain (A. M. Andrew, 1979): the points that turn clockwise on screen."""
    hull: list[tuple[float, float]] = []
    for x, y in points.tolist():
        while len(hull) > 1:
            (ax, ay), (bx, by) = hull[-2], hull[-1]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0.0:
                break
            hull.pop()
        hull.append((x, y))
    return hull


def min_area_rect(points: ArrayLike, *, convention: Convention) -> Floats:
    """The rectangle of least area around points, as an oriented box ``(5,)``.

    It has a side along an edge of the hull (Freeman and Shapira, 1975); all edges are tried at once. Points on a
    line give h = 0, one point w = h = 0, no points NaN.

    Args:
        points: ``(N, 2)`` (x, y).
        convention: how to write the angle.

    Raises:
        ShapeError: no points of two coordinates, one that is not finite, or an unknown convention.
    """
    hull = convex_hull(points)
    if len(hull) < 2:
        box = np.full(5, np.nan) if not len(hull) else np.array([*hull[0], 0.0, 0.0, 0.0])
        return convert_obb(box, source="le90", target=convention)
    centre = hull.mean(axis=0)
    local = hull - centre
    sides = np.roll(hull, -1, axis=0) - hull
    unit = sides / np.hypot(sides[:, 0], sides[:, 1])[:, None]
    best = min(_tightest(unit[k : k + _EDGES_AT_ONCE], local) for k in range(0, len(unit), _EDGES_AT_ONCE))
    _, ux, uy, along, across, width, height = best
    x, y = centre[0] + along * ux - across * uy, centre[1] + along * uy + across * ux
    box = np.array([x, y, width, height, np.arctan2(uy, ux)])
    return convert_obb(box, source="le90", target=convention)


def _tightest(unit: Floats, local: Floats) -> tuple[float, ...]:
    """(area, direction x, y, middle along, across, width, height) of the best of some edge directions."""
    along, across = unit @ local.T, np.stack([-unit[:, 1], unit[:, 0]], axis=1) @ local.T
    width, height = np.ptp(along, axis=1), np.ptp(across, axis=1)
    k = int(np.argmin(width * height))
    middle = ((along[k].max() + along[k].min()) / 2, (across[k].max() + across[k].min()) / 2)
    return (width[k] * height[k], *unit[k], *middle, width[k], height[k])
