"""Grids of visual tokens over an image: one over all of it, a canvas of tiles, tiles of equal size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
Size = tuple[int, int]


def grid(rows: int, columns: int, left: float, top: float, width: float, height: float) -> Boxes:
    """Boxes ``(rows * columns, 4)`` that divide a rectangle, row by row."""
    xs = left + np.arange(columns + 1) * (width / columns)
    ys = top + np.arange(rows + 1) * (height / rows)
    x1, y1 = np.meshgrid(xs[:-1], ys[:-1])
    x2, y2 = np.meshgrid(xs[1:], ys[1:])
    return np.stack([x1, y1, x2, y2], axis=-1).reshape(-1, 4).astype(np.float32)


def canvas(config: Any, size: Size, most: int | None) -> Boxes:
    """Features of the tiles that show the image, row by row, each row followed by its line end."""
    tile = config.vision_config.image_size
    side = tile // config.vision_config.patch_size
    patch = tile / side
    target = best_canvas(size, config.image_grid_pinpoints)
    # Where the image lies in the canvas: resized to fit, the rest padded on both sides.
    scale = min(target[1] / size[1], target[0] / size[0])
    wide = target[1] / size[1] < target[0] / size[0]
    fit = (
        min(math.ceil(size[0] * scale), target[0]) if wide else target[0],
        target[1] if wide else min(math.ceil(size[1] * scale), target[1]),
    )
    shift = ((target[0] - fit[0]) // 2, (target[1] - fit[1]) // 2)
    # The cells that are kept, as the model counts them.
    cells = (target[0] // tile * side, target[1] // tile * side)
    if size[1] / size[0] > cells[1] / cells[0]:
        drop = ((cells[0] - int(round(size[0] * (cells[1] / size[1]), 7))) // 2, 0)
    else:
        drop = (0, (cells[1] - int(round(size[1] * (cells[0] / size[0]), 7))) // 2)
    kept = (cells[0] - 2 * drop[0], cells[1] - 2 * drop[1])
    rows, columns = kept
    if most is not None and (ratio := math.sqrt(kept[0] * kept[1] / (most * side**2))) > 1.1:
        rows, columns = int(kept[0] // ratio), int(kept[1] // ratio)
    down, across = size[0] / fit[0], size[1] / fit[1]
    found = grid(
        rows,
        columns,
        (drop[1] * patch - shift[1]) * across,
        (drop[0] * patch - shift[0]) * down,
        kept[1] * patch * across,
        kept[0] * patch * down,
    )
    lines = np.full((rows, columns + 1, 4), np.nan, np.float32)
    lines[:, :-1] = found.reshape(rows, columns, 4)
    return lines.reshape(-1, 4)


def best_canvas(size: Size, canvases: Sequence[Sequence[int]]) -> Size:
    """The canvas that keeps most of the image's pixels, and of those the one that wastes least."""
    best, rank = (0, 0), (-1.0, 0.0)
    for height, width in canvases:
        scale = min(width / size[1], height / size[0])
        kept = min(int(size[1] * scale) * int(size[0] * scale), size[0] * size[1])
        if (kept, kept - height * width) > rank:
            best, rank = (int(height), int(width)), (kept, kept - height * width)
    return best


def arrangement(size: Size, least: int, most: int, tile: int) -> tuple[int, int]:
    """Columns and rows of tiles whose aspect is closest to the image's; of equal ones the larger, if it is no more than
    twice as large as the image.

    Args:
        size: (height, width) of the image.
        least, most: bounds of the number of tiles.
        tile: pixels of a tile.
    """
    pairs = [(c, r) for c in range(1, most + 1) for r in range(1, most + 1) if least <= c * r <= most]
    aspect, best, off = size[1] / size[0], (1, 1), math.inf
    for columns, rows in sorted(pairs, key=lambda pair: pair[0] * pair[1]):
        away = abs(aspect - columns / rows)
        larger = away == off and size[0] * size[1] > 0.5 * tile * columns * rows
        if away < off or larger:
            best, off = (columns, rows), away
    return best
