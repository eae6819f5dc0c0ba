"""Boxes that GeoChat and VRSBench write into their training answers: ``{<40><60><55><80>|<15>}``."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from rsground.types import HBB, Quad, Size

_BOX = re.compile(r"\{\s*<(\d{1,4})>\s*<(\d{1,4})>\s*<(\d{1,4})>\s*<(\d{1,4})>\s*(?:\|\s*<\s*(-?\d{1,4})\s*>)?\s*\}")
_SCALE = 100.0
"""Coordinates are hundredths of the image's width and height."""


class WrittenBox(NamedTuple):
    """One box of an answer.

    Attributes:
        hbb: the unrotated box in pixels (x1, y1, x2, y2).
        quad: the box rotated by its angle, four corners clockwise; None where no angle is written.
        span: characters of the answer.
    """

    hbb: HBB
    quad: Quad | None
    span: tuple[int, int]


def written_boxes(answer: str, size: Size) -> list[WrittenBox]:
    """Every box of the text, in its order, in pixels of an image of ``size`` (H, W).

    The angle turns the box about its centre, in hundredths of the image, **clockwise** on screen for positive
    degrees. GeoChat's own helpers disagree on the sign (its drawing code turns the other way); third-party converters
    of the training data turn clockwise, and so does this.
    """
    height, width = size
    found = []
    for match in _BOX.finditer(answer):
        x1, y1, x2, y2 = (int(group) for group in match.groups()[:4])
        hbb = (x1 * width / _SCALE, y1 * height / _SCALE, x2 * width / _SCALE, y2 * height / _SCALE)
        angle = match.group(5)
        found.append(WrittenBox(hbb, None if angle is None else _turned(hbb, int(angle)), match.span()))
    return found


def _turned(hbb: HBB, degrees: int) -> Quad:
    x1, y1, x2, y2 = hbb
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b, c, d = (
        (cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos)
        for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    )
    return (a, b, c, d)
