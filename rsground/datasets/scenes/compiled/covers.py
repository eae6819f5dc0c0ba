"""Coverage of outlines, one kernel per shape: the arithmetic of :mod:`rsground.datasets.scenes.shapes`, pixel by pixel.

Every kernel fills ``field``, ``(3, h, w)`` float32: coverage in [0, 1], and the shape's own u and v in pixels, of the
window whose corner is ``(x0, y0)``. A frame is (x, y, cos, sin).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
WRAP = 511
"""Banks repeat after 512 pixels."""


@helper
def _soft(depth):  # type: ignore[no-untyped-def]
    """clip(depth + 1/2, 0, 1)."""
    depth = depth + HALF
    depth = depth if depth > ZERO else ZERO
    return depth if depth < ONE else ONE


@helper
def _axes(field, x0, y0, x, y, cos, sin):  # type: ignore[no-untyped-def]
    """Fill u and v."""
    _, h, w = field.shape
    at_x, at_y, c, s = np.float32(x), np.float32(y), np.float32(cos), np.float32(sin)
    turned = np.empty((2, w), np.float32)
    for i in range(w):
        xs = np.float32(x0 + i) + HALF - at_x
        turned[0, i], turned[1, i] = xs * c, xs * s
    for j in range(h):
        ys = np.float32(y0 + j) + HALF - at_y
        along, across = ys * s, ys * c
        for i in range(w):
            field[1, j, i] = turned[0, i] + along
        for i in range(w):
            field[2, j, i] = across - turned[1, i]


@compiled("void(float32[:,:,::1], int64, int64, float64, float64, float64, float64, float64, float64)")
def box(field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float, half_u: float, half_v: float) -> None:
    """A box."""
    _axes(field, x0, y0, x, y, cos, sin)
    _, h, w = field.shape
    long, wide = np.float32(half_u), np.float32(half_v)
    for j in range(h):
        for i in range(w):
            along, across = long - abs(field[1, j, i]), wide - abs(field[2, j, i])
            field[0, j, i] = _soft(along if along < across else across)


@compiled("void(float32[:,:,::1], int64, int64, float64, float64, float64, float64, float32[:,::1])")
def boxes(field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float, parts: F32) -> None:
    """A union of boxes, ``parts`` ``(n, 4)``: centre u, v and half u, v."""
    _axes(field, x0, y0, x, y, cos, sin)
    _, h, w = field.shape
    for j in range(h):
        for i in range(w):
            field[0, j, i] = np.float32(-1e30)
        for k in range(len(parts)):
            at_u, at_v, long, wide = parts[k, 0], parts[k, 1], parts[k, 2], parts[k, 3]
            for i in range(w):
                along, across = long - abs(field[1, j, i] - at_u), wide - abs(field[2, j, i] - at_v)
                depth = along if along < across else across
                field[0, j, i] = depth if depth > field[0, j, i] else field[0, j, i]
        for i in range(w):
            field[0, j, i] = _soft(field[0, j, i])


@compiled("void(float32[:,:,::1], int64, int64, float64, float64, float64, float64, float64, float64)")
def disc(field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float, radius: float, inner: float) -> None:
    """A disc, or a ring where ``inner`` is above 0."""
    _axes(field, x0, y0, x, y, cos, sin)
    _, h, w = field.shape
    outer, hole, ring = np.float32(radius), np.float32(inner), inner > 0
    for j in range(h):
        for i in range(w):
            u, v = field[1, j, i], field[2, j, i]
            away = np.sqrt(u * u + v * v)
            depth = outer - away
            if ring:
                depth = min(depth, away - hole)
            field[0, j, i] = _soft(depth)


@compiled("void(float32[:,:,::1], int64, int64, float64, float64, float64, float64, float64, float64)")
def stadium(
    field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float, straight: float, half_v: float
) -> None:
    """A box with round ends; ``straight`` is half the length of its straight part."""
    _axes(field, x0, y0, x, y, cos, sin)
    _, h, w = field.shape
    middle, wide = np.float32(straight), np.float32(half_v)
    for j in range(h):
        for i in range(w):
            beyond, v = abs(field[1, j, i]) - middle, field[2, j, i]
            beyond = beyond if beyond > ZERO else ZERO
            field[0, j, i] = _soft(wide - np.sqrt(beyond * beyond + v * v))


@compiled(
    "void(float32[:,:,::1], int64, int64, float64, float64, float64, float64,"
    " float64, float64, float32[::1], float32[::1])"
)
def ribbon(
    field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float,
    half_u: float, step: float, course: F32, widths: F32,
) -> None:  # fmt: skip
    """A band about a curve; v is measured from the curve."""
    _axes(field, x0, y0, x, y, cos, sin)
    _, h, w = field.shape
    long, per_step, last = np.float32(half_u), np.float32(1 / step), len(course) - 1
    for j in range(h):
        for i in range(w):
            u = field[1, j, i]
            place = min(max(int((u + long) * per_step), 0), last)
            v = field[2, j, i] - course[place]
            field[2, j, i] = v
            field[0, j, i] = _soft(min(widths[place] - abs(v), long - abs(u)))


@compiled(
    "void(float32[:,:,::1], int64, int64, float64, float64, float64, float64,"
    " float64, float64, float64, float64, int64, float32[:,::1])"
)
def blob(
    field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float,
    weight_u: float, weight_v: float, reach: float, fray: float, seed: int, edge: F32,
) -> None:  # fmt: skip
    """A frayed ellipse: weights are one over the squared half axes, ``edge`` the bank that frays it."""
    _axes(field, x0, y0, x, y, cos, sin)
    _, h, w = field.shape
    of_u, of_v = np.float32(weight_u), np.float32(weight_v)
    narrow, ragged = np.float32(reach), np.float32(fray)
    for j in range(h):
        row = (seed // 512 + j) & WRAP
        for i in range(w):
            u, v = field[1, j, i], field[2, j, i]
            away = np.sqrt(u * u * of_u + v * v * of_v)
            depth = (ONE - away) * narrow
            field[0, j, i] = _soft(depth + edge[row, (seed + i) & WRAP] * ragged)


@compiled("void(float32[:,:,::1], float32[:,:,::1])")
def clip(field: F32, border: F32) -> None:
    """Keep what both cover."""
    _, h, w = field.shape
    for j in range(h):
        for i in range(w):
            field[0, j, i] = min(field[0, j, i], border[0, j, i])


@compiled(
    "void(float32[:,:,::1], int64, int64, float64, float64, float64, float64, float32[:,::1], int64, int64, float64,"
    " float64)"
)
def sprite(
    field: F32, x0: int, y0: int, x: float, y: float, cos: float, sin: float,
    texels: F32, ny: int, nx: int, per_pixel: float, scale: float,
) -> None:  # fmt: skip
    """A design at a pose: here ``field`` is ``(5, h, w)``, coverage and the sampled paint times coverage.

    Args:
        texels: ``(5, ny * nx)``, see :class:`rsground.datasets.scenes.sprites.Atlas`.
        per_pixel: texels per pixel.
        scale: pixels per metre.
    """
    _, h, w = field.shape
    at_x, at_y, c, s = np.float32(x), np.float32(y), np.float32(cos), np.float32(sin)
    zoom, metres = np.float32(per_pixel), np.float32(scale)
    middle_x, middle_y = np.float32(nx / 2), np.float32(ny / 2)
    for j in range(h):
        ys = np.float32(y0 + j) + HALF - at_y
        for i in range(w):
            xs = np.float32(x0 + i) + HALF - at_x
            column = int((xs * c + ys * s) * zoom + middle_x)
            row = int((ys * c - xs * s) * zoom + middle_y)
            place = min(max(row, 0), ny - 1) * nx + min(max(column, 0), nx - 1)
            alpha = _soft(texels[0, place] * metres)
            field[0, j, i] = alpha
            if alpha > ZERO:
                for k in range(1, 5):
                    field[k, j, i] = texels[k, place] * alpha


@compiled("void(float32[:,:,::1], int64, int64, int32[:,::1], int32)")
def mark(field: F32, x0: int, y0: int, labels: NDArray[np.int32], number: int) -> None:
    """Give the pixels that are covered by half or more to thing ``number``."""
    _, h, w = field.shape
    for j in range(h):
        line = labels[y0 + j, x0 : x0 + w]
        for i in range(w):
            line[i] = number if field[0, j, i] >= HALF else line[i]
