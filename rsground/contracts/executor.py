"""Executor: where the jobs of a run are worked off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsground.contracts.dataset import BrokenRecord
from rsground.types import Sample


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work: a system answers a range of a data set, for one seed.

    Attributes:
        key: content hash of everything that decides an answer (parts, options, their code, annotations, seed), but
            not of the range: ``(key, index)`` names one answer for good, whatever the run it was asked in.
        system: the entry of the suite, JSON-able.
        dataset: the data set of the suite, JSON-able; jobs with equal ones may share a pass over it.
        seed: for systems that draw.
        start, stop: samples ``[start, stop)`` of the data set's order; ``stop`` may lie beyond the end.
        metrics: the protocols to measure with, JSON-able: label, name, options.
    """

    key: str
    system: Mapping[str, Any]
    dataset: Mapping[str, Any]
    seed: int
    start: int
    stop: int
    metrics: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of one sample of a job, ready for the store.

    Attributes:
        job: the job's key.
        index: the sample's place in the data set's order; (job, index) is unique.
        sample: what was asked.
        record: JSON-able: ``prediction`` (None where the head does not serve the sample's task) and ``scores``,
            metric label → statistics.
    """

    job: str
    index: int
    sample: Sample
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a pass over a data set found out beside its samples.

    Attributes:
        dataset: the ``key`` of the jobs' data set.
        broken: a record that was skipped, None where the notice is about the size.
        size: samples seen when the pass ended, None before.
        ended: whether the pass ended because the data set did (and not because no job wanted more).
    """

    dataset: str
    broken: BrokenRecord | None = None
    size: int | None = None
    ended: bool = False


class Executor(ABC):
    """Works off jobs and yields outcomes in any order; the caller stores them.

    A worker that dies costs the answer in flight: it is yielded as an outcome whose prediction has an ``error``.
    Closing the iterator (Ctrl-C) stops all workers.
    """

    @abstractmethod
    def run(self, jobs: Sequence[Job], done: Mapping[str, Container[int]]) -> Iterator[Outcome | Notice]:
        """Outcomes of all samples of ``jobs`` that are not in ``done`` (job key → indexes already stored)."""
