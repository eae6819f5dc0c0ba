"""Light, air, optics and sensor in one pass: the arithmetic of :func:`rsground.datasets.scenes.render.expose`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    I16 = NDArray[np.int16]

WRAP, TILE = 511, 512
"""Banks repeat after 512 pixels."""
UNEVEN = np.float32(0.05)
ONE = np.float32(1)


@helper
def _cut(line, bank, column):  # type: ignore[no-untyped-def]
    """Fill a line from a line of a bank, cut at ``column``."""
    done = 0
    while done < len(line):
        column &= WRAP
        run = min(len(line) - done, TILE - column)
        target, source = line[done : done + run], bank[column : column + run]
        for i in range(len(target)):  # a copy of slices compiles to far more code
            target[i] = source[i]
        done += run
        column += run


@helper
def _share(edge, soft, side):  # type: ignore[no-untyped-def]
    """What every pixel gives to each neighbour."""
    for i in range(len(soft)):
        edge[i] = np.int32(soft[i] * side) >> 6


@helper
def _across(line, soft, edge):  # type: ignore[no-untyped-def]
    """Blur one line; ``edge`` is one longer at both ends, where a pixel keeps the share it has no neighbour for."""
    edge[0], edge[-1] = edge[1], edge[-2]
    for i in range(len(line)):
        line[i] = soft[i] - 2 * edge[i + 1] + edge[i] + edge[i + 2]


@helper
def _down(line, here, given, above, below, grain, noise, veil):  # type: ignore[no-untyped-def]
    """Blur down the columns, add sensor noise and haze, and round."""
    for i in range(len(line)):
        value = np.int32(here[i] - 2 * given[i] + above[i] + below[i] + (np.int32(grain[i] * noise) >> 6) + veil) >> 2
        line[i] = min(max(value, 0), 255)


@compiled(
    "void(float32[:,:,::1], float32[:,::1], int16[:,:,::1], int64, int64, float32[::1], int32[::1], int32, int32,"
    " uint8[:,:,::1])"
)
def expose(
    planes: F32, clouds: F32, sensor: I16, x: int, y: int, light: F32, haze: NDArray[np.int32], side: int,
    noise: int, image: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fill ``image``.

    Args:
        planes: ``(3, H, W)`` unlit colours.
        clouds: ``(512, 512)`` bank that makes the light uneven.
        sensor: ``(3, 512, 512)`` bank of sensor noise.
        x, y: where the scene cuts into the banks.
        light: ``(3,)`` quarter grey levels per unit of ``planes``.
        haze: ``(3,)`` quarter grey levels added, rounding included.
        side: weight of a neighbour in the blur, of 64.
        noise: strength of sensor noise, of 64.
        image: ``(H, W, 3)``.
    """
    _, height, width = planes.shape
    uneven, grain = np.empty(width, np.float32), np.empty(width, np.int16)
    soft, edge = np.empty(width, np.int32), np.empty(width + 2, np.int32)
    lines, shares = np.empty((3, 3, width), np.int32), np.empty((3, 3, width), np.int32)  # the last three, in turn
    done = np.empty((3, width), np.int32)
    for row in range(height + 1):
        if row < height:
            _cut(uneven, clouds[(row + y + 67) & WRAP], x + 191)
            for i in range(width):
                uneven[i] = uneven[i] * UNEVEN + ONE
            new = row % 3
            for band in range(3):
                gain, plane = light[band], planes[band, row]
                for i in range(width):
                    soft[i] = np.int32(uneven[i] * gain * plane[i])
                _share(edge[1:-1], soft, side)
                _across(lines[band, new], soft, edge)
                _share(shares[band, new], lines[band, new], side)
        if row == 0:
            continue
        at = row - 1
        here = at % 3
        above, below = (at + 2) % 3 if at > 0 else here, row % 3 if row < height else here
        for band in range(3):
            _cut(grain, sensor[band, (at + x + 101) & WRAP], y + 13)
            share = shares[band]
            _down(done[band], lines[band, here], share[here], share[above], share[below], grain, noise, haze[band])
        line = image[at]
        for i in range(width):
            for band in range(3):
                line[i, band] = done[band, i]
