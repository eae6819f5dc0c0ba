"""Referring expression segmentation: gIoU, cIoU and Pr@X, with every convention that moves them as an option."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from rsground.contracts import Columns
from rsground.errors import ShapeError
from rsground.geometry import rle_to_mask
from rsground.metrics.forms import answered, empty_rle, mask_answer
from rsground.metrics.masks import mask_iou_counts, resize_floor, resize_nearest, rle_counts
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.types import RLE, Prediction, Sample, Size, Task

EmptyPolicy = Literal["one", "zero", "skip"]
ThresholdOp = Literal["ge", "gt"]
Frame = Literal["original", "letterbox-1024", "square-480"]
Unparsable = Literal["wrong", "empty"]


class Segmentation(SumMetric):
    """gIoU, cIoU and Pr@X of the union of the predicted regions against the union of the targets.

    With I and U the pixels of intersection and union of one sample: IoU = I / (U + ``iou_eps``);
    gIoU (also called mIoU) = mean of IoU; cIoU (also called oIoU, overall IoU) = sum I / (sum U + ``sum_eps``);
    Pr@X = share of samples with IoU >= X (``threshold_op="gt"``: > X). Names and values as LISA (Lai et al., CVPR
    2024) and LAVT/RMSIN use them; scores are fractions, not per cent.

    Both masks empty: IoU is 1, 0 or the sample is left out of gIoU and Pr@X (``empty``); cIoU is not touched. Target
    empty and prediction not: IoU 0, and the false pixels enter cIoU. No-target scores after GRES (Liu et al., CVPR
    2023): N-acc = share of empty targets answered with an empty mask, T-acc = share of others answered with a
    non-empty one.

    Args:
        empty: IoU of two empty masks.
        threshold_op: whether an IoU exactly at the threshold is a hit (``"ge"``) or not (``"gt"``).
        iou_eps, sum_eps: added to the unions; ``count_eps`` to the number of samples in gIoU.
        frame: where pixels are counted: the original image, the image letterboxed to 1024 x 1024 (long side scaled,
            nearest, as SegEarth-R1; the padding is empty in both masks), or squashed to 480 x 480 (nearest, as RMSIN).
        unparsable: an answer that cannot be read is ``"wrong"`` (IoU 0 whatever the target) or an ``"empty"`` mask,
            as scorers that decode failures to zeros treat it.
        thresholds: X of Pr@X.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.MASK})
    primary: ClassVar[str] = "gIoU"
    statistics: ClassVar[tuple[str, ...]] = ("iou", "intersection", "union", "predicted", "target", "parsed")
    paired: ClassVar[str | None] = "iou"

    def __init__(
        self,
        empty: EmptyPolicy = "one",
        threshold_op: ThresholdOp = "ge",
        iou_eps: float = 0.0,
        sum_eps: float = 0.0,
        count_eps: float = 0.0,
        frame: Frame = "original",
        unparsable: Unparsable = "wrong",
        thresholds: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9),
    ) -> None:
        _one_of("empty", empty, ("one", "zero", "skip"))
        _one_of("threshold_op", threshold_op, ("ge", "gt"))
        _one_of("frame", frame, ("original", "letterbox-1024", "square-480"))
        _one_of("unparsable", unparsable, ("wrong", "empty"))
        self.empty, self.threshold_op, self.frame, self.unparsable = empty, threshold_op, frame, unparsable
        self.iou_eps, self.sum_eps, self.count_eps = iou_eps, sum_eps, count_eps
        self.thresholds = tuple(float(value) for value in thresholds)

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Pixel counts and IoU of one sample.

        ``predicted`` is NaN where the answer was of no use; all are NaN where the sample is not annotated.
        """
        if sample.targets is None:
            return dict.fromkeys(self.statistics, math.nan)
        target = mask_answer(sample.targets, sample.size).rle
        found = mask_answer(prediction.regions, sample.size) if answered(prediction) else None
        unusable = found is None or (found.unusable > 0 and found.unusable == len(prediction.regions))
        wrong = unusable and self.unparsable == "wrong"
        rle = empty_rle(sample.size) if found is None else found.rle
        inter, area_p, area_t = self._counts(rle, target)
        union = area_p + area_t - inter
        return {
            "iou": 0.0 if wrong else self._iou(inter, union),
            "intersection": float(inter),
            "union": float(union),
            "predicted": math.nan if wrong else float(area_p),
            "target": float(area_t),
            "parsed": float(answered(prediction)),
        }

    def _counts(self, predicted: RLE, target: RLE) -> tuple[int, int, int]:
        if self.frame == "original":
            return rle_counts(predicted, target)
        masks = [_in_frame(rle, self.frame) for rle in (predicted, target)]
        inter, union = mask_iou_counts(masks[0], masks[1])
        area = int(np.count_nonzero(masks[0]))
        return int(inter), area, int(union) + int(inter) - area

    def _iou(self, inter: int, union: int) -> float:
        if union == 0:
            return {"one": 1.0, "zero": 0.0, "skip": math.nan}[self.empty]
        return inter / (union + self.iou_eps)

    def terms(self, columns: Columns) -> Terms:
        """Sums of IoU, pixels, hits and no-target answers."""
        iou, target, predicted = columns["iou"], columns["target"], columns["predicted"]
        known, scored = ~np.isnan(target), ~np.isnan(iou)
        absent = known & (target == 0)
        present = known & (target > 0)
        found: Terms = {
            "n": known.astype(np.float64),
            "scored": scored.astype(np.float64),
            "iou": masked(iou, scored),
            "intersection": masked(columns["intersection"], known),
            "union": masked(columns["union"], known),
            "absent": absent.astype(np.float64),
            "rejected": (absent & (predicted == 0)).astype(np.float64),
            "present": present.astype(np.float64),
            "accepted": (present & (predicted > 0)).astype(np.float64),
            "parsed": masked(columns["parsed"], known),
        }
        safe = masked(iou, scored)
        for threshold in self.thresholds:
            hit = safe >= threshold if self.threshold_op == "ge" else safe > threshold
            found[_precision(threshold)] = (scored & hit).astype(np.float64)
        return found

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """gIoU, cIoU, Pr@X, N-acc, T-acc, parse_rate."""
        found = {
            "gIoU": ratio(sums["iou"], np.where(sums["scored"] == 0, 0.0, sums["scored"] + self.count_eps)),
            "cIoU": ratio(sums["intersection"], np.where(sums["n"] == 0, 0.0, sums["union"] + self.sum_eps)),
        }
        found |= {_precision(t): ratio(sums[_precision(t)], sums["scored"]) for t in self.thresholds}
        found["N-acc"] = ratio(sums["rejected"], sums["absent"])
        found["T-acc"] = np.where(sums["absent"] > 0, ratio(sums["accepted"], sums["present"]), np.nan)
        found["parse_rate"] = ratio(sums["parsed"], sums["n"])
        return found


def _precision(threshold: float) -> str:
    return f"Pr@{threshold:g}"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ShapeError(f"option {name!r} must be one of {', '.join(allowed)}, got {value!r}")


def _in_frame(rle: RLE, frame: Frame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = rle_to_mask(rle)
    if frame == "square-480":
        return resize_nearest(mask, (480, 480))
    return resize_floor(mask, letterbox_size(rle.size, 1024))


def letterbox_size(size: Size, side: int) -> Size:
    """(h, w) of an image of ``size`` whose long side is scaled to ``side``; the short one is rounded down, >= 1."""
    height, width = size
    if width > height:
        return (max(1, int(height * (side / width))), side)
    return (side, max(1, int(width * (side / height))))
