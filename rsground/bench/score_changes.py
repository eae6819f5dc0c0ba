"""Has a score changed between two runs on the same samples? A swap test and an interval for any score of a protocol."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import Columns, Metric
from rsground.metrics import SumMetric, bootstrap_intervals, paired_permutation
from rsground.metrics.intervals import Interval, cluster_codes
from rsground.metrics.paired import EXACT_CLUSTERS
from rsground.metrics.sums import Floats, Terms
from rsground.types import Prediction, Sample, Task

_CHUNK = 1 << 22
"""Most numbers held at once."""
_CORPUS_REPLICATES = 100
_OLD, _NEW = "before ", "after "


class ScoreTest(NamedTuple):
    """One score before and after.

    Attributes:
        before, after: the score on the shared samples.
        interval: of ``after - before``, None where it cannot be told (a single image).
        p: two-sided p-value of "before and after are exchangeable on every image"; None where nothing tests it.
        by: empty where the score itself was tested, else the statistic whose mean was tested in its place.
    """

    before: float
    after: float
    interval: Interval | None
    p: float | None
    by: str


def compare_scores(
    metric: Metric,
    after: Columns,
    before: Columns,
    clusters: NDArray[Any],
    *,
    permutations: int = 10_000,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, ScoreTest]:
    """Every score of a protocol, compared on paired rows.

    A score that follows from sums (see :class:`rsground.metrics.sums.SumMetric`) is tested itself: under the null
    hypothesis the two runs' answers to an image may be swapped, which moves the image's sums from one to the other;
    p = (1 + swaps whose scores differ at least as much) / (1 + swaps drawn), or the exact share of all swaps where at
    most 12 images differ. For a mean over samples this is :func:`rsground.metrics.paired_permutation`. For any other
    score (average precision, CIDEr) that function tests the protocol's ``paired`` statistic in its place. The interval
    is the clustered bootstrap's of the difference.

    Args:
        metric: the protocol.
        after, before: statistics of the same samples, row by row.
        clusters: ``(n,)`` what is swapped and drawn together, usually images.
        permutations: swaps drawn.
        replicates: bootstrap samples; at most 100 where a score needs all samples at once.
        level: of the intervals.
        seed: of the draws; equal seeds give equal answers.
    """
    now, then = metric.summarise(after), metric.summarise(before)
    codes = cluster_codes(clusters)
    ps = _swap_p(metric, after, before, codes, permutations, seed)
    stand_in = _paired_p(metric, after, before, codes, permutations, seed)
    bounds = _intervals(metric, after, before, codes, level, replicates, seed)
    found = {}
    for name in dict.fromkeys([*now, *then]):
        values = float(then.get(name, np.nan)), float(now.get(name, np.nan))
        p, by = (ps[name], "") if name in ps else (stand_in, metric.paired or "")
        told = not np.isnan(values).any()
        found[name] = ScoreTest(*values, bounds.get(name) if told else None, p if told else None, by if told else "")
    return found


def _swap_p(
    metric: Metric, after: Columns, before: Columns, codes: NDArray[np.intp], permutations: int, seed: int
) -> dict[str, float]:
    """p of every score that follows from sums."""
    if not isinstance(metric, SumMetric):
        return {}
    n = len(codes)
    terms = metric.terms(_stacked(after, before))
    names, count = list(terms), int(codes.max()) + 1
    new, old = (
        np.stack([np.bincount(codes, weights=terms[name][part], minlength=count) for name in names], axis=1)
        for part in (slice(0, n), slice(n, None))
    )
    moved = (new - old)[(new != old).any(axis=1)]
    total, other = new.sum(axis=0), old.sum(axis=0)
    observed = _distance(metric, names, total[None], other[None])
    extreme = {name: 0 for name, value in observed.items() if np.isfinite(value[0])}
    drawn = 0
    for flips in _flips(len(moved), permutations, np.random.default_rng(seed)):
        shift = flips @ moved
        for name, values in _distance(metric, names, total - shift, other + shift).items():
            if name in extreme:
                bar = observed[name][0] * (1.0 - 1e-9) - 1e-12  # round-off must not turn a tie into a win
                extreme[name] += int(np.count_nonzero(~(values < bar)))
        drawn += len(flips)
    exact = len(moved) <= EXACT_CLUSTERS
    return {name: number / drawn if exact else (1 + number) / (1 + drawn) for name, number in extreme.items()}


def _flips(count: int, permutations: int, rng: np.random.Generator) -> Any:
    """Blocks ``(B, count)`` of swap patterns: all there are where they are few."""
    if count <= EXACT_CLUSTERS:
        yield ((np.arange(1 << count)[:, None] >> np.arange(count)) & 1).astype(np.float64)
        return
    step = max(1, _CHUNK // count)
    for start in range(0, permutations, step):
        yield rng.integers(0, 2, (min(step, permutations - start), count), dtype=np.int8).astype(np.float64)


def _distance(metric: SumMetric, names: list[str], new: Floats, old: Floats) -> Terms:
    """|score(new) - score(old)| of each row of sums ``(B, K)``."""
    scores = [metric.scores({name: sums[:, k] for k, name in enumerate(names)}) for sums in (new, old)]
    return {name: np.abs(scores[0][name] - scores[1][name]) for name in scores[0] if name in scores[1]}


def _paired_p(
    metric: Metric, after: Columns, before: Columns, codes: NDArray[np.intp], permutations: int, seed: int
) -> float | None:
    if metric.paired is None:
        return None
    a, b = (np.asarray(columns[metric.paired], np.float64) for columns in (after, before))
    found = paired_permutation(a, b, codes, permutations=permutations, seed=seed)
    return found.p if found.n else None


def _intervals(
    metric: Metric,
    after: Columns,
    before: Columns,
    codes: NDArray[np.intp],
    level: float,
    replicates: int,
    seed: int,
) -> dict[str, Interval]:
    columns = {_NEW + name: column for name, column in after.items()}
    columns |= {_OLD + name: column for name, column in before.items()}
    slow = not isinstance(metric, SumMetric) or metric.has_corpus
    draws = min(replicates, _CORPUS_REPLICATES) if slow else replicates
    difference = _SumDifference(metric) if isinstance(metric, SumMetric) else _Difference(metric)
    return bootstrap_intervals(difference, columns, codes, level=level, replicates=draws, seed=seed)


class _Difference(Metric):
    """Scores after minus scores before, of rows that hold both."""

    tasks: ClassVar[frozenset[Task]] = frozenset()
    primary: ClassVar[str] = ""
    statistics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Nothing: rows are measured already."""
        raise NotImplementedError

    def summarise(self, columns: Columns, weights: Floats | None = None) -> dict[str, float]:
        """The differences."""
        now, then = (self._metric.summarise(_part(columns, mark), weights) for mark in (_NEW, _OLD))
        return {name: now[name] - then[name] for name in now if name in then}


