"""VRSBench's scorer: the +1 rule, the digit groups, and the angle slip, re-derived from its rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_samples import as_quad, box_sample, boxes, quad_sample
from shapely.geometry import Polygon

from rsground.geometry import obb_to_quad
from rsground.metrics import evaluate
from rsground.metrics.rec import BoxAccuracy
from rsground.metrics.vrsbench import VRSBench, grid_hbb, grid_obb_v1, grid_obb_v2
from rsground.types import Prediction, Region

cell = st.integers(0, 100)


def on_grid(x1, y1, x2, y2, size=(512, 512)):
    return (x1 / 100 * size[1], y1 / 100 * size[0], x2 / 100 * size[1], y2 / 100 * size[0])


def iou_of(target, found, **options):
    return VRSBench(**options).measure(box_sample(on_grid(*target), size=(512, 512)), found)["iou"]


def test_the_plus_one_rule():
    assert iou_of((25, 25, 25, 25), boxes(on_grid(25, 25, 25, 25))) == 1.0
    assert iou_of((25, 25, 25, 25), boxes(on_grid(25, 25, 26, 26))) == 0.25
    assert iou_of((0, 0, 9, 9), boxes(on_grid(0, 0, 9, 4))) == 0.5
    strict = BoxAccuracy().measure(box_sample((128.0, 128.0, 128.0, 128.0)), boxes((128.0, 128.0, 128.0, 128.0)))
    assert strict["iou"] == 0.0  # a box without area cannot be hit without the rule


@given(numbers=st.tuples(cell, cell, cell, cell), width=st.integers(1, 3000), height=st.integers(1, 3000))
def test_grid_numbers_survive_the_way_through_pixels(numbers, width, height):
    assert grid_hbb(on_grid(*numbers, size=(height, width)), (height, width)) == list(map(float, numbers))


def test_coordinates_are_truncated():
    assert grid_hbb((259.9, 0.0, 511.9, 512.0), (1000, 512)) == [50.0, 0.0, 99.0, 51.0]


@pytest.mark.parametrize(
    ("text", "iou"),
    [
        ("{<25><40><33><60>}", 1.0),
        ("{<25><40><33><60>} or {<1><1><2><2>}", 1.0),  # later boxes are ignored
        ("{<33><60><25><40>}", 0.0),  # reversed corners
        ("{<25><40><33>}", 0.0),  # three numbers
        ("the 2 ships at {<25><40><33><60>}", 0.0),  # numbers in the prose shift the box
        ("no ship", 0.0),
    ],
)
def test_text_is_read_digit_group_by_digit_group(text, iou):
    measured = VRSBench(read="text").measure(
        box_sample(on_grid(25, 40, 33, 60), size=(512, 512)), Prediction(text=text)
    )
    assert max(measured["iou"], 0.0) == pytest.approx(iou, abs=0.05)
    assert measured["valid"] == float(sum(c.isdigit() for c in text) >= 7)


def test_unparsable_counts_in_accuracy_but_not_in_cumulative_iou():
    samples = [box_sample(on_grid(0, 0, 9, 9), size=(512, 512)) for _ in range(2)]
    found = evaluate(samples, [boxes(on_grid(0, 0, 9, 4)), Prediction.failure("lost")], VRSBench())
    assert (found["Acc@0.5"], found["mIoU"], found["cumIoU"], found["parse_rate"]) == (0.5, 0.25, 0.5, 0.5)


def test_obb_v1_numbers():
    quad = as_quad(obb_to_quad([256.0, 128.0, 102.4, 51.2, math.radians(-30)]))
    assert grid_obb_v1(quad, (512, 512)) == [50.0, 25.0, 20.0, 10.0, 30.0]


def test_obb_v2_numbers():
    quad = as_quad(obb_to_quad([256.0, 256.0, 102.4, 51.2, 0.0]))
    assert grid_obb_v2(quad, (512, 512)) == [40.0, 45.0, 60.0, 55.0, 0.0]


def misread(cx, cy, w, h, degrees):
    """Corners as drawn from rules of our own reading: the number of degrees is an angle in radians."""
    turn = np.array([[math.cos(degrees), math.sin(degrees)], [-math.sin(degrees), math.cos(degrees)]])
    return Polygon(np.array([[w, h], [w, -h], [-w, -h], [-w, h]]) / 2 @ turn.T + [cx, cy])


@pytest.mark.parametrize("angles", [(57.0, 57.0), (57.0, 58.0), (10.0, 80.0)])
def test_v1_takes_degrees_for_radians(angles):
    drawn = [misread(50, 50, 30, 10, angle) for angle in angles]
    expected = drawn[0].intersection(drawn[1]).area / drawn[0].union(drawn[1]).area
    sample, found = (as_quad(obb_to_quad([256.0, 256.0, 154.0, 51.5, math.radians(-angle)])) for angle in angles)
    measured = VRSBench(form="obb-v1").measure(
        quad_sample(sample, (512, 512)), Prediction(regions=(Region(quad=found),))
    )
    assert measured["iou"] == pytest.approx(expected, abs=1e-9)


def test_one_degree_off_is_a_radian_off():
    quad, near = (as_quad(obb_to_quad([256.0, 256.0, 300.0, 30.0, math.radians(-a)])) for a in (40, 41))
    sample, found = quad_sample(quad, (512, 512)), Prediction(regions=(Region(quad=near),))
    assert VRSBench(form="obb-v1").measure(sample, found)["iou"] < 0.2
    assert BoxAccuracy(form="obb").measure(sample, found)["iou"] > 0.8


@pytest.mark.parametrize("form", ["obb-v1", "obb-v2"])
def test_the_slip_hides_good_boxes(form):
    rng = np.random.default_rng(3)
    samples, predictions = [], []
    for k in range(200):
        w, h = rng.uniform(60, 200), rng.uniform(20, 60)
        obb = np.array([*rng.uniform(150, 360, 2), w, h, rng.uniform(-np.pi / 2, np.pi / 2)])
        jitter = obb + rng.normal(0, [2, 2, 3, 2, 0.02])
        samples.append(quad_sample(as_quad(obb_to_quad(obb)), (512, 512), str(k)))
        predictions.append(Prediction(regions=(Region(quad=as_quad(obb_to_quad(jitter))),)))
    strict = evaluate(samples, predictions, BoxAccuracy(form="obb"))["Acc@0.5"]
    slipped = evaluate(samples, predictions, VRSBench(form=form))["Acc@0.5"]
    assert strict > 0.95
    assert slipped < strict - 0.1


@pytest.mark.parametrize(("form", "text", "valid"), [("obb-v1", "<1><2><3><4>", 0), ("obb-v1", "<1><2><9><4>|<7>", 1),
                                                     ("obb-v2", "<1><2><9><4>|<7> 3", 1)])  # fmt: skip
def test_oriented_answers_need_five_numbers(form, text, valid):
    quad = as_quad(obb_to_quad([256.0, 256.0, 100.0, 50.0, 0.3]))
    measured = VRSBench(form=form, read="text").measure(quad_sample(quad, (512, 512)), Prediction(text=text))
    assert measured["valid"] == valid


def test_a_sample_without_target_does_not_apply():
    assert all(math.isnan(value) for value in VRSBench().measure(box_sample(), boxes()).values())
