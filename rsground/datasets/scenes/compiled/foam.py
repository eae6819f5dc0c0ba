"""Foam and sprites laid over one window: the arithmetic of :mod:`rsground.datasets.scenes.paints`.

``field`` is ``(3, h, w)`` float32 of the window at (x0, y0): coverage, u and v. (x, y) is where a scene cuts into the
grain banks, ``(512, 512)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

WRAP = 511
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
SPREAD, START, ARM, CHURN, MOST_FOAM = (np.float32(value) for value in (0.72, 0.1, 0.55, 0.6, 0.8))
PALE, RAGGED, MOST_SURF = np.float32(0.75), np.float32(0.15), np.float32(0.75)
WAKE_RGB = (np.float32(206), np.float32(216), np.float32(214))
SURF_RGB = (np.float32(224), np.float32(228), np.float32(222))


@helper
def _tone(planes, x, y, alpha, red, green, blue):  # type: ignore[no-untyped-def]
    """Lay one colour over a pixel, as ``Canvas.tone`` does."""
    rest = ONE - alpha
    planes[0, y, x] = planes[0, y, x] * rest + alpha * red
    planes[1, y, x] = planes[1, y, x] * rest + alpha * green
    planes[2, y, x] = planes[2, y, x] * rest + alpha * blue


@compiled("void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[:,::1], int64, int64, float64, float64)")
def wake(planes: F32, field: F32, x0: int, y0: int, rough: F32, x: int, y: int, length: float, width: float) -> None:
    """Foam behind a ship, pixels long and wide."""
    _, h, w = field.shape
    per_length, wide = np.float32(1 / length), np.float32(width)
    arm_edge, middle_edge = np.float32(3.2 / width), np.float32(4.5 / width)
    for j in range(h):
        for i in range(w):
            alpha = field[0, j, i]
            if alpha == ZERO:
                continue
            behind = HALF - field[1, j, i] * per_length
            spread = (behind * SPREAD + START) * wide
            across = abs(field[2, j, i])
            arm = ONE - abs(across - spread) * arm_edge
            middle = ONE - across * middle_edge
            foam = max(arm * ARM, middle)
            foam *= ONE - behind
            foam *= CHURN + CHURN * rough[(j + y0 + y) & WRAP, (i + x0 + x) & WRAP]
            foam = min(max(foam, ZERO), MOST_FOAM) * alpha
            _tone(planes, x0 + i, y0 + j, foam, WAKE_RGB[0], WAKE_RGB[1], WAKE_RGB[2])


@compiled(
    "void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[:,::1], float32[:,::1], int64, int64, float64,"
    " float32[::1])"
)
def surf(
    planes: F32, field: F32, x0: int, y0: int, shore: F32, rough: F32, x: int, y: int, reach: float, shelf: F32
) -> None:
    """A pale shelf and two broken lines of foam, up to ``reach`` pixels from v = 0."""
    _, h, w = field.shape
    wander, per_reach = np.float32(reach * 0.16), np.float32(1 / reach)
    near, far = np.float32(0.04 * reach), np.float32(0.3 * reach)
    near_edge, far_edge = np.float32(1 / (0.07 * reach + 1)), np.float32(1 / (0.05 * reach + 1))
    for j in range(h):
        for i in range(w):
            row, column = (j + y0 + y) & WRAP, (i + x0 + x) & WRAP
            out = field[2, j, i] + shore[row, column] * wander
            pale = min(max(ONE - abs(out) * per_reach, ZERO), ONE)
            _tone(planes, x0 + i, y0 + j, pale * pale * PALE, shelf[0], shelf[1], shelf[2])
            lift = rough[row, column] * HALF - RAGGED
            line = ONE - abs(out - near) * near_edge + lift
            _tone(planes, x0 + i, y0 + j, min(max(line, ZERO), MOST_SURF), SURF_RGB[0], SURF_RGB[1], SURF_RGB[2])
            line = ONE - abs(out - far) * far_edge + lift
            _tone(planes, x0 + i, y0 + j, min(max(line, ZERO), MOST_SURF), SURF_RGB[0], SURF_RGB[1], SURF_RGB[2])


@compiled("void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[::1])")
def sprite(planes: F32, field: F32, x0: int, y0: int, rgb: F32) -> None:
    """A sprite in its object's colour; ``field`` is ``(5, h, w)`` of :func:`covers.sprite`."""
    _, h, w = field.shape
    for j in range(h):
        for i in range(w):
            alpha = field[0, j, i]
            if alpha == ZERO:
                continue
            for band in range(3):
                value = planes[band, y0 + j, x0 + i] * (ONE - alpha)
                value += field[1 + band, j, i]
                planes[band, y0 + j, x0 + i] = value + field[4, j, i] * rgb[band]
