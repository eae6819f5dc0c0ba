"""Grounded descriptions: ``... the <p> tennis court-1 </p> [SEG] at right ...``, taken apart by character."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"<p>|</p>|\[SEG\]")
_NUMBER = re.compile(r"\s*-\s*\d+\s*$")


class Mention(NamedTuple):
    """What one ``[SEG]`` stands for.

    Attributes:
        phrase: text of the phrase before it, without its running number; ``""`` where there is none.
        span: (start, end) characters from the phrase's ``<p>`` to the end of ``[SEG]``; of a further ``[SEG]`` after
            the same phrase, that ``[SEG]`` alone.
    """

    phrase: str
    span: tuple[int, int]


def mentions(answer: str) -> list[Mention]:
    """One mention per ``[SEG]``, in the order of the text. Reads any text."""
    found: list[Mention] = []
    opened: int | None = None
    phrase, start = "", None
    for token in _TOKEN.finditer(answer):
        if token[0] == "<p>":
            opened = token.end()
        elif token[0] == "</p>":
            if opened is not None:
                phrase = _phrase(answer[opened : token.start()])
                start = opened - len("<p>")
            opened = None
        else:
            if opened is not None:  # a [SEG] inside its phrase ends it
                phrase, start = _phrase(answer[opened : token.start()]), opened - len("<p>")
                opened = None
            found.append(Mention(phrase, (token.start() if start is None else start, token.end())))
            start = None
    return found


def _phrase(text: str) -> str:
    return _NUMBER.sub("", text).strip()
