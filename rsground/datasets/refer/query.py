"""The logical form of a referring expression: a small tree that denotes a set of objects.

Every node is a frozen record, so queries compare, hash and print. :mod:`rsground.datasets.refer.evaluate` gives the
plain meaning; :mod:`rsground.datasets.refer.resolve` the meaning under a margin of doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from rsground.errors import DataError

AXES: tuple[str, ...] = (
    "category",
    "attribute",
    "absolute-position",
    "relative-position",
    "ordinal",
    "relation-chain",
    "plural",
    "counting",
    "size-comparison",
    "group",
    "absent-target",
    "implicit-reasoning",
)
"""Difficulty axes an expression can exercise."""


@dataclass(frozen=True, slots=True)
class Category:
    """All objects of a category or of its sub-categories (a ``"truck"`` is a ``"vehicle"``)."""

    name: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Everything that any of the parts denotes."""

    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """Those with a visible attribute: ``key`` is ``"colour"``, ``"heading"`` (``up``, ``right`` ...), ``"on"`` ..."""

    source: Query
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class InArea:
    """Those whose centre lies in a named part of the image, see :data:`rsground.datasets.refer.areas.AREAS`."""

    source: Query
    area: str


@dataclass(frozen=True, slots=True)
class Extreme:
    """The first ``n`` of an order: ``left``, ``right``, ``top``, ``bottom`` (centre), ``large``, ``small`` (area)."""

    source: Query
    order: str
    n: int = 1


@dataclass(frozen=True, slots=True)
class Rank:
    """The ``k``-th (1-based) in an order."""

    source: Query
    order: str
    k: int


@dataclass(frozen=True, slots=True)
class Count:
    """All of the source, which must be exactly ``n``; nothing otherwise."""

    source: Query
    n: int


@dataclass(frozen=True, slots=True)
class Related:
    """Those ``left``, ``right``, ``above`` or ``below`` of the one object that ``anchor`` denotes."""

    source: Query
    relation: str
    anchor: Query


@dataclass(frozen=True, slots=True)
class Nearest:
    """The one closest, centre to centre, to the one object that ``anchor`` denotes; never that object itself."""

    source: Query
    anchor: Query


@dataclass(frozen=True, slots=True)
class Cluster:
    """The members of every stand-alone group of exactly ``n``; of every straight ``row`` of ``n`` where asked."""

    source: Query
    n: int
    row: bool = False


@dataclass(frozen=True, slots=True)
class Affords:
    """What serves a purpose: the objects and places that the affordance table names for ``purpose``."""

    purpose: str


Query = Category | AnyOf | Where | InArea | Extreme | Rank | Count | Related | Nearest | Cluster | Affords
"""Any node of a logical form."""

_NODES = {
    node.__name__.lower(): node
    for node in (Category, AnyOf, Where, InArea, Extreme, Rank, Count, Related, Nearest, Cluster, Affords)
}
_SIZE_ORDERS = frozenset({"large", "small"})


def children(query: Query) -> tuple[Query, ...]:
    """The queries directly inside ``query``, the source first."""
    if isinstance(query, AnyOf):
        return query.parts
    if isinstance(query, Related | Nearest):
        return (query.source, query.anchor)
    if isinstance(query, Category | Affords):
        return ()
    return (query.source,)


def walk(query: Query) -> Iterator[Query]:
    """``query`` and everything inside it."""
    yield query
    for child in children(query):
        yield from walk(child)


def head_category(query: Query) -> str | None:
    """The category of what is denoted; None where several categories or a purpose are."""
    while not isinstance(query, Category):
        if isinstance(query, AnyOf | Affords):
            return None
        query = query.source
    return query.name


def _axis(node: Query) -> str | None:
    match node:
        case Where():
            return "attribute"
        case InArea():
            return "absolute-position"
        case Related() | Nearest():
            return "relative-position"
        case Extreme(order=order) | Rank(order=order) if order in _SIZE_ORDERS:
            return "size-comparison"
        case Extreme():
            return "absolute-position"
        case Rank():
            return "ordinal"
        case Cluster():
            return "group"
        case Affords():
            return "implicit-reasoning"
    return None


def axes_of(query: Query, targets: int) -> tuple[str, ...]:
    """The difficulty axes of a query that denotes ``targets`` objects, in the order of :data:`AXES`."""
    found = {axis for node in walk(query) if (axis := _axis(node)) is not None}
    if isinstance(query, Count) and query.n > 1:  # inside "the larger of the two" the number only helps
        found.add("counting")
    if isinstance(query, Rank) and query.order in _SIZE_ORDERS:
        found.add("ordinal")
    if sum(isinstance(node, Related | Nearest) for node in walk(query)) > 1:
        found.add("relation-chain")
    if targets > 1:
        found.add("plural")
    if targets == 0:
        found.add("absent-target")
    if not found & {"implicit-reasoning"} and not found - {"plural", "absent-target", "counting"}:
        found.add("category")
    return tuple(axis for axis in AXES if axis in found)


def to_json(query: Query) -> list[Any]:
    """The query as nested lists, ``["extreme", ["category", "ship"], "left", 1]``."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return to_json(value) if type(value).__name__.lower() in _NODES else value

    return [type(query).__name__.lower(), *(plain(getattr(query, field.name)) for field in fields(query))]


def from_json(data: Any) -> Query:
    """The query that :func:`to_json` wrote.

    Raises:
        DataError: the lists are no query.
    """
    if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] not in _NODES:
        raise DataError(f"a query is a list that starts with one of {', '.join(sorted(_NODES))}, got {data!r}"[:300])
    node = _NODES[data[0]]
    if len(data) - 1 != len(fields(node)) or (node is AnyOf and not isinstance(data[1], list)):
        names = ", ".join(field.name for field in fields(node))
        raise DataError(f"the query node {data[0]!r} takes {names}, got {data[1:]!r}"[:300])
    if node is AnyOf:
        return AnyOf(tuple(from_json(part) for part in data[1]))
    build: Callable[..., Query] = node
    return build(*(from_json(value) if isinstance(value, list) else value for value in data[1:]))
