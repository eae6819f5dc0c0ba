"""Paints of what is built: pitched and flat roofs, storage tanks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.canvas import Canvas
from rsground.datasets.scenes.frames import HALF, Cover, Window
from rsground.datasets.scenes.materials import RGB
from rsground.datasets.scenes.paints import Paint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

Part = tuple[float, float, float, float]


def _lay(canvas: Canvas, win: Window, alpha: F32, light: F32, rgb: RGB) -> None:
    """Blend ``rgb`` times ``light`` over the window."""
    colours = np.empty((3, *light.shape), np.float32)
    for band in range(3):
        np.multiply(light, np.float32(rgb[band]), out=colours[band])
    canvas.blend(win, alpha, colours)


def _local_sun(canvas: Canvas, cos: float, sin: float) -> tuple[float, float]:
    """The sun's direction in the axes of a shape."""
    x, y = canvas.look.sun
    return (x * cos + y * sin, y * cos - x * sin)


@dataclass(frozen=True, slots=True)
class PitchedRoof(Paint):
    """Sloping planes that turn to the sun: gabled (ridge along the longer side) or hipped.

    Attributes:
        rgb: colour of the covering.
        parts: the boxes of the building (centre u, v, half u, v), pixels.
        cos, sin: of the building's axis.
        hipped: four planes a part instead of two.
        seams: pixels between the lines of the covering, 0 for none.
        slope: how much light changes between the planes.
    """

    rgb: RGB
    parts: tuple[Part, ...]
    cos: float
    sin: float
    hipped: bool
    seams: float = 0.0
    slope: float = 0.3

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        sun_u, sun_v = _local_sun(canvas, self.cos, self.sin)
        light, best = self._plane(cover, self.parts[0], sun_u, sun_v)
        for part in self.parts[1:]:
            other, depth = self._plane(cover, part, sun_u, sun_v)
            wins = depth > best
            np.copyto(light, other, where=wins)
            np.copyto(best, depth, where=wins)
        light += canvas.grain("grain", win) * np.float32(0.07)
        light += canvas.grain("patches", win) * np.float32(0.05)
        _lay(canvas, win, cover.alpha, light, self.rgb)

    def _plane(self, cover: Cover, part: Part, sun_u: float, sun_v: float) -> tuple[F32, F32]:
        """Light on one part's planes, and the height of its roof."""
        u, v = cover.u - np.float32(part[0]), cover.v - np.float32(part[1])
        if part[3] > part[2]:
            u, v, sun_u, sun_v, long, wide = v, u, sun_v, sun_u, part[3], part[2]
        else:
            long, wide = part[2], part[3]
        depth = np.float32(wide) - np.abs(v)
        slope = np.float32(self.slope)
        light = np.where(v > 0, 1 + slope * np.float32(sun_v), 1 - slope * np.float32(sun_v)).astype(np.float32)
        end = np.float32(long) - np.abs(u)
        if self.hipped:
            at_end = end < depth
            tilt = np.where(u > 0, 1 + slope * np.float32(sun_u), 1 - slope * np.float32(sun_u)).astype(np.float32)
            np.copyto(light, tilt, where=at_end)
        np.minimum(depth, end, out=depth)
        if self.seams > 2:
            place = u * np.float32(1 / self.seams)
            place -= np.floor(place)
            light -= np.float32(0.06) * (place < np.float32(1 / self.seams))
        ridge = np.abs(v) < np.float32(0.6)
        light += np.float32(0.10) * ridge
        return light, depth


