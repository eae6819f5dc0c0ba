"""Words: what categories are called, which include which, and which nobody can tell apart for sure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

SYNONYMS: dict[str, tuple[str, ...]] = {
    "airplane": ("airplane", "plane"),
    "baseball diamond": ("baseball diamond", "baseball field"),
    "ground track field": ("ground track field", "running track"),
    "roundabout": ("roundabout", "traffic circle"),
    "ship": ("ship", "vessel"),
    "soccer field": ("soccer field", "football pitch"),
    "storage tank": ("storage tank", "tank"),
    "swimming pool": ("swimming pool", "pool"),
}
"""Other words for a category; the first is the plain one."""

NAMES: dict[str, str] = {
    "aeroplane": "airplane",
    "plane": "airplane",
    "harbour": "harbor",
    "oil tank": "storage tank",
    "storagetank": "storage tank",
    "baseballfield": "baseball diamond",
    "baseball field": "baseball diamond",
    "tenniscourt": "tennis court",
    "basketballcourt": "basketball court",
    "groundtrackfield": "ground track field",
    "soccer ball field": "soccer field",
    "football field": "soccer field",
    "trainstation": "train station",
    "golffield": "golf course",
    "golf field": "golf course",
    "tank": "storage tank",
    "boat": "ship",
    "vessel": "ship",
}
"""Spellings of published data sets → the name used here."""

PARENTS: dict[str, str] = {
    "airplane": "aircraft",
    "helicopter": "aircraft",
    "small vehicle": "vehicle",
    "large vehicle": "vehicle",
    "car": "vehicle",
    "van": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "sailboat": "ship",
    "cargo ship": "ship",
}
"""Category → the wider category it belongs to."""

CONFUSABLE: tuple[frozenset[str], ...] = (
    frozenset({"ground track field", "soccer field", "stadium"}),
    frozenset({"harbor", "ship", "pier", "dock"}),
    frozenset({"bridge", "overpass"}),
    frozenset({"roundabout", "crossroad", "intersection"}),
    frozenset({"building", "house", "hangar", "warehouse", "terminal"}),
    frozenset({"parking lot", "vehicle", "car", "small vehicle", "large vehicle"}),
    frozenset({"airplane", "helicopter", "airport", "runway"}),
    frozenset({"storage tank", "silo", "chimney"}),
    frozenset({"small vehicle", "large vehicle", "vehicle", "car", "van", "truck", "bus"}),
)
"""Sets in which the presence of one makes the absence of another doubtful (unlabelled or a matter of taste)."""

COLOURS_ALIKE: tuple[frozenset[str], ...] = (
    frozenset({"white", "silver", "grey", "light grey", "beige", "cream"}),
    frozenset({"grey", "dark grey", "silver", "black"}),
    frozenset({"black", "dark blue", "navy", "dark green"}),
    frozenset({"red", "orange", "brown", "maroon", "pink"}),
    frozenset({"orange", "yellow", "tan", "brown", "beige", "cream"}),
    frozenset({"blue", "dark blue", "light blue", "navy", "teal", "purple", "cyan"}),
    frozenset({"green", "dark green", "light green", "teal", "olive", "cyan"}),
)
"""Colours that haze, shadow or a screen can turn into each other."""

_IRREGULAR = {
    "aircraft": "aircraft",
    "airport": "airports",
    "hovercraft": "hovercraft",
    "spacecraft": "spacecraft",
    "man": "men",
    "person": "people",
    "roof": "roofs",
    "series": "series",
    "open ground": "open ground",
}
_SILENT_H = ("hour", "honest", "heir")
_YOO = ("uni", "use", "eu", "one")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def normalise(name: str) -> str:
    """The category as people say it: ``"Small_Vehicle"`` → ``"small vehicle"``, ``"plane"`` → ``"airplane"``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = re.sub(r"[\s_\-]+", " ", spaced).strip().lower()
    return NAMES.get(plain, plain)


def parent_chain(category: str) -> list[str]:
    """The category and every wider one, narrow first."""
    chain = [category]
    while chain[-1] in PARENTS:
        chain.append(PARENTS[chain[-1]])
    return chain


@lru_cache(maxsize=4096)
def is_a(category: str, wider: str) -> bool:
    """Whether an object of ``category`` is also a ``wider``."""
    return wider in parent_chain(category)


@lru_cache(maxsize=4096)
def alike_colours(first: str, second: str) -> bool:
    """Whether two different colour words could be used for one thing."""
    return any(first in group and second in group for group in COLOURS_ALIKE)


def doubtful_absence(category: str, present: Iterable[str]) -> bool:
    """Whether something present makes it unsafe to say that no ``category`` is there."""
    seen = set(present)
    return any(category in group and group & seen for group in CONFUSABLE)


@lru_cache(maxsize=4096)
def plural(noun: str) -> str:
    """The plural of a noun phrase, by its last word: ``"storage tanks"``, ``"buses"``, ``"aircraft"``."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    stem, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"(s|x|z|ch|sh)$", last):
        last += "es"
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{stem} {last}" if stem else last


def article(noun: str) -> str:
    """``"a"`` or ``"an"``, by the sound the noun phrase begins with."""
    first = noun.lower()
    if first.startswith(_SILENT_H):
        return "an"
    return "an" if first[:1] in "aeiou" and not first.startswith(_YOO) else "a"


def number_word(n: int) -> str:
    """``3`` → ``"three"``; digits beyond twelve."""
    return _WORDS[n] if n < len(_WORDS) else str(n)


def ordinal_word(k: int) -> str:
    """``2`` → ``"second"``; for 1 to 10."""
    return _ORDINALS[k]
