"""The form a protocol needs of a region, or None: what a metric does where a model's region cannot be used.

A region that cannot be brought into the form counts as a wrong answer, so nothing here raises on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rsground.errors import ShapeError
from rsground.geometry import rle_from_counts, rle_to_counts, rle_union
from rsground.regions import hbb_of, quad_of, rle_of
from rsground.types import HBB, RLE, Prediction, Quad, Region, Size

UNUSABLE = (ShapeError, ValueError, OverflowError)
"""What deriving a form of a malformed region may raise."""


class MaskAnswer(NamedTuple):
    """The union of regions as one mask.

    Attributes:
        rle: the union of those that could be used, an empty mask where there are none.
        unusable: how many could not.
    """

    rle: RLE
    unusable: int


def box_in(region: Region) -> HBB | None:
    """The region's box with its corners in order, None where there is none or it is not finite."""
    try:
        box = hbb_of(region)
    except UNUSABLE:
        return None
    if box is None or not all(math.isfinite(value) for value in box):
        return None
    x1, y1, x2, y2 = (float(value) for value in box)
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def quad_in(region: Region) -> Quad | None:
    """The region's four corners, None where there are none or one is not finite."""
    try:
        quad = quad_of(region)
    except UNUSABLE:
        return None
    if quad is None or not np.isfinite(np.asarray(quad, np.float64)).all():
        return None
    return quad


def rle_in(region: Region, size: Size) -> RLE | None:
    """The region's mask in an image of ``size``, None where nothing finite says where it is or the sizes differ."""
    if not _is_finite(region):
        return None
    try:
        if region.rle is not None:
            rle_to_counts(region.rle)  # raises where the runs are broken
        return rle_of(region, size)
    except UNUSABLE:
        return None


def _is_finite(region: Region) -> bool:
    """Whether the form a mask would be made of exists and holds no NaN and no infinity."""
    if region.rle is not None:
        return True
    rings = region.polygons or ((region.quad,) if region.quad else None)
    numbers = [value for ring in rings or () for point in ring for value in point]
    numbers = numbers or [*(region.hbb or ())] or [value for point in region.points or () for value in point]
    return bool(numbers) and all(math.isfinite(value) for value in numbers)


def mask_answer(regions: Sequence[Region], size: Size) -> MaskAnswer:
    """The union of ``regions`` in an image of ``size`` (H, W)."""
    rles = [rle_in(region, size) for region in regions]
    usable = [rle for rle in rles if rle is not None]
    unusable = len(rles) - len(usable)
    if len(usable) == 1:
        return MaskAnswer(usable[0], unusable)
    return MaskAnswer(rle_union(usable, size), unusable)


def empty_rle(size: Size) -> RLE:
    """A mask of ``size`` without any object pixel."""
    return rle_from_counts([size[0] * size[1]], size)


def answered(prediction: Prediction) -> bool:
    """Whether the system answered and the answer could be read."""
    return prediction.parsed and prediction.error is None


def flag(value: object) -> float:
    """1.0 or 0.0 of a yes/no fact, NaN of anything that is not one."""
    return float(bool(value)) if isinstance(value, bool | int | np.bool_) else math.nan
