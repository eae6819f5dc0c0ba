"""Candidates for expressions: what one could ask about a scene, kind by kind, in random order and lazily.

Nothing here decides whether a candidate is unambiguous; :mod:`rsground.datasets.refer.engine` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from rsground.datasets.refer.affordances import AFFORDANCES, PLACES
from rsground.datasets.refer.areas import CELLS, HALVES
from rsground.datasets.refer.groups import cluster_sizes
from rsground.datasets.refer.lexicon import doubtful_absence, is_a
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
from rsground.datasets.refer.scope import MAX_ORDERED, SIDES, SIZES, Scope

RELATIONS = ("left", "right", "above", "below")
ANY_COLOUR = ("white", "black", "red", "blue", "green", "yellow")
MAX_COUNTED = 12
ABSENT_SHARE = 0.15
"""Share of the purposes that nothing serves which are asked for nevertheless."""
MAX_RANK = 5
MAX_FIRST = 4


def _category(scope: Scope) -> Iterator[Query]:
    yield from (Count(Category(name), 1) for name in scope.shuffled(scope.categories))


def _attribute(scope: Scope) -> Iterator[Query]:
    for name, key, value in scope.shuffled(scope.facts):
        query = Where(Category(name), key, value)
        yield query
        for other in scope.shuffled(scope.facts):
            if other[0] == name and other[1] > key:
                yield Where(query, other[1], other[2])
                break


def _position(scope: Scope) -> Iterator[Query]:
    sources = [*(Category(name) for name in scope.categories), *scope.coloured]
    yield from (InArea(source, area) for source, area in scope.shuffled((s, a) for s in sources for a in CELLS))


def _extreme(scope: Scope) -> Iterator[Query]:
    for source, order in scope.shuffled((s, o) for s in scope.sets for o in SIDES):
        if 2 < scope.size(source) <= MAX_ORDERED:
            yield Extreme(source, order)


def _pair(scope: Scope) -> Iterator[Query]:
    for source, order in scope.shuffled((s, o) for s in scope.sets for o in SIDES):
        if scope.size(source) == 2 and not isinstance(source, InArea):
            yield Extreme(Count(source, 2), order)


def _size(scope: Scope) -> Iterator[Query]:
    for source, order in scope.shuffled((s, o) for s in scope.sets for o in SIZES):
        n = scope.size(source) if scope.can_order(source) else 0
        if n == 2 and not isinstance(source, InArea):
            yield Extreme(Count(source, 2), order)
        if n > 2:
            yield Extreme(source, order, 1 if scope.rnd.random() < 0.8 else 2)
        if n > 3:
            yield Rank(source, order, 2)


def _ordinal(scope: Scope) -> Iterator[Query]:
    rows: list[Query] = []
    for name in scope.present:
        if scope.rnd.random() < 0.4:
            sizes = _groups_of(scope, name)
            rows += [Cluster(Category(name), n, row=True) for n, row in sizes if row and sizes.count((n, row)) == 1]
    for source, order in scope.shuffled((s, o) for s in [*scope.sets, *rows * 6] for o in SIDES):
        n = source.n if isinstance(source, Cluster) else scope.size(source)
        if 2 < n <= MAX_ORDERED:
            yield Rank(source, order, 2 + int(scope.rnd.random() * (min(n - 1, MAX_RANK) - 1)))


def related(scope: Scope) -> Iterator[Query]:
    """One relation to an object that is easy to name."""
    sources = [*(Category(name) for name in scope.categories), *scope.coloured]
    yield from _hang(scope, sources, scope.anchors())


def _chain(scope: Scope) -> Iterator[Query]:
    sources: list[Query] = [Category(name) for name in scope.categories]
    yield from _hang(scope, sources, (query for query in related(scope) if scope.is_single(query)))


def _hang(scope: Scope, sources: list[Query], anchors: Iterable[Query]) -> Iterator[Query]:
    """Relations of the sources to the anchors, a few for each anchor."""
    choices = (*RELATIONS, "nearest", "nearest")
    for anchor in anchors:
        for source, relation in scope.shuffled((s, r) for s in sources for r in choices):
            if scope.size(source) > MAX_ORDERED or source == anchor:
                continue
            yield Nearest(source, anchor) if relation == "nearest" else Related(source, relation, anchor)
            if scope.rnd.random() < 0.25:
                break


def _plural(scope: Scope) -> Iterator[Query]:
    names = [name for name in scope.categories if scope.size(Category(name)) > 1]
    choices: list[Query] = [*(Category(name) for name in names)] * 2
    choices += [InArea(Category(name), half) for name in names for half in HALVES]
    choices += [Extreme(source, order, 0) for source in scope.sets for order in SIDES]
    choices += [AnyOf((Category(a), _one_or_all(scope, b))) for a in names for b in scope.categories if _apart(a, b)]
    for query in scope.shuffled(choices):
        if isinstance(query, Extreme):
            most = min(MAX_FIRST, scope.size(query.source) - 1)
            if most < 2 or not scope.can_order(query.source):
                continue
            query = Extreme(query.source, query.order, 2 + int(scope.rnd.random() * (most - 1)))
        yield query


def _one_or_all(scope: Scope, name: str) -> Query:
    return Count(Category(name), 1) if scope.size(Category(name)) == 1 else Category(name)


def _apart(a: str, b: str) -> bool:
    return not is_a(a, b) and not is_a(b, a)


def _counting(scope: Scope) -> Iterator[Query]:
    plain: list[Query] = [Category(name) for name in scope.categories]
    inner: list[Query] = [InArea(query, half) for query in plain for half in HALVES]
    for query in scope.shuffled(plain * 2 + scope.coloured + inner):
        if 2 <= scope.size(query) <= MAX_COUNTED:
            yield Count(query, scope.size(query))


def _groups_of(scope: Scope, name: str) -> list[tuple[int, bool]]:
    verdict = scope.resolver(Category(name))
    if not 3 <= verdict.possible.bit_count() <= MAX_ORDERED:
        return []
    return [found for found in cluster_sizes(scope.tables, verdict) if found[0] <= MAX_COUNTED]


def _group(scope: Scope) -> Iterator[Query]:
    for name in scope.shuffled(scope.present):
        for n, row in scope.shuffled(_groups_of(scope, name)):
            yield Cluster(Category(name), n, row)


def _reasoning(scope: Scope) -> Iterator[Query]:
    complete = scope.tables.graph.complete
    known = scope.seen | {item.category for item in scope.tables.graph.places}
    for purpose in scope.shuffled(AFFORDANCES):
        row = AFFORDANCES[purpose]
        if not (row.needs <= complete and row.serves & complete and known & row.serves <= complete):
            continue
        if scope.size(Affords(purpose)) or (
            row.absent_ok and scope.rnd.random() < ABSENT_SHARE and _safely_absent(scope, row.serves)
        ):
            yield Affords(purpose)


def _safely_absent(scope: Scope, names: Iterable[str]) -> bool:
    return not any(doubtful_absence(name, scope.seen) for name in names)


def _absent(scope: Scope) -> Iterator[Query]:
    complete = scope.tables.graph.complete
    unnamed = PLACES | {item.category for item in scope.tables.graph.places}
    gone = [name for name in sorted(complete - unnamed) if name not in scope.seen and not _wide(name, scope)]
    gone = [name for name in gone if not doubtful_absence(name, scope.seen)]
    missing: list[Query] = [Category(name) for name in gone]
    choices = list(missing)
    places = [area for area in CELLS[:9] if scope.rnd.random() < 0.1]
    choices += [InArea(query, area) for query in missing for area in places]
    here = [Category(name) for name in scope.categories]
    away: list[Query] = [InArea(query, area) for query in here for area in (*CELLS[:9], *HALVES)]
    keyed = {name for name, key, _ in scope.facts if key == "colour"}
    seen_colours = sorted({value for _, key, value in scope.facts if key == "colour"} | set(ANY_COLOUR))
    off: list[Query] = [Where(Category(name), "colour", v) for name in sorted(keyed) for v in seen_colours]
    anchors = list(islice(scope.anchors(), 4))
    beside: list[Query] = [Related(q, r, a) for q in here for a in anchors for r in RELATIONS if q != a]
    streams = [scope.shuffled(queries) for queries in (choices, away, off, beside) if queries]
    while streams:
        stream = streams[int(scope.rnd.random() * len(streams))]
        query = next(stream, None)
        if query is None:
            streams.remove(stream)
        else:
            yield query


def _wide(name: str, scope: Scope) -> bool:
    """Whether the name is a wider or narrower word for something that is here."""
    return any(is_a(name, seen) or is_a(seen, name) for seen in scope.seen)


PROPOSERS: dict[str, Callable[[Scope], Iterator[Query]]] = {
    "category": _category,
    "attribute": _attribute,
    "position": _position,
    "extreme": _extreme,
    "pair": _pair,
    "size": _size,
    "ordinal": _ordinal,
    "relation": related,
    "chain": _chain,
    "plural": _plural,
    "counting": _counting,
    "group": _group,
    "absent": _absent,
    "reasoning": _reasoning,
}
"""Kind of expression → where its candidates come from."""
