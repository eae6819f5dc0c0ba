"""Finding numbers in what a model wrote: linear in the text, whatever the text.

The patterns below have no nested repetition, so none of them can backtrack; only ASCII digits are digits; numbers of
absurd length or size are reported instead of converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from rsground.types import Issue

MAX_TEXT = 200_000
"""Characters that are read; the longest valid answer is far shorter."""
MAX_FOUND = 1000
"""Regions (or rings) read from one answer; codecs write far fewer."""
MAX_NUMBER_CHARS = 24
HUGE = 1e7
"""No coordinate in any format reaches this."""
MAX_ISSUES = 64
"""Issues kept per answer; the rest say nothing new."""

_TOKEN = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>(?i:[+-]?\b(?:nan|inf|infinity)\b))|(?P<open>[\[({])|(?P<close>[\])}])"
)
Span = tuple[int, int]


@dataclass(slots=True)
class Group:
    """The numbers between an opening bracket and its end.

    Attributes:
        span: characters from the bracket (or the first number) to the end.
        numbers: finite values in order.
        bad: texts that are no usable number.
        closed: whether the closing bracket is there.
    """

    span: Span
    numbers: list[float] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    closed: bool = False


class Notes:
    """Collects issues, at most :data:`MAX_ISSUES`."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def add(self, code: str, detail: str, span: Span | None = None) -> None:
        """Note one issue; ``detail`` is cut to a line."""
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(Issue(code, detail[:160], span))

    def is_full(self, found: int) -> bool:
        """Whether so many regions are enough; notes that the rest was not read."""
        if found >= MAX_FOUND and not any(issue.code == "too-long" for issue in self.issues):
            self.issues.append(Issue("too-long", f"more than {MAX_FOUND} regions, the rest was not read"))
        return found >= MAX_FOUND

    def done(self) -> tuple[Issue, ...]:
        """All of them."""
        return tuple(self.issues)


def number(text: str) -> float | None:
    """The value of a decimal number; None where it is not finite, too long or absurdly large."""
    if len(text) > MAX_NUMBER_CHARS:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= HUGE else None


def cut(text: str, notes: Notes) -> str:
    """The part of the answer that is read."""
    if len(text) <= MAX_TEXT:
        return text
    notes.add("too-long", f"{len(text)} characters, the first {MAX_TEXT} were read", (MAX_TEXT, len(text)))
    return text[:MAX_TEXT]


def between(text: str, opening: str, closing: str, notes: Notes) -> Iterator[Span]:
    """Spans of what stands between two tags; without an opening tag, noted, all up to the closing one or the end.

    A last block without its closing tag runs to the end and is noted as truncated.
    """
    at = text.find(opening)
    if at < 0:
        notes.add("missing-tag", f"no {opening!r}")
        end = text.find(closing)
        yield 0, len(text) if end < 0 else end
        return
    while at >= 0:
        start = at + len(opening)
        end = text.find(closing, start)
        if end < 0:
            notes.add("truncated", f"no {closing!r} after {opening!r}", (at, len(text)))
            yield start, len(text)
            return
        yield start, end
        at = text.find(opening, end + len(closing))


def groups(text: str, span: Span | None = None) -> list[Group]:
    """Numbers by their innermost brackets, in order; numbers outside all brackets make groups of their own."""
    start, end = (0, len(text)) if span is None else span
    found: list[Group] = []
    depth, current = 0, None
    for match in _TOKEN.finditer(text, start, end):
        kind = match.lastgroup
        if kind == "open":
            depth, current = depth + 1, None
        elif kind == "close":
            if current is not None and depth:
                current.closed = True
                current.span = (current.span[0], match.end())
            depth, current = max(depth - 1, 0), None
        else:
            if current is None:
                current = Group((match.start(), match.end()))
                found.append(current)
            value = number(match.group()) if kind == "number" else None
            current.span = (current.span[0], match.end())
            if value is None:
                current.bad.append(match.group()[:MAX_NUMBER_CHARS])
            else:
                current.numbers.append(value)
    return found


def merge_pairs(found: list[Group], count: int) -> list[Group]:
    """Points in brackets of their own, ``(x1,y1),(x2,y2)``, put together to groups of ``count`` numbers.

    Groups that are no pairs stay as they are.
    """
    merged: list[Group] = []
    for group in found:
        last = merged[-1] if merged else None
        is_pair = len(group.numbers) == 2 and not group.bad
        if is_pair and last is not None and len(last.numbers) % 2 == 0 and len(last.numbers) < count and not last.bad:
            last.numbers.extend(group.numbers)
            last.span, last.closed = (last.span[0], group.span[1]), group.closed
        else:
            merged.append(Group(group.span, list(group.numbers), group.bad, group.closed))
    return merged


def chunks(group: Group, count: int) -> list[Group]:
    """Bare numbers without any bracket, ``count`` at a time."""
    parts = [group.numbers[at : at + count] for at in range(0, len(group.numbers), count)]
    return [Group(group.span, part, group.bad) for part in parts]
