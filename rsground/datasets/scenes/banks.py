"""Texture banks: periodic noise and tree crowns, made once per process from fixed seeds.

Only additions, multiplications, square roots and table look-ups are used, and no reductions, so the same bytes come
out on every machine. Every array returned here is shared and must not be written to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

TILE = 512
"""Side of a bank in pixels; banks repeat seamlessly beyond it."""


def bank_rng(name: str) -> np.random.Generator:
    """The generator of one bank: seeded by its name, never by the scene."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([0x7E44A, crc32(name.encode())])))


def value_noise(rng: np.random.Generator, cells_y: int, cells_x: int, tile: int = TILE) -> F32:
    """One octave of periodic value noise in [-1, 1], ``(tile, tile)`` float32, smoothly interpolated."""
    lattice = rng.random((cells_y, cells_x), dtype=np.float32) * 2 - 1
    rows = _stretch(lattice, tile)
    return np.ascontiguousarray(_stretch(rows.T, tile).T)


def _stretch(lattice: F32, tile: int) -> F32:
    """Interpolate the first axis of a periodic lattice up to ``tile`` samples."""
    cells = lattice.shape[0]
    position = np.arange(tile, dtype=np.float64) * cells / tile
    low = position.astype(np.int64)
    part = (position - low).astype(np.float32)
    part = (part * part * (3 - 2 * part))[:, None]
    stretched: F32 = lattice[low] * (1 - part) + lattice[(low + 1) % cells] * part
    return stretched


@lru_cache(maxsize=64)
def noise(name: str) -> F32:
    """A named multi-octave bank, about [-1, 1]; the names are those of ``_OCTAVES``."""
    rng = bank_rng(name)
    total = np.zeros((TILE, TILE), np.float32)
    for cells_y, cells_x, weight in _OCTAVES[name]:
        total += value_noise(rng, cells_y, cells_x) * np.float32(weight)
    return total


_OCTAVES: dict[str, tuple[tuple[int, int, float], ...]] = {
    "grain": ((512, 512, 0.6), (256, 256, 0.5), (128, 128, 0.25)),
    "rough": ((256, 256, 0.45), (128, 128, 0.45), (64, 64, 0.4), (32, 32, 0.3)),
    "patches": ((64, 64, 0.35), (32, 32, 0.5), (16, 16, 0.5)),
    "clouds": ((32, 32, 0.2), (12, 12, 0.4), (6, 6, 0.6)),
    "ripples": ((256, 64, 0.5), (128, 48, 0.5), (64, 32, 0.3), (16, 12, 0.25)),
    "streaks": ((256, 16, 0.5), (128, 12, 0.4), (32, 8, 0.3)),
    "shore": ((24, 24, 0.5), (12, 12, 0.5), (48, 48, 0.2)),
}


@lru_cache(maxsize=1)
def sensor_noise() -> NDArray[np.int16]:
    """Sensor noise, ``(3, TILE, TILE)``, 32 is one unit: triangular rather than normal, partly common to the bands."""
    rng = bank_rng("sensor")
    own = rng.random((3, TILE, TILE), dtype=np.float32) - rng.random((3, TILE, TILE), dtype=np.float32)
    common = rng.random((TILE, TILE), dtype=np.float32) - rng.random((TILE, TILE), dtype=np.float32)
    mixed = (own * np.float32(1.3) + common * np.float32(1.9)) * np.float32(32)
    return np.rint(mixed).astype(np.int16)


class Canopy(NamedTuple):
    """A carpet of overlapping tree crowns; every array is ``(TILE, TILE)``.

    Attributes:
        crown: bool, inside a crown.
        edge: float32 in [0, 1], coverage of the crown, fading at its edge.
        slope_x, slope_y: float32 surface normal towards +x and +y, in [-1, 1].
        tint: float32 brightness of the crown with leaf texture, about 1.
        rank: float32 in [0, 1): a crown stands where its rank is below the wanted density.
        to_x, to_y: int16 offset from a pixel to its crown's centre.
    """

    crown: NDArray[np.bool_]
    edge: F32
    slope_x: F32
    slope_y: F32
    tint: F32
    rank: F32
    to_x: NDArray[np.int16]
    to_y: NDArray[np.int16]


