"""Which of a detector's categories an expression names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from rsground.datasets.refer.lexicon import NAMES, PARENTS, SYNONYMS, is_a, normalise, parent_chain, plural

_WORD = re.compile(r"[a-z0-9]+")


class Mention(NamedTuple):
    """A category that an expression names.

    Attributes:
        noun: the category in plain words, singular: ``"small vehicle"``.
        is_plural: whether the expression has it in the plural.
        start, stop: words of the expression, half-open.
    """

    noun: str
    is_plural: bool
    start: int
    stop: int


def words_of(expression: str) -> tuple[str, ...]:
    """Lower-case words and numbers: ``"The ground-track field"`` → ``("the", "ground", "track", "field")``."""
    return tuple(_WORD.findall(expression.lower()))


class Naming:
    """Finds a detector's categories in words.

    A category is named by its own name, by the synonyms and spellings of the lexicon (``plane``, ``aeroplane`` for
    ``airplane``), by a wider word (``vehicle`` means ``small-vehicle`` and ``large-vehicle``), in the singular or the
    plural. The longest name wins (``small vehicle`` is no ``vehicle``). A known noun that the detector has no category
    for is read as the nearest wider one that it has (``car`` → ``vehicle``).

    Args:
        classes: the detector's categories.
        synonyms: further names: category → words for it.
    """

    def __init__(self, classes: Iterable[str], synonyms: Mapping[str, Sequence[str]] | None = None) -> None:
        self.classes = tuple(dict.fromkeys(classes))
        self._plain = {name: normalise(name) for name in self.classes}
        self._names = dict(_lexicon())
        for plain in self._plain.values():
            _add(self._names, plain, plain)
        for category, more in (synonyms or {}).items():
            for name in more:
                _add(self._names, " ".join(words_of(name)), normalise(category), override=True)
        self._longest = max(map(len, self._names), default=0)

    def mentions(self, words: Sequence[str]) -> list[Mention]:
        """Every category named, in the order of the words; they do not overlap."""
        found: list[Mention] = []
        place = 0
        while place < len(words):
            for length in range(min(self._longest, len(words) - place), 0, -1):
                known = self._names.get(tuple(words[place : place + length]))
                if known is not None:
                    found.append(Mention(*known, place, place + length))
                    place += length
                    break
            else:
                place += 1
        return found

    def categories(self, noun: str) -> frozenset[str]:
        """The detector's categories that a noun stands for; empty where it has none, nor a wider one."""
        for wider in parent_chain(noun):
            found = frozenset(name for name, plain in self._plain.items() if is_a(plain, wider))
            if found:
                return found
        return frozenset()


_Names = dict[tuple[str, ...], tuple[str, bool]]


@lru_cache(maxsize=1)
def _lexicon() -> _Names:
    """Words → (category in plain words, is plural), of everything that the lexicon knows."""
    names: _Names = {}
    for noun in dict.fromkeys([*SYNONYMS, *PARENTS, *PARENTS.values(), *NAMES.values()]):
        _add(names, noun, noun)
    for noun, others in SYNONYMS.items():
        for name in others:
            _add(names, name, noun)
    for name, noun in NAMES.items():
        _add(names, name, noun)
    return names


def _add(names: _Names, name: str, noun: str, *, override: bool = False) -> None:
    several, one = tuple(plural(name).split()), tuple(name.split())
    for words, is_plural in ((one, False), (several, True)):
        if words and (override or words not in names):
            names[words] = (noun, is_plural)
