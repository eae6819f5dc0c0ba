"""What can be talked about in one scene: categories, sets that can be ordered, objects to hang a relation on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from random import Random
from typing import TypeVar

from rsground.datasets.refer.areas import HALVES
from rsground.datasets.refer.lexicon import PARENTS, is_a, parent_chain
from rsground.datasets.refer.query import Category, Extreme, InArea, Query, Where
from rsground.datasets.refer.resolve import Resolver
from rsground.datasets.refer.tables import HEADINGS

T = TypeVar("T")
SIDES = ("left", "right", "top", "bottom")
SIZES = ("large", "small")
MAX_ORDERED = 200
"""Sets larger than this are not ordered, ranked or compared: nobody could follow."""
NAMED_ATTRIBUTES = ("colour", "on")
"""Attributes with words of their own; ``heading`` has its sectors."""


class Scope:
    """What can be talked about in one scene."""

    def __init__(self, resolver: Resolver, rnd: Random) -> None:
        self.resolver, self.rnd = resolver, rnd
        self.tables = resolver.tables
        graph = self.tables.graph
        present = {item.category for item in graph.objects}
        universe = present | graph.complete
        self.present = sorted(name for name in present if self._closed(name, universe))
        parents = {PARENTS[name] for name in universe if name in PARENTS}
        wider = {p for p in parents if len({c for c in present if is_a(c, p)}) > 1 and self._closed(p, universe)}
        self.categories = self.present + sorted(wider - present)
        self.seen = frozenset(name for category in present for name in parent_chain(category))
        self.names = universe | parents

    def _closed(self, name: str, universe: Iterable[str]) -> bool:
        """Whether every instance of ``name`` is listed: it and everything under it is complete."""
        complete = self.tables.graph.complete
        under = {category for category in universe if is_a(category, name)}
        return bool(under) and under <= complete

    def shuffled(self, items: Iterable[T]) -> Iterator[T]:
        """The items in random order, drawn one by one."""
        pool = list(items)
        for last in range(len(pool) - 1, -1, -1):
            at = int(self.rnd.random() * (last + 1))
            pool[at], pool[last] = pool[last], pool[at]
            yield pool[last]

    def size(self, query: Query) -> int:
        """How many objects the query may denote at most."""
        return self.resolver(query).possible.bit_count()

    @cached_property
    def sets(self) -> list[Query]:
        """What may be a set to order: categories, and those of one colour or in one half; check the size."""
        plain: list[Query] = [Category(name) for name in self.categories]
        fine = [query for query in plain if self.can_order(query)]
        return fine * 3 + self.coloured + [InArea(query, half) for query in fine for half in HALVES]

    def can_order(self, query: Query) -> bool:
        """Whether the query denotes two or more, and not more than anybody could follow."""
        return 2 <= self.size(query) <= MAX_ORDERED

    @cached_property
    def coloured(self) -> list[Query]:
        """Category and colour, as far as colours are known."""
        pairs = {(name, value) for name, key, value in self.facts if key == "colour"}
        return [Where(Category(name), "colour", value) for name, value in sorted(pairs)]

    @cached_property
    def facts(self) -> list[tuple[str, str, str]]:
        """(category, attribute, value) that some object has and an expression can name."""
        found: set[tuple[str, str, str]] = set()
        for item in self.tables.graph.objects:
            for name in {item.category, *parent_chain(item.category)} & set(self.categories):
                for key, value in item.attributes.items():
                    if key == "heading" and value is not None:
                        found.update((name, key, word) for word in HEADINGS)
                    elif key in NAMED_ATTRIBUTES and isinstance(value, str):
                        found.add((name, key, value))
        return sorted(found)

    def anchors(self) -> Iterator[Query]:
        """Simple queries that surely denote one object, to hang a relation on."""
        named: list[Query] = [Category(name) for name in self.categories] * 2 + self.coloured
        ordered = [Category(name) for name in self.categories if self.can_order(Category(name))]
        choices = [*named, *(Extreme(query, order) for query in ordered for order in (*SIDES, *SIZES))]
        return (query for query in self.shuffled(choices) if self.is_single(query))

    def is_single(self, query: Query) -> bool:
        """Whether the query surely denotes exactly one object."""
        verdict = self.resolver(query)
        return verdict.decided and verdict.sure.bit_count() == 1
