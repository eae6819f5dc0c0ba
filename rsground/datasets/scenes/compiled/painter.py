"""Drawing by kernels: a layer, the trees, the exposure. The plain ways are ``render`` and ``trees``, which decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import canopy, noise, sensor_noise
from rsground.datasets.scenes.canvas import Canvas, Look
from rsground.datasets.scenes.compiled import batches, colours, covers, optics, outlines, trees
from rsground.datasets.scenes.compiled.shading import Shade
from rsground.datasets.scenes.paints import Ground
from rsground.datasets.scenes.plan import Plan
from rsground.datasets.scenes.render import Placed, draw_single, sorted_by_size
from rsground.datasets.scenes.trees import TREE_HEIGHT, TREE_RGB, canopy_window, nearest_pitch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    I32 = NDArray[np.int32]


def draw_layer(group: list[Placed], labels: I32, canvas: Canvas | None, look: Look) -> None:
    """Shadows of a whole layer first, then its things one by one, then its small sprites in bulk."""
    single, small = sorted_by_size(group)
    size = labels.shape[0]
    sprites = [
        batches.stamp_out([placed.thing for placed in batch], [placed.number for placed in batch], side, size)
        for side, batch in small.items()
    ]
    standing = {} if canvas is None else _cast_shadows(canvas, single, sprites)
    for placed in single:
        _draw_single(placed, labels, canvas, look, standing.get(placed.number))
    for batch in sprites:
        batches.label(batch, labels)
        if canvas is not None:
            batches.paint(batch, canvas)


def _cast_shadows(canvas: Canvas, single: list[Placed], sprites: list[batches.Batch]) -> dict[int, F32]:
    """Darken the canvas; the coverages that were needed for it, by number."""
    standing = {}
    shade = Shade(canvas)
    for number, thing, win in single:
        if thing.height > 0:
            known = outlines.is_known(thing.shape)
            field = outlines.cover(thing.shape, win) if known else thing.shape.cover(win).alpha[None]
            standing[number] = field
            shade.cast(win, field, thing.height)
    for batch in sprites:
        shade.spread(batch, [thing.height for thing in batch.things])
    shade.apply()
    return standing


def _draw_single(placed: Placed, labels: I32, canvas: Canvas | None, look: Look, field: F32 | None) -> None:
    """One thing; ``field`` is its coverage if its shadow needed that already."""
    number, thing, win = placed
    if field is None and type(thing.paint) is Ground and thing.shape.is_plain_box:
        own = number if thing.labelled else -1
        colours.paint_box(thing.paint, thing.shape, win, own, labels, canvas, look)
    elif not colours.is_known(thing.paint) or not outlines.is_known(thing.shape):
        draw_single(placed, labels, canvas, None if field is None else thing.shape.cover(win))
    else:
        field = outlines.cover(thing.shape, win) if field is None else field
        if canvas is not None:
            colours.paint(thing.paint, canvas, win, field)
        if thing.labelled:
            covers.mark(field, win.x0, win.y0, labels, number)


def plant(plan: Plan, roots: I32, labels: I32, canvas: Canvas | None) -> None:
    """Let trees grow, as :func:`rsground.datasets.scenes.trees.plant`."""
    win = canopy_window(plan)
    if win is None:
        return
    pitch = nearest_pitch(plan.gsd)
    bank, (x, y) = canopy(pitch), plan.look.offset
    field = np.empty((1, *win.shape), np.float32)
    density = np.array([thing.trees for thing in plan.things], np.float32)
    at = (win.x0, win.y0, x, y)
    trees.stand(roots, density, bank.crown, bank.rank, bank.to_x, bank.to_y, *at, field)
    covers.mark(field, win.x0, win.y0, labels, len(plan.things))
    if canvas is None:
        return
    shade = Shade(canvas)
    shade.cast(win, field, TREE_HEIGHT)
    shade.apply()
    rgb = np.array([band * season for band, season in zip(TREE_RGB, plan.look.season, strict=True)], np.float32)
    slopes = (bank.slope_x, bank.slope_y, bank.tint, bank.edge)
    sun_x, sun_y = plan.look.sun
    trees.paint(canvas.planes, field, *at, *slopes, sun_x * 0.42, sun_y * 0.42, rgb)


def expose(planes: F32, look: Look) -> NDArray[np.uint8]:
    """Light, air, optics and sensor, as :func:`rsground.datasets.scenes.render.expose`."""
    _, height, width = planes.shape
    image = np.empty((height, width, 3), np.uint8)
    light = np.array([4 * gain * look.contrast for gain in look.gain], np.float32)
    haze = np.array([round(4 * haze) + 2 for haze in look.haze], np.int32)
    side, noise_level = round(look.blur * 64), round(look.noise * 8)
    optics.expose(planes, noise("clouds"), sensor_noise(), *look.offset, light, haze, side, noise_level, image)
    return image
