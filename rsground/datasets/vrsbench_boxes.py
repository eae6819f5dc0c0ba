"""How VRSBench writes boxes in its evaluation and annotation files."""

from __future__ import annotations

import re
from typing import Any

from rsground.datasets.fields import RecordError, numbers
from rsground.types import Size

_BOX = re.compile(r"\{<(\d{1,4})><(\d{1,4})><(\d{1,4})><(\d{1,4})>\}")


def published_box(truth: str) -> list[float]:
    """``"{<25><40><33><60>}"`` → fractions of width and height, [x1, y1, x2, y2].

    Raises:
        RecordError: it reads otherwise.
    """
    match = _BOX.fullmatch(truth.strip())
    if match is None:
        raise RecordError("bad-box", f"ground_truth must read {{<x1><y1><x2><y2>}}, got {truth[:60]!r}")
    return [int(value) / 100 for value in match.groups()]


def corners(value: Any, size: Size) -> list[float]:
    """``obj_corner``, eight fractions of width and height, in pixels of an image of ``size`` (H, W).

    Raises:
        RecordError: no eight numbers.
    """
    height, width = size
    fractions = numbers(value, "obj_corner", 8)
    return [fraction * side for fraction, side in zip(fractions, (width, height) * 4, strict=True)]
