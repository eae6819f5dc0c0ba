"""Is a change beyond chance? Laws of the swap test, agreement with the sign-flip test, and the stated rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.bench.cost_changes import compare_cost
from rsground.bench.score_changes import compare_scores
from rsground.contracts import Metric
from rsground.geometry import mask_to_rle
from rsground.metrics import make_columns, paired_permutation
from rsground.metrics.res import Segmentation
from rsground.registry import load
from rsground.types import ImageRef, Prediction, Region, Sample, Task

FEW = {"permutations": 400, "replicates": 100}


def columns(iou: np.ndarray, area: float = 100.0) -> dict[str, Any]:
    """Statistics of the protocol ``res`` for one target a sample."""
    metric = load("metric", "res")
    found = {name: np.full(len(iou), np.nan) for name in metric.statistics}
    union = np.full(len(iou), area)
    found |= {"iou": iou, "intersection": iou * union, "union": union}
    for name in set(metric.statistics) - {"iou", "intersection", "union"}:
        found[name] = np.ones(len(iou))
    return found


@pytest.fixture(scope="module")
def metric() -> Segmentation:
    found: Segmentation = load("metric", "res")
    return found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 30), each=st.integers(1, 3))
def test_a_mean_is_tested_as_the_sign_flip_test_does(seed: int, images: int, each: int) -> None:
    rng = np.random.default_rng(seed)
    metric, groups = load("metric", "res"), np.repeat(np.arange(images), each)
    after, before = rng.random(len(groups)), rng.random(len(groups))
    found = compare_scores(metric, columns(after), columns(before), groups, permutations=2000, replicates=10)["gIoU"]
    expected = paired_permutation(after, before, groups, permutations=2000)
    assert found.after - found.before == pytest.approx(expected.difference)
    assert found.p is not None
    assert found.p == pytest.approx(expected.p, abs=1e-12 if images <= 12 else 0.06)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 30))
def test_laws(seed: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    metric, groups = load("metric", "res"), np.repeat(np.arange(images), 2)
    a, b = columns(rng.random(len(groups))), columns(rng.random(len(groups)))
    one, other = compare_scores(metric, a, b, groups, **FEW), compare_scores(metric, b, a, groups, **FEW)
    same = compare_scores(metric, a, a, groups, **FEW)
    for name, found in one.items():
        assert found.p is not None
        assert 0.0 < found.p <= 1.0
        assert found.p == pytest.approx(other[name].p), "who is called first does not matter"
        assert same[name].p == 1.0, "a run never differs from itself"
        assert same[name].after == same[name].before
        if same[name].interval is not None:
            assert same[name].interval == (0.0, 0.0)
        if found.interval is not None:
            low, high = found.interval
            assert low <= high
            assert low >= -1.0 - 1e-9
            assert high <= 1.0 + 1e-9


def test_noise_is_called_a_change_at_most_at_the_stated_rate(metric: Segmentation) -> None:
    """120 pairs of runs that differ by chance alone; at alpha 0.05 about 6 may be called, 14 is beyond 3 sigma."""
    rng, called = np.random.default_rng(7), {"gIoU": 0, "cIoU": 0}
    groups = np.repeat(np.arange(30), 2)
    for _ in range(120):
        level = np.repeat(rng.normal(0.5, 0.15, 30), 2)
        a, b = (np.clip(level + np.repeat(rng.normal(0, 0.1, 30), 2), 0, 1) for _ in range(2))
        found = compare_scores(metric, columns(a), columns(b), groups, permutations=300, replicates=2)
        for name in called:
            p = found[name].p
            assert p is not None
            called[name] += p < 0.05
    assert max(called.values()) <= 13
    assert min(called.values()) >= 1, "a test that never calls anything is of no use"


@pytest.mark.parametrize("drop", [0.05, 0.2])
def test_a_planted_drop_is_found(metric: Segmentation, drop: float) -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 3)
    before = rng.uniform(0.4, 0.9, len(groups))
    after = np.clip(before - drop + rng.normal(0, 0.05, len(groups)), 0, 1)
    found = compare_scores(metric, columns(after), columns(before), groups)
    for name in ("gIoU", "cIoU"):
        test = found[name]
        assert test.p is not None
        assert test.p < 0.001
        assert test.interval is not None
        assert test.interval.low < test.after - test.before < test.interval.high < 0.0
        assert test.by == "", "the score itself was tested, not a stand-in"


def test_a_single_image_proves_nothing(metric: Segmentation) -> None:
    found = compare_scores(metric, columns(np.zeros(9)), columns(np.ones(9)), np.zeros(9, int))["gIoU"]
    assert (found.p, found.interval) == (1.0, None)


def test_a_score_that_needs_all_samples_is_tested_by_the_paired_statistic() -> None:
    metric = load("metric", "gcg-strict")
    mask = np.zeros((20, 20), bool)
    mask[4:12, 4:12] = True
    target = Region(rle=mask_to_rle(mask), span=(3, 4))
    text = "<p>ship</p> [SEG]"
    image = ImageRef("x", 20, 20)
    samples = [Sample(str(n), (image,), "describe", Task.GCG, (target,), text) for n in range(24)]
    right, wrong = Prediction((target,), text=text), Prediction((), text="nothing")
    before, after = (
        columns_of(metric, [metric.measure(sample, each) for sample in samples]) for each in (right, wrong)
    )
    found = compare_scores(metric, after, before, np.arange(24), **FEW)
    stand_ins = {name: test for name, test in found.items() if test.by}
    assert {"AP", "AP50"} <= set(stand_ins)
    assert {test.by for test in stand_ins.values()} == {metric.paired}
    assert (stand_ins["AP50"].before, stand_ins["AP50"].after) == (pytest.approx(1.0), 0.0)
    assert all(test.p is not None and test.p < 0.01 for test in stand_ins.values())
    assert found["mIoU"].by == ""


def columns_of(metric: Metric, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return make_columns(metric, {name: [row[name] for row in rows] for name in rows[0]})


# costs ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.1, 10.0))
def test_a_constant_factor_is_told(seed: int, factor: float) -> None:
    before = np.random.default_rng(seed).lognormal(size=40)
    found = compare_cost(before * factor, before, np.arange(40), permutations=200, replicates=50)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.ratio == pytest.approx(factor)
    assert found.low == pytest.approx(factor)
    assert found.after / found.before == pytest.approx(factor)
    back = compare_cost(before, before * factor, np.arange(40), permutations=200, replicates=50)
    assert back is not None
    assert back.ratio * found.ratio == pytest.approx(1.0)
    assert back.p == found.p


def test_what_was_not_measured_is_left_out_and_counted() -> None:
    after = np.array([1.0, 2.0, np.nan, 0.0, np.inf])
    found = compare_cost(after, np.ones(5), np.arange(5))
    assert found is not None
    assert (found.n, found.left_out) == (2, 3)
    assert compare_cost(np.full(3, np.nan), np.ones(3), np.arange(3)) is None
