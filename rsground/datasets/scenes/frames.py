"""Windows into an image, pixels listed one by one, and the axes a shape is measured in."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

HALF = np.float32(0.5)
_ONE = np.float32(1)
_ZERO = np.float32(0)
MAX_SIDE = 8192
"""Largest image side, pixels."""
CENTRES = np.arange(MAX_SIDE, dtype=np.float32) + HALF
"""Centres of pixels along an axis."""


def coverage(depth: F32) -> F32:
    """clip(depth + 1/2, 0, 1), in place."""
    depth += HALF
    return depth.clip(_ZERO, _ONE, out=depth)  # maximum and minimum with a scalar take several times as long


class Window(NamedTuple):
    """Pixels [x0, x1) x [y0, y1)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return (self.y1 - self.y0, self.x1 - self.x0)

    @property
    def at(self) -> tuple[slice, slice]:
        """Index of the window in an ``(..., H, W)`` array, after the leading axes."""
        return (slice(self.y0, self.y1), slice(self.x0, self.x1))


TILE_SIDE = 80
"""Large boxes of ground are drawn in tiles of about this side: most lie wholly inside or outside."""


def tiles(win: Window) -> list[Window]:
    """The window cut into pieces of about :data:`TILE_SIDE` pixels; itself where it is not much larger."""
    height, width = win.shape
    down, across = max(1, round(height / TILE_SIDE)), max(1, round(width / TILE_SIDE))
    if down * across <= 2:
        return [win]
    ys = [win.y0 + height * i // down for i in range(down + 1)]
    xs = [win.x0 + width * i // across for i in range(across + 1)]
    return [Window(xs[i], ys[j], xs[i + 1], ys[j + 1]) for j in range(down) for i in range(across)]


class Cover(NamedTuple):
    """Coverage of a window and the shape's own coordinates there.

    Attributes:
        alpha: ``(h, w)`` float32 in [0, 1].
        u, v: ``(h, w)`` float32 pixels along and across the shape's axis, from its centre.
        sample: ``(4, h, w)`` float32 paint sampled from a sprite (fixed RGB, weight of the object's colour), times
            ``alpha``; None for other shapes.
        rest: ``(h, w)`` float32, 1 - alpha, where there is a sample.
    """

    alpha: F32
    u: F32
    v: F32
    sample: F32 | None = None
    rest: F32 | None = None


@lru_cache(maxsize=4096)
def _direction(angle: float) -> tuple[float, float]:
    return (round(math.cos(angle), 9), round(math.sin(angle), 9))


class Frame(NamedTuple):
    """Centre (x, y) in pixels and axis direction; angles are clockwise on screen.

    Sines and cosines are rounded to 1e-9, which takes the last-bit differences of maths libraries out of the drawing.
    """

    x: float
    y: float
    angle: float
    cos: float
    sin: float

    @classmethod
    def of(cls, x: float, y: float, angle: float) -> Frame:
        """The frame at (x, y) pixels whose axis points ``angle`` radians clockwise from +x."""
        return cls(x, y, angle, *_direction(angle))

    def locate(self, u: float, v: float) -> tuple[float, float]:
        """Pixel (x, y) of local (u, v)."""
        return (self.x + u * self.cos - v * self.sin, self.y + u * self.sin + v * self.cos)

    def local(self, win: Window) -> tuple[F32, F32]:
        """(u, v) of the pixel centres of a window, each ``(h, w)`` float32."""
        xs = CENTRES[win.x0 : win.x1] - np.float32(self.x)
        ys = (CENTRES[win.y0 : win.y1] - np.float32(self.y))[:, None]
        cos, sin = np.float32(self.cos), np.float32(self.sin)
        return (xs * cos + ys * sin, ys * cos - xs * sin)


class Spans(NamedTuple):
    """The pixels near a long thin box, listed one by one; stands in for a :class:`Window`.

    Attributes:
        y, x: ``(M,)`` pixel rows and columns.
    """

    y: NDArray[np.int64]
    x: NDArray[np.int64]

    @property
    def at(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Index of the pixels in an ``(..., H, W)`` array, after the leading axes."""
        return (self.y, self.x)