@dataclass(frozen=True, slots=True)
class FlatRoof(Paint):
    """A flat roof: parapet lit on one side, stains, and boxes (machines, skylights) with their own small shadows.

    Attributes:
        rgb: colour of the covering.
        parts: the boxes of the building (centre u, v, half u, v), pixels.
        cos, sin: of the building's axis.
        boxes: (centre u, v, half u, half v, light) of what stands on it, pixels.
        panels: pixels between joints of the covering, 0 for none.
        scale: pixels per metre.
    """

    rgb: RGB
    parts: tuple[Part, ...]
    cos: float
    sin: float
    boxes: tuple[tuple[float, float, float, float, float], ...]
    panels: float
    scale: float

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        sun_u, sun_v = _local_sun(canvas, self.cos, self.sin)
        light = 1 + canvas.grain("grain", win) * np.float32(0.04)
        light += canvas.grain("patches", win) * np.float32(0.09)
        if self.panels > 2:
            place = cover.u * np.float32(1 / self.panels)
            place -= np.floor(place)
            light -= np.float32(0.05) * (place < np.float32(1 / self.panels))
        self._parapet(light, cover, sun_u, sun_v)
        for at_u, at_v, half_u, half_v, tone in self.boxes:
            cast = np.float32(1.4 * self.scale)
            for shift, value in ((cast, np.float32(0.55)), (np.float32(0), np.float32(tone))):
                inside = np.abs(cover.u - np.float32(at_u) + shift * np.float32(sun_u)) < np.float32(half_u)
                inside &= np.abs(cover.v - np.float32(at_v) + shift * np.float32(sun_v)) < np.float32(half_v)
                np.copyto(light, value, where=inside)
        _lay(canvas, win, cover.alpha, light, self.rgb)

    def _parapet(self, light: F32, cover: Cover, sun_u: float, sun_v: float) -> None:
        """A rim one metre wide, and the shadow it throws on the roof."""
        rim = np.float32(max(0.8 * self.scale, 0.8))
        inner: F32 | None = None
        shaded: F32 | None = None
        cast = 1.3 * self.scale
        for at_u, at_v, half_u, half_v in self.parts:
            depth = np.minimum(half_u - np.abs(cover.u - np.float32(at_u)), half_v - np.abs(cover.v - np.float32(at_v)))
            moved = np.minimum(
                np.float32(half_u) - np.abs(cover.u - np.float32(at_u - cast * sun_u)),
                np.float32(half_v) - np.abs(cover.v - np.float32(at_v - cast * sun_v)),
            )
            inner = depth if inner is None else np.maximum(inner, depth)
            shaded = moved if shaded is None else np.maximum(shaded, moved)
        assert inner is not None
        assert shaded is not None
        light -= np.float32(0.28) * np.clip(rim + HALF - shaded, 0, 1) * (inner > rim)
        light += np.float32(0.12) * (inner <= rim)


@dataclass(frozen=True, slots=True)
class TankTop(Paint):
    """A storage tank from above: a lit rim, and a cone roof, or a floating roof with the wall's shadow on it.

    Attributes:
        rgb: colour of the tank.
        radius: pixels.
        floating: whether the roof lies below the rim.
    """

    rgb: RGB
    radius: float
    floating: bool

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        sun_x, sun_y = canvas.look.sun
        x, y = cover.u, cover.v
        toward = (x * np.float32(sun_x) + y * np.float32(sun_y)) * np.float32(1 / self.radius)
        away = np.sqrt(x * x + y * y)
        light = 1 + canvas.grain("patches", win) * np.float32(0.05)
        if self.floating:
            light *= np.float32(0.86)
            drop = np.float32(0.34 * self.radius)
            moved = np.sqrt((x + drop * np.float32(sun_x)) ** 2 + (y + drop * np.float32(sun_y)) ** 2)
            light *= 1 - np.float32(0.45) * np.clip(moved - np.float32(0.94 * self.radius) + HALF, 0, 1)
        else:
            light += toward * np.float32(0.2)
            spokes = np.minimum(np.abs(x), np.abs(y))
            light -= np.float32(0.05) * (spokes < HALF)
        rim = np.clip(away - np.float32(self.radius) + np.float32(1.6), 0, 1)
        light += rim * (np.float32(0.10) + toward * np.float32(0.25 if not self.floating else -0.1))
        stair = (
            (np.abs(y) < np.float32(0.7)) & (x > np.float32(0.15 * self.radius)) & (x < np.float32(0.9 * self.radius))
        )
        if self.radius > 8:
            light -= np.float32(0.22) * stair
        _lay(canvas, win, cover.alpha, light, self.rgb)
