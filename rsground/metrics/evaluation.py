"""Score predictions in one call: samples stream by once, only their statistics stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rsground.contracts import Metric
from rsground.errors import DataError, UnknownNameError
from rsground.metrics.breakdowns import BREAKDOWNS, sorted_groups
from rsground.metrics.intervals import bootstrap_intervals, score_where
from rsground.metrics.sums import SumMetric
from rsground.types import Prediction, Sample

_END = object()


class Tally:
    """Columns of a metric, filled sample by sample.

    Attributes:
        metric: who measures.
        clusters: image uri per measured sample.
        skipped: samples of a task the metric does not score.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.clusters: list[str] = []
        self.skipped = 0
        self._rows: dict[str, list[Any]] = {name: [] for name in (*metric.statistics, *metric.payloads)}

    def add(self, sample: Sample, prediction: Prediction) -> bool:
        """Measure one sample; false where the metric does not score its task."""
        if sample.task not in self.metric.tasks:
            self.skipped += 1
            return False
        measured = self.metric.measure(sample, prediction)
        for name, row in self._rows.items():
            row.append(measured[name])
        self.clusters.append(sample.image.uri)
        return True

    def columns(self) -> dict[str, Any]:
        """The columns as arrays."""
        return make_columns(self.metric, self._rows)


def make_columns(metric: Metric, rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Lists of measured values as the arrays :meth:`~rsground.contracts.Metric.summarise` takes."""
    found: dict[str, Any] = {name: np.array(rows[name], np.float64) for name in metric.statistics}
    for name in metric.payloads:
        found[name] = np.empty(len(rows[name]), object)
        found[name][:] = list(rows[name])
    return found


def evaluate(
    samples: Iterable[Sample],
    predictions: Iterable[Prediction] | Mapping[str, Prediction],
    protocol: str | Metric = "res",
    *,
    intervals: bool = False,
    by: str | Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Scores of predictions under a named protocol.

    Args:
        samples: read once, in order.
        predictions: one per sample in the same order, or sample id → prediction. A sample whose system failed has
            :meth:`Prediction.failure <rsground.types.Prediction.failure>`; it counts as wrong.
        protocol: a registered metric (``rsground list metrics``) or a metric of your own.
        intervals: also answer 95 % bootstrap intervals, clustered by image.
        by: breakdowns to answer, of :data:`~rsground.metrics.breakdowns.BREAKDOWNS` or ``"meta:KEY"``.
        seed: of the bootstrap.

    Returns:
        Score name → value (fractions, not per cent), and ``n`` (samples scored). Where they say something:
        ``skipped`` (samples of other tasks, or without the annotation that is needed), ``notes`` (score → why it is
        missing). On request ``intervals`` (score → (low, high)) and ``breakdowns`` (breakdown → group → its scores
        with ``n``).

    Raises:
        UnknownNameError: no such protocol or breakdown.
        DataError: predictions and samples do not pair up, or no sample is of a task the protocol scores.
    """
    metric = _metric(protocol)
    names = [by] if isinstance(by, str) else list(by or ())
    for name in names:
        if name not in BREAKDOWNS and not name.startswith("meta:"):
            raise UnknownNameError("breakdown", name, [*BREAKDOWNS, "meta:KEY"])
    tally = Tally(metric)
    groups: dict[str, list[tuple[str, ...]]] = {name: [] for name in names}
    for sample, prediction in _paired(samples, predictions):
        if tally.add(sample, prediction):
            for name in names:
                groups[name].append(_groups(name, sample))
    if not tally.clusters:
        wanted = ", ".join(sorted(metric.tasks))
        raise DataError(f"no sample is of a task this protocol scores ({wanted}); {tally.skipped} of others were given")
    columns = tally.columns()
    known = ~np.all([np.isnan(columns[name]) for name in metric.statistics], axis=0)
    found: dict[str, Any] = {**metric.summarise(columns), "n": int(known.sum())}
    if skipped := tally.skipped + int((~known).sum()):
        found["skipped"] = skipped
    if isinstance(metric, SumMetric) and metric.unavailable():
        found["notes"] = metric.unavailable()
    if intervals:
        bounds = bootstrap_intervals(metric, columns, tally.clusters, seed=seed)
        found["intervals"] = {name: tuple(interval) for name, interval in bounds.items()}
    if names:
        found["breakdowns"] = {name: break_down(metric, columns, groups[name]) for name in names}
    return found


def break_down(metric: Metric, columns: Mapping[str, Any], groups: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Group → scores of the samples in it, with their number ``n``.

    Args:
        metric: who measured.
        columns: statistics, each ``(n,)``.
        groups: the groups each sample is in.
    """
    found = {}
    for group in sorted_groups({name for names in groups for name in names}):
        member = np.array([group in names for names in groups], bool)
        found[group] = {**score_where(metric, columns, member), "n": int(member.sum())}
    return found


def _metric(protocol: str | Metric) -> Metric:
    if isinstance(protocol, Metric):
        return protocol
    from rsground.registry import load

    metric: Metric = load("metric", protocol)
    return metric


def _groups(name: str, sample: Sample) -> tuple[str, ...]:
    if name in BREAKDOWNS:
        return BREAKDOWNS[name](sample)
    value = sample.meta.get(name.removeprefix("meta:"))
    return () if value is None else (str(value),)


def _paired(
    samples: Iterable[Sample], predictions: Iterable[Prediction] | Mapping[str, Prediction]
) -> Iterator[tuple[Sample, Prediction]]:
    if isinstance(predictions, Mapping):
        yield from _paired_by_id(samples, predictions)
        return
    answers = iter(predictions)
    count = 0
    for count, sample in enumerate(samples, start=1):
        prediction: Any = next(answers, _END)
        if prediction is _END:
            raise DataError(
                f"{count - 1} predictions for more samples: sample number {count} ({sample.id!r}) has none; "
                "give a failed sample Prediction.failure(reason)"
            )
        yield sample, prediction
    if next(answers, _END) is not _END:
        raise DataError(f"more predictions than the {count} samples; pair them by order, or by a mapping of sample ids")


def _paired_by_id(
    samples: Iterable[Sample], predictions: Mapping[str, Prediction]
) -> Iterator[tuple[Sample, Prediction]]:
    seen: set[str] = set()
    for sample in samples:
        if sample.id not in predictions:
            raise DataError(f"no prediction for sample {sample.id!r}; give a failed sample Prediction.failure(reason)")
        if sample.id in seen:
            raise DataError(f"two samples have the id {sample.id!r}; ids pair samples with predictions")
        seen.add(sample.id)
        yield sample, predictions[sample.id]
    if len(seen) < len(predictions):
        stray = next(name for name in predictions if name not in seen)
        raise DataError(f"{len(predictions) - len(seen)} predictions are for no sample, the first for id {stray!r}")
