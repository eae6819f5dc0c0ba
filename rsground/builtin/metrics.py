"""Metrics that ship in the core. The conventions of each are in docs/reference/metrics.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsground.specs import MetricSpec
from rsground.types import Task


def _spec(
    name: str,
    target: str,
    summary: str,
    tasks: tuple[Task, ...],
    options: Mapping[str, Any] | None = None,
) -> MetricSpec:
    return MetricSpec(
        name=name,
        target=f"rsground.metrics.{target}",
        summary=summary,
        tasks=tuple(task.value for task in tasks),
        options=options or {},
    )


_MASK, _BOX, _CHANGE = (Task.MASK,), (Task.HBB, Task.OBB), (Task.CHANGE,)
_ANY_BOX = (*_BOX, Task.MASK)
_TEXT = (Task.CAPTION, Task.REGION_CAPTION)
_LISA = {"iou_eps": 1e-5, "sum_eps": 1e-10, "unparsable": "empty"}

METRICS: list[MetricSpec] = [
    _spec("res", "res:Segmentation", "masks, strict: gIoU, cIoU, Pr@X, original resolution, empty = empty is 1", _MASK),
    _spec(
        "res-lisa",
        "res:Segmentation",
        "masks as LISA and Text4Seg score them (eps 1e-5, no Pr@X)",
        _MASK,
        _LISA | {"count_eps": 1e-5, "thresholds": ()},
    ),
    _spec(
        "res-segearth",
        "res:Segmentation",
        "masks as SegEarth-R1: letterboxed to 1024, IoU > X",
        _MASK,
        _LISA | {"threshold_op": "gt", "frame": "letterbox-1024"},
    ),
    _spec(
        "res-rmsin",
        "res:Segmentation",
        "masks as LAVT and RMSIN: 480 x 480 nearest, empty = empty is 0",
        _MASK,
        {"empty": "zero", "frame": "square-480", "unparsable": "empty"},
    ),
    _spec("rec-hbb", "rec:BoxAccuracy", "boxes, strict: Acc@0.5/0.7, mIoU, several and absent targets", _ANY_BOX),
    _spec("rec-obb", "rec:BoxAccuracy", "oriented boxes, strict: exact rotated IoU", _ANY_BOX, {"form": "obb"}),
    _spec("rec-mgvlf", "rec_upstream:SingleBox", "boxes as MGVLF and LPVA score DIOR-RSVG: Pr@0.5 ... 0.9", _ANY_BOX),
    _spec(
        "rec-vlmevalkit",
        "rec_upstream:SingleBox",
        "boxes as VLMEvalKit scores RefCOCO: Acc@0.5",
        _ANY_BOX,
        {"thresholds": (0.5,)},
    ),
    _spec(
        "rec-text4seg",
        "rec_upstream:SingleBox",
        "boxes around masks as Text4Seg: pixel indices, IoU > 0.5",
        _ANY_BOX,
        {"thresholds": (0.5,), "threshold_op": "gt", "source": "mask"},
    ),
    _spec("rec-vrsbench-hbb", "vrsbench:VRSBench", "boxes as VRSBench: 0-100 grid, inclusive +1", _BOX),
    _spec(
        "rec-vrsbench-hbb-text",
        "vrsbench:VRSBench",
        "the same, from the digit groups of the answer's text",
        _BOX,
        {"read": "text"},
    ),
    _spec(
        "rec-vrsbench-obb-v1",
        "vrsbench:VRSBench",
        "oriented boxes as VRSBench v1, degrees taken for radians",
        _BOX,
        {"form": "obb-v1"},
    ),
    _spec(
        "rec-vrsbench-obb-v2",
        "vrsbench:VRSBench",
        "oriented boxes as VRSBench v2, rebuilt from a diagonal, same slip",
        _BOX,
        {"form": "obb-v2"},
    ),
    _spec("gcg-glamm", "gcg:GlammGCG", "grounded descriptions as GLaMM and GeoPixel score them", (Task.GCG,)),
    _spec("gcg-strict", "gcg:StrictGCG", "grounded descriptions where misses and extras cost", (Task.GCG,)),
    _spec("change", "change:BinaryChange", "changed pixels: F1, IoU over the whole set", _CHANGE),
    _spec("change-bit", "change:BinaryChange", "the same as BIT's scorer, float32 eps", _CHANGE, {"eps": 2.0**-23}),
    _spec("change-mci", "change:ClassChange", "kinds of change as LEVIR-MCI: mIoU over classes", _CHANGE),
    _spec("vqa-rsvqa", "answers:ExactAnswer", "short answers, exact match as RSVQA: P, C, average", (Task.VQA,)),
    _spec("vqa-vrsbench", "answers:VRSBenchAnswer", "short answers as VRSBench: substring, micro, macro", (Task.VQA,)),
    _spec("scene", "answers:SceneClass", "scene classes, letters and digits compared", (Task.SCENE,)),
    _spec(
        "scene-geochat",
        "answers:SceneClass",
        "scene classes as GeoChat scores them",
        (Task.SCENE,),
        {"rule": "geochat"},
    ),
    _spec("caption", "captions:Captions", "captions: BLEU, ROUGE-L, CIDEr-D (pycocoevalcap), token F1", _TEXT),
    _spec("object-class", "object_class:ObjectClass", "class of a region as Osprey: SIoU, SS", (Task.REGION_CAPTION,)),
]
