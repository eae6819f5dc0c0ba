"""The actor: builds systems, answers tasks, and measures time only while the device is its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import ray

from rsground.bench.messages import Report
from rsground.bench.work import Step, Task, Workbench
from rsground.contracts import Job
from rsground.records import USAGE
from rsground.source_key import code_key
from rsground_ray.keeper import Leases
from rsground_ray.memory import Need, free_room, visible_cards, wait_for_room
from rsground_ray.processes import Life, this_life

TIMES = (USAGE.index("latency_s"), USAGE.index("time_s"))
"""Places of what the clock said in a record's usage."""


class Terms(NamedTuple):
    """How a worker works.

    Attributes:
        leased: jobs (by place) whose time is measured under a lease; others are answered without one.
        every: of a leased job's samples every so-manieth is measured, the others have no time; 0: none is.
        need: free memory to wait for before starting; ``patience_s`` how long.
        folder: the driver's working folder, for relative paths.
    """

    leased: frozenset[int]
    every: int
    need: Need
    patience_s: float
    folder: str


class Facts(NamedTuple):
    """What a worker says of itself when it is ready."""

    life: Life
    node: str
    machine: str
    code: str
    distributions: Mapping[str, str]


def code_facts() -> tuple[str, dict[str, str]]:
    """What decides answers: a digest of the core's code, and the plugins installed."""
    from rsground.registry import registry

    return code_key("rsground"), dict(registry().distributions)


class Worker:
    """A Ray actor around a :class:`rsground.bench.work.Workbench`."""

    def __init__(self, jobs: Sequence[Job], terms: Terms) -> None:
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # cards are numbered as nvidia-smi numbers them
        if os.path.isdir(terms.folder):
            os.chdir(terms.folder)
        self._jobs, self._terms = list(jobs), terms
        self._bench = Workbench(self._jobs)
        cards = [f"gpu:{number}" for number in ray.get_gpu_ids()]
        self._leases = Leases(cards or ["machine"]) if terms.leased else None
        self._step_began: float | None = None

    def hello(self) -> Facts:
        """Wait for free memory, then say who we are.

        Raises:
            DeviceError: no memory became free.
        """
        wait_for_room(lambda: free_room(visible_cards()), self._terms.need, self._terms.patience_s)
        context = ray.get_runtime_context()
        return Facts(this_life(), context.get_node_id(), ray.util.get_node_ip_address(), *code_facts())

    def work(self, task: Task) -> Report:
        """Answer all steps of a task."""
        began, waited = time.monotonic(), 0.0
        found: list[tuple[int, list[tuple[int, dict[str, Any]]]]] = []
        for alone, stretch in groupby(enumerate(task.steps()), lambda each: self._terms_of(task, each[1])):
            steps = list(stretch)
            self._build({step.job for _, step in steps})
            with self._lease(alone) as wait:
                waited += wait
                for number, step in steps:
                    found.append((number, self._answer(task, step, keeps_times=alone is not False)))
        return Report(task.number, found, time.monotonic() - began - waited, finished=True)

    def pulse(self) -> float:
        """Seconds the present step runs; 0 between steps. Called beside :meth:`work`."""
        began = self._step_began
        return 0.0 if began is None else time.monotonic() - began

    def _terms_of(self, task: Task, step: Step) -> bool | None:
        """True: alone, with its time; False: beside others, without; None: no lease."""
        if step.job not in self._terms.leased:
            return None
        every = self._terms.every
        return len(step.items) == 1 and task.batch == 1 and every > 0 and task.items[step.items[0]].place % every == 0

    def _build(self, jobs: set[int]) -> None:
        """Loading a model disturbs who measures, so it happens beside others only while none does."""
        if len(jobs) != 1 or all(self._bench.is_ready(job) for job in jobs):
            return  # several jobs in one stretch share a process because they are light
        (job,) = jobs
        with self._lease(False if job in self._terms.leased else None):
            self._bench.prepare(job)

    def _answer(self, task: Task, step: Step, *, keeps_times: bool) -> list[tuple[int, dict[str, Any]]]:
        self._step_began = time.monotonic()
        try:
            found = list(self._bench.answer(task, step))
        finally:
            self._step_began = None
        if not keeps_times:
            for _, record in found:
                if record["prediction"] is not None:
                    for place in TIMES:
                        record["prediction"]["usage"][place] = None
        return found

    @contextmanager
    def _lease(self, alone: bool | None) -> Iterator[float]:
        if alone is None or self._leases is None:
            yield 0.0
            return
        with self._leases.held(alone=alone) as waited:
            yield waited
