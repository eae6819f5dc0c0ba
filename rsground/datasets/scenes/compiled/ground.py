"""Ground and what is drawn on it: the arithmetic of :class:`rsground.datasets.scenes.paints.Ground`, line by line.

``style`` is ``(STYLE,)`` float32, everything about a piece of ground that is one number; 0 stands for "none".
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    I32 = NDArray[np.int32]

OPACITY, ROWS, ROW_STRENGTH, JOINTS_U, JOINTS_V, JOINT_STRENGTH = range(3, 9)
REACH, PHASE, DASHES, DASH_SHARE, BAYS, BAY_PITCH, BAY_INNER, BAY_OUTER, BAY_EDGE, BAY_CAP = range(9, 19)
STYLE = 19
"""Entries 0 to 2 are the gain of each band."""

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
LIFT, STEPS, BAY_LIGHT, BAY_SHARE = np.float32(1 << 20), np.float32(6), np.float32(206), np.float32(0.75)
WRAP, TILE = 511, 512


@helper
def _part(value):  # type: ignore[no-untyped-def]
    """What lies beyond the whole number below."""
    return value - np.floor(value)


@helper
def _texture(line, bank, column, gain):  # type: ignore[no-untyped-def]
    """Fill a line from a line of the bank, cut at ``column``."""
    done = 0
    while done < len(line):
        column &= WRAP
        run = min(len(line) - done, TILE - column)
        piece, source = line[done : done + run], bank[column : column + run]
        for i in range(len(piece)):
            piece[i] = source[i] * gain
        done += run
        column += run


@helper
def _rows(colour, v, per_pixel, strength, wave):  # type: ignore[no-untyped-def]
    for i in range(len(v)):
        light = ONE + strength * wave[np.int32(v[i] * per_pixel + LIFT) & 255]
        for band in range(3):
            colour[band, i] *= light


@helper
def _joints(colour, u, v, style):  # type: ignore[no-untyped-def]
    along, across, strength = style[JOINTS_U], style[JOINTS_V], style[JOINT_STRENGTH]
    for i in range(len(v)):
        light = ONE
        if along > ZERO and _part(u[i] * along) < along:
            light -= strength
        if across > ZERO and _part(v[i] * across) < across:
            light -= strength
        for band in range(3):
            colour[band, i] *= light


@helper
def _lines(colour, u, v, style, keep, ink):  # type: ignore[no-untyped-def]
    reach, phase, dashes, share = style[REACH], style[PHASE], style[DASHES], style[DASH_SHARE]
    n = len(keep) // 2
    for i in range(len(v)):
        place = min(max(int((v[i] + reach) * STEPS), 0), n - 1)
        if dashes > ZERO and _part((u[i] + phase) * dashes) < share:
            place += n
        for band in range(3):
            colour[band, i] = colour[band, i] * keep[place] + ink[band, place]


@helper
def _bays(colour, u, v, style):  # type: ignore[no-untyped-def]
    per_pixel, pitch = style[BAYS], style[BAY_PITCH]
    for i in range(len(v)):
        across = abs(v[i])
        if across > style[BAY_INNER] and across < style[BAY_OUTER]:
            place = _part(u[i] * per_pixel)
            alpha = style[BAY_EDGE] - min(place, ONE - place) * pitch
            alpha = min(max(alpha, ZERO), style[BAY_CAP]) * BAY_SHARE
            for band in range(3):
                colour[band, i] += (BAY_LIGHT - colour[band, i]) * alpha


@helper
def _line(planes, y, x0, alpha, u, v, colour, bank, x, by, style, wave, keep, ink):  # type: ignore[no-untyped-def]
    """Paint a line from column ``x0``, as long as ``alpha``; (x, by) is where the scene cuts the bank."""
    n, row, opacity = len(alpha), (y + by) & WRAP, style[OPACITY]
    for band in range(3):
        _texture(colour[band, :n], bank[band, row], x0 + x, style[band])
    if style[ROWS] > ZERO:
        _rows(colour, v, style[ROWS], style[ROW_STRENGTH], wave)
    if style[JOINTS_U] > ZERO or style[JOINTS_V] > ZERO:
        _joints(colour, u, v, style)
    if len(keep) > 0:
        _lines(colour, u, v, style, keep, ink)
    if style[BAYS] > ZERO:
        _bays(colour, u, v, style)
    for band in range(3):
        below, fresh = planes[band, y, x0 : x0 + n], colour[band]
        for i in range(n):
            below[i] += (fresh[i] - below[i]) * (alpha[i] * opacity)


@compiled(
    "void(float32[:,:,::1], float32[:,:,::1], int64, int64, float32[:,:,::1], int64, int64, float32[::1],"
    " float32[::1], float32[::1], float32[:,::1])"
)
def lay(
    planes: F32, field: F32, x0: int, y0: int, bank: F32, x: int, y: int, style: F32, wave: F32, keep: F32, ink: F32
) -> None:
    """Paint what ``field`` ``(3, h, w)`` covers: coverage, u and v of the window at (x0, y0).

    Args:
        planes: ``(3, H, W)`` canvas.
        field: see above.
        x0, y0: corner of the window.
        bank: ``(3, 512, 512)`` texture.
        x, y: where the scene cuts into the bank.
        style: see the module.
        wave: ``(256,)`` table of stripes.
        keep, ink: tables of lines, ``(2n,)`` and ``(3, 2n)``; empty for none.
    """
    _, h, w = field.shape
    colour = np.empty((3, w), np.float32)
    for j in range(h):
        first, last = 0, w
        while first < last and field[0, j, first] == ZERO:
            first += 1
        while last > first and field[0, j, last - 1] == ZERO:
            last -= 1
        if first < last:
            alpha, u, v = field[0, j, first:last], field[1, j, first:last], field[2, j, first:last]
            _line(planes, y0 + j, x0 + first, alpha, u, v, colour, bank, x, y, style, wave, keep, ink)


@helper
def _stretch(y, x0, x1, at_x, at_y, cos, sin, half_u, half_v):  # type: ignore[no-untyped-def]
    """[first, last) columns of line ``y`` beyond which a box surely covers nothing."""
    low, high = float(x0), float(x1)
    ys = y + 0.5 - at_y
    for side in range(2):
        slope, start = (cos, ys * sin) if side == 0 else (-sin, ys * cos)
        limit = (half_u if side == 0 else half_v) + 1.0
        if abs(slope) < 1e-6:
            if abs(start) > limit + 0.5:
                return x0, x0
            continue
        one, two = (-limit - start) / slope + at_x, (limit - start) / slope + at_x
        low, high = max(low, min(one, two) - 2.0), min(high, max(one, two) + 2.0)
    if low >= high:
        return x0, x0
    return max(x0, floor(low)), min(x1, ceil(high))


@helper
def _cover(turned_x, turned_y, along, across, half_u, half_v, alpha, u, v):  # type: ignore[no-untyped-def]
    """Coverage of a line by a box, from its columns' shares of u and v."""
    long, wide = np.float32(half_u), np.float32(half_v)
    for i in range(len(alpha)):
        u[i] = turned_x[i] + along
        v[i] = across - turned_y[i]
    for i in range(len(alpha)):
        in_u, in_v = long - abs(u[i]), wide - abs(v[i])
        depth = (in_u if in_u < in_v else in_v) + HALF
        depth = depth if depth > ZERO else ZERO
        alpha[i] = depth if depth < ONE else ONE


