"""Pixels to integers and back, with one rule for boxes that would vanish."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from rsground.errors import ShapeError
from rsground.types import HBB, Size

Rounding = Literal["round", "floor", "out"]
Steps = tuple[int, int, int, int]


def round_half_up(value: float) -> int:
    """The nearest integer; halves go up (Python's ``round`` sends them to the even neighbour)."""
    return math.floor(value + 0.5)


ROUNDINGS: dict[str, Callable[[float], int]] = {"round": round_half_up, "floor": math.floor, "out": math.ceil}


def quantise(value: float, side: float, resolution: int, rounding: Rounding = "round", top: int | None = None) -> int:
    """Pixel coordinate to integer step, clipped to ``[0, top]``.

    Args:
        value: pixels.
        side: pixels of the image side the value runs along.
        resolution: steps that make up the side.
        rounding: ``"round"`` (halves up), ``"floor"`` (truncation, as some data sets were written), or ``"out"``: up
            (for boxes: outwards, so that the written box holds the whole object).
        top: largest legal step; ``resolution`` unless the format stops earlier.

    Raises:
        ShapeError: the value is not finite.
    """
    if not math.isfinite(value):
        raise ShapeError(f"a coordinate must be finite to be written, got {value}")
    # The tiny slack undoes a product such as 0.29 * 100 = 28.999999999999996 before it is truncated.
    slack = -1e-9 if rounding == "out" else 1e-9
    step = ROUNDINGS[rounding](value / side * resolution + slack)
    return min(max(step, 0), resolution if top is None else top)


def quantise_box(
    box: HBB, size: Size, resolution: int, rounding: Rounding = "round", top: int | None = None, keep_area: bool = True
) -> Steps:
    """A box in pixels to four integer steps (x1, y1, x2, y2).

    Args:
        box: x1, y1, x2, y2 in pixels; what lies outside of the image is clipped.
        size: (H, W).
        resolution: steps per image side.
        rounding, top: as for :func:`quantise`.
        keep_area: widen a side that would collapse to one step, towards where the box really is; otherwise a small
            object is written without area and lost.

    Raises:
        ShapeError: a coordinate is not finite.
    """
    height, width = size
    top = resolution if top is None else top
    x1, x2 = _span(box[0], box[2], width, resolution, rounding, top, keep_area)
    y1, y2 = _span(box[1], box[3], height, resolution, rounding, top, keep_area)
    return x1, y1, x2, y2


def _span(
    low: float, high: float, side: int, resolution: int, rounding: Rounding, top: int, keep_area: bool
) -> tuple[int, int]:
    first, last = sorted((low, high))
    a = quantise(first, side, resolution, "floor" if rounding == "out" else rounding, top)
    b = quantise(last, side, resolution, rounding, top)
    if b > a or not keep_area:
        return a, b
    middle = (first + last) / 2 / side * resolution
    a = min(max(math.floor(middle), 0), top - 1)
    return a, a + 1


def dequantise_box(steps: Sequence[float], size: Size, resolution: float) -> HBB:
    """Four steps back to pixels."""
    height, width = size
    x1, y1, x2, y2 = steps
    return x1 / resolution * width, y1 / resolution * height, x2 / resolution * width, y2 / resolution * height


def check_resolution(resolution: int, owner: str, least: int = 2) -> None:
    """Raise :class:`ShapeError` unless the resolution is a usable integer."""
    if not isinstance(resolution, int) or isinstance(resolution, bool) or resolution < least:
        raise ShapeError(f"{owner}: resolution must be an integer of at least {least}, got {resolution!r}")
