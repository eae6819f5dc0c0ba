"""The work of one process: systems and protocols built once, samples answered and measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rsground.bench.protocols import protocol
from rsground.bench.system import Images, System, describe
from rsground.contracts import Job, Metric
from rsground.isolation.system import IsolatedSystem, environment_of
from rsground.records import prediction_to_json
from rsground.types import Prediction, Sample


class Item(NamedTuple):
    """A sample, its place in the data set's order, and the jobs (by place) that still want it."""

    place: int
    sample: Sample
    jobs: tuple[int, ...]


class Step(NamedTuple):
    """One call of a system: a job (by place) and the items (by place in the task) it is asked about."""

    job: int
    items: tuple[int, ...]


class Task(NamedTuple):
    """What a worker is handed at once: neighbouring samples of one data set.

    Attributes:
        number: of the task, from 1.
        items: samples with their jobs.
        batch: samples per call; 1 lets all jobs of a sample be done before the next one.
    """

    number: int
    items: tuple[Item, ...]
    batch: int = 1

    def steps(self) -> list[Step]:
        """The calls this task takes, in order: the same list in every process."""
        if self.batch == 1:
            return [Step(job, (place,)) for place, item in enumerate(self.items) for job in item.jobs]
        found = []
        for job in dict.fromkeys(job for item in self.items for job in item.jobs):
            places = [place for place, item in enumerate(self.items) if job in item.jobs]
            found += [Step(job, tuple(places[i : i + self.batch])) for i in range(0, len(places), self.batch)]
        return found


class Workbench:
    """Answers steps. Systems are built when first asked; heavy ones make room for each other.

    Args:
        jobs: of the run; steps name them by place.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._images = Images()
        self._systems: dict[int, System | IsolatedSystem | str] = {}
        self._metrics: dict[int, list[tuple[str, Metric]]] = {}

    def answer(self, task: Task, step: Step) -> Iterator[tuple[int, dict[str, Any]]]:
        """(place in the task, record) for each item of a step; see :class:`rsground.contracts.Outcome`."""
        samples = [task.items[place].sample for place in step.items]
        system = self._system(step.job)
        if isinstance(system, str):
            predictions: list[Prediction | None] = [Prediction.failure(system) for _ in samples]
        else:
            served = [system.serves(sample) for sample in samples]
            asked = [sample for sample, is_served in zip(samples, served, strict=True) if is_served]
            answered = iter(system.answer(asked) if asked else [])
            predictions = [next(answered) if is_served else None for is_served in served]
        for place, sample, prediction in zip(step.items, samples, predictions, strict=True):
            yield place, self.record(step.job, sample, prediction)

    def prepare(self, job: int) -> None:
        """Build the system of a job now rather than at its first step."""
        self._system(job)

    def is_ready(self, job: int) -> bool:
        """Whether the system of a job is built."""
        return job in self._systems

    def record(self, job: int, sample: Sample, prediction: Prediction | None) -> dict[str, Any]:
        """The record of an answer: what was predicted and what every protocol says of it."""
        if prediction is None:
            return {"prediction": None, "scores": {}}
        scores = {}
        wanted = self.protocols_for(job, sample)
        for label, metric in self._protocols(job):
            if label in wanted:
                prediction, scores[label] = measured(metric, label, sample, prediction)
        return {"prediction": prediction_to_json(prediction), "scores": scores}

    def protocols_for(self, job: int, sample: Sample) -> set[str]:
        """Labels of the protocols that score a sample: those of its task, where it is annotated."""
        if sample.targets is None and sample.answer is None:
            return set()
        return {label for label, metric in self._protocols(job) if sample.task in metric.tasks}

    def close(self) -> None:
        """Close all systems."""
        for system in self._systems.values():
            if not isinstance(system, str):
                system.close()
        self._systems.clear()

    def _system(self, place: int) -> System | IsolatedSystem | str:
        """The system of a job, or why it cannot be built."""
        if place not in self._systems:
            job = self._jobs[place]
            if not job.system.get("light", False):
                self.close()
            try:
                kind = System if environment_of(job.system) is None else IsolatedSystem
                self._systems[place] = kind(job.system, job.seed, self._images)
            except Exception as error:  # a part may fail in any way; every sample then says why
                self._systems[place] = f"the system cannot be built: {describe(error)}"
        return self._systems[place]

    def _protocols(self, place: int) -> list[tuple[str, Metric]]:
        if place not in self._metrics:
            wanted = self._jobs[place].metrics
            shared = next((p for p in self._metrics if self._jobs[p].metrics == wanted), None)
            self._metrics[place] = (
                self._metrics[shared]
                if shared is not None
                else [(m["label"], protocol(m["name"], m["options"])) for m in wanted]
            )
        return self._metrics[place]


def measured(metric: Metric, label: str, sample: Sample, prediction: Prediction) -> tuple[Prediction, dict[str, Any]]:
    """The prediction and its statistics. Where measuring fails, the answer counts as none and says why.

    Where the sample itself cannot be scored (a broken annotation), all statistics are nan.
    """
    try:
        return prediction, dict(metric.measure(sample, prediction))
    except Exception as error:  # handed on as the answer's error
        reason = f"protocol {label!r} cannot score it: {describe(error)}"
    failed = replace(Prediction.failure(reason, prediction.text), usage=prediction.usage)
    try:
        return failed, dict(metric.measure(sample, failed))
    except Exception:  # the reason is in ``failed`` already
        return failed, unscored(metric)


def unscored(metric: Metric) -> dict[str, Any]:
    """Statistics that say *does not apply*."""
    return dict.fromkeys(metric.statistics, math.nan) | dict.fromkeys(metric.payloads)


def failed_record(bench: Workbench, task: Task, step: Step, reason: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Records of a step that a worker did not survive."""
    for place in step.items:
        sample = task.items[place].sample
        yield place, bench.record(step.job, sample, Prediction.failure(reason))
