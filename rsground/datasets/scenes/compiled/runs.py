"""Runs of labels and their masks: the arithmetic of :mod:`rsground.datasets.scenes.runs`, in one walk over the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled.toolchain import compiled, helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]
    I32 = NDArray[np.int32]
    I64 = NDArray[np.int64]
    U8 = NDArray[np.uint8]
    Mask = NDArray[np.bool_]


@compiled("void(int32[:,::1], boolean[::1], int64[::1], int32[:,::1])")
def count(labels: NDArray[np.integer], keep: Mask, counts: I64, turned: I32) -> None:
    """Column runs of every label of ``keep``, and the map with columns as lines.

    Args:
        labels: ``(H, W)``.
        keep: ``(L,)`` by label.
        counts: ``(L,)`` zeros; filled.
        turned: ``(W, H)``; filled.
    """
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            turned[x, y] = labels[y, x]
    for x in range(width):
        column = turned[x]
        before = np.int32(-1)
        for y in range(height):
            label = column[y]
            if label != before and label < len(keep) and keep[label]:
                counts[label] += 1
            before = label


@compiled("void(int32[:,::1], boolean[::1], int64[::1], int64[::1], int64[::1], int64[::1])")
def collect(turned: I32, keep: Mask, ends: I64, x: I64, top: I64, bottom: I64) -> None:
    """List the runs, by label, then by position.

    Args:
        turned: ``(W, H)``.
        keep: ``(L,)``.
        ends: ``(L,)`` where the runs of each label start; moved on to where they end.
        x, top, bottom: ``(R,)``; filled: column and rows [top, bottom).
    """
    width, height = turned.shape
    for column in range(width):
        line, y = turned[column], 0
        while y < height:
            label, start = line[y], y
            while y < height and line[y] == label:
                y += 1
            if label < len(keep) and keep[label]:
                at = ends[label]
                x[at], top[at], bottom[at] = column, start, y
                ends[label] = at + 1


@compiled("void(int64[::1], int64[::1], int64[::1], int64[::1], float64[:,::1])")
def boxes(bounds: I64, x: I64, top: I64, bottom: I64, filled: F64) -> None:
    """Tight (x1, y1, x2, y2) of K labels, ``(K, 4)``."""
    for k in range(len(filled)):
        first, last = bounds[k], bounds[k + 1] - 1
        low, high = top[first], bottom[first]
        for r in range(first, last + 1):
            low, high = min(low, top[r]), max(high, bottom[r])
        filled[k, 0], filled[k, 1], filled[k, 2], filled[k, 3] = x[first], low, x[last] + 1, high


@compiled("void(int64[::1], int64[::1], int64[::1], int64[::1], float64[::1], float64[::1], float64[:,:,::1])")
def quads(bounds: I64, x: I64, top: I64, bottom: I64, cos: F64, sin: F64, filled: F64) -> None:
    """Corners of the tight boxes of K labels along their axes, ``(K, 4, 2)``."""
    for k in range(len(filled)):
        c, s = cos[k], sin[k]
        u1, u2, v1, v2 = np.inf, -np.inf, np.inf, -np.inf
        for r in range(bounds[k], bounds[k + 1]):
            for corner in range(4):
                at_x, at_y = x[r] + corner // 2, bottom[r] if corner % 2 else top[r]
                u, v = at_x * c + at_y * s, at_y * c - at_x * s
                u1, u2, v1, v2 = min(u1, u), max(u2, u), min(v1, v), max(v2, v)
        for corner in range(4):
            u, v = u2 if corner in (1, 2) else u1, v2 if corner >= 2 else v1
            filled[k, corner, 0], filled[k, corner, 1] = u * c - v * s, u * s + v * c


@helper
def _write(text, at, value):  # type: ignore[no-untyped-def]
    """Append one number in groups of five bits, lowest first; where the text ends then."""
    while True:
        five = value & 31
        value >>= 5
        more = value != -1 if five & 16 else value != 0
        text[at] = (five | 32 if more else five) + 48
        at += 1
        if not more:
            return at


@compiled("void(int64, int64, int64[::1], int64[::1], int64[::1], int64[::1], uint8[::1], int64[::1])")
def compress(height: int, width: int, bounds: I64, x: I64, top: I64, bottom: I64, text: U8, cuts: I64) -> None:
    """COCO's text of every label's run lengths, one after the other.

    Args:
        height, width: of the map.
        bounds, x, top, bottom: runs.
        text: filled; 14 bytes per run and 7 per label are enough.
        cuts: ``(K + 1,)``; filled: label k has ``text[cuts[k]:cuts[k + 1]]``.
    """
    at = 0
    for k in range(len(bounds) - 1):
        cuts[k] = at
        n, end = 0, 0
        last, before = 0, 0  # the two counts before
        r = bounds[k]
        while r < bounds[k + 1]:
            begin = x[r] * height + top[r]
            stop = x[r] * height + bottom[r]
            r += 1
            while r < bounds[k + 1] and x[r] * height + top[r] == stop:
                stop = x[r] * height + bottom[r]
                r += 1
            for length in (begin - end, stop - begin):
                at = _write(text, at, length - before if n > 2 else length)
                before, last, n = last, length, n + 1
            end = stop
        if end < height * width:
            length = height * width - end
            at = _write(text, at, length - before if n > 2 else length)
    cuts[len(bounds) - 1] = at


@compiled("boolean(int32[:,::1], int32, int64, int64, int64)")
def fits(labels: I32, number: int, start: int, step: int, side: int) -> bool:
    """Whether ``side`` x ``side`` samples of one label stand together, of every ``step``-th pixel from ``start``."""
    height, width = labels.shape
    wide = (width - start + step - 1) // step
    reach = np.zeros(wide + 1, np.int64)  # side of the largest square that ends at each sample of the line above
    for y in range(start, height, step):
        corner = 0
        for i in range(wide):
            above = reach[i + 1]
            square = 0
            if labels[y, start + i * step] == number:
                square = min(reach[i], above, corner) + 1
                if square >= side:
                    return True
            corner = above
            reach[i + 1] = square
    return False
