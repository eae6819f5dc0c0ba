"""Executor: where the jobs of a run are worked off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work: a system answers a shard of a data set, for one seed.

    Attributes:
        key: content hash of everything that decides the result; equal keys are equal work.
        system: the entry of the suite, JSON-able.
        dataset: the data set of the suite, JSON-able.
        seed: for systems that draw.
        start, stop: samples ``[start, stop)`` of the data set's order.
        metrics: names of the protocols to measure with.
    """

    key: str
    system: Mapping[str, Any]
    dataset: Mapping[str, Any]
    seed: int
    start: int
    stop: int
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one sample of a job, ready for the store.

    Attributes:
        job: the job's key.
        index: the sample's place in the data set's order; (job, index) is unique.
        record: JSON-able: sample id, image, prediction, statistics per metric, usage, error.
    """

    job: str
    index: int
    record: Mapping[str, Any]


class Executor(ABC):
    """Works off jobs and yields outcomes in any order; the caller stores them.

    A worker that dies costs the samples in flight: each is yielded as an outcome with its ``error``. Closing the
    iterator (Ctrl-C) stops all workers.
    """

    @abstractmethod
    def run(self, jobs: Iterable[Job], done: Mapping[str, frozenset[int]]) -> Iterator[Outcome]:
        """Outcomes of all samples of ``jobs`` that are not in ``done`` (job key → indexes already stored)."""
