"""Referring expression comprehension, our own strict protocol: one box, several boxes, or none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.geometry import clip_hbb, hbb_area, iou_hbb_matrix, iou_quad_matrix, quad_area
from rsground.metrics.forms import answered, box_in, flag, quad_in
from rsground.metrics.matching import greedy_match
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.types import Prediction, Region, Sample, Size, Task

THRESHOLDS = {"0.5": "tp50", "0.7": "tp70"}
"""IoU threshold → the column that counts the pairs reaching it."""


class BoxAccuracy(SumMetric):
    """Acc@0.5, Acc@0.7, mIoU and cumIoU of boxes; a hit needs IoU >= the threshold.

    IoU is of float boxes on pixel edges (nothing is added to a width); for ``form="obb"`` the exact intersection over
    union of the four-corner polygons (float64). Boxes without area and NaN have IoU 0. Horizontal boxes are cut to
    the image and reversed corners are put in order first.

    - One target: the first predicted region counts; ``Best@X`` takes the best of all of them instead.
    - Several targets: greedy one-to-one matching, largest IoU first. A hit needs as many regions as targets and every
      pair at the threshold; the sample's IoU is the sum over pairs / max(predicted, targets).
    - No target: right (IoU 1) only if the answer could be read and holds no region.
    - Unparsable, failed, or a region without the form: wrong, kept in every denominator.
    - On mask tasks the boxes are those around the masks, region by region.

    ``F1@X`` = 2 TP / (predicted + targets) over all samples, TP counting greedy pairs at X; ``Exact@0.5`` = share of
    samples whose regions and targets match one-to-one without a remainder, at any number of targets. ``cumIoU`` = sum
    of intersections / sum of unions over samples with one target (an unusable answer adds the target's area to the
    union). ``.../unique`` and ``.../non-unique`` split by ``meta["is_unique"]``. N-acc = share of targetless samples
    answered with nothing.

    Args:
        form: ``"hbb"`` or ``"obb"``.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB, Task.MASK})
    primary: ClassVar[str] = "Acc@0.5"
    statistics: ClassVar[tuple[str, ...]] = (
        "iou",
        "hit",
        "best",
        "intersection",
        "union",
        "tp50",
        "tp70",
        "predicted",
        "targets",
        "parsed",
        "unique",
    )
    paired: ClassVar[str | None] = "hit"

    def __init__(self, form: str = "hbb") -> None:
        if form not in ("hbb", "obb"):
            raise ValueError(f"option 'form' must be 'hbb' or 'obb', got {form!r}")
        self.form = form

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """IoUs and counts of one sample; all NaN where the sample is not annotated; ``hit`` is at 0.5."""
        if sample.targets is None:
            return dict.fromkeys(self.statistics, math.nan)
        regions = prediction.regions if answered(prediction) else ()
        iou = self._matrix(regions, sample.targets, sample.size)
        count = len(sample.targets)
        pairs = greedy_match(iou)
        found = {
            "tp50": float(sum(iou[pair] >= 0.5 for pair in pairs)),
            "tp70": float(sum(iou[pair] >= 0.7 for pair in pairs)),
            "predicted": float(len(regions)),
            "targets": float(count),
            "parsed": float(answered(prediction)),
            "unique": flag(sample.meta.get("is_unique")),
            "best": math.nan,
            "intersection": math.nan,
            "union": math.nan,
        }
        if count == 1:
            first = float(iou[0, 0]) if len(regions) else 0.0
            found |= {"iou": first, "best": float(iou.max(initial=0.0))} | self._areas(regions, sample, first)
        elif count == 0:
            found["iou"] = float(answered(prediction) and not regions)
        else:
            found["iou"] = float(sum(iou[pair] for pair in pairs)) / max(len(regions), count)
        found["hit"] = float(_hits(found, "0.5"))
        return found

    def _matrix(self, regions: Sequence[Region], targets: Sequence[Region], size: Size) -> Floats:
        """IoU (P, T); 0 in rows and columns whose region has no such form."""
        boxes, wanted = self._boxes(regions, size), self._boxes(targets, size)
        rows = [i for i, box in enumerate(boxes) if box is not None]
        columns = [i for i, box in enumerate(wanted) if box is not None]
        iou = np.zeros((len(regions), len(targets)))
        if rows and columns:
            pair = iou_hbb_matrix if self.form == "hbb" else iou_quad_matrix
            values = pair(np.array([boxes[i] for i in rows]), np.array([wanted[i] for i in columns]))
            iou[np.ix_(rows, columns)] = np.nan_to_num(values, nan=0.0)
        return iou

    def _boxes(self, regions: Sequence[Region], size: Size) -> list[Floats | None]:
        if self.form == "obb":
            quads = [quad_in(region) for region in regions]
            return [None if quad is None else np.asarray(quad, np.float64) for quad in quads]
        boxes = [box_in(region) for region in regions]
        return [None if box is None else clip_hbb(np.asarray(box), size) for box in boxes]

    def _areas(self, regions: Sequence[Region], sample: Sample, iou: float) -> dict[str, float]:
        """Intersection and union of the first region and the only target, from their areas and IoU."""
        (wanted,) = self._boxes(sample.targets or (), sample.size)
        target = self._area(wanted)
        first = self._area(self._boxes(regions[:1], sample.size)[0]) if regions else 0.0
        inter = iou * (first + target) / (1.0 + iou)
        return {"intersection": inter, "union": first + target - inter}

    def _area(self, box: Floats | None) -> float:
        if box is None:
            return 0.0
        return float(hbb_area(box)) if self.form == "hbb" else float(np.asarray(quad_area(box[None]))[0])

    def terms(self, columns: Columns) -> Terms:
        """Sums of hits, IoU, pairs and areas."""
        known = ~np.isnan(columns["iou"])
        single, absent = known & (columns["targets"] == 1), known & (columns["targets"] == 0)
        exact = (columns["tp50"] == columns["predicted"]) & (columns["tp50"] == columns["targets"])
        exact &= ~absent | (columns["iou"] == 1.0)
        found: Terms = {
            "n": known.astype(np.float64),
            "iou": masked(columns["iou"], known),
            "intersection": masked(columns["intersection"], single),
            "union": masked(columns["union"], single),
            "single": single.astype(np.float64),
            "absent": absent.astype(np.float64),
            "rejected": masked(columns["iou"], absent),
            "exact": (known & exact).astype(np.float64),
            "regions": masked(columns["predicted"] + columns["targets"], known),
            "parsed": masked(columns["parsed"], known),
        }
        for name, pairs in THRESHOLDS.items():
            hit = known & _hits(columns, name)
            found[f"hit{name}"] = hit.astype(np.float64)
            found[f"best{name}"] = (single & (masked(columns["best"], single) >= float(name))).astype(np.float64)
            found[f"tp{name}"] = masked(columns[pairs], known)
            for group, value in (("unique", 1.0), ("non-unique", 0.0)):
                member = known & (columns["unique"] == value)
                found[group] = member.astype(np.float64)
                found[f"hit{name}/{group}"] = (member & hit).astype(np.float64)
        return found

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """Acc@X, mIoU, cumIoU, Best@X, F1@X, Exact@0.5, N-acc, the unique split, parse_rate."""
        n = sums["n"]
        found = {f"Acc@{name}": ratio(sums[f"hit{name}"], n) for name in THRESHOLDS}
        found |= {"mIoU": ratio(sums["iou"], n), "cumIoU": ratio(sums["intersection"], sums["union"])}
        for name in THRESHOLDS:
            found[f"Best@{name}"] = ratio(sums[f"best{name}"], sums["single"])
            found[f"F1@{name}"] = ratio(2.0 * sums[f"tp{name}"], sums["regions"])
            for group in ("unique", "non-unique"):
                found[f"Acc@{name}/{group}"] = ratio(sums[f"hit{name}/{group}"], sums[group])
        found["Exact@0.5"] = ratio(sums["exact"], n)
        found["N-acc"] = ratio(sums["rejected"], sums["absent"])
        found["parse_rate"] = ratio(sums["parsed"], n)
        return found


def _hits(columns: Mapping[str, Any], threshold: str) -> Any:
    """Whether each sample is right at ``threshold``."""
    pairs = columns[THRESHOLDS[threshold]]
    several = (pairs == columns["predicted"]) & (pairs == columns["targets"])
    return np.where(np.asarray(columns["targets"]) > 1, several, np.asarray(columns["iou"]) >= float(threshold))
