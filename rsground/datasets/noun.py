"""Category names as a person would say them."""

from __future__ import annotations

import re

_BREAK = re.compile(r"[\s_\-/]+")
_SIBILANT = ("s", "x", "z", "ch", "sh")
_VOWELS = "aeiou"


def noun(category: str) -> str:
    """``"Large_Vehicle"`` → ``"large vehicle"``; capitals that mean something on their own (``"T junction"``) stay."""
    words = _BREAK.sub(" ", category).strip().split(" ")
    return " ".join(word if len(word) == 1 and word.isupper() else word.lower() for word in words)


def plural(name: str) -> str:
    """The regular English plural of a noun: ``"bus"`` → ``"buses"``, ``"category"`` → ``"categories"``."""
    if name.endswith("y") and name[-2:-1] not in _VOWELS:
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(_SIBILANT) else f"{name}s"
