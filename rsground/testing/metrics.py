"""What every scoring protocol owes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsground.contracts import Metric
from rsground.metrics import make_columns
from rsground.registry import load
from rsground.testing.samples import miniatures
from rsground.types import Prediction, Sample


class MetricConformance:
    """Subclass as ``TestMyMetric`` and set ``metric_name``."""

    metric_name: str

    def metric(self) -> Metric:
        """The metric, as the registry builds it."""
        built = load("metric", self.metric_name)
        assert isinstance(built, Metric)
        return built

    def test_measures_what_it_declares(self) -> None:
        metric = self.metric()
        for sample in self._samples():
            for prediction in (_perfect(sample), Prediction.failure("it crashed")):
                measured = metric.measure(sample, prediction)
                assert set(measured) == {*metric.statistics, *metric.payloads}
                assert all(isinstance(measured[name], int | float) for name in metric.statistics)

    def test_perfect_is_no_worse_than_failed(self) -> None:
        metric = self.metric()
        samples = self._samples()
        perfect = metric.summarise(_columns(metric, samples, [_perfect(sample) for sample in samples]))
        failed = metric.summarise(_columns(metric, samples, [Prediction.failure("it crashed") for _ in samples]))
        if not perfect:
            pytest.skip(f"{self.metric_name}: its scores apply to none of the miniatures")
        named = f"{self.metric_name}: its primary score {metric.primary!r}"
        assert metric.primary in perfect, f"{named} is not among {sorted(perfect)}"
        sign = 1 if metric.higher_is_better else -1
        assert sign * perfect[metric.primary] >= sign * failed[metric.primary]

    def test_weight_two_is_the_sample_twice(self) -> None:
        metric = self.metric()
        if metric.payloads:
            pytest.skip("a corpus metric may not be weighted")
        samples = self._samples()
        columns = _columns(metric, samples, [_perfect(s) if i % 2 else Prediction() for i, s in enumerate(samples)])
        weights = np.array([float(1 + i % 3) for i in range(len(samples))])
        repeated = {name: np.repeat(column, weights.astype(int)) for name, column in columns.items()}
        weighted, plain = metric.summarise(columns, weights), metric.summarise(repeated)
        assert weighted.keys() == plain.keys()
        for name, value in weighted.items():
            np.testing.assert_allclose(value, plain[name], rtol=1e-9, atol=1e-12, err_msg=name)

    def _samples(self) -> list[Sample]:
        return [sample for task in sorted(self.metric().tasks) for sample in miniatures(task)]


def _perfect(sample: Sample) -> Prediction:
    return Prediction(regions=sample.targets or (), text=sample.answer or "")


def _columns(metric: Metric, samples: list[Sample], predictions: list[Prediction]) -> dict[str, Any]:
    rows = [metric.measure(sample, prediction) for sample, prediction in zip(samples, predictions, strict=True)]
    names = (*metric.statistics, *metric.payloads)
    return make_columns(metric, {name: [row[name] for row in rows] for name in names})
