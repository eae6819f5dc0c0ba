"""Rings with few vertices: greedy edge collapse that keeps the area and moves the outline least.

Kronenfeld, Stanislawski, Buttenfield and Brockmeyer (2020), "Simplification of polylines by segment collapse". An edge
BC between A and D is replaced by one vertex E such that A-E-D encloses the same area as A-B-C-D; the edge whose
collapse moves the least area goes first. On pixel outlines this beats choosing among the outline's own vertices
(Douglas-Peucker, Visvalingam), which sit on the corners of a staircase and never on its middle.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Point = tuple[float, float]
_FLAT = 1e-12


class Collapses:
    """All simplifications of one ring, from its own vertices down to three.

    Args:
        ring: ``(K, 2)`` vertices (x, y), not closed.
    """

    def __init__(self, ring: NDArray[np.float64]) -> None:
        self._points: list[_Point] = [(x, y) for x, y in ring.tolist()]
        self._size = len(self._points)
        self._steps: list[tuple[int, int, int, int]] = []  # (vertex before, two that go, vertex after), in order
        self._run()

    @property
    def counts(self) -> range:
        """Numbers of vertices to be had."""
        return range(self._size - len(self._steps), self._size + 1)

    def ring(self, count: int) -> NDArray[np.float64]:
        """``(count, 2)`` vertices; ``count`` is brought into :attr:`counts`."""
        count = min(max(count, self.counts.start), self._size)
        after = [(index + 1) % self._size for index in range(self._size)] + [0] * len(self._steps)
        at = 0
        for number, (a, _, _, d) in enumerate(self._steps[: self._size - count]):
            at = self._size + number
            after[a], after[at] = at, d
        found = [at]
        while after[found[-1]] != at:
            found.append(after[found[-1]])
        return np.array([self._points[index] for index in found])

    def _run(self) -> None:
        points, n = self._points, self._size
        before = [(index - 1) % n for index in range(n)]
        after = [(index + 1) % n for index in range(n)]
        alive = [True] * n
        heap: list[tuple[float, int, int, int, int, _Point]] = []

        def offer(b: int) -> None:
            a, c = before[b], after[b]
            d = after[c]
            found = collapse(points[a], points[b], points[c], points[d]) if d != a else None
            if found is not None:
                heapq.heappush(heap, (found[0], a, b, c, d, found[1]))

        for b in range(n if n > 3 else 0):
            offer(b)
        left = n
        while heap and left > 3:
            _, a, b, c, d, place = heapq.heappop(heap)
            if not (alive[b] and alive[c] and before[b] == a and after[b] == c and after[c] == d):
                continue
            fresh = len(points)
            points.append(place)
            alive[b] = alive[c] = False
            alive.append(True)
            before.append(a)
            after.append(d)
            after[a] = before[d] = fresh
            self._steps.append((a, b, c, d))
            left -= 1
            if left > 3:
                for start in (before[a], a, fresh, d):
                    offer(start)


def collapse(a: _Point, b: _Point, c: _Point, d: _Point) -> tuple[float, _Point] | None:
    """The vertex that replaces the edge bc, and (twice) the area on one side that this moves; None where there is none.

    E lies on the parallel to ad that keeps the area, where it meets the line ab or cd: of these the one whose vertex
    is further from ad, so that the new outline crosses the old one once.
    """
    base_x, base_y = d[0] - a[0], d[1] - a[1]
    length = base_x * base_x + base_y * base_y
    if length < _FLAT:
        return None
    height_b, height_c = _cross(a, b, d), _cross(a, c, d)
    # Twice the area of abcd, up to sign, is the cross product of its diagonals ac and bd.
    doubled = (c[0] - a[0]) * (d[1] - b[1]) - (c[1] - a[1]) * (d[0] - b[0])
    if abs(doubled) < _FLAT:
        return abs(height_b) + abs(height_c), ((a[0] + d[0]) / 2, (a[1] + d[1]) / 2)
    start = (a[0] + doubled / length * base_y, a[1] - doubled / length * base_x)
    ahead = (start[0] + base_x, start[1] + base_y)
    is_on_ab = abs(height_b) > abs(height_c) if height_b * height_c > 0 else height_b * doubled > 0
    first, second, near, far = (a, b, b, d) if is_on_ab else (c, d, c, a)
    place = _meet(start, ahead, first, second)
    pivot = None if place is None else _meet(place, far, b, c)
    if place is None or pivot is None:
        return None
    return abs(_cross(place, near, pivot)), place


def _cross(o: _Point, p: _Point, q: _Point) -> float:
    return (p[0] - o[0]) * (q[1] - o[1]) - (q[0] - o[0]) * (p[1] - o[1])


def _meet(p: _Point, q: _Point, r: _Point, s: _Point) -> _Point | None:
    """Where the lines pq and rs cross; None for parallels."""
    along_x, along_y, other_x, other_y = q[0] - p[0], q[1] - p[1], s[0] - r[0], s[1] - r[1]
    turn = along_x * other_y - along_y * other_x
    if abs(turn) < _FLAT:
        return None
    share = ((r[0] - p[0]) * other_y - (r[1] - p[1]) * other_x) / turn
    return p[0] + share * along_x, p[1] + share * along_y
