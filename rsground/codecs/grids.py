"""Masks to coarse grids and back: GeoGround's pooling and its alternatives.

Pixel row y belongs to grid row floor(y*N/H), and alike for columns: a partition, whose exact inverse is nearest
upsampling (pixel y reads cell floor(y*N/H)).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from rsground.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.types import Size

Downsample = Literal["max", "nearest", "coverage"]
DOWNSAMPLES: tuple[str, ...] = get_args(Downsample)


@lru_cache(maxsize=256)
def cell_starts(side: int, cells: int) -> NDArray[np.intp]:
    """``(cells,)`` first pixel of each cell; a cell without pixels repeats a neighbour's."""
    ceiling = -(-np.arange(cells) * side // cells)  # ceil(i * side / cells)
    starts: NDArray[np.intp] = np.minimum(ceiling, side - 1).astype(np.intp)
    starts.flags.writeable = False
    return starts


@lru_cache(maxsize=256)
def cell_of(side: int, cells: int) -> NDArray[np.intp]:
    """``(side,)`` the cell each pixel belongs to."""
    found = (np.arange(side) * cells // side).astype(np.intp)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=256)
def _centres(side: int, cells: int) -> NDArray[np.intp]:
    found = ((2 * np.arange(cells) + 1) * side // (2 * cells)).astype(np.intp)
    found.flags.writeable = False
    return found


def downsample(
    mask: NDArray[np.bool_], grid: Size, mode: Downsample = "max", threshold: float = 0.25
) -> NDArray[np.bool_]:
    """The mask on a coarse grid.

    Args:
        mask: ``(H, W)`` bool, at least one pixel.
        grid: (rows, columns) of the grid.
        mode: ``"max"``: 1 where any pixel of the cell is set (GeoGround: never loses an object, dilates it by up to
            a cell); ``"nearest"``: the pixel at the cell's centre (PIL's and Text4Seg's rule: loses small objects);
            ``"coverage"`` (ours): 1 where at least ``threshold`` of the cell is set, and the fullest cells when no
            cell reaches it, so that nothing is lost.
        threshold: share of a cell for ``"coverage"``.

    Returns:
        ``(rows, columns)`` bool.

    Raises:
        ShapeError: the mask is not a non-empty bool matrix, or the mode is unknown.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_ or 0 in mask.shape:
        raise ShapeError(f"a mask to be pooled must be a non-empty (H, W) bool array, got {mask.dtype} {mask.shape}")
    (height, width), (rows, columns) = mask.shape, grid
    if mode == "nearest":
        return mask[_centres(height, rows)][:, _centres(width, columns)]
    if mode == "max":
        bits = np.packbits(mask, axis=1)
        packed = _reduce_rows(bits, cell_starts(height, rows), np.bitwise_or)
        tall = np.unpackbits(packed.astype(np.uint8, copy=False), axis=1, count=width)
        turned = _reduce_rows(np.ascontiguousarray(tall.T), cell_starts(width, columns), np.bitwise_or)
        return np.ascontiguousarray(turned.T).view(np.bool_)
    if mode != "coverage":
        raise ShapeError(f"downsample must be one of {', '.join(DOWNSAMPLES)}, got {mode!r}")
    share = _counts(mask, rows, columns) / np.outer(_extent(height, rows), _extent(width, columns))
    kept = share >= threshold
    best = share.max()
    return kept if kept.any() or best == 0 else share == best


def _counts(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.integer]:
    """``(rows, columns)`` set pixels per cell."""
    height, width = mask.shape
    top, left = cell_starts(height, rows), cell_starts(width, columns)
    if height > 255 * rows or width > 256 * columns:  # sums would not fit the narrow integers below
        return np.add.reduceat(np.add.reduceat(mask, top, axis=0, dtype=np.uint32), left, axis=1)
    tall = _reduce_rows(mask.view(np.uint8), top, np.add)
    turned = np.ascontiguousarray(tall.T, dtype=np.uint16)
    return _reduce_rows(turned, left, np.add).T


def _reduce_rows(array: NDArray[np.integer], starts: NDArray[np.intp], ufunc: np.ufunc) -> NDArray[np.integer]:
    """``ufunc.reduceat`` over the rows, on eight bytes at a time.

    Sound for bitwise operations, and for sums where no column's sum leaves its own type.
    """
    array = np.ascontiguousarray(array)
    per_word = 8 // array.itemsize
    spare = -array.shape[1] % per_word
    if spare:
        array = np.pad(array, ((0, 0), (0, spare)))
    reduced = ufunc.reduceat(array.view(np.uint64), starts, axis=0).view(array.dtype)
    return reduced[:, :-spare] if spare else reduced


def upsample(grid: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """Nearest upsampling of a ``(rows, columns)`` grid to ``(H, W)``; the inverse of the partition."""
    (rows, columns), (height, width) = grid.shape, size
    if width % columns == 0:  # three times as fast
        wide = np.repeat(grid, width // columns, axis=1)
    else:
        wide = grid.take(cell_of(width, columns), axis=1)
    return wide.take(cell_of(height, rows), axis=0)


@lru_cache(maxsize=256)
def _extent(side: int, cells: int) -> NDArray[np.intp]:
    """Pixels that :func:`cell_starts` sums per cell; a repeated start counts its one pixel."""
    starts = cell_starts(side, cells)
    return np.maximum(np.diff(starts, append=side), 1).astype(np.intp)
