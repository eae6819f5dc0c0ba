"""What is handed out, to whom, and what becomes of it when a worker is lost. Bookkeeping only; no Ray in here."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from rsground.bench.pool import Lost
from rsground.bench.work import Item, Step, Task

AHEAD = 2
"""Tasks a worker has at most: the one it works on, and the next one."""
_RAISE_AFTER = 16
"""Batches that must go well before a halved batch is doubled again."""


def back_off(failures: int, first_s: float = 0.5, most_s: float = 30.0) -> float:
    """Seconds to wait after so many failures in a row: doubling, up to a bound."""
    return min(most_s, first_s * 2.0 ** (failures - 1)) if failures > 0 else 0.0


class Batches:
    """How large a job's batches may be: halved when a worker dies over one, doubled when all goes well."""

    def __init__(self) -> None:
        self._most: dict[int, int] = {}
        self._well: dict[int, int] = {}

    def most(self, job: int, wanted: int) -> int:
        """The batch to use where ``wanted`` is asked for."""
        return min(wanted, self._most.get(job, wanted))

    def failed(self, job: int, size: int) -> None:
        """A worker died over a batch of ``size``."""
        self._most[job], self._well[job] = max(1, size // 2), 0

    def went_well(self, job: int) -> None:
        """A task of the job was done."""
        if job not in self._most:
            return
        self._well[job] += 1
        if self._well[job] >= _RAISE_AFTER:
            self._most[job], self._well[job] = 2 * self._most[job], 0


class Desk:
    """Tasks of a run, from the first time they are handed out until they are answered or given up.

    A task whose worker dies is asked again, whole, by steps, in halves, in single samples: so the sample that is at
    fault is found, and only a sample that workers died over ``1 + retries`` times is given up.

    Args:
        retries: how often a sample is asked again.
        clock: seconds, from any origin.
    """

    def __init__(self, retries: int, clock: Callable[[], float]) -> None:
        self.batches = Batches()
        self._retries, self._clock = retries, clock
        self._number = 0
        self._again: list[tuple[float, int, Task]] = []
        self._held: defaultdict[int, dict[int, Task]] = defaultdict(dict)
        self._failures: dict[tuple[int, int], int] = {}

    # handing out ---------------------------------------------------------------------------------------------------

    def task(self, items: Sequence[Item], batch: int) -> Task:
        """A new task; its batch is as large as has gone well."""
        self._number += 1
        jobs = {job for item in items for job in item.jobs}
        if batch > 1:
            batch = min(self.batches.most(job, batch) for job in jobs)
        return Task(self._number, tuple(items), batch)

    def assign(self, worker: int, task: Task) -> None:
        """The worker has it now, behind what it has already."""
        self._held[worker][task.number] = task

    def due(self) -> Task | None:
        """A task to be asked again, if one has waited long enough."""
        if self._again and self._again[0][0] <= self._clock():
            return heapq.heappop(self._again)[2]
        return None

    def held(self, worker: int) -> list[Task]:
        """A worker's tasks in order; it works on the first."""
        return list(self._held[worker].values())

    def load(self, worker: int) -> int:
        """How many tasks a worker has."""
        return len(self._held[worker])

    @property
    def is_busy(self) -> bool:
        """Whether anything is held or waits to be asked again."""
        return bool(self._again) or any(self._held.values())

    @property
    def next_due_s(self) -> float | None:
        """Seconds until a waiting task is due; None where none waits."""
        return max(0.0, self._again[0][0] - self._clock()) if self._again else None

    # what came of it -----------------------------------------------------------------------------------------------

    def done(self, worker: int, number: int) -> Task:
        """A task was answered."""
        task = self._held[worker].pop(number)
        for item in task.items:
            for job in item.jobs:
                self._failures.pop((job, item.place), None)
        if task.batch > 1:
            self.batches.went_well(task.items[0].jobs[0])
        return task

    def lost(self, worker: int, reason: str, *, blame: bool = True) -> list[Lost]:
        """The worker is gone. What it had is asked again; what must be given up is answered.

        Args:
            worker: who had it.
            reason: in words.
            blame: whether the task it worked on may be at fault (and not the machine).
        """
        tasks = self.held(worker)
        del self._held[worker]
        found: list[Lost] = []
        for place, task in enumerate(tasks):
            if place == 0 and blame:
                found += self._suspected(task, reason)
            else:
                self._later([task], 0.0)
        return found

    def _suspected(self, task: Task, reason: str) -> Iterable[Lost]:
        steps = task.steps()
        if len(steps) > 1:
            self._later([self._part(task, step, step.items) for step in steps], 0.0)
            return []
        (step,) = steps
        if len(step.items) > 1:
            self.batches.failed(step.job, len(step.items))
            middle = len(step.items) // 2
            self._later([self._part(task, step, half) for half in (step.items[:middle], step.items[middle:])], 0.0)
            return []
        key = (step.job, task.items[0].place)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if failures > self._retries:
            del self._failures[key]
            times = "" if failures == 1 else f" ({failures} times)"
            return [Lost(task, step, reason + times)]
        self._later([task], back_off(failures))
        return []

    def _part(self, task: Task, step: Step, places: Sequence[int]) -> Task:
        self._number += 1
        return Task(self._number, tuple(task.items[p]._replace(jobs=(step.job,)) for p in places), len(places))

    def _later(self, tasks: Iterable[Task], wait_s: float) -> None:
        due = self._clock() + wait_s
        for task in tasks:
            heapq.heappush(self._again, (due, task.number, task))
