"""The scores of a run: every system, data set and protocol, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rsground.bench.results import Run
from rsground.metrics.intervals import bootstrap_intervals
from rsground.pipeline import describe
from rsground.records import finite


@dataclass(frozen=True, slots=True)
class Summary:
    """The scores of one system on one data set under one protocol.

    Attributes:
        system, dataset, metric: labels.
        primary: the score that leaderboards sort by.
        n: answers behind the scores; ``images`` the images they were about.
        scores: name → value.
        intervals: name → (low, high), 95 %, clustered by image; empty where none was asked for.
        unparsed: answers that could not be read, ``failed`` answers that never came; both count as wrong.
    """

    system: str
    dataset: str
    metric: str
    primary: str
    n: int
    images: int
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    unparsed: int
    failed: int

    def to_json(self) -> dict[str, Any]:
        """As the command line's ``--json`` has it."""
        scores = {}
        for name, value in self.scores.items():
            low, high = self.intervals.get(name, (None, None))
            scores[name] = {"value": finite(value), "low": finite(low), "high": finite(high)}
        counts = {"n": self.n, "images": self.images, "unparsed": self.unparsed, "failed": self.failed}
        names = {"system": self.system, "dataset": self.dataset, "metric": self.metric, "primary": self.primary}
        return {**names, **counts, "scores": scores}


def summaries(run: Run, *, replicates: int = 0, problems: list[str] | None = None) -> list[Summary]:
    """All scores of a run, in the suite's order; pairs of system and protocol without an answer are left out.

    Args:
        run: open; may be unfinished.
        replicates: bootstrap samples behind each interval; 0 for no intervals.
        problems: takes what is left out because a plugin's metric fails at its scores; None to raise that.
    """
    found = []
    for dataset in run.datasets:
        costs = {system.label: run.usage(system.label, dataset.label) for system in run.systems}
        for row in run.metrics_of(dataset.label):
            metric = row.load()
            for system in run.systems:
                table = run.columns(system.label, dataset.label, row.label)
                if not len(table):
                    continue
                try:
                    scores = {name: float(value) for name, value in metric.summarise(table.columns).items()}
                    intervals = (
                        bootstrap_intervals(metric, table.columns, table.images, replicates=replicates)
                        if replicates
                        else {}
                    )
                except Exception as error:  # of a plugin's metric; the scores of the others are not lost for it
                    if problems is None:
                        raise
                    problems.append(f"{system.label} on {dataset.label}, protocol {row.label}: {describe(error)}")
                    continue
                usage = costs[system.label]
                found.append(
                    Summary(
                        system=system.label,
                        dataset=dataset.label,
                        metric=row.label,
                        primary=row.primary,
                        n=len(table),
                        images=len(np.unique(table.images)),
                        scores=scores,
                        intervals={name: (low, high) for name, (low, high) in intervals.items()},
                        unparsed=int((~usage["parsed"] & ~usage["failed"]).sum()),
                        failed=int(usage["failed"].sum()),
                    )
                )
    return found
