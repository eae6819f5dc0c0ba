"""The table of awkward answers: what each protocol family makes of every one of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from metric_samples import answers, as_quad, box_sample, boxes, mask_region, mask_sample, quad_sample, row_mask

from rsground.builtin.metrics import METRICS
from rsground.geometry import obb_to_quad
from rsground.metrics import evaluate, summarise_failures
from rsground.registry import construct
from rsground.types import RLE, Issue, Prediction, Region

BOX = (10.0, 10.0, 30.0, 30.0)
BOX_PROTOCOLS = sorted(spec.name for spec in METRICS if spec.name.startswith("rec"))
SPECS = {spec.name: construct(spec) for spec in METRICS}


@pytest.mark.parametrize("name", BOX_PROTOCOLS)
@pytest.mark.parametrize(
    "lost",
    [
        Prediction(parsed=False, issues=(Issue("empty", "the answer holds no text"),)),
        Prediction(parsed=False, text="I see a ship", issues=(Issue("missing-tag", "no box"),)),
        Prediction(parsed=False, text="{<1><2>", issues=(Issue("truncated", "cut"),)),
        Prediction.failure("timeout"),
    ],
)
def test_empty_text_no_box_or_truncated_is_a_miss_that_counts(name, lost):
    right = box_sample(BOX)
    found = evaluate([right, right], [boxes(BOX, text="{<10><10><30><30>}"), lost], SPECS[name])
    assert found["Acc@0.5"] == (0.0 if name.endswith("v2") else 0.5)  # v2 cannot hit an upright box
    assert found["n"] == 2
    assert found["parse_rate"] == 0.5
    assert summarise_failures([lost])["parse_rate"] == 0.0


@pytest.mark.parametrize("name", ["rec-hbb", "rec-mgvlf", "rec-vlmevalkit", "rec-vrsbench-hbb"])
def test_two_boxes_for_one_object_the_first_counts(name):
    found = evaluate([box_sample(BOX)], [boxes((60.0, 60.0, 70.0, 70.0), BOX)], SPECS[name])
    assert found["Acc@0.5"] == 0.0
    assert found.get("Best@0.5", 1.0) == 1.0


def test_reversed_corners_are_swapped_unless_vrsbench_reads_the_text():
    turned = boxes((30.0, 30.0, 10.0, 10.0), text="{<30><30><10><10>}")
    assert SPECS["rec-hbb"].measure(box_sample(BOX), turned)["iou"] == 1.0
    assert SPECS["rec-vrsbench-hbb-text"].measure(box_sample(BOX), turned)["iou"] <= 0.0


@pytest.mark.parametrize("name", ["rec-hbb", "rec-mgvlf", "rec-vlmevalkit"])
def test_a_box_outside_the_image_is_clipped(name):
    sample = box_sample((80.0, 80.0, 100.0, 100.0))
    assert SPECS[name].measure(sample, boxes((80.0, 80.0, 300.0, 300.0)))["iou"] == 1.0


@pytest.mark.parametrize(
    ("name", "score"), [("res", 1.0), ("res-lisa", 1.0), ("res-segearth", 1.0), ("res-rmsin", 0.0)]
)
def test_both_masks_empty(name, score):
    assert evaluate([mask_sample()], [answers()], SPECS[name])["gIoU"] == pytest.approx(score, abs=2e-5)


@pytest.mark.parametrize(("name", "hit"), [("res", 1.0), ("res-rmsin", 1.0), ("res-segearth", 0.0)])
def test_iou_exactly_at_the_threshold_for_masks(name, hit):
    assert evaluate([mask_sample(row_mask(4))], [answers(row_mask(2))], SPECS[name])["Pr@0.5"] == hit


@pytest.mark.parametrize(
    ("name", "hit"), [("rec-hbb", 1.0), ("rec-mgvlf", 1.0), ("rec-vlmevalkit", 1.0), ("rec-text4seg", 0.0)]
)
def test_iou_exactly_at_the_threshold_for_boxes(name, hit):
    if name == "rec-text4seg":  # 9 x 8 cells between first and last index, and half of them
        target, half = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
        target[:10, :9], half[:10, :5] = True, True
        sample, found = mask_sample(mask_region(target), size=(20, 20)), answers(mask_region(half))
    else:
        sample, found = box_sample(BOX), boxes((10.0, 10.0, 20.0, 30.0))
    assert SPECS[name].measure(sample, found)["iou"] == 0.5
    assert evaluate([sample], [found], SPECS[name])["Acc@0.5"] == hit


@pytest.mark.parametrize(("name", "hit"), [("rec-hbb", 0.0), ("rec-mgvlf", 0.0), ("rec-vrsbench-hbb", 1.0)])
def test_a_target_without_area_can_be_hit_by_the_plus_one_rule_only(name, hit):
    flat = (10.0, 10.0, 10.0, 30.0)
    assert evaluate([box_sample(flat)], [boxes(flat)], SPECS[name])["Acc@0.5"] == hit


def test_a_right_angle_with_sides_exchanged_is_the_same_oriented_box():
    upright = as_quad(obb_to_quad([50.0, 50.0, 40.0, 20.0, 0.0]))
    turned = as_quad(obb_to_quad([50.0, 50.0, 20.0, 40.0, math.pi / 2]))
    measured = SPECS["rec-obb"].measure(quad_sample(upright), Prediction(regions=(Region(quad=turned),)))
    assert measured["iou"] == pytest.approx(1.0, abs=1e-9)


NAN = float("nan")
HOPELESS = [
    Region(),
    Region(hbb=(NAN, 0.0, 1.0, 1.0)),
    Region(hbb=(0.0, 0.0, float("inf"), 1.0)),
    Region(quad=((NAN, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))),
    Region(polygons=((),)),
    Region(polygons=(((0.0, 0.0), (NAN, 1.0), (1.0, 1.0)),)),
    Region(rle=RLE((1, 10), b"\xff\xfe")),
    Region(rle=RLE((7, 7), b"a1")),
    Region(points=((NAN, NAN),)),
]


@pytest.mark.parametrize("region", HOPELESS, ids=str)
@pytest.mark.parametrize("name", sorted(SPECS))
def test_regions_that_are_no_regions_are_wrong_and_never_raise(name, region):
    metric = SPECS[name]
    for sample in (mask_sample(row_mask(4)), box_sample((1.0, 0.0, 5.0, 1.0), size=(1, 10))):
        measured = metric.measure(sample, answers(region))
        for column in ("iou", "miou", "hit", "recalled"):
            assert not measured.get(column, 0.0) > 0.0 or name.startswith("rec-vrsbench-hbb")
        numbers = {key: np.array([measured[key]]) for key in metric.statistics}
        numbers |= {key: np.array([measured[key], None], object)[:1] for key in metric.payloads}
        assert all(math.isfinite(value) for value in metric.summarise(numbers).values())


@pytest.mark.parametrize("name", sorted(SPECS))
def test_nothing_to_score_is_no_score(name):
    metric = SPECS[name]
    columns = {key: np.zeros(0) for key in metric.statistics} | {key: np.zeros(0, object) for key in metric.payloads}
    assert metric.summarise(columns) == {}
