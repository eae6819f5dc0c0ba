"""Validation by a registered metric, on samples that are answered as anybody's questions are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from rsground.contracts import Metric
from rsground.errors import SuiteError
from rsground.pipeline import Pipeline
from rsground.types import Sample


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
        columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in self.metric.statistics}
        for name in self.metric.payloads:
            columns[name] = np.empty(len(rows), dtype=object)
            columns[name][:] = [row[name] for row in rows]
        summed = {name: float(value) for name, value in self.metric.summarise(columns).items()}
        first = self.metric.primary
        if self.metric.higher_is_better:
            return {first: summed.pop(first), **summed}
        return {f"minus {first}": -summed[first], **summed}
