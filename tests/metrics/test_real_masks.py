"""Real instance masks: run-length counts against pycocotools, and a neighbour as the prediction."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from metric_samples import answers, mask_sample
from pycocotools import mask as coco

from rsground.geometry import rle_from_coco
from rsground.metrics import evaluate, mask_iou_counts
from rsground.types import Region


@pytest.fixture(scope="module")
def real_masks(shared_data):
    path = shared_data / "refer_mini" / "rrsisd" / "instances.json"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the real data")
    annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    return [note["segmentation"][0] for note in annotations[:400:4]]


def test_counts_of_real_masks(real_masks):
    checked = 0
    for first, second in pairwise(real_masks):
        if first["size"] != second["size"]:
            continue
        inter, union = mask_iou_counts(rle_from_coco(first), rle_from_coco(second))
        pair = [{"size": m["size"], "counts": m["counts"].encode()} for m in (first, second)]
        assert (inter, union) == (coco.area(coco.merge(pair, intersect=True)), coco.area(coco.merge(pair)))
        checked += 1
    assert checked > 10


def test_protocols_on_real_masks(real_masks):
    rles = [rle_from_coco(mask) for mask in real_masks[:40]]
    samples = [mask_sample(Region(rle=rle), size=rle.size, name=str(k)) for k, rle in enumerate(rles)]
    perfect = [answers(Region(rle=rle)) for rle in rles]
    halves = [
        answers(Region(hbb=(0.0, 0.0, float(rle.size[1]), float(rle.size[0])))) if k % 2 else perfect[k]
        for k, rle in enumerate(rles)
    ]
    for protocol in ("res", "res-rmsin", "res-segearth", "rec-hbb", "rec-obb"):
        best = evaluate(samples, perfect, protocol)
        worse = evaluate(samples, halves, protocol)
        name = "gIoU" if "gIoU" in best else "mIoU"
        assert best[name] == pytest.approx(1.0, abs=1e-4)
        assert 0.4 < worse[name] < 0.9
    areas = np.array([int(coco.area({"size": m["size"], "counts": m["counts"].encode()})) for m in real_masks[:40]])
    sizes = np.array([m["size"][0] * m["size"][1] for m in real_masks[:40]])
    expected = np.where(np.arange(40) % 2, areas / sizes, 1.0).mean()
    assert evaluate(samples, halves, "res")["gIoU"] == pytest.approx(expected, abs=1e-12)
