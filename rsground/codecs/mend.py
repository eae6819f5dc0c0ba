"""From scanned numbers to boxes: what is mended, and what is noted about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rsground.codecs.quantise import dequantise_box
from rsground.codecs.scan import Group, Notes, Span, chunks, groups, merge_pairs
from rsground.types import HBB, Region, Size

NOTHING_WORDS = ("none", "no object", "no such", "not present", "nothing", "there is no", "there are no")
"""What models write when they see no target, in lower case."""


def usable(found: Iterable[Group], count: int, notes: Notes, end: int) -> Iterator[tuple[list[float], Span]]:
    """The groups that hold ``count`` numbers; the others are noted.

    Args:
        found: groups of a scan.
        count: numbers of one region.
        notes: where issues go.
        end: where the text ends; an open group there was cut off.
    """
    for seen, group in enumerate(found):
        if notes.is_full(seen):
            return
        if group.bad:
            notes.add("bad-number", f"{group.bad[0]!r} is no usable number", group.span)
        elif len(group.numbers) < count:
            cut_off = not group.closed and group.span[1] >= end
            code = "truncated" if cut_off else "too-few-numbers"
            notes.add(code, f"{len(group.numbers)} numbers, {count} are needed", group.span)
        else:
            if len(group.numbers) > count:
                notes.add("too-many-numbers", f"{len(group.numbers)} numbers, {count} are needed", group.span)
            yield group.numbers[:count], group.span


def number_lists(text: str, span: Span, count: int, notes: Notes) -> Iterator[tuple[list[float], Span]]:
    """Runs of ``count`` numbers in a part of the text, whichever brackets they stand in."""
    found = groups(text, span)
    if len(found) == 1 and not any(bracket in text[span[0] : span[1]] for bracket in "[({"):
        found = chunks(found[0], count)
    yield from usable(merge_pairs(found, count), count, notes, len(text.rstrip()))


def clip(values: Sequence[float], low: float, high: float, notes: Notes, span: Span | None) -> list[float]:
    """Values inside the format's range; what was outside is noted."""
    if all(low <= value <= high for value in values):
        return list(values)
    notes.add("out-of-range", f"{_short(values)} leaves {low:g}..{high:g}", span)
    return [min(max(value, low), high) for value in values]


def ordered(values: Sequence[float], notes: Notes, span: Span | None) -> list[float]:
    """Box corners with x1 <= x2 and y1 <= y2; swaps and boxes without area are noted."""
    x1, y1, x2, y2 = values
    if x2 < x1 or y2 < y1:
        notes.add("swapped-corners", f"{_short(values)} has its corners swapped", span)
        x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
    if x1 == x2 or y1 == y2:
        notes.add("degenerate", f"{_short(values)} has no area", span)
    return [x1, y1, x2, y2]


def box_in_pixels(
    values: Sequence[float], size: Size, resolution: float, notes: Notes, span: Span | None, top: float | None = None
) -> HBB:
    """Four numbers of a format to a box in pixels: clipped, ordered, scaled."""
    inside = clip(values, 0, resolution if top is None else top, notes, span)
    return dequantise_box(ordered(inside, notes, span), size, resolution)


def says_nothing(text: str) -> bool:
    """Whether a short answer says in words that there is no target."""
    head = text[:200].strip().lower()
    return any(word in head for word in NOTHING_WORDS)


def nothing_found(text: str, notes: Notes) -> tuple[tuple[Region, ...], bool]:
    """No regions, and whether the answer at least says so; notes why not."""
    if says_nothing(text):
        return (), True
    if not text.strip():
        notes.add("empty", "the answer holds no text")
    elif not notes.issues:
        notes.add("missing-tag", "nothing in it looks like a region")
    return (), False


def _short(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values[:8]) + "]"
