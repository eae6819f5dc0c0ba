"""Average precision: pycocotools' COCOeval is the reference."""

from __future__ import annotations

import contextlib
import io
from itertools import count

import numpy as np
import pytest

from rsground.errors import ShapeError
from rsground.geometry import mask_to_rle, rle_iou_matrix
from rsground.metrics.precision import average_precision, match_image


def scene(rng, detections, targets):
    def blobs(number):
        masks = np.zeros((number, 24, 24), bool)
        for mask in masks:
            y, x = rng.integers(0, 16, 2)
            mask[y : y + rng.integers(3, 9), x : x + rng.integers(3, 9)] = True
        return masks

    wanted = blobs(targets)
    found = np.concatenate([np.roll(wanted, rng.integers(-1, 2), axis=2), blobs(detections)])
    scores = np.round(rng.random(len(found)), 1)
    return found, scores, wanted


def coco_eval(scenes):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def text(mask):
        rle = mask_to_rle(mask)
        return {"size": list(rle.size), "counts": rle.counts.decode()}

    numbers = count(1)
    annotations = [
        {
            "id": next(numbers),
            "image_id": k,
            "category_id": 1,
            "iscrowd": 0,
            "area": int(m.sum()),
            "segmentation": text(m),
        }
        for k, (_, _, wanted) in enumerate(scenes)
        for m in wanted
    ]
    found = [
        {"image_id": k, "category_id": 1, "score": float(score), "segmentation": text(m)}
        for k, (masks, scores, _) in enumerate(scenes)
        for m, score in zip(masks, scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": k, "width": 24, "height": 24} for k in range(len(scenes))],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "thing"}],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


def images_of(scenes):
    encode = (
        [[mask_to_rle(m) for m in masks] for masks, _, _ in scenes],
        [[mask_to_rle(m) for m in w] for *_, w in scenes],
    )
    return [
        match_image(rle_iou_matrix(found, wanted), scores)
        for found, wanted, (_, scores, _) in zip(*encode, scenes, strict=True)
    ]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("equal_scores", [False, True])
def test_as_pycocotools(seed, equal_scores):
    rng = np.random.default_rng(seed)
    scenes = [scene(rng, rng.integers(0, 5), rng.integers(0, 5)) for _ in range(6)]
    scenes.append(scene(rng, 2, 3))
    if equal_scores:
        scenes = [(masks, np.ones(len(masks)), wanted) for masks, _, wanted in scenes]
    found = average_precision(images_of(scenes))
    assert (found["AP"], found["AP50"]) == pytest.approx(coco_eval(scenes), abs=1e-12)


def test_at_most_a_hundred_detections_count():
    image = match_image(np.concatenate([np.zeros((100, 1)), np.ones((1, 1))]), np.ones(101))
    assert len(image["scores"]) == 100
    assert average_precision([image])["AP50"] == 0.0


def test_weights_repeat_images():
    rng = np.random.default_rng(0)
    images = images_of([scene(rng, 2, 2) for _ in range(4)])
    repeated = [images[0], images[0], images[3], images[3], images[3]]
    assert average_precision(images, np.array([2.0, 0.0, 0.0, 3.0])) == average_precision(repeated)
    with pytest.raises(ShapeError, match="whole numbers"):
        average_precision(images, np.array([0.5, 1.0, 1.0, 1.0]))


def test_nothing_to_find():
    assert np.isnan(average_precision([match_image(np.zeros((2, 0)), [1.0, 1.0])])["AP"])
    assert average_precision([match_image(np.zeros((0, 2)), [])])["AP"] == 0.0
