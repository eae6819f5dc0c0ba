"""Where a heat map stands out from its surroundings: candidate boxes, all compared at once with a summed-area table.

GeoMag, section 3.2.2: candidates are slid over the map as in YOLO's grid, the total attention within each is compared
with the average total of its neighbouring regions, and the one with the greatest difference wins. Sizes, ratios,
strides, what a neighbour is, whether totals are taken per area and what decides between equals are not disclosed; they
are options here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ShapeError
from rsground_magcrop.choices import Contrast, Ties

Floats = NDArray[np.float64]
Boxes = NDArray[np.int64]
Cells = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in whole cells of the map, half-open."""


@dataclass(frozen=True, slots=True)
class Search:
    """What candidate boxes are made of; see :class:`rsground_magcrop.options.Options`."""

    sizes: tuple[float, ...] = (0.125, 0.1875, 0.25, 0.375, 0.5)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    stride: float = 0.25
    surround: float = 1.0
    contrast: Contrast = "total"
    ties: Ties = "smallest"

    def check(self) -> None:
        """Pass for values that give candidates.

        Raises:
            ShapeError: a value is out of range.
        """
        if not self.sizes or not all(0.0 < size < 1.0 for size in self.sizes):
            raise ShapeError(f"option 'sizes' must be shares between 0 and 1 of the map's side, got {self.sizes}")
        if not self.ratios or not all(0.0 < ratio < np.inf for ratio in self.ratios):
            raise ShapeError(f"option 'ratios' must be heights / widths > 0, got {self.ratios}")
        for name in ("stride", "surround"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ShapeError(f"option {name!r} must be a share > 0 of the box's sides, got {getattr(self, name)}")


class Candidate(NamedTuple):
    """The winning box.

    Attributes:
        box: cells of the map.
        contrast: its total less what its surroundings would hold on the same area, in units of the map; divided by its
            cells with ``contrast="mean"``.
        total: of the map within it.
    """

    box: Cells
    contrast: float
    total: float


def summed_area(heat: Floats) -> Floats:
    """``(H + 1, W + 1)`` sums of everything above and left: a box's total takes four look-ups."""
    table = np.zeros((heat.shape[0] + 1, heat.shape[1] + 1))
    np.cumsum(heat, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table


def totals(table: Floats, boxes: Boxes) -> Floats:
    """``(N,)`` sums of the map within ``boxes`` ``(N, 4)``."""
    x1, y1, x2, y2 = boxes.T
    found: Floats = table[y2, x2] - table[y1, x2] - table[y2, x1] + table[y1, x1]
    return found


def contrasts(table: Floats, boxes: Boxes, surround: float = 1.0) -> tuple[Floats, Floats]:
    """``(N,)`` totals of the boxes less the average total of their neighbourhoods, and the totals.

    The neighbourhood reaches ``surround`` box widths (heights) to each side and ends at the map's edge; its average is
    taken per cell and multiplied by the box's cells. With ``surround=1`` that is the average total of the eight boxes
    of the same size around, those cut by the edge weighted by what is left of them. A box without any neighbourhood
    (it fills the map) has contrast 0: there is nothing that it stands out from.
    """
    height, width = table.shape[0] - 1, table.shape[1] - 1
    x1, y1, x2, y2 = boxes.T
    across, down = (np.maximum(1, np.rint(surround * side)).astype(np.int64) for side in (x2 - x1, y2 - y1))
    around = np.stack(
        [
            np.maximum(x1 - across, 0),
            np.maximum(y1 - down, 0),
            np.minimum(x2 + across, width),
            np.minimum(y2 + down, height),
        ],
        axis=1,
    )
    inside = totals(table, boxes)
    own, rest = _areas(boxes), _areas(around) - _areas(boxes)
    outside = (totals(table, around) - inside) * own / np.maximum(rest, 1)
    return np.where(rest > 0, inside - outside, 0.0), inside


@lru_cache(maxsize=16)
def candidate_boxes(height: int, width: int, search: Search) -> Boxes:
    """``(N, 4)`` boxes of every size and ratio, ``stride`` apart, the last of a row or column flush with the edge.

    Sorted by area, so that the first of several equal contrasts is the smallest box. Not writable.
    """
    shapes = sorted(
        {_cells(height, width, size, ratio) for size in search.sizes for ratio in search.ratios},
        key=lambda shape: (shape[0] * shape[1], shape),
    )
    found = [_slid(height, width, shape, search.stride) for shape in shapes if shape != (height, width)]
    boxes = np.concatenate(found) if found else np.zeros((0, 4), np.int64)
    boxes.flags.writeable = False
    return boxes


def best_box(heat: Floats, search: Search) -> Candidate | None:
    """The first of :func:`standing_out`; None on a flat map."""
    return next(standing_out(heat, search), None)


def standing_out(heat: Floats, search: Search) -> Iterator[Candidate]:
    """Candidates that stand out from their neighbourhood, most first, each apart from those before; none if flat.

    Of equal contrasts the smallest box comes first (or the largest, as ``search.ties`` says), of equal areas the least
    tall, of equal boxes the uppermost, then the leftmost.

    Args:
        heat: ``(H, W)`` finite, >= 0.
    """
    boxes = candidate_boxes(*heat.shape, search)
    table = summed_area(heat)
    difference, inside = contrasts(table, boxes, search.surround)
    noise = np.full(len(boxes), _ROUNDING * max(float(table[-1, -1]), 0.0))
    areas = _areas(boxes)
    if search.contrast == "mean":
        difference, noise = difference / areas, noise / areas
    left = difference > noise
    while left.any():
        equals = np.flatnonzero(left & (difference >= difference[left].max() - noise))
        best = equals[0] if search.ties == "smallest" else equals[areas[equals].argmax()]
        x1, y1, x2, y2 = (int(edge) for edge in boxes[best])
        yield Candidate((x1, y1, x2, y2), float(difference[best]), float(inside[best]))
        left &= (boxes[:, 0] >= x2) | (boxes[:, 2] <= x1) | (boxes[:, 1] >= y2) | (boxes[:, 3] <= y1)


_ROUNDING = 1e-9
"""Differences below this share of the map's total are rounding of the summed-area table."""


def _areas(boxes: Boxes) -> Boxes:
    areas: Boxes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _cells(height: int, width: int, size: float, ratio: float) -> tuple[int, int]:
    """(height, width) in cells of a candidate; at least one, at most the map."""
    side = size * np.sqrt(height * width)
    tall, wide = round(side * np.sqrt(ratio)), round(side / np.sqrt(ratio))
    return (min(max(tall, 1), height), min(max(wide, 1), width))


def _slid(height: int, width: int, shape: tuple[int, int], stride: float) -> Boxes:
    tops, lefts = (_starts(whole, part, stride) for whole, part in ((height, shape[0]), (width, shape[1])))
    y1, x1 = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
    return np.stack([x1, y1, x1 + shape[1], y1 + shape[0]], axis=1)


def _starts(whole: int, part: int, stride: float) -> NDArray[np.int64]:
    step = max(1, round(stride * part))
    return np.unique(np.append(np.arange(0, whole - part + 1, step, dtype=np.int64), whole - part))
