"""Box accuracy as published scorers of single-box data sets compute it: DIOR-RSVG, VLMEvalKit, Text4Seg."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.geometry import clip_hbb
from rsground.metrics.forms import answered, box_in, flag, mask_answer
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.types import Prediction, Region, Sample, Task


class SingleBox(SumMetric):
    """Acc@X, mIoU and cumIoU of the first predicted box against the first target box.

    IoU of float boxes without +1; cumIoU = sum of intersections / sum of unions over all samples. A missing,
    unparsable or failed answer, a NaN and a sample without target have IoU 0 and stay in every denominator.

    Args:
        thresholds: X of Acc@X.
        threshold_op: ``"ge"`` (IoU >= X is a hit) or ``"gt"``.
        clip: cut the predicted box to the image (the target is left as annotated).
        source: ``"hbb"``, or ``"mask"``: boxes (min x, min y, max x, max y) over the pixel *indices* of the masks, as
            Text4Seg takes them; nothing is added, so a mask one pixel wide has no area and is a miss.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB, Task.MASK})
    primary: ClassVar[str] = "Acc@0.5"
    statistics: ClassVar[tuple[str, ...]] = ("iou", "intersection", "union", "parsed", "unique")
    paired: ClassVar[str | None] = "iou"

    def __init__(
        self,
        thresholds: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9),
        threshold_op: str = "ge",
        clip: bool = True,
        source: str = "hbb",
    ) -> None:
        if threshold_op not in ("ge", "gt") or source not in ("hbb", "mask"):
            raise ValueError(
                f"threshold_op is 'ge' or 'gt' and source 'hbb' or 'mask', got {threshold_op!r}, {source!r}"
            )
        self.thresholds = tuple(float(value) for value in thresholds)
        self.threshold_op, self.clip, self.source = threshold_op, clip, source

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """IoU and areas of one sample; all NaN where the sample is not annotated."""
        if sample.targets is None:
            return dict.fromkeys(self.statistics, math.nan)
        regions = prediction.regions if answered(prediction) else ()
        found, wanted = self._box(regions, sample), self._box(sample.targets, sample)
        if found is not None and self.clip and self.source == "hbb":
            found = clip_hbb(found, sample.size)
        inter, union = _overlap(found, wanted)
        iou = inter / union if union > 0 else 0.0
        parsed, unique = float(answered(prediction)), flag(sample.meta.get("is_unique"))
        return {"iou": iou, "intersection": inter, "union": union, "parsed": parsed, "unique": unique}

    def _box(self, regions: tuple[Region, ...], sample: Sample) -> Floats | None:
        if not regions:
            return None
        if self.source == "hbb":
            box = box_in(regions[0])
            return None if box is None else np.asarray(box, np.float64)
        merged = mask_answer(regions, sample.size)
        edges = box_in(Region(rle=merged.rle))
        return None if edges is None else np.asarray(edges, np.float64) - [0.0, 0.0, 1.0, 1.0]

    def terms(self, columns: Columns) -> Terms:
        """Sums of hits, IoU and areas."""
        known = ~np.isnan(columns["iou"])
        found: Terms = {name: masked(columns[name], known) for name in ("iou", "intersection", "union", "parsed")}
        found["n"] = known.astype(np.float64)
        for threshold in self.thresholds:
            iou = found["iou"]
            hit = known & (iou >= threshold if self.threshold_op == "ge" else iou > threshold)
            found[f"Acc@{threshold:g}"] = hit.astype(np.float64)
            for group, value in (("unique", 1.0), ("non-unique", 0.0)):
                member = known & (columns["unique"] == value)
                found[group] = member.astype(np.float64)
                found[f"Acc@{threshold:g}/{group}"] = (member & hit).astype(np.float64)
        return found

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """Acc@X with its unique split, mIoU, cumIoU, parse_rate."""
        found: Terms = {}
        for threshold in self.thresholds:
            name = f"Acc@{threshold:g}"
            found[name] = ratio(sums[name], sums["n"])
            for group in ("unique", "non-unique"):
                found[f"{name}/{group}"] = ratio(sums[f"{name}/{group}"], sums[group])
        found["mIoU"] = ratio(sums["iou"], sums["n"])
        found["cumIoU"] = ratio(sums["intersection"], sums["union"])
        found["parse_rate"] = ratio(sums["parsed"], sums["n"])
        return found


def _overlap(a: Floats | None, b: Floats | None) -> tuple[float, float]:
    """Intersection and union in square pixels; a missing box has no area."""
    area_a, area_b = _area(a), _area(b)
    if a is None or b is None:
        return 0.0, area_a + area_b
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inter = float(max(width, 0.0) * max(height, 0.0))
    return inter, area_a + area_b - inter


def _area(box: Floats | None) -> float:
    return 0.0 if box is None else float(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))
