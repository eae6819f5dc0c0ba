"""Metrics whose scores follow from sums over samples: most of them, and the reason why intervals are cheap.

A score such as an accuracy, an overall IoU or BLEU is a function of a few sums. A bootstrap replicate then needs the
sums of its clusters only, so a thousand replicates are one matrix product (see :mod:`rsground.metrics.intervals`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.contracts import Columns, Metric

Floats = NDArray[np.float64]
Terms = dict[str, Floats]


class SumMetric(Metric):
    """A protocol given by additive :meth:`terms` and the :meth:`scores` of their sums.

    Attributes:
        has_corpus: whether :meth:`corpus` answers scores that are no function of sums (average precision).
    """

    has_corpus: bool = False

    @abstractmethod
    def terms(self, columns: Columns) -> Terms:
        """Additive quantities, each ``(n,)`` finite; a sample a term does not apply to holds 0 there."""

    @abstractmethod
    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """Scores of sums of any one shape, element by element; NaN where a score does not apply."""

    def corpus(self, columns: Columns, weights: Floats | None = None) -> dict[str, float]:
        """Scores that need all samples at once."""
        del columns, weights
        return {}

    def unavailable(self) -> dict[str, str]:
        """Score → why it is left out here (an optional package is absent)."""
        return {}

    def summarise(self, columns: Columns, weights: Floats | None = None) -> dict[str, float]:
        """Named scores; those that apply to no sample are left out."""
        sums = {name: _weighted_sum(term, weights) for name, term in self.terms(columns).items()}
        found = {name: float(value) for name, value in self.scores(sums).items()}
        found.update(self.corpus(columns, weights))
        return {name: value for name, value in found.items() if np.isfinite(value)}


def _weighted_sum(term: Floats, weights: Floats | None) -> Floats:
    return np.asarray(term.sum() if weights is None else np.dot(term, weights), np.float64)


def ratio(top: ArrayLike, bottom: ArrayLike) -> Floats:
    """``top / bottom`` element by element, NaN where ``bottom`` is 0: nothing to be scored."""
    above, below = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below == 0.0, np.nan, above / below), np.float64)


def masked(values: ArrayLike, where: ArrayLike) -> Floats:
    """``values`` as float64 with 0 wherever ``where`` is false or the value is NaN."""
    numbers = np.asarray(values, np.float64)
    return np.asarray(np.where(np.asarray(where, bool) & ~np.isnan(numbers), numbers, 0.0), np.float64)
