"""The grammar of a head with several [SEG] a mask, out of that of a head with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rsground.codecs import CharSet, Grammar
from rsground.codecs.grammar import NO_CHARS, Loose


class Place(NamedTuple):
    """One way to read the text so far.

    Attributes:
        state: of the grammar with one token.
        matched: characters of the token that it has just read.
        left: copies of the token that may still follow.
        copied: characters read of a copy.
    """

    state: Any
    matched: int = 0
    left: int = 0
    copied: int = 0


class TokenRuns(Grammar):
    """Another grammar's answers, each of its tokens written up to N times in a row; states are sets of places.

    One is enough, so that a model that has not learned to write N answers as it has learned to.

    Args:
        single: the other grammar.
        token: of at least two characters, of which none but the first begins it.
        most: N.
    """

    def __init__(self, single: Grammar, token: str, most: int) -> None:
        self.single, self.token, self.most = single, token, most

    def start(self) -> frozenset[Place]:
        return frozenset({Place(self.single.start())})

    def step(self, state: frozenset[Place], char: str) -> frozenset[Place] | None:
        return frozenset(after for place in state for after in self._after(place, char)) or None

    def is_accepting(self, state: frozenset[Place]) -> bool:
        return any(not place.copied and self.single.is_accepting(place.state) for place in state)

    def allowed_next(self, state: frozenset[Place]) -> CharSet:
        found = NO_CHARS
        for place in state:
            if place.copied or place.left:
                found = found | CharSet(frozenset(self.token[place.copied]))
            if not place.copied:
                found = found | self.single.allowed_next(place.state)
        return found

    @property
    def max_length(self) -> int | None:
        longest = self.single.max_length
        return None if longest is None else longest * self.most

    def completion(self, state: frozenset[Place], limit: int = 200_000) -> str:
        return min((self._completion(place, limit) for place in state), key=len)

    def loose(self, state: frozenset[Place]) -> Loose | None:
        place = next(iter(state))
        if len(state) > 1 or place.copied or place.left:
            return None
        found = self.single.loose(place.state)
        if found is None or self.token[0] in found.chars:
            return None
        return Loose(found.chars, found.most, frozenset({Place(found.state)}))

    def _after(self, place: Place, char: str) -> Iterator[Place]:
        if (place.copied or place.left) and char == self.token[place.copied]:
            whole = place.copied + 1 == len(self.token)
            yield Place(place.state, 0, place.left - whole, 0 if whole else place.copied + 1)
        if place.copied:
            return
        after = self.single.step(place.state, char)
        if after is not None:
            matched = place.matched + 1 if char == self.token[place.matched] else int(char == self.token[0])
            whole = matched == len(self.token)
            yield Place(after, 0, self.most - 1) if whole else Place(after, matched)

    def _completion(self, place: Place, limit: int) -> str:
        rest = self.token[place.copied :] if place.copied else ""
        return rest + self.single.completion(place.state, limit)
