"""Box accuracy: one, several and absent targets; horizontal and oriented; published single-box scorers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_samples import as_quad, box_sample, boxes, mask_region, mask_sample, quad_sample

from rsground.builtin.metrics import METRICS
from rsground.geometry import obb_to_quad
from rsground.metrics import evaluate
from rsground.metrics.rec import BoxAccuracy
from rsground.metrics.rec_upstream import SingleBox
from rsground.registry import construct
from rsground.types import Prediction, Region

SPECS = {spec.name: spec for spec in METRICS}
BOX = (10.0, 10.0, 30.0, 30.0)
HALF = (10.0, 10.0, 20.0, 30.0)  # IoU with BOX exactly 0.5
FAR = (60.0, 60.0, 90.0, 90.0)
coordinate = st.integers(-80, 480).map(lambda quarters: quarters / 4)
box = st.tuples(coordinate, coordinate, coordinate, coordinate)


def score(sample, prediction, name="rec-hbb"):
    return evaluate([sample], [prediction], construct(SPECS[name]))


def test_one_target_at_the_threshold_is_a_hit():
    found = score(box_sample(BOX), boxes(HALF))
    assert (found["Acc@0.5"], found["Acc@0.7"], found["mIoU"], found["cumIoU"]) == (1.0, 0.0, 0.5, 0.5)


def test_the_first_box_counts_and_the_best_is_told():
    found = score(box_sample(BOX), boxes(FAR, BOX))
    assert (found["Acc@0.5"], found["Best@0.5"], found["Exact@0.5"]) == (0.0, 1.0, 0.0)
    assert found["F1@0.5"] == pytest.approx(2 / 3)


def test_several_targets_need_every_one():
    sample = box_sample(BOX, FAR)
    assert score(sample, boxes(FAR, BOX))["Acc@0.5"] == 1.0
    one_missing = score(sample, boxes(BOX))
    assert (one_missing["Acc@0.5"], one_missing["mIoU"], one_missing["F1@0.5"]) == (0.0, 0.5, pytest.approx(2 / 3))
    one_extra = score(sample, boxes(BOX, FAR, (0.0, 0.0, 5.0, 5.0)))
    assert (one_extra["Acc@0.5"], one_extra["mIoU"]) == (0.0, pytest.approx(2 / 3))


def test_absent_targets_want_an_empty_answer_that_could_be_read():
    assert score(box_sample(), boxes())["Acc@0.5"] == 1.0
    assert score(box_sample(), boxes())["N-acc"] == 1.0
    assert score(box_sample(), boxes(BOX))["Acc@0.5"] == 0.0
    lost = score(box_sample(), Prediction(parsed=False))
    assert (lost["Acc@0.5"], lost["N-acc"], lost["Exact@0.5"], lost["parse_rate"]) == (0.0, 0.0, 0.0, 0.0)


def test_failed_answers_stay_in_every_denominator():
    found = evaluate([box_sample(BOX), box_sample(BOX)], [boxes(BOX), Prediction.failure("lost")], "rec-hbb")
    assert (found["Acc@0.5"], found["mIoU"], found["cumIoU"], found["n"]) == (0.5, 0.5, 0.5, 2)


def test_reversed_corners_are_put_in_order_and_the_outside_is_cut():
    assert score(box_sample(BOX), boxes((30.0, 30.0, 10.0, 10.0)))["mIoU"] == 1.0
    assert score(box_sample((0.0, 0.0, 20.0, 20.0)), boxes((-50.0, -50.0, 20.0, 20.0)))["mIoU"] == 1.0


def test_a_region_without_the_form_is_wrong():
    assert score(box_sample(BOX), Prediction(regions=(Region(label="ship"),)))["Acc@0.5"] == 0.0
    assert score(box_sample(BOX), boxes((math.nan, 0.0, 1.0, 1.0)))["mIoU"] == 0.0


def test_unique_and_other_samples_are_told_apart():
    samples = [box_sample(BOX, is_unique=True), box_sample(BOX, is_unique=False), box_sample(BOX)]
    found = evaluate(samples, [boxes(BOX), boxes(FAR), boxes(BOX)], "rec-hbb")
    assert (found["Acc@0.5/unique"], found["Acc@0.5/non-unique"]) == (1.0, 0.0)
    assert found["Acc@0.5"] == pytest.approx(2 / 3)


def test_oriented_boxes_by_hand():
    square = as_quad(obb_to_quad([50.0, 50.0, 20.0, 20.0, 0.0]))
    turned = as_quad(obb_to_quad([50.0, 50.0, 20.0, 20.0, math.pi / 4]))
    octagon = 2 * (math.sqrt(2) - 1) * 400.0
    found = score(quad_sample(square), Prediction(regions=(Region(quad=turned),)), "rec-obb")
    assert found["mIoU"] == pytest.approx(octagon / (800.0 - octagon))
    assert found["cumIoU"] == pytest.approx(found["mIoU"])


def test_a_turned_box_with_sides_exchanged_is_the_same_box():
    quad = as_quad(obb_to_quad([50.0, 50.0, 40.0, 10.0, math.pi / 2]))
    same = as_quad(obb_to_quad([50.0, 50.0, 10.0, 40.0, 0.0]))
    assert score(quad_sample(quad), Prediction(regions=(Region(quad=same),)), "rec-obb")["mIoU"] == pytest.approx(1.0)


@given(target=box, found=box)
def test_iou_is_bounded_symmetric_and_flips(target, found):
    metric = BoxAccuracy()

    def iou(a, b):
        return metric.measure(box_sample(a), boxes(b))["iou"]

    def flip(b):
        return (100.0 - b[2], b[1], 100.0 - b[0], b[3])

    assert 0.0 <= iou(target, found) <= 1.0
    assert iou(target, found) == pytest.approx(iou(found, target), abs=1e-9)
    assert iou(target, found) == pytest.approx(iou(flip(target), flip(found)), abs=1e-9)


@pytest.mark.parametrize("name", ["rec-mgvlf", "rec-vlmevalkit"])
def test_single_box_protocols_clip_the_prediction(name):
    found = score(box_sample((0.0, 0.0, 20.0, 20.0)), boxes((-40.0, 0.0, 20.0, 20.0)), name)
    assert (found["mIoU"], found["Acc@0.5"]) == (1.0, 1.0)


def test_mgvlf_has_five_thresholds_and_cumulative_iou():
    samples = [box_sample(BOX), box_sample(FAR)]
    found = evaluate(samples, [boxes(HALF), boxes(FAR)], construct(SPECS["rec-mgvlf"]))
    assert [found[f"Acc@{t}"] for t in ("0.5", "0.6", "0.7", "0.8", "0.9")] == [1.0, 0.5, 0.5, 0.5, 0.5]
    assert found["cumIoU"] == pytest.approx((200 + 900) / (400 + 900))


def mask_from(rows, columns, size=(10, 10)):
    mask = np.zeros(size, bool)
    mask[rows, columns] = True
    return mask_region(mask)


def test_text4seg_boxes_stand_on_pixel_indices():
    metric = construct(SPECS["rec-text4seg"])
    sample = mask_sample(mask_from(slice(0, 5), slice(0, 5)), size=(10, 10))
    found = metric.measure(sample, Prediction(regions=(mask_from(slice(0, 5), slice(0, 3)),)))
    assert found["iou"] == pytest.approx((4 * 2) / (4 * 4))  # 4x2 and 4x4 cells between the first and last index
    assert evaluate([sample], [Prediction(regions=(mask_from(slice(0, 5), slice(0, 3)),))], metric)["Acc@0.5"] == 0.0
    one_pixel = mask_sample(mask_from(3, 3), size=(10, 10))
    assert metric.measure(one_pixel, Prediction(regions=(mask_from(3, 3),)))["iou"] == 0.0
    assert metric.measure(sample, Prediction())["iou"] == 0.0


def test_options_are_checked():
    with pytest.raises(ValueError, match="must be 'hbb' or 'obb', got 'circle'"):
        BoxAccuracy(form="circle")
    with pytest.raises(ValueError, match="got 'lt'"):
        SingleBox(threshold_op="lt")
