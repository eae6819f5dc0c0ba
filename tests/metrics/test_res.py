"""Segmentation protocols: hand examples of each convention, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metric_samples import answers, mask_region, mask_sample, row_mask, stack

from rsground.builtin.metrics import METRICS
from rsground.metrics import evaluate
from rsground.metrics.res import Segmentation, letterbox_size
from rsground.registry import construct
from rsground.types import Prediction, Region

PROTOCOLS = {spec.name: spec for spec in METRICS if spec.name.startswith("res")}
mask_pairs = st.lists(st.tuples(arrays(bool, (6, 8)), arrays(bool, (6, 8))), min_size=1, max_size=5)


def protocol(name: str) -> Segmentation:
    return construct(PROTOCOLS[name])


def score(name, *pairs):
    samples = [mask_sample(*target, name=str(k)) for k, (target, _) in enumerate(pairs)]
    return evaluate(samples, [found for _, found in pairs], protocol(name))


EMPTY_EMPTY = ((), answers())
EMPTY_FILLED = ((), answers(row_mask(4)))
HALF = ((row_mask(4),), answers(row_mask(2)))  # IoU exactly 0.5
EXACT = ((row_mask(4),), answers(row_mask(4)))


def test_a_worked_example():
    found = score("res", HALF, EXACT, EMPTY_FILLED)
    assert found["gIoU"] == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert found["cIoU"] == pytest.approx((2 + 4 + 0) / (4 + 4 + 4))
    assert (found["Pr@0.5"], found["Pr@0.6"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert found["n"] == 3


def test_lisa_adds_its_epsilons():
    found = score("res-lisa", HALF, EXACT)
    assert found["gIoU"] == pytest.approx((2 / (4 + 1e-5) + 4 / (4 + 1e-5)) / (2 + 1e-5), rel=1e-12)
    assert found["cIoU"] == pytest.approx(6 / (8 + 1e-10), rel=1e-14)
    assert not any(name.startswith("Pr@") for name in found)


def test_conventions_for_empty_masks():
    assert score("res", EMPTY_EMPTY)["gIoU"] == 1.0
    assert score("res-segearth", EMPTY_EMPTY)["gIoU"] == 1.0
    assert score("res-lisa", EMPTY_EMPTY)["gIoU"] == pytest.approx(1.0, abs=2e-5)
    assert score("res-rmsin", EMPTY_EMPTY)["gIoU"] == 0.0
    assert "cIoU" not in score("res-rmsin", EMPTY_EMPTY)
    skipping = Segmentation(empty="skip")
    assert (
        evaluate([mask_sample(), mask_sample(row_mask(4))], [answers(), answers(row_mask(2))], skipping)["gIoU"] == 0.5
    )


def test_both_empty_moves_giou_by_one_over_n_and_leaves_ciou():
    strict, rmsin = score("res", EMPTY_EMPTY, EXACT, HALF), score("res-rmsin", EMPTY_EMPTY, EXACT, HALF)
    assert strict["gIoU"] - rmsin["gIoU"] == pytest.approx(1 / 3)
    assert strict["cIoU"] == pytest.approx(rmsin["cIoU"])


def test_threshold_half_is_a_hit_unless_segearth():
    assert score("res", HALF)["Pr@0.5"] == 1.0
    assert score("res-rmsin", HALF)["Pr@0.5"] == 1.0
    assert score("res-segearth", HALF)["Pr@0.5"] == 0.0


def test_no_target_scores():
    found = score("res", EMPTY_EMPTY, EMPTY_FILLED, EXACT, ((row_mask(4),), answers()))
    assert (found["N-acc"], found["T-acc"]) == (0.5, 0.5)
    assert "N-acc" not in score("res", EXACT)


def test_unparsable_is_wrong_here_and_an_empty_mask_upstream():
    lost = Prediction.failure("it crashed")
    assert score("res", ((), lost))["gIoU"] == 0.0
    assert score("res", ((), lost))["N-acc"] == 0.0
    assert score("res-lisa", ((), lost))["gIoU"] == pytest.approx(1.0, abs=2e-5)
    assert score("res", ((row_mask(4),), lost))["parse_rate"] == 0.0
    assert score("res", ((row_mask(4),), lost), EXACT)["cIoU"] == 0.5


def test_a_region_that_is_nowhere_is_wrong_even_where_nothing_is():
    assert score("res", ((), answers(Region(label="ship"))))["gIoU"] == 0.0
    other_size = mask_region(np.ones((3, 3)))
    assert score("res", ((), answers(other_size)))["gIoU"] == 0.0
    not_finite = Region(hbb=(float("nan"), 0.0, 1.0, 1.0))
    assert score("res", ((row_mask(4),), answers(not_finite)))["gIoU"] == 0.0


def test_several_regions_unite():
    assert (
        score("res", ((row_mask(2), row_mask(2, start=4)), answers(row_mask(2, start=4), row_mask(2))))["gIoU"] == 1.0
    )


def test_a_sample_without_annotation_is_left_out():
    blank = replace(mask_sample(name="x"), targets=None)
    found = evaluate([blank, mask_sample(row_mask(4))], [answers(), answers(row_mask(2))], "res")
    assert (found["gIoU"], found["n"], found["skipped"]) == (0.5, 1, 1)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 512), (1024, 1024)), ((600, 800), (768, 1024)), ((1000, 3), (1024, 3)), ((9, 1), (1024, 113))],
)
def test_letterbox_scales_the_long_side(size, expected):
    assert letterbox_size(size, 1024) == expected


def test_the_frame_changes_what_a_pixel_weighs():
    target, found = np.zeros((300, 960), bool), np.zeros((300, 960), bool)
    target[:, :480], found[:150, :480] = True, True
    sample = mask_sample(mask_region(target), size=(300, 960))
    for name in PROTOCOLS:
        assert protocol(name).measure(sample, answers(mask_region(found)))["iou"] == pytest.approx(0.5, abs=5e-3)
    assert protocol("res-rmsin").measure(sample, answers(mask_region(found)))["target"] == 480 * 240
    assert protocol("res-segearth").measure(sample, answers(mask_region(found)))["target"] == 320 * 512


def test_options_are_checked():
    with pytest.raises(ValueError, match="option 'empty' must be one of one, zero, skip, got 'two'"):
        Segmentation(empty="two")


@given(pairs=mask_pairs, name=st.sampled_from(sorted(PROTOCOLS)))
def test_scores_stay_in_bounds_and_precision_falls(pairs, name):
    samples = [mask_sample(mask_region(t), size=(6, 8)) for t, _ in pairs]
    found = evaluate(samples, [answers(mask_region(p)) for _, p in pairs], protocol(name))
    assert all(0.0 <= value <= 1.0 for key, value in found.items() if key != "n")
    precisions = [value for key, value in found.items() if key.startswith("Pr@")]
    assert precisions == sorted(precisions, reverse=True)


@given(pairs=mask_pairs, axis=st.sampled_from([0, 1]))
def test_flipping_both_masks_changes_nothing(pairs, axis):
    def run(turn):
        samples = [mask_sample(mask_region(turn(t)), size=(6, 8)) for t, _ in pairs]
        return evaluate(samples, [answers(mask_region(turn(p))) for _, p in pairs], "res")

    assert run(lambda m: m) == run(lambda m: np.flip(m, axis))


@given(pairs=mask_pairs, seed=st.integers(0, 99))
def test_the_order_of_samples_does_not_matter(pairs, seed):
    order = np.random.default_rng(seed).permutation(len(pairs))

    def run(places):
        samples = [mask_sample(mask_region(pairs[k][0]), size=(6, 8)) for k in places]
        return evaluate(samples, [answers(mask_region(pairs[k][1])) for k in places], "res")

    plain, shuffled = run(range(len(pairs))), run(order)
    assert plain == pytest.approx(shuffled)


@given(
    pairs=mask_pairs, times=st.lists(st.integers(0, 3), min_size=5, max_size=5), name=st.sampled_from(sorted(PROTOCOLS))
)
def test_a_weight_is_a_repetition(pairs, times, name):
    metric = protocol(name)
    samples = [mask_sample(mask_region(t), size=(6, 8)) for t, _ in pairs]
    columns = stack(metric, samples, [answers(mask_region(p)) for _, p in pairs])
    weights = np.array(times[: len(pairs)], float)
    repeated = {key: np.repeat(column, weights.astype(int)) for key, column in columns.items()}
    assert metric.summarise(columns, weights) == pytest.approx(metric.summarise(repeated))
