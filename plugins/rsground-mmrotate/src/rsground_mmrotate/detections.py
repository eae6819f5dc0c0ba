"""What a detector answers, as text: DOTA's label lines with a score in the place of the difficulty.

``classes: plane ship small-vehicle`` names the categories the detector knows, found or not; then one detection a line,
``x1 y1 x2 y2 x3 y3 x4 y4 category score``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rsground.types import Issue, Quad
from rsground_mmrotate.labels import class_name, corners_text

MOST = 5000
"""Detections of an image that are read; MMRotate's configs allow up to 2000."""
_HEAD = "classes:"
_FIELDS = 10
_LIMIT = 1e6
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Detection:
    """One object that a detector found.

    Attributes:
        quad: four corners, clockwise on screen, in pixels of the image that was shown.
        category: one of the detector's own names.
        score: confidence in [0, 1].
    """

    quad: Quad
    category: str
    score: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y), the mean of the corners."""
        return (sum(x for x, _ in self.quad) / 4, sum(y for _, y in self.quad) / 4)

    @property
    def area(self) -> float:
        """Square pixels."""
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = self.quad
        return abs((cx - ax) * (dy - by) - (dx - bx) * (cy - ay)) / 2


class Read(NamedTuple):
    """A text of detections, read.

    Attributes:
        classes: that the detector knows, those of the detections included.
        detections: in the order of the text.
        parsed: whether the text is one of a detector at all; then no detection means that nothing was found.
        issues: lines that could not be used.
    """

    classes: tuple[str, ...]
    detections: tuple[Detection, ...]
    parsed: bool
    issues: tuple[Issue, ...]


def write_detections(classes: Iterable[str], detections: Iterable[Detection]) -> str:
    """The text of an image: coordinates to the thousandth of a pixel, scores to four digits."""
    lines = [" ".join([_HEAD, *(class_name(name) for name in classes)])]
    lines += [f"{corners_text(each.quad)} {class_name(each.category)} {each.score:.4f}" for each in detections]
    return "\n".join(lines)


def read_detections(text: str) -> Read:
    """Read what :func:`write_detections` wrote, or what is left of it. Never raises."""
    classes: dict[str, None] = {}
    found: list[Detection] = []
    issues: list[Issue] = []
    told, place = False, 0
    for line in text.split("\n"):
        start, place = place, place + len(line) + 1
        words = line.split()
        if not words:
            continue
        if words[0] == _HEAD:
            classes.update(dict.fromkeys(words[1:]))
            told = True
            continue
        if len(found) >= MOST:
            issues.append(Issue("too-long", f"more than {MOST} detections", (start, len(text))))
            break
        read = _detection(words)
        if isinstance(read, Detection):
            found.append(read)
        else:
            issues.append(Issue(read, line[:_SHOWN], (start, start + len(line))))
    if not told and not found:
        issues.insert(0, Issue("missing-tag", f"there is no line {_HEAD!r}") if text.strip() else Issue("empty", ""))
    classes.update(dict.fromkeys(each.category for each in found))
    return Read(tuple(classes), tuple(found), told or bool(found), tuple(issues[:MOST]))


def _detection(words: Sequence[str]) -> Detection | str:
    """The detection of a line, or the code of what is wrong with it."""
    if len(words) < _FIELDS:
        return "too-few-numbers"
    values = [_number(word) for word in [*words[:8], words[9]]]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or max(map(abs, numbers)) > _LIMIT:
        return "bad-number"
    a, b, c, d = zip(numbers[:8:2], numbers[1:8:2], strict=True)
    found = Detection((a, b, c, d), words[8], min(max(numbers[8], 0.0), 1.0))
    return found if found.area > 0 else "degenerate"


def _number(word: str) -> float | None:
    try:
        value = float(word) if len(word) <= _SHOWN and word.isascii() else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
