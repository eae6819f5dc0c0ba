"""Bootstrap intervals: they cover, they are deterministic, they respect clusters."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from metric_samples import answers, box_sample, boxes, mask_region, mask_sample, stack

from rsground.contracts import Metric
from rsground.errors import ShapeError
from rsground.metrics import bootstrap_intervals
from rsground.metrics.gcg import GlammGCG
from rsground.metrics.intervals import _expanded_tail
from rsground.metrics.rec import BoxAccuracy
from rsground.metrics.res import Segmentation
from rsground.types import Task


class PlainMean(Metric):
    """A metric that is no SumMetric, as a plugin may write it."""

    tasks: ClassVar = frozenset({Task.MASK})
    primary: ClassVar = "mean"
    statistics: ClassVar = ("value",)

    def measure(self, sample, prediction):
        raise NotImplementedError

    def summarise(self, columns, weights=None):
        values = columns["value"]
        return {"mean": float(np.average(values, weights=weights))}


def columns_of(iou, inter, union):
    n = len(iou)
    return {
        "iou": iou,
        "intersection": inter,
        "union": union,
        "predicted": inter,
        "target": union,
        "parsed": np.ones(n),
    }


def draw(rng, clusters, per=4):
    """Samples whose IoU depends on their image, and cIoU = sum I / sum U with unions of very unequal size."""
    image = np.repeat(np.arange(clusters), per)
    level = rng.beta(4, 2, clusters)[image]
    iou = np.clip(level + rng.normal(0, 0.05, len(image)), 0.0, 1.0)
    union = np.ceil(rng.lognormal(4.0, 0.5, clusters)[image])
    return columns_of(iou, iou * union, union), image


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("score", ["gIoU", "cIoU", "Pr@0.7"])
def test_nominal_95_percent_covers_about_that(method, score):
    metric = Segmentation(thresholds=(0.7,))
    truth = metric.summarise(draw(np.random.default_rng(99), 40_000)[0])[score]
    rng = np.random.default_rng(5)
    runs, inside = 400, 0
    for run in range(runs):
        columns, image = draw(rng, 60)
        low, high = bootstrap_intervals(metric, columns, image, replicates=400, seed=run, method=method)[score]
        inside += low <= truth <= high
    assert 0.90 <= inside / runs <= 0.98


@pytest.mark.parametrize("count", [6, 11, 31, 201])
def test_tails_are_widened_as_students_t_says(count):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.norm.cdf(-np.sqrt(count / (count - 1)) * stats.t.isf(0.025, count - 1))
    assert _expanded_tail(0.025, count) == pytest.approx(expected, rel=2e-2)
    assert _expanded_tail(0.025, count) < 0.025


def test_ignoring_the_clusters_would_be_far_too_narrow():
    columns, image = draw(np.random.default_rng(0), 50, per=20)
    low, high = bootstrap_intervals(Segmentation(), columns, image)["gIoU"]
    naive_low, naive_high = bootstrap_intervals(Segmentation(), columns, np.arange(len(image)))["gIoU"]
    assert high - low > 2.5 * (naive_high - naive_low)


def test_equal_seeds_give_equal_intervals():
    columns, image = draw(np.random.default_rng(0), 30)
    first = bootstrap_intervals(Segmentation(), columns, image, seed=7)
    assert first == bootstrap_intervals(Segmentation(), columns, image, seed=7)
    assert first != bootstrap_intervals(Segmentation(), columns, image, seed=8)


def test_one_matrix_product_equals_a_summary_per_replicate(monkeypatch):
    rng = np.random.default_rng(2)
    samples = [mask_sample(mask_region(rng.random((6, 6)) > 0.5), size=(6, 6), name=str(k % 5)) for k in range(12)]
    columns = stack(Segmentation(), samples, [answers(mask_region(rng.random((6, 6)) > 0.4)) for _ in samples])
    image = [sample.image.uri for sample in samples]
    quick = bootstrap_intervals(Segmentation(), columns, image, replicates=60)

    class Slow(Metric):
        tasks, primary, statistics = Segmentation.tasks, "gIoU", Segmentation.statistics
        measure = Segmentation.measure

        def summarise(self, columns, weights=None):
            return Segmentation().summarise(columns, weights)

    slow = bootstrap_intervals(Slow(), columns, image, replicates=60)
    assert quick.keys() == slow.keys()
    for name, interval in quick.items():
        assert interval == pytest.approx(slow[name], abs=1e-12)


def test_any_metric_will_do():
    values = np.arange(40.0)
    low, high = bootstrap_intervals(PlainMean(), {"value": values}, np.arange(40))["mean"]
    assert low < values.mean() < high


def test_a_score_that_never_varies_has_a_point():
    samples = [box_sample((0, 0, 9, 9), name=str(k)) for k in range(5)]
    columns = stack(BoxAccuracy(), samples, [boxes((0, 0, 9, 9))] * 5)
    for method in ("percentile", "bca"):
        found = bootstrap_intervals(BoxAccuracy(), columns, range(5), method=method)
        assert found["Acc@0.5"] == (1.0, 1.0)
        assert "N-acc" not in found  # no sample it applies to


def test_one_image_has_no_interval():
    columns, image = draw(np.random.default_rng(0), 1)
    assert bootstrap_intervals(Segmentation(), columns, image) == {}


def test_corpus_scores_are_resampled_too():
    metric = GlammGCG()
    columns = {
        "miou": np.array([0.9, 0.1, 0.5]),
        "recalled": np.array([1.0, 0.0, 1.0]),
        "labels": np.ones(3),
        "parsed": np.ones(3),
        "matches": np.array([{"scores": [1.0], "matched": [hit], "targets": 1} for hit in (1023, 0, 1)], object),
        "candidate": np.array(["a ship", "cars", "a port"], object),
        "references": np.array([["a ship"], ["two cars"], ["a harbour"]], object),
    }
    found = bootstrap_intervals(metric, columns, ["a", "b", "c"], replicates=50)
    low, high = found["AP50"]
    assert 0.0 <= low < high <= 1.0
    assert found["mask_recall"].high == 1.0


@pytest.mark.parametrize("options", [{"level": 1.0}, {"replicates": 0}, {"method": "magic"}])
def test_options_are_checked(options):
    with pytest.raises(ShapeError, match="an interval needs 0 < level < 1"):
        bootstrap_intervals(PlainMean(), {"value": np.zeros(3)}, range(3), **options)
    with pytest.raises(ShapeError, match="one cluster per row"):
        bootstrap_intervals(PlainMean(), {"value": np.zeros(3)}, range(2))
