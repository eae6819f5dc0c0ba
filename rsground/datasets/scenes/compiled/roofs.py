"""Paint of what is built: the arithmetic of :mod:`rsground.datasets.scenes.roofs`, pixel by pixel.

``field`` is ``(3, h, w)`` float32 of the window at (x0, y0): coverage, u and v. (x, y) is where a scene cuts into the
grain banks, ``(512, 512)``. ``parts`` is ``(n, 4)`` float32 unless it says otherwise: centre u, v and half u, v.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    F64 = NDArray[np.float64]

WRAP = 511
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
GRAIN, PATCHES, SEAM, RIDGE, RIDGE_HALF = (np.float32(value) for value in (0.07, 0.05, 0.06, 0.10, 0.6))
FLAT_GRAIN, FLAT_PATCHES, PANEL = np.float32(0.04), np.float32(0.09), np.float32(0.05)
RIM_SHADE, RIM_LIGHT, BOX_SHADE = np.float32(0.28), np.float32(0.12), np.float32(0.55)
SUNK, WALL_SHADE, LEAN, SPOKE = np.float32(0.86), np.float32(0.45), np.float32(0.2), np.float32(0.05)
RIM_WIDTH, RIM, STAIR, STAIR_HALF = np.float32(1.6), np.float32(0.10), np.float32(0.22), np.float32(0.7)


@helper
def _unit(value):  # type: ignore[no-untyped-def]
    """clip(value, 0, 1)."""
    value = value if value > ZERO else ZERO
    return value if value < ONE else ONE


@helper
def _blend(planes, x, y, alpha, light, rgb):  # type: ignore[no-untyped-def]
    for band in range(3):
        below = planes[band, y, x]
        planes[band, y, x] = below + (light * rgb[band] - below) * alpha


@compiled(
    "void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[:,::1], float32[:,::1], int64, int64,"
    " float32[::1], float64[:,::1], boolean, float32, float32[::1])"
)
def pitched(
    planes: F32, field: F32, x0: int, y0: int, grain: F32, patches: F32, x: int, y: int, rgb: F32, parts: F64,
    hipped: bool, seams: float, tilts: F32,
) -> None:  # fmt: skip
    """A pitched roof.

    Args:
        parts: in float64.
        seams: lines of the covering per pixel, 0 for none.
        tilts: light of the planes that face +v, -v, +u and -u.
    """
    _, h, w = field.shape
    for j in range(h):
        for i in range(w):
            alpha = field[0, j, i]
            if alpha == ZERO:
                continue
            best, light = ZERO, ZERO
            for k in range(len(parts)):
                u, v = field[1, j, i] - np.float32(parts[k, 0]), field[2, j, i] - np.float32(parts[k, 1])
                long, wide, side = np.float32(parts[k, 2]), np.float32(parts[k, 3]), 0
                if parts[k, 3] > parts[k, 2]:
                    u, v, long, wide, side = v, u, wide, long, 2
                depth, end = wide - abs(v), long - abs(u)
                lit = tilts[side] if v > ZERO else tilts[side + 1]
                if hipped and end < depth:
                    lit = tilts[2 - side] if u > ZERO else tilts[3 - side]
                if seams > ZERO:
                    place = u * seams
                    if place - np.floor(place) < seams:
                        lit -= SEAM
                if abs(v) < RIDGE_HALF:
                    lit += RIDGE
                depth = min(depth, end)
                if k == 0 or depth > best:
                    best, light = depth, lit
            row, column = (j + y0 + y) & WRAP, (i + x0 + x) & WRAP
            light += grain[row, column] * GRAIN
            light += patches[row, column] * PATCHES
            _blend(planes, x0 + i, y0 + j, alpha, light, rgb)


@compiled(
    "void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[:,::1], float32[:,::1], int64, int64,"
    " float32[::1], float32[:,::1], float32[:,::1], float32[:,::1], float32, float32, float32, float32, float32)"
)
def flat(
    planes: F32, field: F32, x0: int, y0: int, grain: F32, patches: F32, x: int, y: int, rgb: F32, parts: F32,
    moved: F32, boxes: F32, panels: float, rim: float, cast: float, sun_u: float, sun_v: float,
) -> None:  # fmt: skip
    """A flat roof.

    Args:
        moved: ``parts`` where their wall's shadow ends.
        boxes: ``(n, 5)``: centre u, v, half u, v and light of what stands on it.
        panels: joints of the covering per pixel, 0 for none.
        rim: width of the parapet, pixels.
        cast: pixels of shadow of what stands on it.
        sun_u, sun_v: towards the sun.
    """
    _, h, w = field.shape
    for j in range(h):
        for i in range(w):
            alpha = field[0, j, i]
            if alpha == ZERO:
                continue
            u, v = field[1, j, i], field[2, j, i]
            row, column = (j + y0 + y) & WRAP, (i + x0 + x) & WRAP
            light = ONE + grain[row, column] * FLAT_GRAIN
            light += patches[row, column] * FLAT_PATCHES
            if panels > ZERO:
                place = u * panels
                if place - np.floor(place) < panels:
                    light -= PANEL
            inner, shaded = ZERO, ZERO
            for k in range(len(parts)):
                depth = min(parts[k, 2] - abs(u - parts[k, 0]), parts[k, 3] - abs(v - parts[k, 1]))
                shadow = min(moved[k, 2] - abs(u - moved[k, 0]), moved[k, 3] - abs(v - moved[k, 1]))
                inner = depth if k == 0 or depth > inner else inner
                shaded = shadow if k == 0 or shadow > shaded else shaded
            if inner > rim:
                light -= RIM_SHADE * _unit(rim + HALF - shaded)
            else:
                light += RIM_LIGHT
            for k in range(len(boxes)):
                for top in range(2):
                    shift_u, shift_v = (ZERO, ZERO) if top else (cast * sun_u, cast * sun_v)
                    if abs(u - boxes[k, 0] + shift_u) < boxes[k, 2] and abs(v - boxes[k, 1] + shift_v) < boxes[k, 3]:
                        light = boxes[k, 4] if top else BOX_SHADE
            _blend(planes, x0 + i, y0 + j, alpha, light, rgb)


@compiled(
    "void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[:,::1], int64, int64, float32[::1], float64,"
    " boolean, float32, float32)"
)
def tank(
    planes: F32, field: F32, x0: int, y0: int, patches: F32, x: int, y: int, rgb: F32, radius: float, floating: bool,
    sun_x: float, sun_y: float,
) -> None:  # fmt: skip
    """A storage tank of ``radius`` pixels; the sun is in the axes of the tank."""
    _, h, w = field.shape
    reach, per_radius = np.float32(radius), np.float32(1 / radius)
    drop_x, drop_y = np.float32(0.34 * radius) * sun_x, np.float32(0.34 * radius) * sun_y
    wall, near, far = np.float32(0.94 * radius), np.float32(0.15 * radius), np.float32(0.9 * radius)
    lean = np.float32(-0.1 if floating else 0.25)
    for j in range(h):
        for i in range(w):
            alpha = field[0, j, i]
            if alpha == ZERO:
                continue
            u, v = field[1, j, i], field[2, j, i]
            toward = (u * sun_x + v * sun_y) * per_radius
            away = np.sqrt(u * u + v * v)
            light = ONE + patches[(j + y0 + y) & WRAP, (i + x0 + x) & WRAP] * PATCHES
            if floating:
                light *= SUNK
                along, across = u + drop_x, v + drop_y
                moved = np.sqrt(along * along + across * across)
                light *= ONE - WALL_SHADE * _unit(moved - wall + HALF)
            else:
                light += toward * LEAN
                if min(abs(u), abs(v)) < HALF:
                    light -= SPOKE
            light += _unit(away - reach + RIM_WIDTH) * (RIM + toward * lean)
            if radius > 8 and abs(v) < STAIR_HALF and u > near and u < far:
                light -= STAIR
            _blend(planes, x0 + i, y0 + j, alpha, light, rgb)
