"""Samples and predictions as plain JSON values, and back: what stores and worker pipes carry."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from rsground.types import RLE, ImageRef, Issue, Prediction, Region, Sample, Task, Usage


def dumps(value: Any) -> str:
    """Compact JSON text; what JSON does not know becomes its ``str``, never an error."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)


def region_to_json(region: Region) -> dict[str, Any]:
    """A region's own forms; absent ones are left out. RLE counts are ASCII text already."""
    found: dict[str, Any] = {}
    if region.hbb is not None:
        found["hbb"] = [float(value) for value in region.hbb]
    if region.quad is not None:
        found["quad"] = [[float(x), float(y)] for x, y in region.quad]
    if region.polygons is not None:
        found["polygons"] = [[[float(x), float(y)] for x, y in ring] for ring in region.polygons]
    if region.rle is not None:
        height, width = region.rle.size
        found["rle"] = {"size": [int(height), int(width)], "counts": region.rle.counts.decode("ascii")}
    if region.points is not None:
        found["points"] = [[float(x), float(y)] for x, y in region.points]
    if region.score is not None:
        found["score"] = float(region.score)
    if region.label is not None:
        found["label"] = region.label
    if region.span is not None:
        found["span"] = list(region.span)
    if region.attributes:
        found["attributes"] = dict(region.attributes)
    return found


def region_from_json(found: Mapping[str, Any]) -> Region:
    """The region that :func:`region_to_json` wrote."""
    rle = found.get("rle")
    return Region(
        hbb=_tuple(found.get("hbb")),
        quad=_pairs(found.get("quad")),
        polygons=None if "polygons" not in found else tuple(_pairs(ring) for ring in found["polygons"]),
        rle=None if rle is None else RLE((rle["size"][0], rle["size"][1]), rle["counts"].encode("ascii")),
        points=_pairs(found.get("points")),
        score=found.get("score"),
        label=found.get("label"),
        span=_tuple(found.get("span")),
        attributes=found.get("attributes", {}),
    )


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """Everything a prediction says, usage included."""
    usage = prediction.usage
    return {
        "regions": [region_to_json(region) for region in prediction.regions],
        "parsed": bool(prediction.parsed),
        "issues": [list(issue) for issue in prediction.issues],
        "text": prediction.text,
        "error": prediction.error,
        "usage": [getattr(usage, name) for name in USAGE],
    }


def prediction_from_json(found: Mapping[str, Any]) -> Prediction:
    """The prediction that :func:`prediction_to_json` wrote."""
    return Prediction(
        regions=tuple(region_from_json(region) for region in found["regions"]),
        parsed=bool(found["parsed"]),
        issues=tuple(Issue(code, detail, _tuple(span)) for code, detail, span in found["issues"]),
        text=found["text"],
        error=found["error"],
        usage=Usage(*found["usage"]),
    )


USAGE = tuple(each.name for each in fields(Usage))
"""Fields of :class:`rsground.types.Usage`, in order."""


def whole_usage(values: Sequence[Any]) -> list[Any]:
    """A value for each of :data:`USAGE`: None for the last ones, where whoever wrote it did not know of them yet."""
    return [*values, *[None] * (len(USAGE) - len(values))]


def sample_to_json(sample: Sample) -> dict[str, Any]:
    """A sample without its pixels."""
    return {
        "id": sample.id,
        "images": [[image.uri, image.height, image.width] for image in sample.images],
        "expression": sample.expression,
        "task": sample.task.value,
        "targets": None if sample.targets is None else [region_to_json(region) for region in sample.targets],
        "answer": sample.answer,
        "meta": dict(sample.meta),
    }


def sample_from_json(found: Mapping[str, Any]) -> Sample:
    """The sample that :func:`sample_to_json` wrote; its images can be read only where they are files."""
    targets = found["targets"]
    return Sample(
        id=found["id"],
        images=tuple(ImageRef(uri, height, width) for uri, height, width in found["images"]),
        expression=found["expression"],
        task=Task(found["task"]),
        targets=None if targets is None else tuple(region_from_json(region) for region in targets),
        answer=found["answer"],
        meta=found["meta"],
    )


def finite(value: float | None) -> float | None:
    """``value`` where JSON can say it, None for nan and infinities."""
    return None if value is None or not math.isfinite(value) else value


def _tuple(values: Any) -> Any:
    return None if values is None else tuple(values)


def _pairs(values: Any) -> Any:
    return None if values is None else tuple((x, y) for x, y in values)
