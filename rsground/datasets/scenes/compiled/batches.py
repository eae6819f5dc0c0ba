"""Small sprites in bulk, by kernels; the plain way is :mod:`rsground.datasets.scenes.stamps`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsground.datasets.scenes.compiled import stamps
from rsground.datasets.scenes.paints import SpritePaint
from rsground.datasets.scenes.sprites import Sprite, atlas, level_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.datasets.scenes.canvas import Canvas
    from rsground.datasets.scenes.plan import Thing

    F32 = NDArray[np.float32]


class Batch(NamedTuple):
    """Sprites that fit into windows of one side; the arrays are those of the kernels."""

    things: list[Thing]
    numbers: NDArray[np.int32]
    pixel: NDArray[np.int32]
    alpha: F32
    place: NDArray[np.int32]
    bounds: NDArray[np.int64]
    book: F32


class Book:
    """Texels of every (design, level) that small sprites have used in this process, side by side."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._used = 0
        self.texels: F32 = np.empty((5, 1 << 16), np.float32)

    def page(self, name: str, level: int) -> tuple[int, int, int]:
        """(first column, ny, nx); added if it is new. Read :attr:`texels` afterwards."""
        with self._lock:
            found = self._pages.get((name, level))
            return self._add(name, level) if found is None else found

    def _add(self, name: str, level: int) -> tuple[int, int, int]:
        drawn = atlas(name)
        leaf, start = drawn.levels[level], self._used
        self._used += leaf.shape[1]
        if self._used > self.texels.shape[1]:
            larger = np.empty((5, 2 * self._used), np.float32)
            larger[:, :start] = self.texels[:, :start]
            self.texels = larger
        self.texels[:, start : self._used] = leaf
        self._pages[name, level] = (start, *drawn.shapes[level])
        return self._pages[name, level]


_BOOK = Book()


@lru_cache(maxsize=4096)
def _zoom(name: str, scale: float) -> tuple[int, float]:
    """The level to sample a design from at ``scale`` pixels per metre, and its texels per pixel."""
    texel = atlas(name).texel
    level = level_for(scale, texel)
    return level, 1 / (scale * texel * 2**level)


def stamp_out(things: list[Thing], numbers: Sequence[int], side: int, size: int) -> Batch:
    """The pixels of sprites that all fit into ``side`` x ``side`` windows, in a ``size`` x ``size`` image."""
    poses, leaves = [], []
    for thing in things:
        shape = thing.shape
        assert isinstance(shape, Sprite)
        level, per_pixel = _zoom(shape.name, shape.scale)
        x, y, _, cos, sin = shape.frame
        poses.append((x, y, cos, sin, shape.scale, per_pixel))
        leaves.append(_BOOK.page(shape.name, level))
    book = _BOOK.texels
    room = len(things) * side * side
    pixel, alpha, place = np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.int32)
    bounds = np.empty(len(things) + 1, np.int64)
    stamps.stamp(np.array(poses, np.float64), np.array(leaves), book, side, size, pixel, alpha, place, bounds)
    return Batch(things, np.array(numbers, np.int32), pixel, alpha, place, bounds, book)


def paint(batch: Batch, canvas: Canvas) -> None:
    """Paint a batch."""
    colours = np.array([_colour(thing) for thing in batch.things], np.float32)
    stamps.paint(canvas.planes, batch.pixel, batch.alpha, batch.place, batch.bounds, batch.book, colours)


def _colour(thing: Thing) -> tuple[float, float, float]:
    assert isinstance(thing.paint, SpritePaint)
    return thing.paint.colour


def label(batch: Batch, labels: NDArray[np.int32]) -> None:
    """Give the pixels of a batch to their sprites; where two meet, the later one has them."""
    stamps.label(batch.pixel, batch.alpha, batch.bounds, batch.numbers, labels)
