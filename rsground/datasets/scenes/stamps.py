"""Small sprites in bulk: all cars and boats of a layer are sampled, painted and labelled by a few array operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsground.datasets.scenes.canvas import Canvas
from rsground.datasets.scenes.frames import HALF, coverage
from rsground.datasets.scenes.paints import SpritePaint
from rsground.datasets.scenes.plan import Thing
from rsground.datasets.scenes.sprites import Sprite, atlas, level_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.datasets.scenes.shadows import ShadowMap

    F32 = NDArray[np.float32]

SIDES = (12, 20, 32, 48)
"""Window sides in pixels that sprites are sorted into; larger ones are drawn one by one."""


class Stamps(NamedTuple):
    """Pixels of sprites of about one size, one entry per (sprite, pixel), in painting order.

    Attributes:
        pixel: ``(M,)`` flat index into the image.
        alpha: ``(M,)`` coverage, above 0.
        place: ``(M,)`` column of ``book``.
        owner: ``(M,)`` index of the sprite in the batch.
        book: ``(5, T)`` texels of every design in use, see :class:`rsground.datasets.scenes.sprites.Atlas`.
    """

    pixel: NDArray[np.int64]
    alpha: F32
    place: NDArray[np.int32]
    owner: NDArray[np.int64]
    book: F32


def side_of(thing: Thing) -> int | None:
    """The window side a thing belongs to, None if it is no small sprite."""
    shape = thing.shape
    if not isinstance(shape, Sprite):
        return None
    need = 2 * math.hypot(shape.half_u, shape.half_v) + 2
    for side in SIDES:
        if need <= side:
            return side
    return None


def stamp_out(things: Sequence[Thing], side: int, size: int) -> Stamps:
    """The pixels of sprites that all fit into ``side`` x ``side`` windows, in a ``size`` x ``size`` image."""
    poses: dict[tuple[str, float, float, float, float], int] = {}
    models: list[Thing] = []
    pose_of, corners = [], []
    for thing in things:
        shape = thing.shape
        assert isinstance(shape, Sprite)
        x0, y0 = math.floor(shape.frame.x - side / 2), math.floor(shape.frame.y - side / 2)
        pose = (shape.name, shape.scale, shape.frame.angle, shape.frame.x - x0, shape.frame.y - y0)
        at = poses.setdefault(pose, len(models))
        if at == len(models):
            models.append(thing)
        pose_of.append(at)
        corners.append((x0, y0))
    sampled = _sample(models, list(poses), side)
    which = np.array(pose_of)
    count = np.diff(sampled.bounds)[which]
    owner = np.repeat(np.arange(len(things)), count)
    chosen = np.arange(len(owner)) + (sampled.bounds[which] - np.cumsum(count) + count).take(owner)
    corner = np.array(corners)
    x, y = sampled.x.take(chosen), sampled.y.take(chosen)
    x += corner[:, 0].take(owner)
    y += corner[:, 1].take(owner)
    if corner.min() < 0 or corner.max() + side > size:
        seen = np.flatnonzero((x >= 0) & (x < size) & (y >= 0) & (y < size))
        chosen, owner, x, y = chosen.take(seen), owner.take(seen), x.take(seen), y.take(seen)
    y *= size
    y += x
    return Stamps(y, sampled.alpha.take(chosen), sampled.place.take(chosen), owner, sampled.book)


class Sampled(NamedTuple):
    """The covered pixels of every different (design, pose) of a batch.

    Attributes:
        x, y: ``(P,)`` pixel in the sprite's own window.
        alpha: ``(P,)`` coverage, above 0.
        place: ``(P,)`` column of ``book``.
        bounds: ``(K + 1,)`` pixels of pose k are ``bounds[k]:bounds[k + 1]``.
        book: see :class:`Stamps`.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    alpha: F32
    place: NDArray[np.int32]
    bounds: NDArray[np.int64]
    book: F32


