"""Tokens within free text, found for all of a vocabulary at once instead of letter by letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.codecs.grammar import CharSet, Grammar, Loose
from rsground.models.endings import Place
from rsground.models.vocabulary import Node, Vocabulary, tree

Ids = NDArray[np.int64]


class FreeTokens:
    """A vocabulary split by a set of characters.

    Args:
        vocabulary: of tokens.
        chars: the set.

    Attributes:
        others: a trie over the texts that hold something else, or half a character.
    """

    def __init__(self, vocabulary: Vocabulary, chars: CharSet) -> None:
        by_length: dict[int, list[int]] = {}
        others: list[bytes] = []
        for text, ids in vocabulary.ids.items():
            length = _length(text, chars)
            plain = [token for token in ids if token not in vocabulary.special]
            if length is None:
                others.append(text)
            elif plain:
                by_length.setdefault(length, []).extend(plain)
        self.by_length = {length: np.sort(np.array(ids, np.int64)) for length, ids in sorted(by_length.items())}
        self.others: Node = tree(others)

    def free(self, grammar: Grammar, loose: Loose) -> Iterator[tuple[Ids, Place]]:
        """Tokens that fit, by length, with the place after that many characters."""
        state: Any = loose.state
        char = loose.chars.some()[0]
        done = 0
        for length, ids in self.by_length.items():
            if length > loose.most:
                break
            state = grammar.advance(state, char * (length - done))
            done = length
            yield ids, Place(state, b"")


class LooseTokens:
    """The splits of one vocabulary, made as they are needed.

    Args:
        vocabulary: of tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._found: dict[CharSet, FreeTokens] = {}

    def of(self, chars: CharSet) -> FreeTokens:
        """The split by this set."""
        if chars not in self._found:
            self._found[chars] = FreeTokens(self.vocabulary, chars)
        return self._found[chars]


def _length(text: bytes, chars: CharSet) -> int | None:
    """Characters of a text that holds only these; None for any other."""
    try:
        said = text.decode()
    except UnicodeDecodeError:
        return None
    return len(said) if all(char in chars for char in said) else None
