"""The expression engine: unambiguous referring expressions from a scene graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from rsground.datasets.refer.lexicon import is_a
from rsground.datasets.refer.margins import Margin
from rsground.datasets.refer.objects import SceneGraph
from rsground.datasets.refer.propose import PROPOSERS
from rsground.datasets.refer.query import (
    AnyOf,
    Extreme,
    InArea,
    Nearest,
    Query,
    Related,
    Where,
    axes_of,
    head_category,
    walk,
)
from rsground.datasets.refer.resolve import Resolver
from rsground.datasets.refer.scope import Scope
from rsground.datasets.refer.tables import SceneTables, Verdict
from rsground.datasets.refer.wording import Wording, pick
from rsground.errors import UnknownNameError

if TYPE_CHECKING:
    import numpy as np

KINDS: tuple[str, ...] = tuple(PROPOSERS)
"""Kinds of expressions, by the question they ask."""
DEFAULT_MARGIN = Margin()
PER_KIND = 12
"""Most expressions of one kind about one image when no limit is given."""
MAX_TRIES = 60
"""Candidates looked at for one expression before a kind is given up for this image."""
MAX_OBJECTS = 2000
"""Images with more instances get only kinds that compare no pairs."""
_PAIRLESS = frozenset({"category", "attribute", "position", "counting", "absent", "reasoning"})


@dataclass(frozen=True, slots=True)
class Expression:
    """One referring expression and what it picks.

    Attributes:
        text: the wording.
        query: its logical form; ``evaluate(query, graph)`` gives ``target_ids``.
        target_ids: ids of the objects it picks, in the graph's order; ``()`` says that nothing fits.
        kind: one of :data:`KINDS`.
        axes: difficulty axes it exercises, of :data:`rsground.datasets.refer.query.AXES`.
        category: of what is asked for; None where several categories or a purpose are.
    """

    text: str
    query: Query
    target_ids: tuple[int, ...]
    kind: str
    axes: tuple[str, ...]
    category: str | None


def expressions(
    graph: SceneGraph,
    rng: np.random.Generator,
    *,
    kinds: Iterable[str] | None = None,
    limit: int | None = None,
    margin: Margin = DEFAULT_MARGIN,
    capitalise: bool = True,
) -> list[Expression]:
    """Referring expressions about ``graph`` that pick exactly their targets, with a margin.

    Kinds take turns, so a small ``limit`` still gives variety. No two expressions share a wording or a query.

    Args:
        graph: the scene.
        rng: draws candidates and wordings; equal states give equal expressions.
        kinds: of :data:`KINDS`; None for all.
        limit: most expressions; None for as many as there are, up to :data:`PER_KIND` of a kind.
        margin: slack under which every expression must keep its targets.
        capitalise: whether expressions begin with a capital letter.

    Raises:
        UnknownNameError: a kind that does not exist.
    """
    wanted = tuple(KINDS if kinds is None else kinds)
    for kind in wanted:
        if kind not in PROPOSERS:
            raise UnknownNameError("kind of expression", kind, KINDS)
    rnd = Random(int(rng.integers(2**63)))
    maker = _Maker(graph, rnd, margin, capitalise)
    if len(graph.objects) > MAX_OBJECTS:
        wanted = tuple(kind for kind in wanted if kind in _PAIRLESS)
    most = PER_KIND * len(wanted) if limit is None else limit
    return maker.take(wanted, most, PER_KIND if limit is None else most)


class _Maker:
    """Turns candidates about one scene into expressions."""

    def __init__(self, graph: SceneGraph, rnd: Random, margin: Margin, capitalise: bool) -> None:
        self.resolver = Resolver(SceneTables(graph, margin))
        self.scope = Scope(self.resolver, rnd)
        self.wording = Wording(rnd, self.scope.names)
        self.rnd, self.capitalise = rnd, capitalise
        self.texts: set[str] = set()
        self.queries: set[Query] = set()

    def take(self, kinds: Iterable[str], most: int, per_kind: int) -> list[Expression]:
        """Up to ``most`` expressions, the kinds taking turns in random order."""
        found: list[Expression] = []
        streams = [(kind, self._stream(kind)) for kind in self.scope.shuffled(kinds)]
        taken = dict.fromkeys((kind for kind, _ in streams), 0)
        while streams and len(found) < most:
            for kind, stream in list(streams):
                expression = next(stream, None) if len(found) < most and taken[kind] < per_kind else None
                if expression is None:
                    streams.remove((kind, stream))
                else:
                    taken[kind] += 1
                    found.append(expression)
        return found

    def _stream(self, kind: str) -> Iterator[Expression]:
        tries = 0
        for query in PROPOSERS[kind](self.scope):
            tries += 1
            if tries > MAX_TRIES:
                return
            if query in self.queries:
                continue
            verdict = self.resolver(query)
            if not verdict.decided or not self._fits(kind, query, verdict):
                continue
            expression = self._word(kind, query, verdict)
            if expression.text.lower() not in self.texts:
                self.texts.add(expression.text.lower())
                self.queries.add(query)
                tries = 0
                yield expression

    def _fits(self, kind: str, query: Query, verdict: Verdict) -> bool:
        n = verdict.sure.bit_count()
        if kind == "absent":
            return n == 0
        if n == 0:
            return kind == "reasoning"
        if kind == "plural" and n < 2:
            return False
        return self._is_telling(query, n)

    def _is_telling(self, query: Query, n: int) -> bool:
        """Whether every restriction restricts: "the red ship" is for pictures with other ships."""
        for node in walk(query):
            if isinstance(node, Where | InArea) and self.resolver(node) == self.resolver(node.source):
                return False
            if isinstance(node, Related | Nearest):
                others = self.resolver(node.source).possible & ~self.resolver(node.anchor).possible
                if self.resolver(node).possible == others:
                    return False
            if isinstance(node, Extreme) and isinstance(node.source, Where | InArea):
                wider = self.resolver(replace(node, source=node.source.source))
                if self.resolver(node) == wider:  # "the topmost ship in the upper half"
                    return False
        if isinstance(query, Extreme):
            return n < self.scope.size(query.source)
        if isinstance(query, AnyOf):
            return all(self.resolver(part).sure for part in query.parts)
        return True

    def _word(self, kind: str, query: Query, verdict: Verdict) -> Expression:
        n = verdict.sure.bit_count()
        number = n if n or kind != "absent" else pick(self.rnd, (1, 1, 2))
        if n == 0 and kind == "reasoning":
            number = 1
        return Expression(
            text=self.wording.expression(query, number, capitalise=self.capitalise),
            query=query,
            target_ids=self.resolver.tables.ids(verdict.sure),
            kind=kind,
            axes=axes_of(query, n),
            category=self._category(query, verdict),
        )

    def _category(self, query: Query, verdict: Verdict) -> str | None:
        """The asked category, or the narrower one that all targets share."""
        asked = head_category(query)
        shared = {item.category for item in self.resolver.tables.graph.by_id(self.resolver.tables.ids(verdict.sure))}
        if len(shared) == 1 and (asked is None or is_a(next(iter(shared)), asked)):
            return next(iter(shared))
        return asked
