"""Shadows of one layer: the arithmetic of :mod:`rsground.datasets.scenes.shadows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]
    U8 = NDArray[np.uint8]
    I64 = NDArray[np.int64]

HALF, ONE = np.float32(0.5), np.float32(1)


@helper
def _sweep(union, moves):  # type: ignore[no-untyped-def]
    """Double ``union`` ``(h, w)`` uint8 in place: for every (x, y) of ``moves``, add what is there moved by it.

    Lines are taken in an order that never reads what the same move has written.
    """
    h, w = union.shape
    room = np.empty(w, np.uint8)
    for k in range(len(moves)):
        dx, dy = moves[k, 0], moves[k, 1]
        first, last = max(0, dx), min(w, w + dx)
        line = room[: last - first]
        for step in range(h - abs(dy)):
            row = h - 1 - step if dy > 0 else step
            source = row - dy
            given, target = union[source, first - dx : last - dx], union[row, first:last]
            for i in range(len(line)):
                line[i] = given[i]
            for i in range(len(line)):
                target[i] |= line[i]


@helper
def _drop(union, x0, y0, shade):  # type: ignore[no-untyped-def]
    """Add ``union``, whose corner is pixel (x0, y0), to the map of shadows."""
    h, w = union.shape
    size = len(shade)
    first, last = max(0, -x0), min(w, size - x0)
    if first >= last:
        return
    for j in range(max(0, -y0), min(h, size - y0)):
        target, source = shade[y0 + j, x0 + first : x0 + last], union[j, first:last]
        for i in range(len(target)):
            target[i] |= source[i]


@compiled("void(float32[:,:,::1], int64, int64, int64[:,::1], int64, int64, uint8[:,::1])")
def cast(field: F32, x0: int, y0: int, moves: I64, end_x: int, end_y: int, shade: U8) -> None:
    """Throw the shadow of what half or more of is covered.

    Args:
        field: ``(>= 1, h, w)``, coverage first.
        x0, y0: corner of its window.
        moves: ``(n, 2)`` steps (x, y) whose sum is (end_x, end_y); see ``sweep``.
        end_x, end_y: end of the shadow's way, pixels.
        shade: ``(size, size)`` 1 in shadow.
    """
    _, h, w = field.shape
    union = np.zeros((h + abs(end_y), w + abs(end_x)), np.uint8)
    left, top = max(0, -end_x), max(0, -end_y)
    for j in range(h):
        line = union[top + j, left : left + w]
        for i in range(w):
            line[i] = field[0, j, i] >= HALF
    _sweep(union, moves)
    _drop(union, x0 - left, y0 - top, shade)


@compiled("void(float32[:,:,::1], uint8[:,::1], float32[::1])")
def darken(planes: F32, shade: U8, share: F32) -> None:
    """Take light away where it is in shadow: ``share`` ``(3,)``, below 0."""
    size = len(shade)
    for j in range(size):
        line = shade[j]
        most = np.uint8(0)
        for i in range(size):
            most |= line[i]
        if most == 0:
            continue
        for band in range(3):
            dim, target = share[band] + ONE, planes[band, j]
            for i in range(size):
                target[i] *= dim if line[i] != 0 else ONE
