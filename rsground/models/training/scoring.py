"""Validation by a registered metric, on samples that are answered as anybody's questions are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from rsground.contracts import Metric
from rsground.errors import ContractError, SuiteError
from rsground.metrics import make_columns
from rsground.pipeline import Pipeline
from rsground.types import Prediction, Sample


@dataclass(eq=False)
class Scoring:
    """A metric on samples.

    Attributes:
        metric: the metric.
        samples: annotated ones.
        name: of the data set.
        batch: questions at once.

    Raises:
        SuiteError: the metric scores none of the samples.
        ContractError: it leaves out its primary score; where it does so of answers that never came, before any step.
    """

    metric: Metric
    samples: Sequence[Sample]
    name: str
    batch: int = 8

    def __post_init__(self) -> None:
        self.samples = [sample for sample in self.samples if sample.task in self.metric.tasks]
        if not self.samples:
            tasks = ", ".join(sorted(self.metric.tasks))
            raise SuiteError(f"the metric of data.val scores {tasks}; no sample of {self.name!r} is of such a task")
        unasked = Prediction.failure("it was not asked yet")
        self._summed([self.metric.measure(sample, unasked) for sample in self.samples])

    def scores(self, pipeline: Pipeline, precision: str = "float32") -> dict[str, float]:
        """All scores of the metric; first of all the one that decides, turned so that higher is better."""
        backbone = pipeline.backbone
        device = torch.device(getattr(backbone, "device", "cpu")).type
        low = getattr(torch, precision)
        rows = []
        with nullcontext() if precision == "float32" else torch.autocast(device, low):
            for start in range(0, len(self.samples), self.batch):
                asked = self.samples[start : start + self.batch]
                found = pipeline.answer(asked)
                rows += [self.metric.measure(*each) for each in zip(asked, found, strict=True)]
        summed = self._summed(rows)
        first = self.metric.primary
        if self.metric.higher_is_better:
            return {first: summed.pop(first), **summed}
        return {f"minus {first}": -summed[first], **summed}

    def _summed(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The metric's scores of what it measured of all samples."""
        names = (*self.metric.statistics, *self.metric.payloads)
        columns = make_columns(self.metric, {name: [row[name] for row in rows] for name in names})
        summed = {name: float(value) for name, value in self.metric.summarise(columns).items()}
        if self.metric.primary not in summed:
            came = ", ".join(f"{name} {value:.4g}" for name, value in summed.items()) or "no score at all"
            raise ContractError(
                f"the metric of data.val, {type(self.metric).__name__}, gives no {self.metric.primary!r}, its primary "
                f"score, on {self.name!r}, but {came}. Where it applies to none of these samples, name others or "
                "another metric in data.val; else its plugin is to blame: summarise must answer the primary score"
            )
        return summed
