"""Stand-alone groups and straight rows: which objects stand close together and apart from the rest.

Two objects are linked when the gap between their boxes is at most ``LINK * side + REACH`` pixels, where ``side`` is the
long box side of the smaller one; a group is a connected component of links.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rsground.datasets.refer.tables import Bool, SceneTables, Verdict, members

LINK, REACH = 0.8, 8.0
"""The plain meaning of "together": 0.8 of the object's length, and 8 pixels more."""
LOOSE = 2.0
"""Up to twice that distance somebody might still say that two objects stand together."""
ROW_SHARE, ROW_REACH = 0.5, 6.0
"""A row's centres lie within half an object's length, and 6 pixels more, of the line between its ends."""


def find_clusters(tables: SceneTables, source: Verdict, n: int, row: bool) -> Verdict:
    """Who stands in a group (a row) of exactly ``n`` among the source."""
    positions = members(source.possible)
    if len(positions) < n:
        return Verdict(0, 0)
    tight, loose = _links(tables, np.array(positions))
    sure = possible = 0
    for component in components(loose):
        if len(component) < n:
            continue
        mask = sum(1 << positions[i] for i in component)
        whole = mask & source.sure == mask and len(components(tight[np.ix_(component, component)])) == 1
        if whole and len(component) != n:
            continue
        yes, maybe = _is_row(tables, [positions[i] for i in component]) if row and whole else (not row, True)
        sure |= mask if whole and yes else 0
        possible |= mask if maybe else 0
    return Verdict(sure, possible)


def cluster_sizes(tables: SceneTables, source: Verdict) -> list[tuple[int, bool]]:
    """(size, whether it is surely a row) of the groups of three or more that are beyond doubt."""
    positions = members(source.sure)
    if source.sure != source.possible or len(positions) < 3:
        return []
    tight, loose = _links(tables, np.array(positions))
    clear = [c for c in components(loose) if len(c) >= 3 and len(components(tight[np.ix_(c, c)])) == 1]
    return [(len(c), _is_row(tables, [positions[i] for i in c])[0]) for c in clear]


def _links(tables: SceneTables, at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Bool, Bool]:
    """``(k, k)`` links that surely and that possibly hold."""
    x1, y1, x2, y2, slack = (values[at] for values in (tables.x1, tables.y1, tables.x2, tables.y2, tables.slack))
    side = np.maximum(x2 - x1, y2 - y1)
    gap_x = np.maximum(np.maximum(x1[:, None] - x2, x1 - x2[:, None]), 0)
    gap_y = np.maximum(np.maximum(y1[:, None] - y2, y1 - y2[:, None]), 0)
    gap = np.hypot(gap_x, gap_y)
    moved = np.sqrt(2.0) * (slack[:, None] + slack)
    low = np.minimum((side - 2 * slack)[:, None], side - 2 * slack)
    high = np.minimum((side + 2 * slack)[:, None], side + 2 * slack)
    return gap + moved <= LINK * low + REACH, gap - moved <= LOOSE * (LINK * high + REACH)


def components(links: Bool) -> list[list[int]]:
    """Connected components of a symmetric ``(k, k)`` bool array, each ascending."""
    left = set(range(len(links)))
    found = []
    while left:
        seen, queue = set(), [min(left)]
        while queue:
            i = queue.pop()
            if i in left:
                left.discard(i)
                seen.add(i)
                queue.extend(int(j) for j in np.flatnonzero(links[i]) if int(j) in left)
        found.append(sorted(seen))
    return found


def _is_row(tables: SceneTables, positions: list[int]) -> tuple[bool, bool]:
    """Whether the centres surely, and possibly, lie on a line."""
    if len(positions) > 64:
        return False, True
    points = [(float(tables.cx[i]), float(tables.cy[i])) for i in positions]
    slack = 4.0 * float(tables.slack[positions].max())  # both ends and the point in between may move
    side = float(np.maximum(tables.w, tables.h)[positions].mean())
    off, allowed = row_deviation(points), ROW_SHARE * side + ROW_REACH
    return off + slack <= allowed, off - slack <= allowed + slack


def row_deviation(points: list[tuple[float, float]]) -> float:
    """Largest distance of a point from the line through the two points farthest apart, pixels."""
    (ax, ay), (bx, by) = max(combinations(points, 2), key=lambda p: (p[0][0] - p[1][0]) ** 2 + (p[0][1] - p[1][1]) ** 2)
    length = float(np.hypot(bx - ax, by - ay))
    if length == 0:
        return 0.0
    return max(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / length for x, y in points)