CANOPY_PITCHES = (4, 8, 16, 32)
"""Mean distances of crowns in pixels, one bank each."""


@lru_cache(maxsize=len(CANOPY_PITCHES))
def canopy(pitch: int) -> Canopy:
    """Crowns on a jittered grid of ``pitch`` pixels (a power of two), the topmost one at every pixel."""
    rng = bank_rng(f"canopy-{pitch}")
    cells = TILE // pitch
    jitter = rng.random((2, cells, cells), dtype=np.float32) * np.float32(0.9 * pitch)
    radius = (rng.random((cells, cells), dtype=np.float32) * np.float32(0.42) + np.float32(0.36)) * np.float32(pitch)
    bright = rng.random((cells, cells), dtype=np.float32) * np.float32(0.5) + np.float32(0.72)
    order = rng.random((cells, cells), dtype=np.float32)
    lumps = noise("grain")
    ys, xs = np.mgrid[0:TILE, 0:TILE]
    cell_y, cell_x = ys // pitch, xs // pitch
    top = np.full((TILE, TILE), -1e9, np.float32)
    fields = [np.zeros((TILE, TILE), np.float32) for _ in range(7)]
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            row, column = (cell_y + step_y) % cells, (cell_x + step_x) % cells
            dx = ((cell_x + step_x) * pitch - xs).astype(np.float32) + jitter[0][row, column] - np.float32(0.5)
            dy = ((cell_y + step_y) * pitch - ys).astype(np.float32) + jitter[1][row, column] - np.float32(0.5)
            size = radius[row, column] * (1 + np.float32(0.22) * lumps)
            dome = size * size - dx * dx - dy * dy + order[row, column] * np.float32(0.6 * pitch * pitch)
            dome = np.where(size * size > dx * dx + dy * dy, dome, dome - np.float32(1e6))
            wins = dome > top
            top[wins] = dome[wins]
            depth = size - np.sqrt(dx * dx + dy * dy)
            values = (depth, -dx / size, -dy / size, bright[row, column], order[row, column], dx, dy)
            for stored, value in zip(fields, values, strict=True):
                stored[wins] = value[wins]
    cover, slope_x, slope_y, tint, rank, to_x, to_y = fields
    leaf = 1 + np.float32(0.16) * noise("grain")
    edge = np.clip(cover, 0, 1)
    return Canopy(
        cover > 0,
        edge,
        slope_x,
        slope_y,
        tint * leaf,
        rank,
        np.rint(to_x).astype(np.int16),
        np.rint(to_y).astype(np.int16),
    )


def crop(bank: NDArray[Any], x: int, y: int, width: int, height: int) -> NDArray[Any]:
    """``(..., height, width)`` of a periodic bank from (x, y); a view where it does not cross the seam."""
    tile = bank.shape[-1]
    x, y = x % tile, y % tile
    if x + width <= tile and y + height <= tile:
        return bank[..., y : y + height, x : x + width]
    if x + width > 2 * tile or y + height > 2 * tile:
        rows, columns = np.arange(y, y + height) % tile, np.arange(x, x + width) % tile
        wrapped: NDArray[Any] = bank.take(rows, axis=-2).take(columns, axis=-1)
        return wrapped
    piece = np.empty((*bank.shape[:-2], height, width), bank.dtype)
    down, right = min(height, tile - y), min(width, tile - x)
    piece[..., :down, :right] = bank[..., y : y + down, x : x + right]
    piece[..., :down, right:] = bank[..., y : y + down, : width - right]
    piece[..., down:, :right] = bank[..., : height - down, x : x + right]
    piece[..., down:, right:] = bank[..., : height - down, : width - right]
    return piece
