"""Box accuracy as VRSBench's published notebook computes it, on the integer grid that its answers are written in.

Kept for comparison with published numbers, slips included; :mod:`rsground.metrics.rec` holds the protocol to trust.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.geometry import iou_quad, quad_area, quad_to_obb
from rsground.metrics.forms import answered, box_in, flag, quad_in
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.types import HBB, Prediction, Quad, Region, Sample, Size, Task

THRESHOLDS = ("0.5", "0.7")
ROUND_OFF = 1e-6
"""Slack below which a coordinate that went text → pixels → grid counts as the integer it was written as."""
_DIGITS = re.compile(r"\d+", re.ASCII)
_LONGEST = 9
"""Digits kept of one number; the grid ends at 100."""


class VRSBench(SumMetric):
    """Acc@0.5, Acc@0.7, meanIoU and cumIoU on the 0-100 integer grid; a hit needs IoU >= the threshold.

    Coordinates are truncated to whole hundredths of the image's width and height. Only the first box counts. Accuracy
    and mIoU divide by all samples, unparsable ones included; cumIoU = sum I / sum U over the parsable ones.

    - ``form="hbb"``: inclusive boxes, ``(x2 - x1 + 1) (y2 - y1 + 1)``: equal boxes without area have IoU 1, and a
      box without area against one that is a single cell larger each way has IoU 0.25.
    - ``form="obb-v1"``: ``(cx, cy, w, h, degrees)``, width >= height, angle counter-clockwise in [-90, 90), its sign
      *lost* (answers are read digit group by digit group), then handed to a function that takes *radians*: 57 degrees
      are drawn as 57 rad. Reproduced on purpose; the result is no rotated-box accuracy in the usual sense.
    - ``form="obb-v2"``: the corners nearest to and farthest from the image origin plus the angle; the box is rebuilt
      as w, h = |d cos|, |d sin| of the diagonal d (the larger is w), with the same slip of the angle. A
      box at 0 or 90 degrees has no area then and cannot be hit, not even by itself.

    Args:
        form: see above.
        read: ``"regions"`` scores the regions a head found, brought onto the grid; ``"text"`` reads the answer's text
            as the notebook does: all digit groups in order, the first four (obb-v1: exactly five, obb-v2: at least
            five) numbers, wherever they stand. Reversed corners then have IoU <= 0, decimals and minus signs corrupt.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB})
    primary: ClassVar[str] = "Acc@0.5"
    statistics: ClassVar[tuple[str, ...]] = ("iou", "intersection", "union", "valid", "unique")
    paired: ClassVar[str | None] = "iou"

    def __init__(self, form: str = "hbb", read: str = "regions") -> None:
        if form not in ("hbb", "obb-v1", "obb-v2") or read not in ("regions", "text"):
            raise ValueError(
                f"form is 'hbb', 'obb-v1' or 'obb-v2' and read 'regions' or 'text', got {form!r}, {read!r}"
            )
        self.form, self.read = form, read

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """IoU and areas in grid cells; all NaN where the sample has no (usable) target."""
        wanted = self._numbers(sample.targets or (), sample.size)
        if wanted is None:
            return dict.fromkeys(self.statistics, math.nan)
        unique = flag(sample.meta.get("is_unique"))
        found = self._answer(prediction, sample.size)
        if found is None:
            return {"iou": 0.0, "intersection": 0.0, "union": 0.0, "valid": 0.0, "unique": unique}
        overlap = _inclusive_overlap if self.form == "hbb" else self._rotated_overlap
        inter, union = overlap(wanted, found)
        iou = inter / union if union else 0.0
        return {"iou": iou, "intersection": inter, "union": union, "valid": 1.0, "unique": unique}

    def _answer(self, prediction: Prediction, size: Size) -> list[float] | None:
        if prediction.error is not None:
            return None
        if self.read == "regions":
            return self._numbers(prediction.regions, size) if answered(prediction) else None
        groups = [float(group[:_LONGEST]) for group in _DIGITS.findall(prediction.text)]
        if self.form == "hbb":
            return groups[:4] if len(groups) >= 4 else None
        if self.form == "obb-v1":
            return groups if len(groups) == 5 else None
        return groups[:5] if len(groups) >= 5 else None

    def _numbers(self, regions: Sequence[Region], size: Size) -> list[float] | None:
        """What VRSBench would write for the first region."""
        if not regions:
            return None
        if self.form == "hbb":
            box = box_in(regions[0])
            return None if box is None else grid_hbb(box, size)
        quad = quad_in(regions[0])
        if quad is None:
            return None
        return grid_obb_v1(quad, size) if self.form == "obb-v1" else grid_obb_v2(quad, size)

    def _rotated_overlap(self, a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
        boxes = [box if self.form == "obb-v1" else _from_diagonal(box) for box in (a, b)]
        first, second = (_misread_quad(box)[None] for box in boxes)
        total = float(quad_area(first)[0] + quad_area(second)[0])
        iou = float(iou_quad(first, second)[0])
        inter = iou * total / (1.0 + iou)
        return inter, max(total - inter, 1e-6)

    def terms(self, columns: Columns) -> Terms:
        """Sums of hits, IoU and areas."""
        known = ~np.isnan(columns["iou"])
        found: Terms = {name: masked(columns[name], known) for name in ("iou", "intersection", "union", "valid")}
        found["n"] = known.astype(np.float64)
        for name in THRESHOLDS:
            hit = known & (found["iou"] >= float(name))
            found[f"Acc@{name}"] = hit.astype(np.float64)
            for group, value in (("unique", 1.0), ("non-unique", 0.0)):
                member = known & (columns["unique"] == value)
                found[group] = member.astype(np.float64)
                found[f"Acc@{name}/{group}"] = (member & hit).astype(np.float64)
        return found

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """Acc@X with its unique split, mIoU, cumIoU, parse_rate."""
        found: Terms = {}
        for name in THRESHOLDS:
            found[f"Acc@{name}"] = ratio(sums[f"Acc@{name}"], sums["n"])
            for group in ("unique", "non-unique"):
                found[f"Acc@{name}/{group}"] = ratio(sums[f"Acc@{name}/{group}"], sums[group])
        found["mIoU"] = ratio(sums["iou"], sums["n"])
        found["cumIoU"] = ratio(sums["intersection"], sums["union"])
        found["parse_rate"] = ratio(sums["valid"], sums["n"])
        return found


def grid_hbb(box: HBB, size: Size) -> list[float]:
    """(x1, y1, x2, y2) in whole hundredths of the image, truncated."""
    height, width = size
    return _whole(np.asarray(box) / [width, height, width, height])


def grid_obb_v1(quad: Quad, size: Size) -> list[float]:
    """(cx, cy, w, h, degrees without sign) of VRSBench's ``obb_v1``."""
    box, degrees = _unit_obb(quad, size)
    return [*_whole(box[:4]), degrees]


def grid_obb_v2(quad: Quad, size: Size) -> list[float]:
    """(x, y) nearest to the origin, (x, y) farthest from it, degrees without sign: VRSBench's ``obb_v2``."""
    height, width = size
    corners = np.asarray(quad, np.float64) / [width, height]
    distance = (corners**2).sum(axis=1)
    _, degrees = _unit_obb(quad, size)
    return [*_whole(np.concatenate([corners[distance.argmin()], corners[distance.argmax()]])), degrees]


def _unit_obb(quad: Quad, size: Size) -> tuple[Floats, float]:
    height, width = size
    box = quad_to_obb(np.asarray(quad, np.float64) / [width, height], convention="le90")
    return box, float(abs(round(math.degrees(box[4]))))


def _whole(values: Floats) -> list[float]:
    return [float(value) for value in np.trunc(np.maximum(np.asarray(values), 0.0) * 100.0 + ROUND_OFF)]


def _inclusive_overlap(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Cells in the intersection and in the union of inclusive boxes; areas may be <= 0 where corners are reversed."""
    width, height = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + 1 for k in (0, 1))
    inter = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return inter, sum(areas) - inter


def _from_diagonal(corners: Sequence[float]) -> list[float]:
    x1, y1, x2, y2, degrees = corners
    degrees %= 180
    length = math.hypot(x2 - x1, y2 - y1)
    sides = abs(length * math.cos(math.radians(degrees))), abs(length * math.sin(math.radians(degrees)))
    return [(x1 + x2) / 2, (y1 + y2) / 2, max(sides), min(sides), degrees]


def _misread_quad(box: Sequence[float]) -> Floats:
    """Corners of a box whose angle in degrees is taken for radians, counter-clockwise on screen."""
    cx, cy, w, h, angle = box
    along = np.array([math.cos(angle), -math.sin(angle)]) * w / 2
    across = np.array([-math.sin(angle), -math.cos(angle)]) * h / 2
    centre = np.array([cx, cy])
    return np.stack(
        [centre + along + across, centre + along - across, centre - along - across, centre - along + across]
    )
