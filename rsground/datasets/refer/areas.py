"""Named parts of an image, with a core that everybody agrees on and a rim that is a matter of taste."""

from __future__ import annotations

from typing import NamedTuple


class Band(NamedTuple):
    """An interval of one image axis, as fractions of the side, in three widths.

    Attributes:
        core: (low, high) where nobody doubts that the word applies.
        plain: (low, high) the word's plain meaning; what :func:`evaluate` tests the centre against.
        rim: (low, high) beyond which nobody would use the word.
        spill: share of an object's side by which it must stay clear of the core's ends.
    """

    core: tuple[float, float]
    plain: tuple[float, float]
    rim: tuple[float, float]
    spill: float


FIRST = Band((-1.0, 0.38), (-1.0, 0.42), (-1.0, 0.5), 0.2)
MIDDLE = Band((0.36, 0.64), (0.32, 0.68), (0.24, 0.76), 0.0)
LAST = Band((0.62, 2.0), (0.58, 2.0), (0.5, 2.0), 0.2)
FIRST_HALF = Band((-1.0, 0.48), (-1.0, 0.5), (-1.0, 0.52), 0.35)
LAST_HALF = Band((0.52, 2.0), (0.5, 2.0), (0.48, 2.0), 0.35)
WHOLE = Band((-1.0, 2.0), (-1.0, 2.0), (-1.0, 2.0), 0.0)

AREAS: dict[str, tuple[Band, Band]] = {
    "upper left": (FIRST, FIRST),
    "upper middle": (MIDDLE, FIRST),
    "upper right": (LAST, FIRST),
    "middle left": (FIRST, MIDDLE),
    "centre": (MIDDLE, MIDDLE),
    "middle right": (LAST, MIDDLE),
    "lower left": (FIRST, LAST),
    "lower middle": (MIDDLE, LAST),
    "lower right": (LAST, LAST),
    "left": (FIRST, WHOLE),
    "right": (LAST, WHOLE),
    "top": (WHOLE, FIRST),
    "bottom": (WHOLE, LAST),
    "left half": (FIRST_HALF, WHOLE),
    "right half": (LAST_HALF, WHOLE),
    "upper half": (WHOLE, FIRST_HALF),
    "lower half": (WHOLE, LAST_HALF),
}
"""Name → (band along x, band along y)."""

HALVES: tuple[str, ...] = ("left half", "right half", "upper half", "lower half")
CELLS: tuple[str, ...] = tuple(name for name in AREAS if name not in HALVES)
