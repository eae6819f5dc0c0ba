"""From a paint to the kernel that lays it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import noise
from rsground.datasets.scenes.compiled import foam, ground, roofs
from rsground.datasets.scenes.frames import TILE_SIDE
from rsground.datasets.scenes.materials import MATERIALS, texture
from rsground.datasets.scenes.paints import _WAVE, GREEN_NOUNS, Ground, Line, Paint, SpritePaint, Surf, Wake
from rsground.datasets.scenes.roofs import FlatRoof, PitchedRoof, TankTop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.datasets.scenes.canvas import Canvas, Look
    from rsground.datasets.scenes.frames import Window
    from rsground.datasets.scenes.shapes import Shape

    F32 = NDArray[np.float32]

_NO_PLANES = np.empty((3, 0, 0), np.float32)
_NO_LINES = (np.empty(0, np.float32), np.empty((3, 0), np.float32))


def is_known(paint: Paint) -> bool:
    """Whether there is a kernel for such a paint."""
    return type(paint) in _LAY


def paint(of: Paint, canvas: Canvas, win: Window, field: F32) -> None:
    """Paint what ``field`` covers of the window."""
    _LAY[type(of)](of, canvas, win, field)


def paint_box(
    of: Ground, shape: Shape, win: Window, number: int, labels: NDArray[np.int32], canvas: Canvas | None, look: Look
) -> None:
    """Paint and label a box of ground; ``number`` is below 0 if it takes no pixels."""
    thin = shape.is_thin(win)
    height, width = win.shape
    down, across = max(1, round(height / TILE_SIDE)), max(1, round(width / TILE_SIDE))
    if down * across <= 2:
        down = across = 1
    planes = _NO_PLANES if canvas is None else canvas.planes
    x, y, _, cos, sin = shape.frame
    at = (*win, x, y, cos, sin, shape.half_u, shape.half_v, thin, down, across)
    bank, cut_x, cut_y, style, wave, keep, ink = _texture(of, look)
    ground.lay_box(planes, labels, number, *at, bank, cut_x, cut_y, style, wave, keep, ink)


def _ground(of: Ground, canvas: Canvas, win: Window, field: F32) -> None:
    ground.lay(canvas.planes, field, win.x0, win.y0, *_texture(of, canvas.look))


def _texture(of: Ground, look: Look) -> tuple[F32, int, int, F32, F32, F32, F32]:
    """What both kernels of ground take: bank, where it is cut, style, stripes, lines."""
    keep, ink = _NO_LINES
    style = [*of.gain, of.opacity, *([0.0] * (ground.STYLE - 4))]
    if MATERIALS[of.material].noun in GREEN_NOUNS:
        style[:3] = [gain * season for gain, season in zip(of.gain, look.season, strict=True)]
    if of.rows is not None:
        period, strength = of.rows
        style[ground.ROWS] = 256 / period
        style[ground.ROW_STRENGTH] = strength * min(1.0, max(0.0, period - 1.4))
    if of.joints is not None:
        style[ground.JOINTS_U], style[ground.JOINTS_V] = (1 / pitch if pitch > 2 else 0.0 for pitch in of.joints[:2])
        style[ground.JOINT_STRENGTH] = of.joints[2]
    if of.lines:
        reach, keep, ink = _tables(of.lines)
        style[ground.REACH], style[ground.PHASE] = reach, of.phase
        dashed = next((line for line in of.lines if line.period > 0), None)
        if dashed is not None:
            style[ground.DASHES], style[ground.DASH_SHARE] = 1 / dashed.period, dashed.on / dashed.period
    if of.bays is not None:
        pitch, inner, outer, width = of.bays
        style[ground.BAYS :] = [1 / pitch, pitch, inner, outer, width / 2 + 0.5, min(1.0, width)]
    x, y = look.offset
    return texture(of.material), x, y, np.array(style, np.float32), _WAVE, keep, ink


def _tables(lines: tuple[Line, ...]) -> tuple[float, F32, F32]:
    """As :func:`rsground.datasets.scenes.paints.line_table`."""
    reach = max(abs(line.offset) + line.width / 2 for line in lines) + 1.0
    n = int(2 * reach * 6) + 2
    keep, ink = np.ones(2 * n, np.float32), np.zeros((3, 2 * n), np.float32)
    rows = [
        (line.width / 2 + 0.5, line.offset, min(1.0, line.width), line.strength, line.period == 0, *line.rgb)
        for line in lines
    ]
    ground.tabulate(np.array(rows, np.float32), reach, keep, ink)
    return reach, keep, ink


def _grain(look: Look) -> tuple[int, int]:
    """Where a scene cuts into the grain banks: column and row."""
    x, y = look.offset
    return y + 77, x + 31


def _rgb(rgb: Sequence[float]) -> F32:
    return np.array(rgb, np.float32)


def _sprite(of: SpritePaint, canvas: Canvas, win: Window, field: F32) -> None:
    foam.sprite(canvas.planes, field, win.x0, win.y0, _rgb(of.colour))


def _wake(of: Wake, canvas: Canvas, win: Window, field: F32) -> None:
    foam.wake(canvas.planes, field, win.x0, win.y0, noise("rough"), *_grain(canvas.look), of.length, of.width)


def _surf(of: Surf, canvas: Canvas, win: Window, field: F32) -> None:
    banks = (noise("shore"), noise("rough"))
    foam.surf(canvas.planes, field, win.x0, win.y0, *banks, *_grain(canvas.look), of.reach, _rgb(of.shelf))


def _pitched(of: PitchedRoof, canvas: Canvas, win: Window, field: F32) -> None:
    sun_u, sun_v = (float(np.float32(of.slope) * np.float32(sun)) for sun in _local_sun(canvas, of))
    tilts = _rgb((1 + sun_v, 1 - sun_v, 1 + sun_u, 1 - sun_u))
    seams = 1 / of.seams if of.seams > 2 else 0.0
    banks, parts = (noise("grain"), noise("patches")), np.array(of.parts, np.float64)
    at = (win.x0, win.y0, *banks, *_grain(canvas.look))
    roofs.pitched(canvas.planes, field, *at, _rgb(of.rgb), parts, of.hipped, seams, tilts)


def _flat(of: FlatRoof, canvas: Canvas, win: Window, field: F32) -> None:
    sun_u, sun_v = _local_sun(canvas, of)
    wall = 1.3 * of.scale
    moved = [(at_u - wall * sun_u, at_v - wall * sun_v, half_u, half_v) for at_u, at_v, half_u, half_v in of.parts]
    boxes = np.array(of.boxes, np.float32).reshape(-1, 5)
    panels = 1 / of.panels if of.panels > 2 else 0.0
    at = (win.x0, win.y0, noise("grain"), noise("patches"), *_grain(canvas.look))
    plan = (np.array(of.parts, np.float32), np.array(moved, np.float32), boxes)
    sizes = (panels, max(0.8 * of.scale, 0.8), 1.4 * of.scale, sun_u, sun_v)
    roofs.flat(canvas.planes, field, *at, _rgb(of.rgb), *plan, *sizes)


def _local_sun(canvas: Canvas, of: PitchedRoof | FlatRoof) -> tuple[float, float]:
    """The sun's direction in the axes of a building."""
    x, y = canvas.look.sun
    return (x * of.cos + y * of.sin, y * of.cos - x * of.sin)


def _tank(of: TankTop, canvas: Canvas, win: Window, field: F32) -> None:
    at = (win.x0, win.y0, noise("patches"), *_grain(canvas.look))
    roofs.tank(canvas.planes, field, *at, _rgb(of.rgb), of.radius, of.floating, *canvas.look.sun)


_LAY: dict[type[Paint], Callable[..., None]] = {
    Ground: _ground,
    SpritePaint: _sprite,
    Wake: _wake,
    Surf: _surf,
    PitchedRoof: _pitched,
    FlatRoof: _flat,
    TankTop: _tank,
}
