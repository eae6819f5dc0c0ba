"""Shapes: how far inside an outline a pixel centre lies, evaluated in the shape's own window only.

A shape answers *coverage*: clip(depth + 1/2, 0, 1), an anti-aliased edge one pixel wide. A pixel belongs to the shape's
mask where its coverage is at least 1/2, that is, where its centre lies inside the outline. So pixels and masks come
from one array and cannot disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import crop, noise
from rsground.datasets.scenes.frames import CENTRES, Cover, Frame, Spans, Window, coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]


THIN_SHARE = 0.35
"""A box that covers less of its window is drawn pixel by pixel."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An outline in a frame, within ``half_u`` x ``half_v`` pixels of its centre."""

    frame: Frame
    half_u: float
    half_v: float

    def window(self, size: int) -> Window | None:
        """The pixels it can touch in a ``size`` x ``size`` image, None if there are none."""
        x, y, _, cos, sin = self.frame
        cos, sin, half_u, half_v = abs(cos), abs(sin), self.half_u, self.half_v
        reach_x, reach_y = cos * half_u + sin * half_v + 1, sin * half_u + cos * half_v + 1
        if x + reach_x <= 0 or y + reach_y <= 0 or x - reach_x >= size or y - reach_y >= size:
            return None
        x0, y0, x1, y1 = floor(x - reach_x), floor(y - reach_y), ceil(x + reach_x), ceil(y + reach_y)
        return Window(x0 if x0 > 0 else 0, y0 if y0 > 0 else 0, x1 if x1 < size else size, y1 if y1 < size else size)

    def cover(self, win: Window) -> Cover:
        """Coverage of the window."""
        u, v = self.frame.local(win)
        return Cover(coverage(self.depth(u, v)), u, v)

    def depth(self, u: F32, v: F32) -> F32:
        """Signed distance inside the outline in pixels, a new array; here of the box."""
        across, along = np.abs(v), np.abs(u)
        np.subtract(np.float32(self.half_v), across, out=across)
        np.subtract(np.float32(self.half_u), along, out=along)
        np.minimum(along, across, out=across)
        return across

    @property
    def is_plain_box(self) -> bool:
        """Whether it is a box and nothing else, which :meth:`fills` and :meth:`misses` know all about."""
        return type(self) is Shape

    def fills(self, win: Window) -> bool:
        """Whether a box surely holds the whole window."""
        u, v, reach_u, reach_v = self._seen_from(win)
        return u + reach_u <= self.half_u and v + reach_v <= self.half_v

    def misses(self, win: Window) -> bool:
        """Whether a box surely lies apart from the window, its soft edge included."""
        u, v, reach_u, reach_v = self._seen_from(win)
        return u - reach_u > self.half_u + 1 or v - reach_v > self.half_v + 1

    def _seen_from(self, win: Window) -> tuple[float, float, float, float]:
        """|u|, |v| of the window's centre and how far it reaches along both axes."""
        cos, sin = self.frame.cos, self.frame.sin
        half_x, half_y = (win.x1 - win.x0) / 2, (win.y1 - win.y0) / 2
        dx, dy = win.x0 + half_x - self.frame.x, win.y0 + half_y - self.frame.y
        reach_u = abs(cos) * half_x + abs(sin) * half_y
        reach_v = abs(sin) * half_x + abs(cos) * half_y
        return abs(dx * cos + dy * sin), abs(dy * cos - dx * sin), reach_u, reach_v

    def is_thin(self, win: Window) -> bool:
        """Whether a box leaves most of a large window empty: see :func:`sparse_cover`."""
        height, width = win.shape
        area = height * width
        return area > 3000 and 2 * self.half_v * math.hypot(height, width) < THIN_SHARE * area

    @property
    def extent(self) -> float:
        """Area in pixels if nothing hid it."""
        return 4 * self.half_u * self.half_v


