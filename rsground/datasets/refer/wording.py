"""From logical form to English: several templates per node, right articles and plurals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TypeVar

from rsground.datasets.refer.affordances import AFFORDANCES
from rsground.datasets.refer.lexicon import NAMES, SYNONYMS, article, number_word, ordinal_word, plural
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

T = TypeVar("T")

AREA_PHRASES: dict[str, tuple[str, ...]] = {
    "upper left": ("in the upper left", "in the top left"),
    "upper right": ("in the upper right", "in the top right"),
    "lower left": ("in the lower left", "in the bottom left"),
    "lower right": ("in the lower right", "in the bottom right"),
    "upper middle": ("at the top in the middle", "in the upper middle"),
    "lower middle": ("at the bottom in the middle", "in the lower middle"),
    "middle left": ("on the left in the middle", "in the middle left"),
    "middle right": ("on the right in the middle", "in the middle right"),
    "centre": ("in the middle", "in the central part"),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top", "in the upper part"),
    "bottom": ("at the bottom", "in the lower part"),
    "left half": ("in the left half",),
    "right half": ("in the right half",),
    "upper half": ("in the upper half", "in the top half"),
    "lower half": ("in the lower half", "in the bottom half"),
}
RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above",),
    "below": ("below",),
}
HEADING_PHRASES: dict[str, tuple[str, ...]] = {
    "up": ("pointing up", "facing the top of the image"),
    "right": ("pointing right", "facing the right side of the image"),
    "down": ("pointing down", "facing the bottom of the image"),
    "left": ("pointing left", "facing the left side of the image"),
}
_SUPERLATIVES: dict[str, tuple[str, ...]] = {
    "left": ("leftmost",),
    "right": ("rightmost",),
    "top": ("topmost", "uppermost"),
    "bottom": ("bottommost", "lowest"),
    "large": ("largest", "biggest"),
    "small": ("smallest",),
}
_FARTHEST: dict[str, str] = {
    "left": "farthest to the left",
    "right": "farthest to the right",
    "top": "farthest up",
    "bottom": "farthest down",
}
_OF_TWO: dict[str, tuple[str, ...]] = {
    "left": ("left one",),
    "right": ("right one",),
    "top": ("upper one", "higher one"),
    "bottom": ("lower one",),
    "large": ("larger one", "bigger one"),
    "small": ("smaller one",),
}
_FROM: dict[str, str] = {
    "left": "from the left",
    "right": "from the right",
    "top": "from the top",
    "bottom": "from the bottom",
}
_WHERES = (" in the image", " in the scene")


def pick(rnd: Random, options: Sequence[T]) -> T:
    """One of the options; the same one on every Python version for the same state of ``rnd``."""
    return options[int(rnd.random() * len(options))]


class _Parts:
    """A noun phrase in the making: what stands before the noun, the noun, what follows."""

    __slots__ = ("after", "before", "noun")

    def __init__(self, noun: str) -> None:
        self.before: list[str] = []
        self.noun = noun
        self.after: list[str] = []

    def text(self) -> str:
        return " ".join((*self.before, self.noun, *self.after))


class Wording:
    """Words queries for one image.

    Args:
        rnd: draws among templates and synonyms.
        categories: names that already mean something in this image, so that no synonym takes another's place.
    """

    def __init__(self, rnd: Random, categories: Iterable[str] = ()) -> None:
        self.rnd = rnd
        self._taken = set(categories)
        self._nouns: dict[str, str] = {}

    def expression(self, query: Query, n: int, *, capitalise: bool = True) -> str:
        """A whole expression for a query with ``n`` targets; for an absent target ``n`` is the number pretended."""
        self._nouns.clear()
        match query:
            case Affords(purpose):
                text = self._purpose(purpose, n)
            case Extreme(Count(source, 2), order, 1):
                text = self._of_two(source, order)
            case _:
                text = self.definite(query, n)
                if not _mentions_place(query) and self.rnd.random() < 0.35:
                    text += pick(self.rnd, _WHERES)
        return text[0].upper() + text[1:] if capitalise else text

    def definite(self, query: Query, n: int, *, nested: bool = False) -> str:
        """``"the leftmost ship"``, ``"all the ships on the left"``, ``"both bridges"``."""
        match query:
            case AnyOf(several):
                numbers = [1 if isinstance(part, Count) and part.n == 1 else 2 for part in several]
                words = [self.definite(part, k, nested=True) for part, k in zip(several, numbers, strict=True)]
                return ", ".join(words[:-1]) + " and " + words[-1]
            case Extreme(Count(source, 2), order, 1):
                return self._of_two(source, order)
            case Count(source, 2):
                return pick(self.rnd, ("both ", "both ", "the two ")) + self._parts(source, 2).text()
            case Count(source, many) if many > 2:
                return pick(self.rnd, ("the ", "all ")) + number_word(many) + " " + self._parts(source, many).text()
        phrase = self._parts(query, n, nested=nested).text()
        if n == 1 or isinstance(query, Extreme | Cluster):
            return "the " + phrase
        if self.rnd.random() < 0.15 and not nested:
            return pick(self.rnd, ("every ", "each ")) + self._parts(query, 1).text()
        return pick(self.rnd, ("the ", "all ", "all the ")) + phrase

    def indefinite(self, query: Query) -> str:
        """``"a ship in the upper left"``."""
        text = self._parts(query, 1).text()
        return f"{article(text)} {text}"

    def noun(self, category: str, n: int) -> str:
        """The category or a synonym, in the singular for 1; one word for one thing within an expression."""
        word = self._nouns.get(category) or self._nouns.setdefault(category, self._draw_noun(category))
        return word if n == 1 else plural(word)

    def _draw_noun(self, category: str) -> str:
        words = SYNONYMS.get(category, (category,))
        word = words[0]
        if len(words) > 1 and self.rnd.random() < 0.25:
            word = pick(self.rnd, words[1:])
            if word in self._taken or NAMES.get(word, category) != category:
                word = words[0]
        return word

    def _parts(self, query: Query, n: int, *, nested: bool = False) -> _Parts:
        match query:
            case Category(name):
                return _Parts(self.noun(name, n))
            case Where(source, key, value):
                return self._where(self._parts(source, n, nested=nested), key, value)
            case InArea(source, area):
                return self._after(source, n, self.area(area), nested)
            case Extreme(source, order, many):
                return self._extreme(source, order, many, nested)
            case Rank(Cluster(source, many, _), order, k):
                parts = self._parts(source, 1)
                parts.before.insert(0, ordinal_word(k))
                parts.after += [_FROM[order], "in the row of", number_word(many)]
                return parts
            case Rank(source, order, k):
                return self._rank(source, order, k, nested)
            case Count(source, many):
                parts = self._parts(source, n, nested=nested)
                if many == 1 and not nested and self.rnd.random() < 0.4:
                    parts.before.insert(0, "only")
                return parts
            case Related(source, relation, anchor):
                words = pick(self.rnd, RELATION_PHRASES[relation])
                return self._after(source, n, f"{words} {self.definite(anchor, 1, nested=True)}", nested)
            case Nearest(source, anchor):
                words = pick(self.rnd, ("nearest to", "closest to"))
                return self._after(source, n, f"{words} {self.definite(anchor, 1, nested=True)}", nested)
            case Cluster(source, many, row):
                parts = _Parts("row" if row else pick(self.rnd, ("group", "cluster")))
                parts.after += ["of", number_word(many), self._parts(source, many).text()]
                return parts
        raise TypeError(f"{type(query).__name__} has no noun phrase of its own")

    def area(self, name: str) -> str:
        """``"in the upper left of the image"``."""
        phrase = pick(self.rnd, AREA_PHRASES[name])
        tail = self.rnd.random() < 0.4
        return f"{phrase} of the image" if tail and not phrase.startswith(("at", "on")) else phrase

    def _after(self, source: Query, n: int, words: str, nested: bool) -> _Parts:
        parts = self._parts(source, n, nested=nested)
        parts.after.append(f"that {'is' if n == 1 else 'are'} {words}" if nested else words)
        return parts

    def _where(self, parts: _Parts, key: str, value: str) -> _Parts:
        if key == "colour":
            parts.before.append(value)
        elif key == "heading":
            parts.after.insert(0, pick(self.rnd, HEADING_PHRASES[value]))
        elif key == "on":
            parts.after.insert(0, f"on the {value}")
        else:
            parts.after.insert(0, f"whose {key} is {value}")
        return parts

    def _extreme(self, source: Query, order: str, n: int, nested: bool) -> _Parts:
        parts = self._parts(source, n, nested=nested)
        word = pick(self.rnd, _SUPERLATIVES[order])
        if n == 1 and not nested and not parts.after and self.rnd.random() < 0.3:
            last = _FARTHEST.get(order) if self.rnd.random() < 0.5 else None
            parts.after.append(last or f"that is {word}")
            return parts
        parts.before.insert(0, word if n == 1 else f"{number_word(n)} {word}")
        return parts

    def _rank(self, source: Query, order: str, k: int, nested: bool) -> _Parts:
        parts = self._parts(source, 1, nested=nested)
        if order in _FROM:
            parts.before.insert(0, ordinal_word(k))
            parts.after.insert(0, _FROM[order])
        else:
            parts.before.insert(0, f"{ordinal_word(k)} {pick(self.rnd, _SUPERLATIVES[order])}")
        return parts

    def _of_two(self, source: Query, order: str) -> str:
        both, one = self._parts(source, 2).text(), pick(self.rnd, _OF_TWO[order])
        if order in ("large", "small") and self.rnd.random() < 0.6:
            return f"the {one.removesuffix(' one')} of the two {both}"
        return pick(self.rnd, (f"the {one} of the two {both}", f"of the two {both}, the {one}"))

    def _purpose(self, purpose: str, n: int) -> str:
        row = AFFORDANCES[purpose]
        text = pick(self.rnd, row.singular if n == 1 else row.plural)
        return text + "?" if text.startswith(("where", "what", "which")) else text


def _mentions_place(query: Query) -> bool:
    """Whether the phrase already ends in a place, so that "in the image" would hang on the wrong noun."""
    if isinstance(query, InArea | Related | Nearest | Cluster | AnyOf | Affords):
        return True
    if isinstance(query, Where) and query.key != "colour":
        return True
    return not isinstance(query, Category) and _mentions_place(query.source)
