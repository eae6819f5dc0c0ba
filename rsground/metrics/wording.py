"""Comparing texts without a model: tokens, overlap, phrases of a grounded description."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from typing import Any

from rsground.errors import ShapeError

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_TAG = re.compile(r"<[^<>]{0,80}>")
_ARTICLES = frozenset({"a", "an", "the"})
_PHRASE = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def tokens(text: str) -> list[str]:
    """Lower-cased words and numbers in order; punctuation and underscores part words and are dropped."""
    return _TOKEN.findall(text.lower())


def token_f1(a: str, b: str) -> float:
    """Harmonic mean of the shares of tokens that two texts have in common, in [0, 1]; two empty texts: 1."""
    first, second = Counter(tokens(a)), Counter(tokens(b))
    total = first.total() + second.total()
    return 2.0 * (first & second).total() / total if total else 1.0


def phrase_f1(a: str, b: str) -> float:
    """:func:`token_f1` without the articles a, an and the, which would make "a lake" half of "a ship"."""
    return token_f1(*(" ".join(word for word in tokens(text) if word not in _ARTICLES) for text in (a, b)))


def word_iou(a: str, b: str) -> float:
    """Shared / all distinct lower-cased, blank-separated words, in [0, 1]; two empty texts: 1."""
    first, second = set(a.lower().split()), set(b.lower().split())
    union = first | second
    return len(first & second) / len(union) if union else 1.0


def clean_caption(text: str) -> str:
    """A grounded description as plain text: ``<...>`` tags and ``[SEG]`` removed, blanks collapsed."""
    return " ".join(_TAG.sub("", text).replace("[SEG]", "").split())


def phrases(text: str) -> list[str]:
    """What stands between ``<p>`` and ``</p>``, in order, blanks collapsed."""
    return [" ".join(phrase.split()) for phrase in _PHRASE.findall(text)]


def load_function(name: str, option: str) -> Any:
    """The function an option names.

    Raises:
        ShapeError: the name does not read ``"package.module:function"``.
    """
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ShapeError(f"option {option!r} must read 'package.module:function', got {name!r}")
    return getattr(importlib.import_module(module), attribute)