def sparse_cover(shape: Shape, win: Window) -> tuple[Spans, Cover]:
    """The pixels a box covers within its window, row by row (column by column for flat ones), and their coverage.

    A diagonal road fills a tenth of its window: listing its pixels costs less than looking at all the others.
    """
    frame = shape.frame
    flat = abs(frame.cos) > abs(frame.sin)
    lead0, lead1, other0, other1 = (win.x0, win.x1, win.y0, win.y1) if flat else (win.y0, win.y1, win.x0, win.x1)
    at_lead, at_other = (frame.x, frame.y) if flat else (frame.y, frame.x)
    steep = frame.sin / frame.cos if flat else frame.cos / frame.sin
    across = (shape.half_v + 1) / abs(frame.cos if flat else frame.sin)
    lead = np.arange(lead0, lead1)
    first = np.floor(at_other + (lead + (0.5 - at_lead)) * steep - across).astype(np.int64)
    other = first[:, None] + np.arange(math.ceil(2 * across) + 1)
    inside = np.flatnonzero((other >= other0) & (other < other1))
    leads = lead.take(inside // other.shape[1])
    other = other.take(inside)
    y, x = (other, leads) if flat else (leads, other)
    xs, ys = CENTRES.take(x) - np.float32(frame.x), CENTRES.take(y) - np.float32(frame.y)
    cos, sin = np.float32(frame.cos), np.float32(frame.sin)
    u, v = xs * cos + ys * sin, ys * cos - xs * sin
    return Spans(y, x), Cover(coverage(shape.depth(u, v)), u, v)


@dataclass(frozen=True, slots=True)
class Boxes(Shape):
    """A union of boxes (centre u, centre v, half u, half v), all along the same axes: L- and U-shaped buildings."""

    parts: tuple[tuple[float, float, float, float], ...]

    def depth(self, u: F32, v: F32) -> F32:
        """Largest of the parts' depths."""
        best: F32 | None = None
        for at_u, at_v, half_u, half_v in self.parts:
            across = np.float32(half_v) - np.abs(v - np.float32(at_v))
            np.minimum(np.float32(half_u) - np.abs(u - np.float32(at_u)), across, out=across)
            best = across if best is None else np.maximum(best, across, out=best)
        assert best is not None
        return best

    @property
    def extent(self) -> float:
        """Area in pixels; overlaps of parts count once for the two-part shapes drawn here."""
        total = sum(4 * part[2] * part[3] for part in self.parts)
        if len(self.parts) == 2:
            total -= _overlap(self.parts[0], self.parts[1])
        return total


def _overlap(one: tuple[float, float, float, float], two: tuple[float, float, float, float]) -> float:
    along = min(one[0] + one[2], two[0] + two[2]) - max(one[0] - one[2], two[0] - two[2])
    across = min(one[1] + one[3], two[1] + two[3]) - max(one[1] - one[3], two[1] - two[3])
    return max(along, 0.0) * max(across, 0.0)


@dataclass(frozen=True, slots=True)
class Disc(Shape):
    """A disc of radius ``half_u``, or a ring down to ``inner`` pixels."""

    inner: float = 0.0

    def depth(self, u: F32, v: F32) -> F32:
        """Distance inside the circle (and outside the inner one)."""
        away = np.sqrt(u * u + v * v)
        depth = np.float32(self.half_u) - away
        if self.inner > 0:
            np.minimum(depth, away - np.float32(self.inner), out=depth)
        return depth

    @property
    def extent(self) -> float:
        """Area in pixels."""
        return math.pi * (self.half_u**2 - self.inner**2)


@dataclass(frozen=True, slots=True)
class Stadium(Shape):
    """A box whose two ends are half circles: running tracks, rounded pools."""

    def depth(self, u: F32, v: F32) -> F32:
        """Distance inside the capsule."""
        beyond = np.maximum(np.abs(u) - np.float32(self.half_u - self.half_v), 0)
        depth: F32 = np.float32(self.half_v) - np.sqrt(beyond * beyond + v * v)
        return depth

    @property
    def extent(self) -> float:
        """Area in pixels."""
        return math.pi * self.half_v**2 + 4 * (self.half_u - self.half_v) * self.half_v


@dataclass(frozen=True, slots=True, eq=False)
class Ribbon(Shape):
    """A band about a curve v = f(u): rivers, bent roads; a wide one is everything beyond a coast.

    Attributes:
        course: ``(n,)`` float32, f at u = -half_u + i * step.
        widths: ``(n,)`` float32 half width there.
        step: pixels between two entries.
    """

    course: F32
    widths: F32
    step: float

    def beside(self, offset: float, half_width: float) -> Ribbon:
        """A band of even width along the same curve, ``offset`` pixels to the side."""
        widths = np.full_like(self.widths, half_width)
        return Ribbon(self.frame, self.half_u, self.half_v, self.course + np.float32(offset), widths, self.step)

    def cover(self, win: Window) -> Cover:
        """Coverage; ``v`` is measured from the curve, so that lane markings follow it."""
        u, v = self.frame.local(win)
        place = ((u + np.float32(self.half_u)) * np.float32(1 / self.step)).astype(np.int32)
        np.maximum(place, 0, out=place)
        np.minimum(place, len(self.course) - 1, out=place)
        v -= self.course.take(place)
        depth = self.widths.take(place) - np.abs(v)
        np.minimum(depth, np.float32(self.half_u) - np.abs(u), out=depth)
        return Cover(coverage(depth), u, v)


@dataclass(frozen=True, slots=True)
class Blob(Shape):
    """An ellipse with an edge frayed by noise: woods, ponds, stains. ``fray`` is in pixels, ``seed`` picks the edge."""

    fray: float
    seed: int

    def depth(self, u: F32, v: F32) -> F32:
        """Distance inside the frayed outline."""
        inner_u, inner_v = max(self.half_u - self.fray, 1.0), max(self.half_v - self.fray, 1.0)
        away = np.sqrt(u * u * np.float32(1 / inner_u**2) + v * v * np.float32(1 / inner_v**2))
        depth = (1 - away) * np.float32(min(inner_u, inner_v))
        height, width = u.shape
        edge = crop(noise("shore"), self.seed, self.seed // 512, width, height)
        depth += edge * np.float32(self.fray)
        return depth


@dataclass(frozen=True, slots=True, eq=False)
class Clipped(Shape):
    """A shape cut off at the border of a box."""

    shape: Shape
    border: Shape

    def cover(self, win: Window) -> Cover:
        """The shape's coverage where the border allows it."""
        cover = self.shape.cover(win)
        limit = self.border.cover(win).alpha
        return cover._replace(alpha=np.minimum(cover.alpha, limit, out=limit))