@helper
def _mark(line, alpha, number):  # type: ignore[no-untyped-def]
    for i in range(len(alpha)):
        line[i] = number if alpha[i] >= HALF else line[i]


@helper
def _place(x0, y0, x1, y1, at_x, at_y, cos, sin, half_u, half_v):  # type: ignore[no-untyped-def]
    """1 where a box surely holds the window, -1 where it surely misses it, else 0; as the shape's own methods."""
    half_x, half_y = (x1 - x0) / 2, (y1 - y0) / 2
    dx, dy = x0 + half_x - at_x, y0 + half_y - at_y
    reach_u = abs(cos) * half_x + abs(sin) * half_y
    reach_v = abs(sin) * half_x + abs(cos) * half_y
    u, v = abs(dx * cos + dy * sin), abs(dy * cos - dx * sin)
    if u + reach_u <= half_u and v + reach_v <= half_v:
        return 1
    if u - reach_u > half_u + 1 or v - reach_v > half_v + 1:
        return -1
    return 0


@helper
def _unlist(y, first, at_x, at_y, cos, sin, half_v, alpha):  # type: ignore[no-untyped-def]
    """Take away what ``sparse_cover`` does not list of a thin box; ``alpha`` is a line from column ``first``."""
    flat = abs(cos) > abs(sin)
    across = (half_v + 1) / abs(cos if flat else sin)
    count = ceil(2 * across) + 1
    if flat:
        for i in range(len(alpha)):
            start = floor(at_y + (first + i + (0.5 - at_x)) * (sin / cos) - across)
            if y < start or y >= start + count:
                alpha[i] = ZERO
    else:
        start = floor(at_x + (y + (0.5 - at_y)) * (cos / sin) - across)
        for i in range(len(alpha)):
            if first + i < start or first + i >= start + count:
                alpha[i] = ZERO


