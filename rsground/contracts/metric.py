"""Metric: a named scoring protocol, as per-sample statistics and a summary of their columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rsground.types import Prediction, Sample, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Columns = Mapping[str, "NDArray[Any]"]
"""Statistic name → ``(n,)`` float64 array over samples (object array for :attr:`Metric.payloads`)."""


class Metric(ABC):
    """A scoring protocol.

    :meth:`measure` turns one sample and its prediction into *sufficient statistics* (intersection, union, hit ...);
    :meth:`summarise` turns columns of them into named scores. Because a summary takes weights, bootstrap intervals
    and breakdowns need no second look at the predictions.

    Attributes:
        tasks: tasks whose samples it can score; others are skipped by the runner.
        primary: the score of :meth:`summarise` a leaderboard sorts by.
        higher_is_better: direction of ``primary``.
        statistics: names of the float columns :meth:`measure` answers. ``nan`` means *does not apply*.
        payloads: names of columns that hold JSON-able objects instead (corpus metrics such as AP or CIDEr).
        paired: the float column whose mean over samples stands for this metric in paired tests.
    """

    tasks: ClassVar[frozenset[Task]]
    primary: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]]
    payloads: ClassVar[tuple[str, ...]] = ()
    paired: ClassVar[str | None] = None

    @abstractmethod
    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Sufficient statistics of one sample; a failed or unparsable prediction is scored, never dropped."""

    @abstractmethod
    def summarise(self, columns: Columns, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
        """Named scores of a set of samples, ``primary`` among them; one that applies to no sample is left out.

        Args:
            columns: what :meth:`measure` answered, stacked.
            weights: ``(n,)`` how often each sample counts; None for once each.
        """
