"""Pixel counts of mask pairs: what every segmentation protocol is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError
from rsground.geometry import rle_to_counts, rle_to_mask
from rsground.types import RLE, Size

Counts = NDArray[np.int64]


def mask_iou_counts(pred: ArrayLike | RLE, target: ArrayLike | RLE) -> tuple[Counts, Counts]:
    """Pixels in the intersection and in the union of masks, pair by pair.

    Two RLEs are compared run by run and never decoded. Arrays are compared one pair at a time, so that a batch costs
    one mask of extra memory.

    Args:
        pred, target: ``(H, W)`` or ``(N, H, W)`` bool (any integer type: non-zero is object), or an
            :class:`~rsground.types.RLE`.

    Returns:
        intersection and union: int64, ``()`` for single masks, ``(N,)`` for batches.

    Raises:
        ShapeError: the shapes differ, are no masks, or hold floats.
    """
    if isinstance(pred, RLE) and isinstance(target, RLE):
        inter, area_p, area_t = rle_counts(pred, target)
        return np.asarray(inter, np.int64), np.asarray(area_p + area_t - inter, np.int64)
    first, second = _bool_masks(pred, "pred"), _bool_masks(target, "target")
    if first.shape != second.shape:
        raise ShapeError(f"mask_iou_counts pairs masks of one shape, got pred {first.shape} and target {second.shape}")
    if first.ndim == 2:
        inter, union = _pair(first, second, np.empty_like(first))
        return np.asarray(inter, np.int64), np.asarray(union, np.int64)
    buffer = np.empty(first.shape[1:], bool)
    pairs = [_pair(a, b, buffer) for a, b in zip(first, second, strict=True)]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def rle_counts(a: RLE, b: RLE) -> tuple[int, int, int]:
    """Pixels in the intersection, in ``a`` and in ``b``, from the runs alone.

    With F(x) = object pixels of ``b`` before position x (piecewise linear in x), the intersection is the sum of
    F(stop) - F(start) over the object runs of ``a``.

    Raises:
        ShapeError: the sizes differ, or runs do not fit their size.
    """
    if tuple(a.size) != tuple(b.size):
        raise ShapeError(f"mask_iou_counts pairs masks of one size, got pred {a.size} and target {b.size}")
    runs_a, runs_b = rle_to_counts(a), rle_to_counts(b)
    area_a, area_b = int(runs_a[1::2].sum()), int(runs_b[1::2].sum())
    if not area_a or not area_b:
        return 0, area_a, area_b
    if len(runs_a) > len(runs_b):
        runs_a, runs_b = runs_b, runs_a
    stops = np.cumsum(runs_a)[1::2]
    starts = stops - runs_a[1::2]
    edges, below = _cumulative(runs_b)
    inter = np.interp(stops, edges, below) - np.interp(starts, edges, below)
    return round(float(inter.sum())), area_a, area_b


def _cumulative(runs: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions where runs meet, and the object pixels before each."""
    inside = np.zeros(len(runs), np.int64)
    inside[1::2] = runs[1::2]
    kept = runs > 0  # a run without pixels would be a vertical step
    edges = np.concatenate([[0], np.cumsum(runs[kept])]).astype(np.float64)
    return edges, np.concatenate([[0], np.cumsum(inside[kept])]).astype(np.float64)


def resize_nearest(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """``mask`` (H, W) resized to ``size`` by Pillow's NEAREST, which samples at pixel centres."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(mask).view(np.uint8))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.NEAREST)).astype(bool)


def resize_floor(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """``mask`` (H, W) sampled at the top-left corners of ``size``'s pixels, as OpenCV's INTER_NEAREST does."""
    rows = np.minimum((np.arange(size[0]) * (mask.shape[0] / size[0])).astype(np.intp), mask.shape[0] - 1)
    columns = np.minimum((np.arange(size[1]) * (mask.shape[1] / size[1])).astype(np.intp), mask.shape[1] - 1)
    return np.asarray(mask[rows[:, None], columns[None]])


def _bool_masks(mask: ArrayLike | RLE, what: str) -> NDArray[np.bool_]:
    if isinstance(mask, RLE):
        return rle_to_mask(mask)
    array = np.asarray(mask)
    if array.ndim not in (2, 3) or array.dtype.kind not in "bui":
        raise ShapeError(
            f"{what} must be (H, W) or (N, H, W) bool or integer masks, got {array.dtype} {array.shape}; "
            "threshold scores first"
        )
    return array if array.dtype == bool else array != 0


def _pair(a: NDArray[np.bool_], b: NDArray[np.bool_], buffer: NDArray[np.bool_]) -> tuple[int, int]:
    inter = int(np.count_nonzero(np.logical_and(a, b, out=buffer)))
    return inter, int(np.count_nonzero(a)) + int(np.count_nonzero(b)) - inter