@compiled(
    "void(float32[:,:,::1], int32[:,::1], int64, int64, int64, int64, int64, float64, float64, float64, float64,"
    " float64, float64, boolean, int64, int64, float32[:,:,::1], int64, int64, float32[::1], float32[::1],"
    " float32[::1], float32[:,::1])"
)
def lay_box(
    planes: F32, labels: I32, number: int, x0: int, y0: int, x1: int, y1: int, at_x: float, at_y: float, cos: float,
    sin: float, half_u: float, half_v: float, thin: bool, down: int, across: int, bank: F32, x: int, y: int,
    style: F32, wave: F32, keep: F32, ink: F32,
) -> None:  # fmt: skip
    """Paint and label a box of ground, as ``_draw_single`` does.

    Args:
        planes: ``(3, H, W)`` canvas; empty to paint nothing.
        labels: ``(H, W)``.
        number: of the thing, below 0 if it takes no pixels.
        x0, y0, x1, y1: its window.
        at_x, at_y, cos, sin, half_u, half_v: the box.
        thin: whether only the pixels that ``sparse_cover`` lists are drawn.
        down, across: tiles of the window, unless it is thin.
        bank, x, y, style, wave, keep, ink: as for :func:`lay`.
    """
    painted = planes.shape[1] > 0
    width, height = x1 - x0, y1 - y0
    colour, field, turned = (
        np.empty((3, width), np.float32),
        np.empty((3, width), np.float32),
        np.empty((2, width), np.float32),
    )
    c, s, centre_x, centre_y = np.float32(cos), np.float32(sin), np.float32(at_x), np.float32(at_y)
    for i in range(width):
        xs = np.float32(x0 + i) + HALF - centre_x
        turned[0, i], turned[1, i] = xs * c, xs * s
    bare = style[ROWS] == ZERO and style[JOINT_STRENGTH] == ZERO and len(keep) == 0 and style[BAYS] == ZERO
    bare = bare and style[OPACITY] >= ONE
    if thin or _place(x0, y0, x1, y1, at_x, at_y, cos, sin, half_u, half_v) == 1:
        down, across = 1, 1
    for tile in range(down * across):
        j, i = tile // across, tile % across
        top, bottom = y0 + height * j // down, y0 + height * (j + 1) // down
        left, right = x0 + width * i // across, x0 + width * (i + 1) // across
        place = 0 if thin else _place(left, top, right, bottom, at_x, at_y, cos, sin, half_u, half_v)
        if place < 0:
            continue
        for row in range(top, bottom):
            if place > 0 and (bare or not painted):
                if painted:
                    for band in range(3):
                        _texture(planes[band, row, left:right], bank[band, (row + y) & WRAP], left + x, style[band])
                if number >= 0:
                    for k in range(left, right):
                        labels[row, k] = number
                continue
            first, last = _stretch(row, left, right, at_x, at_y, cos, sin, half_u, half_v)
            if first >= last:
                continue
            a, b = first - x0, last - x0
            alpha, u, v = field[0, a:b], field[1, a:b], field[2, a:b]
            ys = np.float32(row) + HALF - centre_y
            _cover(turned[0, a:b], turned[1, a:b], ys * s, ys * c, half_u, half_v, alpha, u, v)
            if thin:
                _unlist(row, first, at_x, at_y, cos, sin, half_v, alpha)
            if painted:
                _line(planes, row, first, alpha, u, v, colour, bank, x, y, style, wave, keep, ink)
            if number >= 0:
                _mark(labels[row, first:last], alpha, np.int32(number))


@compiled("void(float32[:,::1], float64, float32[::1], float32[:,::1])")
def tabulate(lines: F32, reach: float, keep: F32, ink: F32) -> None:
    """Fill the tables of :func:`rsground.datasets.scenes.paints.line_table`.

    Args:
        lines: ``(L, 8)``: soft half width, offset, highest coverage, strength, 1 if not dashed, RGB.
        reach: v of entry 0 is -reach.
        keep, ink: ``(2n,)`` ones and ``(3, 2n)`` zeros.
    """
    n = len(keep) // 2
    for k in range(len(lines)):
        edge, offset, cap, strength, steady = lines[k, 0], lines[k, 1], lines[k, 2], lines[k, 3], lines[k, 4]
        for i in range(n):
            v = np.float32(i / 6 - reach)
            alpha = min(max(edge - abs(v - offset), ZERO), cap) * strength
            for half in range(2):
                own = alpha if half else alpha * steady
                at = i + half * n
                keep[at] *= ONE - own
                for band in range(3):
                    ink[band, at] = ink[band, at] * (ONE - own) + own * lines[k, 5 + band]
