"""Grounded descriptions: several sentences about a scene, every named thing marked ``<p>phrase</p> [SEG]``."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from rsground.datasets.refer.engine import DEFAULT_MARGIN
from rsground.datasets.refer.lexicon import number_word
from rsground.datasets.refer.margins import Margin
from rsground.datasets.refer.objects import SceneGraph
from rsground.datasets.refer.propose import RELATIONS
from rsground.datasets.refer.query import Category, Cluster, Extreme, InArea, Query, Related, Where
from rsground.datasets.refer.resolve import Resolver
from rsground.datasets.refer.scope import SIDES, SIZES, Scope
from rsground.datasets.refer.tables import SceneTables
from rsground.datasets.refer.wording import RELATION_PHRASES, Wording, pick

if TYPE_CHECKING:
    import numpy as np

_OPENERS = ("This is an aerial view with {}.", "The overhead image shows {}.", "Seen from above, the scene holds {}.")
_PLACES = ("upper left", "upper right", "lower left", "lower right", "centre", "upper middle", "lower middle",
           "middle left", "middle right", "left half", "right half", "upper half", "lower half")  # fmt: skip
_STANDS = ("is", "can be seen", "lies")
MOST_SPLIT = 12
"""Sets larger than this are told as one group."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One grounded phrase of a description.

    Attributes:
        text: the words between ``<p>`` and ``</p>``.
        target_ids: ids of the objects it names; never empty.
        span: (start, end) characters of ``<p>text</p> [SEG]`` in the description.
        query: the logical form that denotes the targets.
    """

    text: str
    target_ids: tuple[int, ...]
    span: tuple[int, int]
    query: Query


@dataclass(frozen=True, slots=True)
class Description:
    """A text with phrases marked ``<p>phrase</p> [SEG]``; the k-th ``[SEG]`` belongs to the k-th of ``phrases``."""

    text: str
    phrases: tuple[Phrase, ...]


def describe(graph: SceneGraph, rng: np.random.Generator, *, margin: Margin = DEFAULT_MARGIN) -> Description:
    """Several sentences about ``graph``; every phrase denotes exactly its targets, with a margin.

    Categories whose instances are in doubt (uncertain or unlisted ones) are left out, so a scene without anything
    certain gets a sentence that says so and no phrase.

    Args:
        graph: the scene.
        rng: draws wordings; equal states give equal descriptions.
        margin: as for :func:`rsground.datasets.refer.engine.expressions`.
    """
    return _Writer(graph, Random(int(rng.integers(2**63))), margin).write()


class _Writer:
    """Builds the text sentence by sentence and notes where each phrase lies."""

    def __init__(self, graph: SceneGraph, rnd: Random, margin: Margin) -> None:
        self.resolver = Resolver(SceneTables(graph, margin))
        self.scope = Scope(self.resolver, rnd)
        self.wording = Wording(rnd, self.scope.names)
        self.rnd, self.text = rnd, ""
        self.phrases: list[Phrase] = []

    def write(self) -> Description:
        names = [name for name in self.scope.present if self._sure(Category(name))]
        names.sort(key=lambda name: -self._sure(Category(name)))
        if not names:
            return Description("This is an aerial view in which nothing stands out.", ())
        words = [self._several(name) for name in names[:3]]
        self.text = pick(self.rnd, _OPENERS).format(_and(words))
        for name in names:
            self._tell(name)
        return Description(self.text, tuple(self.phrases))

    def _sure(self, query: Query) -> int:
        """How many objects the query denotes, 0 where that is in doubt."""
        verdict = self.resolver(query)
        return verdict.sure.bit_count() if verdict.decided else 0

    def _several(self, name: str) -> str:
        n = self._sure(Category(name))
        return self.wording.indefinite(Category(name)) if n == 1 else self.wording.noun(name, n)

    def _tell(self, name: str) -> None:
        query, n = Category(name), self._sure(Category(name))
        if n == 1:
            self._tell_one(query)
            return
        halves = self._split(query, n)
        if halves and n <= MOST_SPLIT:
            self._tell_halves(query, halves)
        else:
            self._sentence(self._counted(name, n), query, self._where(query, n))
        if self.rnd.random() < 0.7:
            self._single_out(query, n)

    def _tell_halves(self, query: Category, halves: list[InArea]) -> None:
        """``<p>Three cars</p> [SEG] are in the left half and <p>one more</p> [SEG] is in the right half.``"""
        first, second = sorted(halves, key=lambda half: -self._sure(half))
        n, m = self._sure(first), self._sure(second)
        more = pick(self.rnd, ("another one", "one more") if m == 1 else (f"{number_word(m)} more",))
        rest = f"{_are(n)} {self.wording.area(first.area)} and"
        words = self._counted(query.name, n) if n > 1 else self.wording.indefinite(query)
        self._sentence(words, first, rest, (more, second), f" {_are(m)} {self.wording.area(second.area)}")

    def _counted(self, name: str, n: int) -> str:
        return f"{number_word(n)} {self.wording.noun(name, n)}"

    def _tell_one(self, query: Query) -> None:
        words, beside = self.wording.indefinite(self._seen(query)), self._beside(query)
        if beside is None:
            self._sentence(words, query, self._where(query, 1))
        else:
            relation, anchor = beside
            named = self.wording.definite(anchor, 1, nested=True)
            self._sentence(words, query, f"{pick(self.rnd, _STANDS)} {relation}", (named, anchor))

    def _where(self, query: Query, n: int) -> str:
        """``"is in the upper left"``; ``"are visible"`` where no one word for the place fits."""
        place = self._place(query)
        if not place:
            return "can be seen" if self.rnd.random() < 0.5 else f"{_are(n)} visible"
        verbs = (_are(n), _are(n), "can be seen", "lies" if n == 1 else "lie")
        return pick(self.rnd, verbs) + place

    def _seen(self, query: Query) -> Query:
        """The same thing with its colour, where it has one."""
        for name, key, value in self.scope.facts:
            coloured = Where(query, key, value)
            if key == "colour" and Category(name) == query and self._sure(coloured) == self._sure(query):
                return coloured
        return query

    def _beside(self, query: Query) -> tuple[str, Query] | None:
        """A relation to something unique that was named before."""
        if self.rnd.random() < 0.4:
            return None
        named = [phrase.query for phrase in self.phrases if len(phrase.target_ids) == 1]
        for anchor in self.scope.shuffled(q for q in named if isinstance(q, Category) and q != query):
            for relation in self.scope.shuffled(RELATIONS):
                if self._sure(Related(query, relation, anchor)) == 1:
                    return pick(self.rnd, RELATION_PHRASES[relation]), anchor
        return None

    def _place(self, query: Query) -> str:
        verdict = self.resolver(query)
        places = [area for area in _PLACES if self.resolver(InArea(query, area)) == verdict]
        return f" {self.wording.area(places[0])}" if places else ""

    def _split(self, query: Category, n: int) -> list[InArea]:
        """Two halves of the image that both hold some and together all of the category; empty where none do."""
        for areas in self.scope.shuffled((("left half", "right half"), ("upper half", "lower half"))):
            halves = [InArea(query, area) for area in areas]
            counts = [self._sure(half) for half in halves]
            if sum(counts) == n and all(counts):
                return halves
        return []

    def _single_out(self, query: Category, n: int) -> None:
        """One more sentence about a member or a group that stands out."""
        choices: list[Query] = [Extreme(query, order) for order in (*SIDES, *SIZES)] if n > 2 else []
        choices += [Cluster(query, size, row=True) for size in range(3, min(n, 9))]
        choices += [w for w in self.scope.coloured if isinstance(w, Where) and w.source == query and self._sure(w) < n]
        for choice in self.scope.shuffled(choices):
            found, place = self._sure(choice), self._place(choice)
            told = {phrase.target_ids for phrase in self.phrases}
            if found and place and self.resolver.tables.ids(self.resolver(choice).sure) not in told:
                verb = _are(1 if isinstance(choice, Cluster) else found)
                self._sentence(self.wording.definite(choice, found, nested=True), choice, verb + place)
                return

    def _sentence(
        self, words: str, query: Query, rest: str, second: tuple[str, Query] | None = None, tail: str = ""
    ) -> None:
        """``<p>Words</p> [SEG] rest [<p>second</p> [SEG] tail].``"""
        self.text += " "
        self._phrase(words[0].upper() + words[1:], query)
        self.text += " " + rest
        if second is not None:
            self.text += " "
            self._phrase(*second)
            self.text += tail
        self.text += "."

    def _phrase(self, words: str, query: Query) -> None:
        marked = f"<p>{words}</p> [SEG]"
        span = (len(self.text), len(self.text) + len(marked))
        ids = self.resolver.tables.ids(self.resolver(query).sure)
        self.phrases.append(Phrase(words, ids, span, query))
        self.text += marked


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