class _SumDifference(SumMetric):
    """The same for scores that follow from sums."""

    tasks: ClassVar[frozenset[Task]] = frozenset()
    primary: ClassVar[str] = ""
    statistics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, metric: SumMetric) -> None:
        self._metric, self.has_corpus = metric, metric.has_corpus

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Nothing: rows are measured already."""
        raise NotImplementedError

    def terms(self, columns: Columns) -> Terms:
        """Terms of both sides."""
        after, before = _part(columns, _NEW), _part(columns, _OLD)
        terms = self._metric.terms(_stacked(after, before))
        n = len(next(iter(after.values())))
        halves = {_NEW + name: term[:n] for name, term in terms.items()}
        return halves | {_OLD + name: term[n:] for name, term in terms.items()}

    def scores(self, sums: Any) -> Terms:
        """Differences of the scores of both sides' sums."""
        now, then = (self._metric.scores(_part(sums, mark)) for mark in (_NEW, _OLD))
        return {name: now[name] - then[name] for name in now if name in then}

    def corpus(self, columns: Columns, weights: Floats | None = None) -> dict[str, float]:
        """Differences of the scores that need all samples."""
        now, then = (self._metric.corpus(_part(columns, mark), weights) for mark in (_NEW, _OLD))
        return {name: now[name] - then[name] for name in now if name in then}


def _part(columns: Any, mark: str) -> dict[str, Any]:
    return {name.removeprefix(mark): column for name, column in columns.items() if name.startswith(mark)}


def _stacked(after: Columns, before: Columns) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([after[name], before[name]]) for name in after}
