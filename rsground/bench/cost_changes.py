"""Has the cost of answers changed between two runs? Per-sample ratios, with an interval and a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import Columns
from rsground.metrics import SumMetric, bootstrap_intervals, paired_permutation
from rsground.metrics.sums import Terms, ratio
from rsground.types import Prediction, Sample, Task

COSTS: Mapping[str, str] = {
    "latency": "latency_s",
    "time per answer": "time_s",
    "peak memory": "peak_memory_bytes",
    "output tokens": "output_tokens",
    "visual tokens": "visual_tokens",
    "prompt tokens": "prompt_tokens",
    "operations": "flops",
}
"""What people read → column of :meth:`rsground.bench.results.Run.usage`."""
MEASURED = frozenset({"latency", "time per answer", "peak memory"})
"""Costs of a machine at a time; the others are the same wherever an answer is counted."""


class CostTest(NamedTuple):
    """One cost before and after.

    Attributes:
        before, after: geometric means over the compared samples, in the cost's own unit.
        ratio: ``after / before``, which is the geometric mean of the samples' ratios.
        low, high: interval of ``ratio``; None where it cannot be told (a single image).
        p: two-sided p-value of "before and after are exchangeable on every image", on logarithms.
        n: samples compared.
        left_out: pairs where a side was not measured, or is 0.
    """

    before: float
    after: float
    ratio: float
    low: float | None
    high: float | None
    p: float
    n: int
    left_out: int


def compare_cost(
    after: NDArray[np.float64],
    before: NDArray[np.float64],
    clusters: NDArray[Any],
    *,
    permutations: int = 10_000,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> CostTest | None:
    """A cost on paired answers; None where no pair was measured on both sides.

    Ratios are compared on their logarithms, so that twice and half weigh the same: the test is
    :func:`rsground.metrics.paired_permutation`, the interval the clustered bootstrap of the mean.

    Args:
        after, before: ``(n,)`` costs of the same samples, nan where unknown.
        clusters: ``(n,)`` what belongs together, usually images.
        permutations, replicates, level, seed: as in :func:`rsground.bench.score_changes.compare_scores`.
    """
    known = (after > 0) & (before > 0) & np.isfinite(after) & np.isfinite(before)
    if not known.any():
        return None
    a, b, groups = after[known], before[known], clusters[known]
    logs = np.log(a) - np.log(b)
    test = paired_permutation(logs, np.zeros(len(logs)), groups, permutations=permutations, seed=seed)
    bounds = bootstrap_intervals(_Mean(), {"x": logs}, groups, level=level, replicates=replicates, seed=seed).get("x")
    low, high = (None, None) if bounds is None else (float(np.exp(bounds.low)), float(np.exp(bounds.high)))
    mean = float(np.exp(logs.mean()))
    return CostTest(
        float(np.exp(np.log(b).mean())),
        float(np.exp(np.log(a).mean())),
        mean,
        low,
        high,
        test.p,
        len(a),
        int((~known).sum()),
    )


class _Mean(SumMetric):
    """The mean of a column."""

    tasks: ClassVar[frozenset[Task]] = frozenset()
    primary: ClassVar[str] = "x"
    statistics: ClassVar[tuple[str, ...]] = ("x",)

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Nothing: rows are measured already."""
        raise NotImplementedError

    def terms(self, columns: Columns) -> Terms:
        """Sum and count."""
        return {"x": columns["x"], "n": np.ones(len(columns["x"]))}

    def scores(self, sums: Any) -> Terms:
        """Their ratio."""
        return {"x": ratio(sums["x"], sums["n"])}
