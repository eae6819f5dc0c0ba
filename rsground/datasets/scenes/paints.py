"""Paints: how the pixels a shape covers get their colour. All of them work in the shape's window only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.canvas import Canvas
from rsground.datasets.scenes.frames import HALF, Cover, Spans, Window
from rsground.datasets.scenes.materials import MATERIALS, RGB

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

GREEN_NOUNS = frozenset({"grass", "forest", "field", "scrub"})


class Paint(ABC):
    """How a shape's pixels are coloured."""

    @abstractmethod
    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window of the canvas."""

    def fill(self, canvas: Canvas, win: Window) -> bool:
        """Paint the whole window where the shape fills it; False if this paint needs the coverage."""
        del canvas, win
        return False


@dataclass(frozen=True, slots=True)
class Line:
    """A painted line along u: ``offset`` and ``width`` across in pixels, dashes of ``on`` in ``period`` pixels."""

    offset: float
    width: float
    rgb: RGB = (214.0, 212.0, 200.0)
    on: float = 0.0
    period: float = 0.0
    strength: float = 0.8


@dataclass(frozen=True, slots=True)
class Ground(Paint):
    """A material, with what ploughs, mowers, road painters and time leave on it.

    Attributes:
        material: name in :data:`MATERIALS`.
        gain: per-band factor.
        rows: (period in pixels, strength) of stripes along u.
        joints: (pitch along u, pitch across, strength) of slab joints, pixels; 0 for none.
        lines: painted lines along u.
        bays: lines across: (pitch, offset from v=0 inner, outer, width) pixels.
        phase: pixels added to u for dashes, so that the pieces of one road match.
        opacity: of the whole paint.
    """

    material: str
    gain: RGB = (1.0, 1.0, 1.0)
    rows: tuple[float, float] | None = None
    joints: tuple[float, float, float] | None = None
    lines: tuple[Line, ...] = ()
    bays: tuple[float, float, float, float] | None = None
    phase: float = 0.0
    opacity: float = 1.0

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        colours = canvas.texture(self.material, win)
        gain = self._gain(canvas)
        colours = colours * (gain if colours.ndim == 3 else gain[:, 0])
        if self.rows is not None:
            colours *= _stripes(cover.v, *self.rows)
        if self.joints is not None:
            colours *= _joints(cover, *self.joints)
        if self.lines:
            _draw_lines(colours, cover, self.lines, self.phase)
        if self.bays is not None:
            _draw_bays(colours, cover, *self.bays)
        alpha = cover.alpha if self.opacity == 1 else cover.alpha * np.float32(self.opacity)
        canvas.blend(win, alpha, colours)

    def fill(self, canvas: Canvas, win: Window) -> bool:
        """Copy the texture; only where nothing is drawn on it."""
        if self.rows or self.joints or self.lines or self.bays or self.opacity < 1:
            return False
        np.multiply(canvas.texture(self.material, win), self._gain(canvas), out=canvas.planes[(slice(None), *win.at)])
        return True

    def apply_sparse(self, canvas: Canvas, pixels: Spans, cover: Cover) -> None:
        """Paint single pixels."""
        self.apply(canvas, pixels, cover)  # type: ignore[arg-type]  # everything below takes both

    def _gain(self, canvas: Canvas) -> F32:
        red, green, blue = self.gain
        if MATERIALS[self.material].noun in GREEN_NOUNS:
            season = canvas.look.season
            red, green, blue = red * season[0], green * season[1], blue * season[2]
        return np.array(((((red,),), ((green,),), ((blue,),))), np.float32)


def _wave_table() -> F32:
    ramp = np.arange(256, dtype=np.float32) / 128 - 1  # a smooth hump from a cubic, no transcendental function
    hump = 1 - np.abs(ramp)
    table: F32 = (hump * hump * (3 - 2 * hump) * 2 - 1).astype(np.float32)
    return table


_WAVE = _wave_table()


def _stripes(v: F32, period: float, strength: float) -> F32:
    """Brightness of rows along u, about 1; faded out where they are finer than two pixels."""
    strength *= min(1.0, max(0.0, period - 1.4))
    place = (v * np.float32(256 / period) + np.float32(1 << 20)).astype(np.int32)
    place &= 255
    return 1 + np.float32(strength) * _WAVE.take(place)


def _joints(cover: Cover, pitch_u: float, pitch_v: float, strength: float) -> F32:
    """Brightness of a slab pattern: 1, and less on the joints."""
    light = np.ones(cover.u.shape, np.float32)
    for axis, pitch in ((cover.u, pitch_u), (cover.v, pitch_v)):
        if pitch > 2:
            place = axis * np.float32(1 / pitch)
            place -= np.floor(place)
            light -= np.float32(strength) * (place < np.float32(1 / pitch))
    return light


TABLE_STEPS = 6
"""Entries of a line table per pixel across."""


@lru_cache(maxsize=128)
def line_table(lines: tuple[Line, ...]) -> tuple[float, int, F32, F32]:
    """All lines of a road as one look-up across it.

    Returns:
        (reach, n, keep, ink): entry ``i`` of the first ``n`` stands for v = i / TABLE_STEPS - reach where dashes are
        off, entry ``n + i`` where they are on; what is below is multiplied by ``keep`` ``(2n,)``, then ``ink``
        ``(3, 2n)`` is added.
    """
    reach = max(abs(line.offset) + line.width / 2 for line in lines) + 1.0
    n = int(2 * reach * TABLE_STEPS) + 2
    v = (np.arange(n, dtype=np.float64) / TABLE_STEPS - reach).astype(np.float32)
    keep, ink = np.ones(2 * n, np.float32), np.zeros((3, 2 * n), np.float32)
    for line in lines:
        alpha = np.float32(line.width / 2 + 0.5) - np.abs(v - np.float32(line.offset))
        alpha = np.clip(alpha, 0, min(1.0, line.width)).astype(np.float32) * np.float32(line.strength)
        alpha = np.concatenate([alpha * np.float32(line.period == 0), alpha])
        keep *= 1 - alpha
        ink *= 1 - alpha
        ink += alpha * np.array(line.rgb, np.float32)[:, None]
    return reach, n, keep, ink


def _draw_lines(colours: F32, cover: Cover, lines: tuple[Line, ...], phase: float) -> None:
    """Lay all lines over ``colours``; the dashes of one road share one period."""
    reach, n, keep, ink = line_table(lines)
    place = ((cover.v + np.float32(reach)) * np.float32(TABLE_STEPS)).astype(np.int32)
    np.minimum(np.maximum(place, 0, out=place), n - 1, out=place)
    dashed = next((line for line in lines if line.period > 0), None)
    if dashed is not None:
        along = (cover.u + np.float32(phase)) * np.float32(1 / dashed.period)
        along -= np.floor(along)
        place += (along < np.float32(dashed.on / dashed.period)) * np.int32(n)
    colours *= keep.take(place)
    for band in range(3):
        colours[band] += ink[band].take(place)


def _draw_bays(colours: F32, cover: Cover, pitch: float, inner: float, outer: float, width: float) -> None:
    """Short lines across, as between parking spaces."""
    place = cover.u * np.float32(1 / pitch)
    place -= np.floor(place)
    away = np.minimum(place, 1 - place) * np.float32(pitch)
    alpha = np.clip(np.float32(width / 2 + 0.5) - away, 0, min(1.0, width))
    across = np.abs(cover.v)
    alpha *= (across > np.float32(inner)) & (across < np.float32(outer))
    colours += (np.float32(206) - colours) * (alpha * np.float32(0.75))


@dataclass(frozen=True, slots=True)
class SpritePaint(Paint):
    """A sprite's own paint with the object's colour."""

    colour: RGB

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        assert cover.sample is not None
        view = canvas.planes[(slice(None), *win.at)]
        assert cover.rest is not None
        view *= cover.rest
        view += cover.sample[:3]
        view += cover.sample[3] * np.array(self.colour, np.float32)[:, None, None]


@dataclass(frozen=True, slots=True)
class Wake(Paint):
    """Foam behind a ship: two arms and a churned middle, fading away from the bow at +u."""

    length: float
    width: float

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        behind = np.float32(0.5) - cover.u * np.float32(1 / self.length)  # 0 at the bow, 1 at the end
        spread = (behind * np.float32(0.72) + np.float32(0.1)) * np.float32(self.width)
        across = np.abs(cover.v)
        arm = 1 - np.abs(across - spread) * np.float32(3.2 / self.width)
        middle = 1 - across * np.float32(4.5 / self.width)
        foam = np.maximum(arm * np.float32(0.55), middle)
        foam *= 1 - behind
        foam *= np.float32(0.6) + np.float32(0.6) * canvas.grain("rough", win)
        np.clip(foam, 0, 0.8, out=foam)
        foam *= cover.alpha
        canvas.tone(win, foam, (206.0, 216.0, 214.0))


@dataclass(frozen=True, slots=True)
class Surf(Paint):
    """What the water does at a shore: a pale shelf and two broken lines of foam, from v = 0 seawards (+v)."""

    reach: float
    shelf: RGB = (112.0, 150.0, 142.0)

    def apply(self, canvas: Canvas, win: Window, cover: Cover) -> None:
        """Paint the window."""
        out = cover.v + canvas.grain("shore", win) * np.float32(self.reach * 0.16)
        pale = np.clip(1 - np.abs(out) * np.float32(1 / self.reach), 0, 1)
        canvas.tone(win, pale * pale * np.float32(0.75), self.shelf)
        ragged = canvas.grain("rough", win)
        for place, wide in ((0.04, 0.07), (0.3, 0.05)):
            line = 1 - np.abs(out - np.float32(place * self.reach)) * np.float32(1 / (wide * self.reach + 1))
            line += ragged * HALF - np.float32(0.15)
            canvas.tone(win, np.clip(line, 0, 0.75), (224.0, 228.0, 222.0))
