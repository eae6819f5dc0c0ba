"""Painter's pass over a plan: the label map, and the pixels if they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsground.datasets.scenes.banks import crop, noise, sensor_noise
from rsground.datasets.scenes.canvas import Canvas, Look
from rsground.datasets.scenes.compiled.switch import is_compiled
from rsground.datasets.scenes.frames import HALF, Cover, Window, tiles
from rsground.datasets.scenes.paints import Ground
from rsground.datasets.scenes.plan import Layer, Plan, Thing
from rsground.datasets.scenes.shadows import ShadowMap
from rsground.datasets.scenes.shapes import sparse_cover
from rsground.datasets.scenes.stamps import SIDES, Stamps, cast, label, paint, side_of, stamp_out
from rsground.datasets.scenes.trees import plant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    I32 = NDArray[np.int32]


class Drawing(NamedTuple):
    """A drawn plan.

    Attributes:
        labels: ``(H, W)`` int32: index into ``plan.things`` of what is seen; ``len(plan.things)`` is a tree.
        planes: ``(3, H, W)`` float32 RGB before light, air and sensor; None when only labels were asked for.
    """

    labels: NDArray[np.int32]
    planes: F32 | None


class Placed(NamedTuple):
    """A thing and the part of the image it can touch."""

    number: int
    thing: Thing
    win: Window


class Batch(NamedTuple):
    """Small sprites drawn together."""

    stamps: Stamps
    placed: list[Placed]


def draw(plan: Plan, pixels: bool) -> Drawing:
    """Draw a plan: its label map, and with ``pixels`` its unlit colours. The labels are the same either way."""
    size = plan.size
    labels = np.zeros((size, size), np.int32)
    canvas = Canvas(np.zeros((3, size, size), np.float32), plan.look, plan.gsd) if pixels else None
    draw_layer, grow = _hands(plan.look)
    layers = [(layer, list(group)) for layer, group in groupby(_placed(plan, pixels), key=lambda at: at.thing.layer)]
    for _, group in filter(lambda layer: layer[0] < Layer.HIGH, layers):
        draw_layer(group, labels, canvas)
    grow(plan, _roots(plan) if plan.hidden else labels, labels, canvas)
    for _, group in filter(lambda layer: layer[0] >= Layer.HIGH, layers):
        draw_layer(group, labels, canvas)
    return Drawing(labels, None if canvas is None else canvas.planes)


def _hands(look: Look) -> tuple[Callable[[list[Placed], I32, Canvas | None], None], Callable[..., None]]:
    """What draws a layer and what plants trees: kernels where they can be had, else what stands here."""
    if not is_compiled():
        return _draw_layer, plant
    from rsground.datasets.scenes.compiled import painter

    return partial(painter.draw_layer, look=look), painter.plant


def _roots(plan: Plan) -> NDArray[np.int32]:
    """The label map that trees grow on: of the plan with nothing hidden, so that both pictures of a pair agree."""
    labels = np.zeros((plan.size, plan.size), np.int32)
    draw_layer, _ = _hands(plan.look)
    everything = _placed(replace(plan, hidden=frozenset()), False)
    for layer, group in groupby(everything, key=lambda at: at.thing.layer):
        if layer < Layer.HIGH:
            draw_layer(list(group), labels, None)
    return labels


def _placed(plan: Plan, pixels: bool) -> list[Placed]:
    """Everything that leaves a trace, in painting order."""
    placed = []
    for number, thing in enumerate(plan.things):
        if (thing.labelled or pixels) and number not in plan.hidden:
            placed.append(Placed(number, thing, thing.win))
    return placed


def _draw_layer(group: list[Placed], labels: NDArray[np.int32], canvas: Canvas | None) -> None:
    """Shadows of a whole layer first, then its things one by one, then its small sprites in bulk."""
    single, small = sorted_by_size(group)
    batches = [
        Batch(stamp_out([placed.thing for placed in batch], side, labels.shape[0]), batch)
        for side, batch in small.items()
    ]
    standing = {} if canvas is None else _cast_shadows(canvas, single, batches)
    for placed in single:
        draw_single(placed, labels, canvas, standing.pop(placed.number, None))
    for batch in batches:
        label(batch.stamps, [placed.number for placed in batch.placed], labels)
        if canvas is not None:
            paint(batch.stamps, [placed.thing for placed in batch.placed], canvas)


def draw_single(placed: Placed, labels: NDArray[np.int32], canvas: Canvas | None, cover: Cover | None) -> None:
    """One thing, in the way that looks at the fewest pixels."""
    number, thing, win = placed
    if cover is None and thing.shape.is_plain_box and isinstance(thing.paint, Ground):
        if thing.shape.is_thin(win):
            _draw_thin(number, thing, win, labels, canvas)
            return
        for tile in [win] if thing.shape.fills(win) else tiles(win):
            if thing.shape.fills(tile):
                _fill(number, thing, tile, labels, canvas)
            elif not thing.shape.misses(tile):
                _paint_window(number, thing, tile, thing.shape.cover(tile), labels, canvas)
        return
    _paint_window(number, thing, win, cover or thing.shape.cover(win), labels, canvas)


def _fill(number: int, thing: Thing, win: Window, labels: NDArray[np.int32], canvas: Canvas | None) -> None:
    """A window that lies wholly inside."""
    if canvas is not None and not thing.paint.fill(canvas, win):
        _paint_window(number, thing, win, thing.shape.cover(win), labels, canvas)
    elif thing.labelled:
        labels[win.at] = number


def _paint_window(
    number: int, thing: Thing, win: Window, cover: Cover, labels: NDArray[np.int32], canvas: Canvas | None
) -> None:
    if canvas is not None:
        thing.paint.apply(canvas, win, cover)
    if thing.labelled:
        np.copyto(labels[win.at], np.int32(number), where=cover.alpha >= HALF)


def _draw_thin(number: int, thing: Thing, win: Window, labels: NDArray[np.int32], canvas: Canvas | None) -> None:
    """A long thin box of ground, pixel by pixel."""
    pixels, cover = sparse_cover(thing.shape, win)
    if canvas is not None:
        assert isinstance(thing.paint, Ground)
        thing.paint.apply_sparse(canvas, pixels, cover)
    if thing.labelled:
        solid = np.flatnonzero(cover.alpha >= HALF)
        labels.reshape(-1)[pixels.y.take(solid) * labels.shape[1] + pixels.x.take(solid)] = number


def sorted_by_size(group: list[Placed]) -> tuple[list[Placed], dict[int, list[Placed]]]:
    """What is drawn alone, and small sprites by their window side, smallest last."""
    single: list[Placed] = []
    small: dict[int, list[Placed]] = {side: [] for side in reversed(SIDES)}
    for placed in group:
        side = side_of(placed.thing)
        (single if side is None else small[side]).append(placed)
    return single, {side: batch for side, batch in small.items() if batch}


def _cast_shadows(canvas: Canvas, single: list[Placed], batches: list[Batch]) -> dict[int, Cover]:
    """Darken the canvas; the coverages that were needed for it, by number."""
    standing = {}
    shadows = ShadowMap(canvas)
    for number, thing, win in single:
        if thing.height > 0:
            standing[number] = thing.shape.cover(win)
            shadows.cast(win, standing[number].alpha >= HALF, thing.height)
    for batch in batches:
        cast(batch.stamps, [placed.thing for placed in batch.placed], shadows)
    shadows.apply()
    return standing


def expose(planes: F32, look: Look) -> NDArray[np.uint8]:
    """Light, air, optics and sensor: ``(H, W, 3)`` uint8 from ``planes``.

    Blur and noise run in 16-bit fixed point, a quarter of a grey level fine.
    """
    if is_compiled():
        from rsground.datasets.scenes.compiled import painter

        return painter.expose(planes, look)
    _, height, width = planes.shape
    x, y = look.offset
    uneven = crop(noise("clouds"), x + 191, y + 67, width, height) * np.float32(0.05)
    uneven += 1
    soft = np.empty(planes.shape, np.int16)
    light = np.empty_like(uneven)
    for band in range(3):
        np.multiply(uneven, np.float32(4 * look.gain[band] * look.contrast), out=light)
        light *= planes[band]
        soft[band] = light
    soft = _blur(soft, round(look.blur * 64))
    grain = crop(sensor_noise(), y + 13, x + 101, width, height) * np.int16(round(look.noise * 8))
    grain >>= 6
    soft += grain
    soft += np.array([round(4 * haze) + 2 for haze in look.haze], np.int16)[:, None, None]
    soft >>= 2
    soft.clip(0, 255, out=soft)
    image = np.empty((height, width, 3), np.uint8)
    for band in range(3):
        image[:, :, band] = soft[band]
    return image


def _blur(planes: NDArray[np.int16], side: int) -> NDArray[np.int16]:
    """Three taps each way: (side, 64 - 2 side, side) / 64, borders repeated; values must stay below 2^15 / 11.

    Neighbours are added along the flat array, which is several times faster than row by row; what that carries from the
    end of one line to the start of the next is put right afterwards.
    """
    flat = planes.reshape(-1)
    for step, axis in ((1, 2), (planes.shape[2], 1)):
        edge = planes * np.int16(side)
        edge >>= 6
        planes -= edge
        planes -= edge
        shares = edge.reshape(-1)
        flat[step:] += shares[:-step]
        flat[:-step] += shares[step:]
        first, last = _ends(planes, axis)
        own_first, own_last = _ends(edge, axis)
        strayed = own_first[1:] - own_last[:-1]
        first[1:] += strayed
        last[:-1] -= strayed
        first[0] += own_first[0]
        last[-1] += own_last[-1]
    return planes


def _ends(planes: NDArray[np.int16], axis: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The first and the last entry of every line along the last axis, or of every plane along axis 1; views."""
    lines = planes.reshape(-1, planes.shape[2], 1) if axis == 2 else planes
    return lines[:, 0], lines[:, -1]
