"""Where crowns of the canopy bank stand, and their paint: the arithmetic of :mod:`rsground.datasets.scenes.trees`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    I16 = NDArray[np.int16]
    I32 = NDArray[np.int32]
    Mask = NDArray[np.bool_]

WRAP = 511
"""Banks repeat after 512 pixels."""
ZERO, ONE, AMBIENT = np.float32(0), np.float32(1), np.float32(0.94)


@compiled(
    "void(int32[:,::1], float32[::1], boolean[:,::1], float32[:,::1], int16[:,::1], int16[:,::1], int64, int64,"
    " int64, int64, float32[:,:,::1])"
)
def stand(
    roots: I32, density: F32, crown: Mask, rank: F32, to_x: I16, to_y: I16, x0: int, y0: int, x: int, y: int,
    field: F32,
) -> None:  # fmt: skip
    """Fill ``field`` ``(1, h, w)`` with 1 where a crown stands, else 0.

    Args:
        roots: ``(H, W)`` label map that trees grow on.
        density: of trees, by label.
        crown, rank, to_x, to_y: of the canopy bank.
        x0, y0: corner of the window.
        x, y: where the scene cuts into the bank.
        field: of the window.
    """
    height, width = roots.shape
    _, h, w = field.shape
    for j in range(h):
        row = (y0 + j + y) & WRAP
        for i in range(w):
            column = (x0 + i + x) & WRAP
            field[0, j, i] = ZERO
            if crown[row, column]:
                at_y = min(max(y0 + j + to_y[row, column], 0), height - 1)
                at_x = min(max(x0 + i + to_x[row, column], 0), width - 1)
                if density[roots[at_y, at_x]] > rank[row, column]:
                    field[0, j, i] = ONE


@compiled(
    "void(float32[:,:,::1], float32[:,:,::1], int64, int64, int64, int64, float32[:,::1], float32[:,::1],"
    " float32[:,::1], float32[:,::1], float64, float64, float32[::1])"
)
def paint(
    planes: F32, field: F32, x0: int, y0: int, x: int, y: int, slope_x: F32, slope_y: F32, tint: F32, edge: F32,
    sun_x: float, sun_y: float, rgb: F32,
) -> None:  # fmt: skip
    """Paint the crowns that stand; ``sun_x`` and ``sun_y`` are light per slope."""
    _, h, w = field.shape
    of_x, of_y = np.float32(sun_x), np.float32(sun_y)
    for j in range(h):
        row = (y0 + j + y) & WRAP
        for i in range(w):
            if field[0, j, i] == ZERO:
                continue
            column = (x0 + i + x) & WRAP
            lit = slope_x[row, column] * of_x
            lit += slope_y[row, column] * of_y
            lit += AMBIENT
            lit *= tint[row, column]
            alpha = edge[row, column]
            for band in range(3):
                below = planes[band, y0 + j, x0 + i]
                planes[band, y0 + j, x0 + i] = below + (lit * rgb[band] - below) * alpha