def _sample(models: Sequence[Thing], poses: Sequence[tuple[str, float, float, float, float]], side: int) -> Sampled:
    """Sample each pose once: ``poses`` are (design, scale, angle, x, y of the centre in its window)."""
    book, texels = _book(models)
    turn = np.array([(thing.shape.frame.cos, thing.shape.frame.sin) for thing in models], np.float32)[:, :, None, None]
    middle = np.array([pose[3:] for pose in poses], np.float32)[:, :, None, None]
    grid = np.arange(side, dtype=np.float32) + HALF
    xs, ys = grid - middle[:, 0], grid[:, None] - middle[:, 1]
    cos, sin = turn[:, 0], turn[:, 1]
    base, nx, ny, per_pixel = texels
    scale = per_pixel.astype(np.float32)[:, None, None]
    column = ((xs * cos + ys * sin) * scale + (nx / 2).astype(np.float32)[:, None, None]).astype(np.int32)
    row = ((ys * cos - xs * sin) * scale + (ny / 2).astype(np.float32)[:, None, None]).astype(np.int32)
    wide = nx.astype(np.int32)[:, None, None]
    np.minimum(np.maximum(column, 0, out=column), wide - 1, out=column)
    np.minimum(np.maximum(row, 0, out=row), ny.astype(np.int32)[:, None, None] - 1, out=row)
    row *= wide
    row += column
    row += base.astype(np.int32)[:, None, None]
    metres = np.array([pose[1] for pose in poses], np.float32)[:, None, None]
    alpha = coverage(book[0].take(row) * metres).reshape(len(models), -1)
    chosen = np.flatnonzero(alpha)
    bounds = np.searchsorted(chosen, np.arange(len(models) + 1) * (side * side))
    y, x = np.divmod(chosen % (side * side), side)
    return Sampled(x, y, alpha.take(chosen), row.take(chosen), bounds, book)


def _book(things: Sequence[Thing]) -> tuple[F32, NDArray[np.float64]]:
    """Texels of every (design, level) in use side by side; per thing: first texel, nx, ny, texels per pixel."""
    pages: dict[tuple[str, int], int] = {}
    leaves: list[F32] = []
    total = 0
    rows = []
    for thing in things:
        shape = thing.shape
        assert isinstance(shape, Sprite)
        drawn = atlas(shape.name)
        level = level_for(shape.scale, drawn.texel)
        start = pages.get((shape.name, level))
        if start is None:
            start = pages[shape.name, level] = total
            leaves.append(drawn.levels[level])
            total += drawn.levels[level].shape[1]
        ny, nx = drawn.shapes[level]
        rows.append((start, nx, ny, 1 / (shape.scale * drawn.texel * 2**level)))
    book = leaves[0] if len(leaves) == 1 else np.concatenate(leaves, axis=1)
    return book, np.array(rows, np.float64).T


def cast(stamps: Stamps, things: Sequence[Thing], shadows: ShadowMap) -> None:
    """Throw the shadows of a batch, pixel by pixel along their way."""
    solid = stamps.alpha >= HALF
    shadows.spread(stamps.pixel[solid], stamps.owner[solid], [thing.height for thing in things])


def paint(stamps: Stamps, things: Sequence[Thing], canvas: Canvas) -> None:
    """Paint a batch."""
    colours = np.array([_colour(thing) for thing in things], np.float32).T
    texels = stamps.book[1:].take(stamps.place, axis=1)
    fresh = colours.take(stamps.owner, axis=1)
    fresh *= texels[3]
    fresh += texels[:3]
    flat = canvas.planes.reshape(3, -1)
    for band in range(3):
        old = flat[band].take(stamps.pixel)
        new = fresh[band]
        new -= old
        new *= stamps.alpha
        new += old
        flat[band][stamps.pixel] = new


def _colour(thing: Thing) -> tuple[float, float, float]:
    assert isinstance(thing.paint, SpritePaint)
    return thing.paint.colour


def label(stamps: Stamps, numbers: Sequence[int], labels: NDArray[np.int32]) -> None:
    """Give the pixels of a batch to their sprites; where two meet, the later one has them."""
    solid = stamps.alpha >= HALF
    labels.reshape(-1)[stamps.pixel[solid]] = np.array(numbers, np.int32)[stamps.owner[solid]]
