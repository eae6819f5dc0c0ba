"""Worker processes of this machine: who works on what, and what is lost when one dies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rsground.bench.messages import Report
from rsground.bench.process import Bounds, Held, Worker
from rsground.bench.work import Item, Step, Task
from rsground.contracts import Job
from rsground.errors import WorkerError
from rsground.isolation.link import wait

_LOOK_EVERY_S = 0.2
_PAUSE_S = 0.05
"""Before a worker is started in place of one that died without answering anything; it doubles with every such death."""
_LIVES = 3
"""Deaths in a row, without an answer in between, before the run gives up."""


class Lost(NamedTuple):
    """A step that a worker did not survive."""

    task: Task
    step: Step
    reason: str


class Pool:
    """N workers. Hand out tasks while one :attr:`is_free`, then :meth:`collect`.

    Args:
        jobs: of the run.
        workers: how many processes.
        bounds: what each may take; one that takes more is killed.

    Raises:
        WorkerError: no process can be started.
    """

    def __init__(self, jobs: Sequence[Job], workers: int, bounds: Bounds) -> None:
        self._jobs, self.bounds = jobs, bounds
        self._again: deque[Task] = deque()
        self._deaths = 0
        self._number = 0
        self._suspects: set[tuple[int, int]] = set()  # answers, as (job, place), that a worker died over once
        self._workers: list[Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(self._hired())
        except BaseException:
            self.kill()
            raise

    @property
    def is_free(self) -> bool:
        """Whether a worker can take a task; first what dead workers have left is handed out."""
        self._give_again()
        return self._freest() is not None

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight."""
        return bool(self._again) or any(worker.held for worker in self._workers)

    def give(self, items: Sequence[Item], batch: int) -> None:
        """Hand a task to the worker with the least to do."""
        worker = self._freest()
        assert worker is not None, "give() needs is_free"
        worker.give(self._task(items, batch))

    def collect(self) -> Iterator[tuple[Task, Report] | Lost]:
        """What has come in, after waiting for a moment; what dead workers have left is handed out before that.

        Raises:
            WorkerError: workers keep dying before they answer anything.
        """
        self._give_again()
        came = wait([worker.link for worker in self._workers], _LOOK_EVERY_S)
        for worker in list(self._workers):
            if worker.link not in came and not worker.link.has_ended:
                if worker.is_overdue:
                    worker.end()
                elif not worker.ends_for_memory():
                    continue
            elif error := came.get(worker.link):
                worker.broke(error)
            dead = worker.is_dead  # asked first: what it sent before is then all there
            for report in worker.reports():
                yield from self._reported(worker, report)
            if dead or worker.was_ended:
                yield from self._died(worker)

    def stop(self) -> None:
        """Let all workers end."""
        while self._workers:
            self._workers.pop().stop()

    def kill(self) -> None:
        """End all workers at once."""
        while self._workers:
            self._workers.pop().kill()

    def _hired(self) -> Worker:
        try:
            return Worker(self._jobs, self.bounds)
        except OSError as error:
            raise WorkerError(f"a worker process cannot be started: {error}; try fewer workers") from error

    def _give_again(self) -> None:
        while self._again and (worker := self._freest()) is not None:
            worker.give(self._again.popleft())

    def _freest(self) -> Worker | None:
        worker = min(self._workers, key=lambda worker: len(worker.held))
        return worker if worker.is_free else None

    def _task(self, items: Sequence[Item], batch: int) -> Task:
        self._number += 1
        return Task(self._number, tuple(items), batch)

    def _reported(self, worker: Worker, report: Report) -> Iterator[tuple[Task, Report]]:
        held = worker.held[report.task]
        held.reported.update(number for number, _ in report.steps)
        self._deaths = 0
        if report.finished:
            del worker.held[report.task]
        yield held.task, report

    def _died(self, worker: Worker) -> Iterator[Lost]:
        """Start another worker. A batch is asked again one by one; a sample alone once more, then its answer is lost.

        A worker may be killed for no fault of the sample's: by a person, by the system when memory is short.
        """
        reason = worker.why_dead()
        self._deaths += 1
        running, number = int(worker.marker[0]), int(worker.marker[1])
        worker.kill()
        place = self._workers.index(worker)
        lost = None
        for held in worker.held.values():
            open_steps = [n for n in range(len(held.steps)) if n not in held.reported]
            if held.task.number == running and number in open_steps and len(held.steps[number].items) == 1:
                step = held.steps[number]
                answer = (step.job, held.task.items[step.items[0]].place)
                self._deaths = 0
                if answer in self._suspects:
                    open_steps.remove(number)
                    lost = Lost(held.task, step, reason)
                self._suspects.add(answer)
            self._again.extend(self._left(held, open_steps))
        if self._deaths >= _LIVES:
            raise WorkerError(
                f"worker processes die before they answer anything ({reason}); try --workers 0 to see why"
            )
        if self._deaths:
            time.sleep(_PAUSE_S * 2 ** (self._deaths - 1))
        self._workers[place] = self._hired()
        if lost is not None:
            yield lost

    def _left(self, held: Held, numbers: Sequence[int]) -> list[Task]:
        """The steps that are still to be done, as tasks that ask one sample at a time."""
        jobs: dict[int, list[int]] = {}
        for number in numbers:
            for place in held.steps[number].items:
                jobs.setdefault(place, []).append(held.steps[number].job)
        items = [held.task.items[place]._replace(jobs=tuple(wanting)) for place, wanting in sorted(jobs.items())]
        return [self._task(items, 1)] if items else []
