"""Runs of a label map, found and written out by kernels; the plain way is :mod:`rsground.datasets.scenes.runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled import runs
from rsground.datasets.scenes.runs import Runs
from rsground.types import RLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F64 = NDArray[np.float64]


class CompiledRuns(Runs):
    """Runs whose boxes and masks come from kernels."""

    def boxes(self) -> F64:
        """``(K, 4)`` tight (x1, y1, x2, y2), half-open."""
        boxes = np.empty((len(self.wanted), 4))
        runs.boxes(self.bounds, self.x, self.top, self.bottom, boxes)
        return boxes

    def quads(self, cos: F64, sin: F64) -> F64:
        """``(K, 4, 2)`` tight boxes along given axes, corners clockwise on screen."""
        quads = np.empty((len(self.wanted), 4, 2))
        runs.quads(self.bounds, self.x, self.top, self.bottom, cos, sin, quads)
        return quads

    def rles(self) -> list[RLE]:
        """One COCO run-length mask per label."""
        room, k = np.empty(14 * len(self.x) + 7 * len(self.wanted), np.uint8), len(self.wanted)
        cuts = np.empty(k + 1, np.int64)
        runs.compress(*self.size, self.bounds, self.x, self.top, self.bottom, room, cuts)
        text, ends = room[: cuts[k]].tobytes(), cuts.tolist()
        return [RLE(self.size, text[ends[i] : ends[i + 1]]) for i in range(k)]


def label_runs(labels: NDArray[np.integer], keep: NDArray[np.bool_]) -> Runs:
    """Column runs of every label whose entry in ``keep`` is true; ``labels`` are int32."""
    height, width = labels.shape
    counts, turned = np.zeros(len(keep), np.int64), np.empty((width, height), np.int32)
    runs.count(labels, keep, counts, turned)
    wanted = np.flatnonzero(counts)
    ends = np.cumsum(counts)
    bounds = np.concatenate(([0], ends.take(wanted)))
    x, top, bottom = (np.empty(bounds[-1], np.int64) for _ in range(3))
    ends -= counts
    runs.collect(turned, keep, ends, x, top, bottom)
    return CompiledRuns((height, width), wanted, bounds, x, top, bottom)
