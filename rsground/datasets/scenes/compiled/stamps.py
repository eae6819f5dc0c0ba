"""Small sprites in bulk: the arithmetic of :mod:`rsground.datasets.scenes.stamps`, sprite by sprite.

A batch's pixels are listed in ``pixel`` ``(M,)`` flat index into the image, ``alpha`` ``(M,)`` coverage above 0 and
``place`` ``(M,)`` column of the book of texels; those of sprite k are ``bounds[k]:bounds[k + 1]``.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    F64 = NDArray[np.float64]
    I32 = NDArray[np.int32]
    I64 = NDArray[np.int64]
    U8 = NDArray[np.uint8]

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@compiled(
    "void(float64[:,::1], int64[:,::1], float32[:,::1], int64, int64, int32[::1], float32[::1], int32[::1], int64[::1])"
)
def stamp(
    poses: F64, leaves: I64, book: F32, side: int, size: int, pixel: I32, alpha: F32, place: I32, bounds: I64
) -> None:
    """List the pixels of a batch.

    Args:
        poses: ``(K, 6)``: x, y, cos, sin, pixels per metre, texels per pixel.
        leaves: ``(K, 3)``: first column of the book, ny, nx.
        book: ``(5, T)`` texels.
        side: of the window of each sprite, pixels.
        size: of the image.
        pixel, alpha, place: at least K * side * side long; filled.
        bounds: ``(K + 1,)``; filled.
    """
    m = 0
    for k in range(len(poses)):
        bounds[k] = m
        x, y = poses[k, 0], poses[k, 1]
        x0, y0 = floor(x - side / 2), floor(y - side / 2)
        at_x, at_y, c, s = np.float32(x - x0), np.float32(y - y0), np.float32(poses[k, 2]), np.float32(poses[k, 3])
        metres, zoom = np.float32(poses[k, 4]), np.float32(poses[k, 5])
        base, ny, nx = leaves[k, 0], leaves[k, 1], leaves[k, 2]
        middle_x, middle_y = np.float32(nx / 2), np.float32(ny / 2)
        for j in range(max(0, -y0), min(side, size - y0)):
            ys = np.float32(j) + HALF - at_y
            for i in range(max(0, -x0), min(side, size - x0)):
                xs = np.float32(i) + HALF - at_x
                column = int((xs * c + ys * s) * zoom + middle_x)
                row = int((ys * c - xs * s) * zoom + middle_y)
                texel = min(max(row, 0), ny - 1) * nx + min(max(column, 0), nx - 1) + base
                cover = book[0, texel] * metres + HALF
                if cover > ZERO:
                    pixel[m] = (y0 + j) * size + x0 + i
                    alpha[m] = cover if cover < ONE else ONE
                    place[m] = texel
                    m += 1
    bounds[len(poses)] = m


@compiled("void(int32[::1], float32[::1], int64[::1], float64[:,::1], int64, uint8[:,::1])")
def spread(pixel: I32, alpha: F32, bounds: I64, ways: F64, steps: int, shade: U8) -> None:
    """Shade from every pixel that is covered by half or more along the way ``(K, 2)`` of its sprite, in ``steps``."""
    size = len(shade)
    for k in range(len(ways)):
        last_x, last_y = 1 << 30, 1 << 30
        for step in range(1, steps + 1):
            dx, dy = int(np.rint(ways[k, 0] * (step / steps))), int(np.rint(ways[k, 1] * (step / steps)))
            if dx == last_x and dy == last_y:
                continue
            last_x, last_y = dx, dy
            for m in range(bounds[k], bounds[k + 1]):
                if alpha[m] >= HALF:
                    y, x = pixel[m] // size + dy, pixel[m] % size + dx
                    if 0 <= y < size and 0 <= x < size:
                        shade[y, x] = 1


@compiled("void(float32[:,:,::1], int32[::1], float32[::1], int32[::1], int64[::1], float32[:,::1], float32[:,::1])")
def paint(planes: F32, pixel: I32, alpha: F32, place: I32, bounds: I64, book: F32, colours: F32) -> None:
    """Paint a batch in its ``colours`` ``(K, 3)``, all over what was there before; where two meet, the later wins."""
    width, total = planes.shape[2], bounds[len(colours)]
    fresh = np.empty((3, total), np.float32)
    for k in range(len(colours)):
        for m in range(bounds[k], bounds[k + 1]):
            y, x = pixel[m] // width, pixel[m] % width
            for band in range(3):
                old = planes[band, y, x]
                new = colours[k, band] * book[4, place[m]] + book[1 + band, place[m]]
                fresh[band, m] = (new - old) * alpha[m] + old
    for m in range(total):
        y, x = pixel[m] // width, pixel[m] % width
        for band in range(3):
            planes[band, y, x] = fresh[band, m]


@compiled("void(int32[::1], float32[::1], int64[::1], int32[::1], int32[:,::1])")
def label(pixel: I32, alpha: F32, bounds: I64, numbers: I32, labels: I32) -> None:
    """Give the pixels that are covered by half or more to their sprites, whose ``numbers`` are ``(K,)``."""
    width = labels.shape[1]
    for k in range(len(numbers)):
        for m in range(bounds[k], bounds[k + 1]):
            if alpha[m] >= HALF:
                labels[pixel[m] // width, pixel[m] % width] = numbers[k]
