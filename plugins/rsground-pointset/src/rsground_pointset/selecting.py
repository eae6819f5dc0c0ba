"""Training pairs for the steps of a chain (ours; the paper trains none): to split, and to select among candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rsground.geometry import iou_hbb
from rsground.regions import hbb_of, quad_of
from rsground.types import HBB, Quad, Region, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_OTHERS = 3
"""Distractors per question, at most; at least one."""
_TRIES = 8
_APART = 0.1


def candidates(targets: Sequence[Region], size: Size, rng: np.random.Generator) -> tuple[Region, ...]:
    """The targets among distractors, in random order: copies of a target moved to where none is (IoU under 0.1).

    Args:
        targets: at least one, in pixels of an image of ``size``.
        size: (H, W).
        rng: draws number, places and order.
    """
    boxes = [box for region in targets if (box := hbb_of(region)) is not None]
    among = [Region(quad=quad_of(region)) for region in targets]
    for _ in range(int(rng.integers(1, MOST_OTHERS + 1))):
        model = among[int(rng.integers(len(targets)))]
        moved = _moved(model, size, rng, boxes)
        among.extend(() if moved is None else (moved,))
    return tuple(among[index] for index in rng.permutation(len(among)))


def _moved(region: Region, size: Size, rng: np.random.Generator, taken: list[HBB]) -> Region | None:
    """The oriented box elsewhere in the image; None where no place was found."""
    box = hbb_of(region)
    if box is None or region.quad is None:
        return None
    x1, y1, x2, y2 = box
    room = (max(size[1] - (x2 - x1), 0.0), max(size[0] - (y2 - y1), 0.0))
    for _ in range(_TRIES):
        left, top = rng.uniform(0, room[0]), rng.uniform(0, room[1])
        placed = (left, top, left + x2 - x1, top + y2 - y1)
        if not taken or float(iou_hbb(np.array([placed]), np.array(taken)).max()) < _APART:
            taken.append(placed)
            return replace(region, quad=_shifted(np.array(region.quad), left - x1, top - y1))
    return None


def _shifted(corners: NDArray[np.float64], across: float, down: float) -> Quad:
    a, b, c, d = ((x + across, y + down) for x, y in corners.tolist())
    return (a, b, c, d)
