"""The plain meaning of a query: exact comparisons of the annotated boxes, no margin, one object at a time.

Shares no code with :mod:`rsground.datasets.refer.resolve`; what the resolver keeps must agree with this.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import dist, hypot

from rsground.datasets.refer.affordances import AFFORDANCES
from rsground.datasets.refer.areas import AREAS
from rsground.datasets.refer.groups import LINK, REACH, ROW_REACH, ROW_SHARE
from rsground.datasets.refer.lexicon import PARENTS
from rsground.datasets.refer.objects import SceneGraph, SceneObject
from rsground.datasets.refer.query import (
    Affords,
    AnyOf,
    Category,
    Cluster,
    Count,
    Extreme,
    InArea,
    Nearest,
    Query,
    Rank,
    Related,
    Where,
)

Objects = list[SceneObject]

_KEYS: dict[str, Callable[[SceneObject], float]] = {
    "left": lambda item: item.centre[0],
    "right": lambda item: -item.centre[0],
    "top": lambda item: item.centre[1],
    "bottom": lambda item: -item.centre[1],
    "large": lambda item: -item.area,
    "small": lambda item: item.area,
}


def evaluate(query: Query, graph: SceneGraph) -> tuple[int, ...]:
    """Ids of the objects that ``query`` denotes in ``graph``, in the graph's order; empty where nothing fits.

    Anchors that do not denote exactly one object make the whole query denote nothing, and so does a wrong count.
    """
    chosen = {item.id for item in _denote(query, graph)}
    return tuple(item.id for item in (*graph.objects, *graph.places) if item.id in chosen)


def _denote(query: Query, graph: SceneGraph) -> Objects:
    match query:
        case Category(name):
            return [item for item in graph.objects if _falls_under(item.category, name)]
        case AnyOf(parts):
            return [item for part in parts for item in _denote(part, graph)]
        case Where(source, key, value):
            return [item for item in _denote(source, graph) if _has(item, key, value)]
        case InArea(source, area):
            return [item for item in _denote(source, graph) if _lies_in(item, area, graph)]
        case Extreme(source, order, n):
            return [item for item, ahead in _with_ahead(_denote(source, graph), order) if ahead < n]
        case Rank(source, order, k):
            return [item for item, ahead in _with_ahead(_denote(source, graph), order) if ahead == k - 1]
        case Count(source, n):
            found = _denote(source, graph)
            return found if len(found) == n else []
        case Related(source, relation, anchor):
            at = _denote(anchor, graph)
            if len(at) != 1:
                return []
            return [item for item in _denote(source, graph) if item is not at[0] and _beside(item, relation, at[0])]
        case Nearest(source, anchor):
            return _closest(_denote(source, graph), _denote(anchor, graph))
        case Cluster(source, n, row):
            groups = [group for group in _groups(_denote(source, graph)) if len(group) == n]
            return [item for group in groups if not row or _straight(group) for item in group]
        case Affords(purpose):
            serves = AFFORDANCES[purpose].serves
            everything = (*graph.objects, *graph.places)
            return [item for item in everything if any(_falls_under(item.category, name) for name in serves)]


def _falls_under(category: str, name: str) -> bool:
    while category != name and category in PARENTS:
        category = PARENTS[category]
    return category == name


def _has(item: SceneObject, key: str, value: str) -> bool:
    known = item.attributes.get(key)
    if known is None or key != "heading":
        return known is not None and str(known) == value
    quarter = {"up": 0, "right": 1, "down": 2, "left": 3}[value]
    return int(((float(known) + 45.0) % 360.0) // 90.0) == quarter


def _lies_in(item: SceneObject, area: str, graph: SceneGraph) -> bool:
    (x, y), (across, down) = item.centre, AREAS[area]
    return across.plain[0] <= x / graph.width < across.plain[1] and down.plain[0] <= y / graph.height < down.plain[1]


def _with_ahead(items: Objects, order: str) -> list[tuple[SceneObject, int]]:
    key = _KEYS[order]
    return [(item, sum(key(other) < key(item) for other in items)) for item in items]


def _gaps(a: SceneObject, b: SceneObject) -> tuple[float, float]:
    """Gap between two boxes along x and along y; negative where they overlap."""
    return (
        max(a.hbb[0] - b.hbb[2], b.hbb[0] - a.hbb[2]),
        max(a.hbb[1] - b.hbb[3], b.hbb[1] - a.hbb[3]),
    )


def _beside(item: SceneObject, relation: str, anchor: SceneObject) -> bool:
    dx, dy = item.centre[0] - anchor.centre[0], item.centre[1] - anchor.centre[1]
    gap_x, gap_y = _gaps(item, anchor)
    if relation in ("left", "right"):
        return (dx < 0 if relation == "left" else dx > 0) and gap_x >= 0 and gap_y <= gap_x
    return (dy < 0 if relation == "above" else dy > 0) and gap_y >= 0 and gap_x <= gap_y


def _closest(items: Objects, anchor: Objects) -> Objects:
    if len(anchor) != 1:
        return []
    (ax, ay) = anchor[0].centre
    away = [(hypot(item.centre[0] - ax, item.centre[1] - ay), item) for item in items if item is not anchor[0]]
    least = min((distance for distance, _ in away), default=0.0)
    return [item for distance, item in away if distance == least]


def _long_side(item: SceneObject) -> float:
    return max(item.hbb[2] - item.hbb[0], item.hbb[3] - item.hbb[1])


def _together(a: SceneObject, b: SceneObject) -> bool:
    gap_x, gap_y = _gaps(a, b)
    return hypot(max(gap_x, 0), max(gap_y, 0)) <= LINK * min(_long_side(a), _long_side(b)) + REACH


def _groups(items: Objects) -> list[Objects]:
    groups: list[Objects] = []
    for item in items:
        joined = [group for group in groups if any(_together(item, other) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([item, *(other for group in joined for other in group)])
    return groups


def _straight(group: Objects) -> bool:
    ends, length = (group[0], group[0]), 0.0
    for a, b in combinations(group, 2):
        apart = dist(a.centre, b.centre)
        ends, length = ((a, b), apart) if apart > length else (ends, length)
    (ax, ay), (bx, by) = ends[0].centre, ends[1].centre
    mean_side = sum(_long_side(item) for item in group) / len(group)
    allowed = (ROW_SHARE * mean_side + ROW_REACH) * length  # twice the area of the triangle, not its height
    return all(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) <= allowed for x, y in (item.centre for item in group))
