"""Small samples and predictions for the metric tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rsground.geometry import mask_to_rle
from rsground.types import HBB, ImageRef, Prediction, Quad, Region, Sample, Task


def mask_region(mask: Any, **facts: Any) -> Region:
    return Region(rle=mask_to_rle(np.asarray(mask, bool)), **facts)


def row_mask(pixels: int, start: int = 0, width: int = 10) -> Region:
    """A (1, ``width``) mask with ``pixels`` object pixels from ``start``."""
    mask = np.zeros((1, width), bool)
    mask[0, start : start + pixels] = True
    return mask_region(mask)


def mask_sample(*targets: Region, size: tuple[int, int] = (1, 10), name: str = "s", **facts: Any) -> Sample:
    return Sample(name, (ImageRef(f"{name}.png", *size),), "the thing", Task.MASK, tuple(targets), **facts)


def box_sample(*boxes: HBB, size: tuple[int, int] = (100, 100), name: str = "s", **meta: Any) -> Sample:
    targets = tuple(Region(hbb=box) for box in boxes)
    return Sample(name, (ImageRef(f"{name}.png", *size),), "the thing", Task.HBB, targets, meta=meta)


def boxes(*found: HBB, text: str = "") -> Prediction:
    return Prediction(regions=tuple(Region(hbb=box) for box in found), text=text)


def quad_sample(quad: Quad, size: tuple[int, int] = (100, 100), name: str = "s") -> Sample:
    return Sample(name, (ImageRef(f"{name}.png", *size),), "the thing", Task.OBB, (Region(quad=quad),))


def as_quad(corners: Any) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in np.asarray(corners))
    return (a, b, c, d)


def answers(*regions: Region) -> Prediction:
    return Prediction(regions=regions)


def stack(metric: Any, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> dict[str, Any]:
    from rsground.metrics import make_columns

    rows = [metric.measure(sample, prediction) for sample, prediction in zip(samples, predictions, strict=True)]
    return make_columns(metric, {name: [row[name] for row in rows] for name in (*metric.statistics, *metric.payloads)})
