"""Scoring protocols, intervals, tests and breakdowns. :func:`evaluate` is the front door."""

from rsground.metrics.breakdowns import BREAKDOWNS, group_keys
from rsground.metrics.consistency import box_consistency
from rsground.metrics.cost import summarise_cost, summarise_failures
from rsground.metrics.evaluation import Tally, break_down, evaluate, make_columns
from rsground.metrics.intervals import Interval, bootstrap_intervals, score_where
from rsground.metrics.masks import mask_iou_counts
from rsground.metrics.matching import best_match, greedy_match
from rsground.metrics.paired import (
    Comparison,
    PairedTest,
    benjamini_hochberg,
    compare_systems,
    holm,
    paired_permutation,
)
from rsground.metrics.sums import SumMetric

__all__ = [
    "BREAKDOWNS",
    "Comparison",
    "Interval",
    "PairedTest",
    "SumMetric",
    "Tally",
    "benjamini_hochberg",
    "best_match",
    "bootstrap_intervals",
    "box_consistency",
    "break_down",
    "compare_systems",
    "evaluate",
    "greedy_match",
    "group_keys",
    "holm",
    "make_columns",
    "mask_iou_counts",
    "paired_permutation",
    "score_where",
    "summarise_cost",
    "summarise_failures",
]
