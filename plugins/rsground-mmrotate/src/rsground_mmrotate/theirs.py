"""MMRotate's own evaluation of the same labels and detections, to stand beside ours. Needs MMRotate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsground.errors import DataError, MissingExtraError
from rsground.geometry import quad_to_obb
from rsground_mmrotate.average_precision import ClassScore, DotaScore, Mode
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.labels import class_name

_HARDEST = 100
"""MMRotate ignores what is more difficult than this; no label is."""


def read_labels(folder: Path, classes: Sequence[str], *, ignore_difficult: bool = True) -> dict[str, dict[str, Any]]:
    """Annotations as MMRotate's ``DOTADataset`` reads them and its evaluation takes them.

    Args:
        folder: ``images/`` and ``labelTxt/``, label files without headers.
        classes: as the label files write them, all that are in them; the first ones are those that are scored.
        ignore_difficult: difficult objects are neither right nor missed.

    Returns:
        Per image name ``bboxes`` ``(N, 5)`` float32 (cx, cy, w, h, radians, convention le90), ``labels`` ``(N,)``, and
        both with ``_ignore``.

    Raises:
        MissingExtraError: MMRotate is not installed here.
        DataError: MMRotate cannot read these label files.
    """
    try:
        import torch
        from mmrotate.datasets import DOTADataset
        from mmrotate.structures.bbox import qbox2rbox
        from mmrotate.utils import register_all_modules
    except ImportError as error:
        raise MissingExtraError("MMRotate's evaluation", "mm", "mmrotate-dev") from error
    register_all_modules(init_default_scope=True)
    try:
        data = DOTADataset(
            data_root=f"{folder}/",
            ann_file="labelTxt/",
            data_prefix={"img_path": "images/"},
            metainfo={"classes": tuple(classes)},
            diff_thr=0 if ignore_difficult else _HARDEST,
            test_mode=True,
            pipeline=[],
        )
    except Exception as error:  # its reader takes one form only, and says so in many ways
        what = f"MMRotate's reader cannot take these labels ({type(error).__name__}: {error})"
        raise DataError(f"{what}; write them again with 'rsground dota export', without --header", folder) from error
    found = {}
    for row in data.load_data_list():
        corners = torch.tensor([each["bbox"] for each in row["instances"]], dtype=torch.float32).reshape(-1, 8)
        boxes = qbox2rbox(corners).numpy()
        labels = np.array([each["bbox_label"] for each in row["instances"]], int)
        hard = np.array([each["ignore_flag"] for each in row["instances"]], bool)
        found[row["img_id"]] = {
            "bboxes": boxes[~hard],
            "labels": labels[~hard],
            "bboxes_ignore": boxes[hard],
            "labels_ignore": labels[hard],
        }
    return found


def mmrotate_map(
    found: Mapping[str, Sequence[Detection]],
    annotated: Mapping[str, Mapping[str, Any]],
    classes: Sequence[str],
    *,
    iou: float = 0.5,
    mode: Mode = "11points",
) -> DotaScore:
    """``eval_rbbox_map`` of MMRotate on detections and what :func:`read_labels` read, in our form.

    Raises:
        MissingExtraError: MMRotate is not installed here.
    """
    try:
        from mmrotate.evaluation.functional.mean_ap import eval_rbbox_map
    except ImportError as error:
        raise MissingExtraError("MMRotate's evaluation", "mm", "mmrotate-dev") from error
    names = [class_name(name) for name in classes]

    def rows(image: str, name: str) -> Any:
        mine = [each for each in found.get(image, ()) if class_name(each.category) == name]
        corners = np.array([each.quad for each in mine], np.float64).reshape(-1, 4, 2)
        scores = np.array([each.score for each in mine], np.float64)
        return np.column_stack([quad_to_obb(corners, convention="le90"), scores]).astype(np.float32)

    boxes = [[rows(image, name) for name in names] for image in annotated]
    mean, rest = eval_rbbox_map(
        boxes,
        list(annotated.values()),
        iou_thr=iou,
        use_07_metric=mode == "11points",
        dataset=names,
        logger="silent",
        nproc=1,
    )
    scores = {name: _score(each) for name, each in zip(names, rest, strict=True)}
    return DotaScore(float(mean), scores)


def _score(told: Mapping[str, Any]) -> ClassScore:
    targets, recall = int(told["num_gts"]), np.ravel(told["recall"])
    if not targets:
        return ClassScore(math.nan, 0, int(told["num_dets"]), math.nan)
    return ClassScore(
        float(np.ravel(told["ap"])[0]), targets, int(told["num_dets"]), float(recall[-1]) if recall.size else 0.0
    )
