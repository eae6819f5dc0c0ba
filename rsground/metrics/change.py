"""Change detection: one confusion matrix over all pixels of a test set, so images without change need no rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.metrics.forms import answered, empty_rle, mask_answer, rle_in
from rsground.metrics.masks import rle_counts
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.types import Prediction, Region, Sample, Size, Task

FLOAT32_EPS = float(np.finfo(np.float32).eps)
"""What BIT's scorer adds to every denominator."""


class BinaryChange(SumMetric):
    """Precision, recall, F1 and IoU of the changed class over all pixels of all images.

    P = TP / (TP + FP + eps), R = TP / (TP + FN + eps), F1 = 2 P R / (P + R + eps), IoU = TP / (TP + FP + FN + eps);
    ``mF1`` and ``mIoU`` average the changed and the unchanged class, ``OA`` = (TP + TN) / all pixels. BIT (Chen et
    al., TGRS 2022) has eps = 1.19e-7 (float32); without eps a score whose denominator is 0 is left out, and F1 is
    2 TP / (2 TP + FP + FN). An unparsable or failed answer says "no change". Original resolution.

    Args:
        eps: added to every denominator.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CHANGE})
    primary: ClassVar[str] = "F1"
    statistics: ClassVar[tuple[str, ...]] = ("tp", "fp", "fn", "tn", "iou", "parsed")
    paired: ClassVar[str | None] = "iou"

    def __init__(self, eps: float = 0.0) -> None:
        self.eps = eps

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Pixel counts of one image; ``iou`` (1 where both masks are empty) serves paired tests only."""
        if sample.targets is None:
            return dict.fromkeys(self.statistics, math.nan)
        target = mask_answer(sample.targets, sample.size).rle
        usable = answered(prediction)
        found = mask_answer(prediction.regions, sample.size).rle if usable else empty_rle(sample.size)
        inter, area_p, area_t = rle_counts(found, target)
        union = area_p + area_t - inter
        return {
            "tp": float(inter),
            "fp": float(area_p - inter),
            "fn": float(area_t - inter),
            "tn": float(sample.size[0] * sample.size[1] - union),
            "iou": inter / union if union else float(usable),
            "parsed": float(usable),
        }

    def terms(self, columns: Columns) -> Terms:
        """The confusion matrix, image by image."""
        known = ~np.isnan(columns["tp"])
        found = {name: masked(columns[name], known) for name in ("tp", "fp", "fn", "tn", "parsed")}
        return found | {"n": known.astype(np.float64)}

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """precision, recall, F1, IoU, mF1, mIoU, OA, parse_rate."""
        some = np.where(sums["n"] > 0, 0.0, np.nan)
        tp, fp, fn, tn = (sums[name] + some for name in ("tp", "fp", "fn", "tn"))
        precision, recall, f1, iou = self._class(tp, fp, fn)
        _, _, other_f1, other_iou = self._class(tn, fn, fp)
        return {
            "precision": precision,
            "recall": recall,
            "F1": f1,
            "IoU": iou,
            "mF1": (f1 + other_f1) / 2.0,
            "mIoU": (iou + other_iou) / 2.0,
            "OA": ratio(tp + tn, tp + fp + fn + tn),
            "parse_rate": ratio(sums["parsed"], sums["n"]),
        }

    def _class(self, tp: Floats, fp: Floats, fn: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        precision, recall = ratio(tp, tp + fp + self.eps), ratio(tp, tp + fn + self.eps)
        iou = ratio(tp, tp + fp + fn + self.eps)
        if self.eps:
            return precision, recall, ratio(2.0 * precision * recall, precision + recall + self.eps), iou
        return precision, recall, ratio(2.0 * tp, 2.0 * tp + fp + fn), iou


class ClassChange(SumMetric):
    """mIoU of several kinds of change, as LEVIR-MCI's scorer (Change-Agent, Liu et al., TGRS 2024).

    One confusion matrix over all pixels, classes background and ``classes``; IoU of class c = n_cc / (row + column -
    n_cc), mIoU = mean over the classes that occur (no eps). A region's class is its label, compared without case,
    blanks and plural s; where regions overlap the later one wins; a region with another label is background. An
    unparsable or failed answer says "no change".

    Args:
        classes: the kinds of change; at most three.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CHANGE})
    primary: ClassVar[str] = "mIoU"
    statistics: ClassVar[tuple[str, ...]] = (*(f"n{a}{b}" for a in range(4) for b in range(4)), "accuracy", "parsed")
    paired: ClassVar[str | None] = "accuracy"

    def __init__(self, classes: Sequence[str] = ("road", "building")) -> None:
        if not 1 <= len(classes) <= 3:
            raise ValueError(f"option 'classes' names 1 to 3 kinds of change, got {list(classes)}")
        self.classes = tuple(classes)
        self._codes = {_plain(name): code for code, name in enumerate(self.classes, start=1)}

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """The confusion matrix of one image, ``n<target><predicted>``."""
        if sample.targets is None:
            return dict.fromkeys(self.statistics, math.nan)
        target = self._draw(sample.targets, sample.size)
        found = self._draw(prediction.regions if answered(prediction) else (), sample.size)
        table = np.bincount((4 * target + found).ravel(), minlength=16).astype(float)
        counts = {f"n{k // 4}{k % 4}": float(value) for k, value in enumerate(table)}
        accuracy = float(table[::5].sum() / table.sum())
        return counts | {"accuracy": accuracy, "parsed": float(answered(prediction))}

    def _draw(self, regions: Sequence[Region], size: Size) -> np.ndarray[Any, np.dtype[np.uint8]]:
        from rsground.geometry import rle_to_mask

        canvas = np.zeros(size, np.uint8)
        for region in regions:
            code, rle = self._codes.get(_plain(region.label or "")), rle_in(region, size)
            if code is not None and rle is not None:
                canvas[rle_to_mask(rle)] = code
        return canvas

    def terms(self, columns: Columns) -> Terms:
        """The confusion matrix, image by image."""
        known = ~np.isnan(columns["parsed"])
        found = {name: masked(columns[name], known) for name in self.statistics}
        return found | {"n": known.astype(np.float64)}

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """mIoU, IoU per class, OA, parse_rate."""
        names = ("background", *self.classes)
        found: Terms = {}
        for code, name in enumerate(names):
            row = sum((sums[f"n{code}{k}"] for k in range(4)), start=np.zeros_like(sums["n"]))
            column = sum((sums[f"n{k}{code}"] for k in range(4)), start=np.zeros_like(sums["n"]))
            found[f"IoU/{name}"] = ratio(sums[f"n{code}{code}"], row + column - sums[f"n{code}{code}"])
        table = np.stack(list(found.values()))
        found["mIoU"] = ratio(np.nansum(table, axis=0), np.isfinite(table).sum(axis=0))
        total = sum((sums[f"n{a}{b}"] for a in range(4) for b in range(4)), start=np.zeros_like(sums["n"]))
        found["OA"] = ratio(sum((sums[f"n{k}{k}"] for k in range(4)), start=np.zeros_like(sums["n"])), total)
        found["parse_rate"] = ratio(sums["parsed"], sums["n"])
        return found


def _plain(label: str) -> str:
    return label.lower().replace(" ", "").replace("_", "").removesuffix("s")
