"""Mean average precision of oriented detections, as DOTA and MMRotate count it (PASCAL VOC's protocol, IoU 0.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ShapeError
from rsground.geometry import iou_obb_matrix, quad_to_obb
from rsground.regions import quad_of
from rsground.types import Region
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.labels import class_name

Mode = Literal["11points", "area"]
MODES: tuple[Mode, ...] = ("11points", "area")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One category.

    Attributes:
        ap: average precision; NaN without any target.
        targets: annotated objects that count.
        detections: found, ignored ones included.
        recall: share of the targets found by all detections together; NaN without any target.
    """

    ap: float
    targets: int
    detections: int
    recall: float


@dataclass(frozen=True, slots=True)
class DotaScore:
    """All categories.

    Attributes:
        mean: over categories that have a target, as MMRotate averages; NaN where none has.
        classes: per category.
    """

    mean: float
    classes: Mapping[str, ClassScore]


def dota_map(
    found: Mapping[str, Sequence[Detection]],
    annotated: Mapping[str, Sequence[Region]],
    classes: Sequence[str],
    *,
    iou: float = 0.5,
    mode: Mode = "11points",
    ignore_difficult: bool = True,
) -> DotaScore:
    """Mean average precision over categories.

    In order of falling score, a detection takes the target of its image and category that it overlaps most; at
    ``iou`` or above it is right the first time that target is taken, wrong when it is taken again, and does not count
    when the target is ignored. IoU is that of the least rectangles around the corners, exact; MMRotate's own kernel
    computes in single precision, so a pair within about 1e-4 of the threshold may fall on the other side.

    Args:
        found: detections per image name.
        annotated: regions with ``label`` per image name; these images are scored, detections elsewhere are not.
        classes: the categories, as DOTA writes them or in words.
        iou: threshold.
        mode: ``11points`` (VOC 2007, DOTA's own) or ``area`` under the curve (VOC 2012).
        ignore_difficult: do not count objects annotated as difficult (above 0), as DOTA's tools do. MMRotate's
            configs count them.

    Raises:
        ShapeError: an unknown mode, or a threshold outside of (0, 1].
    """
    if mode not in MODES:
        raise ShapeError(f"a mode of average precision is one of {', '.join(MODES)}, got {mode!r}")
    if not 0.0 < iou <= 1.0:
        raise ShapeError(f"the IoU threshold must lie in (0, 1], got {iou}")
    scores = {}
    for name in map(class_name, classes):
        scored, hits, targets = [], [], 0
        for image, regions in annotated.items():
            mine = [each for each in found.get(image, ()) if class_name(each.category) == name]
            boxes, ignored = _targets(regions, name, ignore_difficult)
            targets += int((~ignored).sum())
            scored.append(np.array([each.score for each in mine], np.float64))
            hits.append(match_image(mine, boxes, ignored, iou))
        scores[name] = _score(np.concatenate([*scored, []]), np.concatenate([*hits, []]), targets, mode)
    means = [score.ap for score in scores.values() if score.targets]
    return DotaScore(float(np.mean(means)) if means else float("nan"), scores)


def match_image(
    detections: Sequence[Detection], boxes: Floats, ignored: NDArray[np.bool_], threshold: float
) -> NDArray[np.int64]:
    """Per detection of one image and category: 1 right, 0 wrong, -1 does not count.

    Args:
        detections: in any order.
        boxes: ``(M, 5)`` targets.
        ignored: ``(M,)`` targets that neither reward nor punish.
        threshold: least IoU.
    """
    hits = np.zeros(len(detections), np.int64)
    if not len(boxes) or not detections:
        return hits
    corners = np.array([each.quad for each in detections], np.float64)
    overlap = iou_obb_matrix(quad_to_obb(corners, convention="le90"), boxes)
    best, taken = overlap.argmax(axis=1), np.zeros(len(boxes), bool)
    for place in np.argsort([-each.score for each in detections], kind="stable"):
        target = best[place]
        if overlap[place, target] < threshold:
            continue
        if ignored[target]:
            hits[place] = -1
        elif not taken[target]:
            taken[target], hits[place] = True, 1
    return hits


def _targets(regions: Sequence[Region], name: str, ignore: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Oriented boxes ``(M, 5)`` of a category, and which of them are ignored."""
    kept = [
        (quad, ignore and int(region.attributes.get("difficult", 0)) > 0)
        for region in regions
        if region.label is not None and class_name(region.label) == name and (quad := quad_of(region)) is not None
    ]
    corners = np.array([quad for quad, _ in kept], np.float64).reshape(-1, 4, 2)
    return quad_to_obb(corners, convention="le90"), np.array([skip for _, skip in kept], bool)


def _score(scores: Floats, hits: NDArray[Any], targets: int, mode: Mode) -> ClassScore:
    order = np.argsort(-scores, kind="stable")
    right, wrong = np.cumsum(hits[order] == 1), np.cumsum(hits[order] == 0)
    if not targets:
        return ClassScore(float("nan"), 0, len(scores), float("nan"))
    recall = right / targets
    precision = right / np.maximum(right + wrong, 1)
    value = _eleven_points(recall, precision) if mode == "11points" else _area(recall, precision)
    return ClassScore(value, targets, len(scores), float(recall[-1]) if len(recall) else 0.0)


def _eleven_points(recall: Floats, precision: Floats) -> float:
    """Mean over recalls 0, 0.1 ... 1 of the best precision at that recall or above."""
    reached = [precision[recall >= step] for step in np.arange(0.0, 1.0 + 1e-3, 0.1)]
    return float(sum(found.max() if found.size else 0.0 for found in reached) / 11)


def _area(recall: Floats, precision: Floats) -> float:
    """Area under the curve of the best precision at a recall or above."""
    steps = np.diff(np.concatenate([[0.0], recall]))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((steps * envelope).sum())
