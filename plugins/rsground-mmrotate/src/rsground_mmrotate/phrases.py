"""What an expression says beside the noun: how many, which of several, in what part of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_RANKED = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
NUMBERS = {word: number for number, word in enumerate(_COUNTED, start=1)} | {"both": 2, "pair": 2}
ORDINALS = {word: number for number, word in enumerate(_RANKED, start=1)} | {"1st": 1, "2nd": 2, "3rd": 3}
SUPERLATIVES = {
    "leftmost": "left",
    "westernmost": "left",
    "rightmost": "right",
    "easternmost": "right",
    "topmost": "top",
    "uppermost": "top",
    "highest": "top",
    "northernmost": "top",
    "bottommost": "bottom",
    "lowermost": "bottom",
    "lowest": "bottom",
    "southernmost": "bottom",
    "largest": "large",
    "biggest": "large",
    "longest": "large",
    "smallest": "small",
    "shortest": "small",
}
COMPARATIVES = {
    "left": "left",
    "right": "right",
    "upper": "top",
    "higher": "top",
    "top": "top",
    "lower": "bottom",
    "bottom": "bottom",
    "larger": "large",
    "bigger": "large",
    "smaller": "small",
}
_FARTHEST = {"left": "left", "right": "right", "up": "top", "down": "bottom", "top": "top", "bottom": "bottom"}
_SIDES = {"left": "left", "right": "right", "top": "top", "bottom": "bottom"}
_ALL = frozenset({"all", "every", "each", "any"})
_PLACES = {"upper": "upper", "top": "upper", "lower": "lower", "bottom": "lower", "left": "left", "right": "right"}
_MIDDLE = frozenset({"middle", "centre", "center", "central"})
_FILL = frozenset({"the", "in", "on", "at", "side", "part", "half", "corner", "hand", "edge"})


class Order(NamedTuple):
    """Which of several: places ``first`` to ``last`` (1-based, both in) of those sorted by ``key``.

    Attributes:
        key: ``left``, ``right``, ``top``, ``bottom``, ``large`` or ``small``: what comes first.
        first, last: places.
        among: sort only this many, those with the highest scores; None for all.
    """

    key: str
    first: int = 1
    last: int = 1
    among: int | None = None


def order_of(words: Sequence[str], noun: tuple[int, int]) -> Order | None:
    """``"two leftmost"``, ``"second largest"``, ``"third from the top"``, ``"left one of the two"``, ``"upper X"``.

    Args:
        words: of the noun phrase.
        noun: half-open place of the noun in it.
    """
    for place, word in enumerate(words):
        if word in SUPERLATIVES:
            return _ranked(SUPERLATIVES[word], words[max(0, place - 1) : place])
        if word in ("farthest", "furthest"):
            ends = [_FARTHEST[after] for after in words[place + 1 : place + 4] if after in _FARTHEST]
            if ends:
                return _ranked(ends[0], words[max(0, place - 1) : place])
        if word == "from" and place + 2 < len(words) and words[place + 1] == "the" and words[place + 2] in _SIDES:
            ranks = [ORDINALS[before] for before in words[:place] if before in ORDINALS]
            if ranks:
                return Order(_SIDES[words[place + 2]], ranks[-1], ranks[-1])
    return _compared(words, noun)


def _ranked(key: str, before: Sequence[str]) -> Order:
    """A superlative behind a number (the first n) or an ordinal (the n-th)."""
    word = before[0] if before else ""
    if word in ORDINALS:
        return Order(key, ORDINALS[word], ORDINALS[word])
    return Order(key, 1, NUMBERS.get(word, 1))


def _compared(words: Sequence[str], noun: tuple[int, int]) -> Order | None:
    """A comparative of two: before ``one``, before ``of the two``, or before the noun and its adjectives."""
    for place, word in enumerate(words):
        if word not in COMPARATIVES:
            continue
        after = words[place + 1] if place + 1 < len(words) else ""
        sized = COMPARATIVES[word] in ("large", "small")
        behind = place > 0 and words[place - 1] == "the" and (place < 2 or words[place - 2] not in ("in", "on", "at"))
        if sized or after in ("one", "of") or (behind and place + 1 == noun[0]):
            return Order(COMPARATIVES[word], among=2 if sized or "two" in words or "pair" in words else None)
    return None


def area_of(words: Sequence[str]) -> str | None:
    """The named part of the image behind ``in``, ``on`` or ``at``, as :data:`rsground.datasets.refer.areas.AREAS`."""
    for place, word in enumerate(words):
        if word not in ("in", "on", "at"):
            continue
        run: list[str] = []
        for after in words[place + 1 :]:
            if after not in _PLACES and after not in _MIDDLE and after not in _FILL:
                break
            run.append(after)
        found = _area(run)
        if found is not None:
            return found
    return None


def _area(run: Sequence[str]) -> str | None:
    named = {_PLACES[word] for word in run if word in _PLACES}
    across = next((name for name in ("left", "right") if name in named), None)
    along = next((name for name in ("upper", "lower") if name in named), None)
    if "half" in run and (across is None) != (along is None):
        return f"{along or across} half"
    middle = any(word in _MIDDLE for word in run)
    if along and across:
        return f"{along} {across}"
    if along:
        return f"{along} middle" if middle else {"upper": "top", "lower": "bottom"}[along]
    if across:
        return f"middle {across}" if middle else across
    return "centre" if middle else None


def count_of(words: Sequence[str]) -> int | None:
    """How many are meant, where a number says so."""
    for word in words:
        if word in NUMBERS and word != "one":
            return NUMBERS[word]
        if word.isdecimal() and len(word) < 4:
            return int(word)
    return None


def means_all(words: Sequence[str]) -> bool:
    """Whether one of the words asks for every one there is."""
    return any(word in _ALL for word in words)
