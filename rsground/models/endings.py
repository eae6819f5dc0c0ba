"""Whether, and how, an answer can still be completed with the tokens there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.codecs.grammar import CharSet, Grammar
from rsground.models.vocabulary import Vocabulary

_SEARCHED = 20_000


class Place(NamedTuple):
    """A place between two bytes of an answer.

    Attributes:
        rule: the grammar's state after all whole characters.
        pending: bytes of the character that has been begun.
    """

    rule: Any
    pending: bytes


Moves = Callable[[Place], Iterator[tuple[NDArray[np.int64], Place]]]


class Endings:
    """Completions by tokens.

    A completion whose characters can all be written one by one proves that a place has an end. Only where a vocabulary
    lacks characters (word lists), the token automaton itself is searched, nearest to an end first.

    Args:
        grammar: of characters.
        vocabulary: of tokens.
        moves: tokens that the grammar allows at a place, with the places after them.
    """

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary, moves: Moves) -> None:
        self.grammar, self.vocabulary, self.moves = grammar, vocabulary, moves
        self._way: dict[Place, tuple[int, Place] | None] = {}
        self._dead: set[Place] = set()

    def has(self, place: Place) -> bool:
        """Whether the answer can be completed from here."""
        if self.vocabulary.spells_all or place in self._way:
            return True
        if place in self._dead:
            return False
        if self._text(place) is None:
            return self._search(place)
        if len(self._way) > 1_000_000:
            self._way.clear()
        self._way[place] = None
        return True

    def most(self, place: Place) -> int:
        """At least as many tokens as :meth:`of` has."""
        text = self._text(place)
        return len(self.of(place)) if text is None else len(text)

    def of(self, place: Place) -> tuple[int, ...]:
        """Tokens that complete the answer."""
        found: list[int] = []
        while (text := self._text(place)) is None:
            step = self._way.get(place) if self.has(place) else None
            if step is None:
                raise ValueError("no completion: this place was never allowed")
            found.append(step[0])
            place = step[1]
        tokens = self.vocabulary.longest_match(text)
        assert tokens is not None, "every byte or character of it is a token"
        return (*found, *tokens)

    def _text(self, place: Place) -> bytes | None:
        """A short completion that can be written character by character; None where that is not known."""
        rule, first = place.rule, b""
        if place.pending:
            char = char_from(self.grammar, place)
            if char is None:
                return None
            first = char.encode()[len(place.pending) :]
            rule = self.grammar.step(rule, char)
        text = self.grammar.completion(rule)
        if self.vocabulary.misses(text) or not self.vocabulary.single.issuperset(first):
            return None
        return first + text.encode()

    def _search(self, start: Place) -> bool:
        heap, count = [(0, 0, start)], 0
        came: dict[Place, tuple[Place, int] | None] = {start: None}
        while heap and len(came) <= _SEARCHED:
            _, _, place = heappop(heap)
            if place in self._way or self._is_end(place):
                self._remember(place, came)
                return True
            for tokens, after in self.moves(place):
                if after not in came and after not in self._dead:
                    came[after] = place, int(tokens[0])
                    count += 1
                    heappush(heap, (self._far(after), count, after))
        self._dead.update([start] if heap else came)
        return False

    def _is_end(self, place: Place) -> bool:
        if self._text(place) is not None:
            return True
        return not place.pending and self.grammar.is_accepting(place.rule)

    def _far(self, place: Place) -> int:
        return len(self.grammar.completion(place.rule))

    def _remember(self, place: Place, came: dict[Place, tuple[Place, int] | None]) -> None:
        """Note the way from every place on the path to its end."""
        self._way.setdefault(place, None)
        while (before := came[place]) is not None:
            self._way[before[0]] = before[1], place
            place = before[0]


def char_from(grammar: Grammar, place: Place) -> str | None:
    """A character that begins with the pending bytes and may come next; None where there is none."""
    return _char_from(grammar.allowed_next(place.rule), place.pending)


@lru_cache(maxsize=4096)
def _char_from(allowed: CharSet, begun: bytes) -> str | None:
    if not allowed.negated:
        whole = (char for char in sorted(allowed.chars) if not "\ud800" <= char <= "\udfff")
        return next((char for char in whole if char.encode().startswith(begun)), None)
    need = 2 if 0xC2 <= begun[0] < 0xE0 else 3 if 0xE0 <= begun[0] < 0xF0 else 4 if 0xF0 <= begun[0] < 0xF5 else 0
    for filler in (0x80, 0x90, 0xA0):
        for last in range(0x80, 0xC0) if len(begun) < need else ():
            full = (begun + bytes([filler]) * (need - len(begun)))[: need - 1] + bytes([last])
            char = full.decode("utf-8", "replace")
            if len(char) == 1 and char != "\ufffd" and full.startswith(begun) and char in allowed:
                return char
    return None
