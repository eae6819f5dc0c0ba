"""What a query denotes under a margin of doubt: three-valued, on bit sets.

Each node answers the objects that surely belong and those that possibly do. An expression is kept only where the two
agree, which is what makes it hold for every annotation within the margin.
"""

from __future__ import annotations

import numpy as np

from rsground.datasets.refer.affordances import AFFORDANCES
from rsground.datasets.refer.groups import find_clusters
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
from rsground.datasets.refer.tables import SceneTables, Verdict, members

NOTHING = Verdict(0, 0)


class Resolver:
    """Resolves queries about one scene; remembers every answer."""

    def __init__(self, tables: SceneTables) -> None:
        self.tables = tables
        self._known: dict[Query, Verdict] = {}

    def __call__(self, query: Query) -> Verdict:
        """The verdict on ``query``."""
        found = self._known.get(query)
        if found is None:
            found = self._known[query] = self._resolve(query)
        return found

    def _resolve(self, query: Query) -> Verdict:
        tables = self.tables
        match query:
            case Category(name):
                return tables.category(name)
            case AnyOf(parts):
                return self._any_of([self(part) for part in parts])
            case Where(source, key, value):
                return _both(self(source), tables.attribute(key, value))
            case InArea(source, area):
                return _both(self(source), tables.in_area(area))
            case Extreme(source, order, n):
                return self._extreme(self(source), order, n)
            case Rank(source, order, k):
                return self._rank(self(source), order, k)
            case Count(source, n):
                return _count(self(source), n)
            case Related(source, relation, anchor):
                return self._related(self(source), relation, self(anchor))
            case Nearest(source, anchor):
                return self._nearest(self(source), self(anchor))
            case Cluster(source, n, row):
                return find_clusters(tables, self(source), n, row)
            case Affords(purpose):
                everything = (1 << len(tables.items)) - 1
                serves = sorted(AFFORDANCES[purpose].serves)
                return self._any_of([tables.category(name, among=everything) for name in serves])

    @staticmethod
    def _any_of(verdicts: list[Verdict]) -> Verdict:
        sure = possible = 0
        for verdict in verdicts:
            sure |= verdict.sure
            possible |= verdict.possible
        return Verdict(sure, possible)

    def _extreme(self, source: Verdict, order: str, n: int) -> Verdict:
        before = self.tables.order(order, source.possible)
        sure = possible = 0
        for i in members(source.possible):
            if (before[i].sure & source.sure).bit_count() < n:
                possible |= 1 << i
                if source.sure >> i & 1 and (before[i].possible & source.possible).bit_count() < n:
                    sure |= 1 << i
        return Verdict(sure, possible)

    def _rank(self, source: Verdict, order: str, k: int) -> Verdict:
        before = self.tables.order(order, source.possible)
        sure = possible = 0
        for i in members(source.possible):
            least = (before[i].sure & source.sure).bit_count()
            most = (before[i].possible & source.possible).bit_count()
            if least < k <= most + 1:
                possible |= 1 << i
                if least == most and source.sure >> i & 1:
                    sure |= 1 << i
        return Verdict(sure, possible)

    def _related(self, source: Verdict, relation: str, anchor: Verdict) -> Verdict:
        if not anchor.decided:
            return Verdict(0, source.possible)
        if anchor.sure.bit_count() != 1:
            return NOTHING
        beside = self.tables.side(relation, anchor.sure.bit_length() - 1)
        return Verdict(source.sure & beside.sure, source.possible & beside.possible)

    def _nearest(self, source: Verdict, anchor: Verdict) -> Verdict:
        if not anchor.decided:
            return Verdict(0, source.possible)
        if anchor.sure.bit_count() != 1:
            return NOTHING
        positions = members(source.possible & ~anchor.sure)
        if not positions:
            return NOTHING
        centres, boxes, slack = (v[positions] for v in self.tables.distances(anchor.sure.bit_length() - 1))
        nearer = ((centres + slack)[None, :] < (centres - slack)[:, None]) & (  # [i, j]: j surely nearer than i
            (boxes + slack)[None, :] < (boxes - slack)[:, None]
        )
        certain = np.array([source.sure >> i & 1 for i in positions], dtype=bool)
        beaten = (nearer & certain[None, :]).any(axis=1)
        beats = nearer.sum(axis=0) == len(positions) - 1
        sure = sum(1 << i for i, yes in zip(positions, certain & beats, strict=True) if yes)
        return Verdict(sure, sum(1 << i for i, no in zip(positions, beaten, strict=True) if not no))


def _both(first: Verdict, second: Verdict) -> Verdict:
    return Verdict(first.sure & second.sure, first.possible & second.possible)


def _count(source: Verdict, n: int) -> Verdict:
    least, most = source.sure.bit_count(), source.possible.bit_count()
    if least == most:
        return source if least == n else NOTHING
    return Verdict(0, source.possible) if least <= n <= most else NOTHING
