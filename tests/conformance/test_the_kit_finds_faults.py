"""A part that breaks a law of its kind does not pass the kit's tests."""

from __future__ import annotations

import pytest

from rsground.contracts import Metric
from rsground.registry import load
from rsground.testing.metrics import MetricConformance


def kit_of(metric: Metric) -> MetricConformance:
    """The kit about a metric that no plugin offers."""
    kit = MetricConformance()
    kit.metric_name, kit.metric = "mine", lambda: metric  # type: ignore[method-assign]
    return kit


def test_a_misspelt_primary_score_is_found() -> None:
    metric = load("metric", "rec-hbb")
    kit_of(metric).test_perfect_is_no_worse_than_failed()
    metric.primary = "Acc@05"
    with pytest.raises(AssertionError, match=r"mine: its primary score 'Acc@05' is not among .*'Acc@0\.5'"):
        kit_of(metric).test_perfect_is_no_worse_than_failed()


def test_a_metric_that_fits_no_miniature_is_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="apply to none"):
        kit_of(load("metric", "caption")).test_perfect_is_no_worse_than_failed()
