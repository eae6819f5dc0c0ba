"""From a label map to every instance's mask, box and oriented box at once, by its runs.

A run is a stretch of one label down one column. All labels' runs come from one pass over the map; boxes are extremes
of run corners and COCO run lengths are their gaps, so the cost does not grow with the number of instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsground.datasets.scenes.compiled.switch import is_compiled
from rsground.types import RLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    I64 = NDArray[np.int64]
    F64 = NDArray[np.float64]


class Runs(NamedTuple):
    """Column runs of the wanted labels, sorted by label, then by position.

    Attributes:
        size: (H, W) of the map.
        wanted: ``(K,)`` the labels that are present, ascending.
        bounds: ``(K + 1,)`` runs of ``wanted[k]`` are ``bounds[k]:bounds[k + 1]``.
        x: ``(R,)`` column of each run.
        top, bottom: ``(R,)`` rows [top, bottom).
    """

    size: tuple[int, int]
    wanted: I64
    bounds: I64
    x: I64
    top: I64
    bottom: I64

    @property
    def areas(self) -> I64:
        """``(K,)`` pixels of each label."""
        return np.add.reduceat(self.bottom - self.top, self.bounds[:-1]) if len(self.wanted) else self.wanted

    def boxes(self) -> F64:
        """``(K, 4)`` tight (x1, y1, x2, y2), half-open."""
        if not len(self.wanted):
            return np.zeros((0, 4))
        starts = self.bounds[:-1]
        low_x, low_y = np.minimum.reduceat(self.x, starts), np.minimum.reduceat(self.top, starts)
        high_x, high_y = np.maximum.reduceat(self.x, starts) + 1, np.maximum.reduceat(self.bottom, starts)
        return np.stack([low_x, low_y, high_x, high_y], axis=1).astype(np.float64)

    def quads(self, cos: F64, sin: F64) -> F64:
        """``(K, 4, 2)`` tight boxes along given axes, corners clockwise on screen.

        Args:
            cos, sin: ``(K,)`` direction of each label's axis. The box covers every pixel of the label wholly.
        """
        if not len(self.wanted):
            return np.zeros((0, 4, 2))
        starts, count = self.bounds[:-1], np.diff(self.bounds)
        c, s = np.repeat(cos, count), np.repeat(sin, count)
        left, right = self.x, self.x + 1
        u = [x * c + y * s for x in (left, right) for y in (self.top, self.bottom)]
        v = [y * c - x * s for x in (left, right) for y in (self.top, self.bottom)]
        u1 = np.minimum.reduceat(np.minimum(np.minimum(u[0], u[1]), np.minimum(u[2], u[3])), starts)
        u2 = np.maximum.reduceat(np.maximum(np.maximum(u[0], u[1]), np.maximum(u[2], u[3])), starts)
        v1 = np.minimum.reduceat(np.minimum(np.minimum(v[0], v[1]), np.minimum(v[2], v[3])), starts)
        v2 = np.maximum.reduceat(np.maximum(np.maximum(v[0], v[1]), np.maximum(v[2], v[3])), starts)
        corner_u, corner_v = np.stack([u1, u2, u2, u1], axis=1), np.stack([v1, v1, v2, v2], axis=1)
        cos, sin = cos[:, None], sin[:, None]
        return np.stack([corner_u * cos - corner_v * sin, corner_u * sin + corner_v * cos], axis=2)

    def rles(self) -> list[RLE]:
        """One COCO run-length mask per label."""
        if not len(self.wanted):
            return []
        height, width = self.size
        begin, end = self.x * height + self.top, self.x * height + self.bottom
        before = np.concatenate([[0], end[:-1]])
        before[self.bounds[:-1]] = 0
        joined = begin == before  # a run that continues at the top of the next column
        joined[self.bounds[:-1]] = False
        first = np.flatnonzero(~joined)
        last = np.concatenate([first[1:], [len(begin)]]) - 1
        groups = np.searchsorted(first, self.bounds)  # joined runs of label k are groups[k]:groups[k + 1]
        pairs = np.stack([begin[first] - before[first], end[last] - begin[first]], axis=1).reshape(-1)
        rest = height * width - end[self.bounds[1:] - 1]
        open_end = rest > 0  # a mask that reaches the last pixel has no run of zeros after it
        counts = np.insert(pairs, 2 * groups[1:][open_end], rest[open_end])
        bounds = 2 * groups + np.concatenate([[0], np.cumsum(open_end)])
        return [RLE(self.size, text) for text in compress(counts, bounds)]


def label_runs(labels: NDArray[np.integer], keep: NDArray[np.bool_]) -> Runs:
    """Column runs of every label whose entry in ``keep`` is true.

    Args:
        labels: ``(H, W)`` non-negative integers.
        keep: ``(L,)`` bool, indexed by label.
    """
    if is_compiled() and labels.dtype == np.int32 and labels.flags.carray:
        from rsground.datasets.scenes.compiled import instances

        return instances.label_runs(labels, keep)
    height, width = labels.shape
    narrow = np.int16 if len(keep) < 1 << 15 else np.int32  # 16-bit labels are sorted by radix
    columns = np.empty((width, height + 1), narrow)
    columns[:, :height] = labels.T
    columns[:, height] = -1
    flat = columns.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    owner = flat.take(starts)
    useful = np.flatnonzero(np.append(keep, False).take(owner))  # the -1 between columns takes the last entry
    owner = owner.take(useful)
    order = np.argsort(owner, kind="stable")
    owner, useful = owner.take(order), useful.take(order)
    begin = starts.take(useful)
    x = begin // (height + 1)
    top = begin - x * (height + 1)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    bounds = np.append(first, len(owner))
    return Runs(
        (height, width), owner.take(first).astype(np.int64), bounds, x, top, top + starts.take(useful + 1) - begin
    )


def compress(counts: I64, bounds: I64) -> list[bytes]:
    """COCO's text of run lengths, for many masks in one pass.

    Each count from the fourth on is written as the difference to the one two before it, in little-endian groups of
    five bits with a continuation bit, offset by 48 (pycocotools ``rleToString``).

    Args:
        counts: run lengths of all masks, one after the other.
        bounds: ``(K + 1,)`` mask k has ``counts[bounds[k]:bounds[k + 1]]``.
    """
    values = counts.copy()
    place = np.arange(len(counts)) - np.repeat(bounds[:-1], np.diff(bounds))
    later = np.flatnonzero(place > 2)
    values[later] -= counts[later - 2]
    groups = np.ones(len(values), np.int64)
    size = values ^ (values >> 63)  # v, or -v - 1 below zero
    largest, reach = int(size.max(initial=0)), 1 << 4
    while reach <= largest:  # 5 * groups bits hold -2^(5g-1) .. 2^(5g-1)-1
        groups += size >= reach
        reach <<= 5
    finish = np.cumsum(groups)
    which = np.repeat(np.arange(len(values)), groups)
    step = np.arange(len(which)) - np.repeat(finish - groups, groups)
    five = (values.take(which) >> (5 * step)) & 31
    five += 80  # 48, and 32 for "more to come"
    five[finish - 1] -= 32
    text = five.astype(np.uint8).tobytes()
    cuts = np.concatenate([[0], finish])[bounds]
    return [text[cuts[k] : cuts[k + 1]] for k in range(len(bounds) - 1)]
