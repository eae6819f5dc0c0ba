"""Average precision of one category as COCO computes it, from per-image matches that can be stored and reweighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from rsground.errors import ShapeError
from rsground.metrics.sums import Floats

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""0.50, 0.55 ... 0.95."""
MAX_DETECTIONS = 100
_RECALLS = np.linspace(0.0, 1.0, 101)


class ImageMatches(TypedDict):
    """What one image adds to the precision-recall curve; JSON-able.

    Attributes:
        scores: of the kept detections, highest first.
        matched: per detection the set of IoU thresholds at which it is a true positive, bit k for threshold k.
        targets: annotated instances.
    """

    scores: list[float]
    matched: list[int]
    targets: int


def match_image(iou: ArrayLike, scores: Sequence[float]) -> ImageMatches:
    """Match the detections of one image at every threshold, as ``COCOeval.evaluateImg`` without crowds.

    In order of falling score (ties keep their order), at most 100, each detection takes the free target with the
    largest IoU at or above the threshold; of equal IoUs the last target.

    Args:
        iou: ``(detections, targets)``.
        scores: one per detection.
    """
    matrix = np.asarray(iou, np.float64)
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MAX_DETECTIONS]
    matched = [0] * len(order)
    for bit, threshold in enumerate(IOU_THRESHOLDS):
        free = np.ones(matrix.shape[1], bool)
        for place, detection in enumerate(order):
            row = np.where(free, matrix[detection], -1.0)
            if row.size and row.max() >= threshold:
                free[row.size - 1 - int(row[::-1].argmax())] = False
                matched[place] |= 1 << bit
    return ImageMatches(scores=[float(scores[k]) for k in order], matched=matched, targets=int(matrix.shape[1]))


def average_precision(images: Sequence[ImageMatches], weights: Floats | None = None) -> dict[str, float]:
    """``AP`` (mean over IoU 0.50:0.95) and ``AP50``: 101-point interpolated; NaN without any target.

    Detections are ordered by score over all images; equal scores keep the order of the images.

    Args:
        images: matches per image.
        weights: ``(n,)`` whole numbers, how often each image counts.

    Raises:
        ShapeError: a weight is negative or no whole number.
    """
    if weights is not None:
        times = np.asarray(weights)
        if (times < 0).any() or (times != np.round(times)).any():
            raise ShapeError("average precision counts images whole: weights must be whole numbers >= 0")
        images = [image for image, count in zip(images, times.astype(int), strict=True) for _ in range(count)]
    total = sum(image["targets"] for image in images)
    if not total:
        return {"AP": float("nan"), "AP50": float("nan")}
    scores = np.array([score for image in images for score in image["scores"]], np.float64)
    bits = np.array([code for image in images for code in image["matched"]], np.int64)
    bits = bits[np.argsort(-scores, kind="stable")]
    curve = [_interpolated((bits >> k) & 1, total) for k in range(len(IOU_THRESHOLDS))]
    return {"AP": float(np.mean(curve)), "AP50": curve[0]}


def _interpolated(hits: np.ndarray[Any, np.dtype[np.int64]], total: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or above."""
    if not len(hits):
        return 0.0
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(found / total, _RECALLS, side="left")
    return float(np.concatenate([envelope, [0.0]])[np.minimum(place, len(envelope))].mean())
