"""Worker processes as the parent sees them: who works on what, and what is lost when one dies."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection as mp_connection
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

from rsground.bench.work import Item, Step, Task
from rsground.bench.worker import Report, main
from rsground.contracts import Job
from rsground.errors import ContractError, WorkerError
from rsground.isolation.endings import ending

AHEAD = 2
"""Tasks a worker has at most: the one it works on, and the next one."""
_LOOK_EVERY_S = 0.2
_JOIN_S = 5.0
_LIVES = 3
"""Deaths in a row, without an answer in between, before the run gives up."""


class Lost(NamedTuple):
    """A step that a worker did not survive."""

    task: Task
    step: Step
    reason: str


class _Held:
    """A task in a worker's hands: its steps, and which of them have been reported."""

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, task.steps()
        self.reported: set[int] = set()


class Worker:
    """One process; started at construction."""

    def __init__(self, context: Any, jobs: Sequence[Job]) -> None:
        self.marker = context.RawArray("q", 3)
        self.connection, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=main, args=(theirs, list(jobs), self.marker), daemon=True)
        with _signals_held():
            self.process.start()
        theirs.close()
        self.held: dict[int, _Held] = {}

    @property
    def is_free(self) -> bool:
        """Whether it can take another task."""
        return len(self.held) < AHEAD

    def give(self, task: Task) -> None:
        """Hand over a task.

        Raises:
            ContractError: its samples cannot be sent to another process.
        """
        self.held[task.number] = _Held(task)
        try:
            self.connection.send(task)
        except (BrokenPipeError, ConnectionResetError):
            return  # it is dead; whoever waits for it finds out
        except Exception as error:  # pickling fails in many ways
            names = ", ".join(repr(item.sample.id) for item in task.items[:3])
            raise ContractError(
                f"samples {names} cannot be sent to a worker process: {error}; "
                "data sets must give samples that pickle (or run with --workers 0)"
            ) from error

    def reports(self) -> Iterator[Report]:
        """What it has sent; ends when nothing more is there now, or for good."""
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, OSError):
            return

    def seconds_in_step(self) -> float:
        """How long the present call runs."""
        began = int(self.marker[2])
        return (time.monotonic_ns() - began) / 1e9 if began else 0.0

    def stop(self) -> None:
        """Let it end by itself, and make it if it does not."""
        try:
            self.connection.send(None)
            self.process.join(_JOIN_S)
        except OSError:
            pass
        self.kill()

    def kill(self) -> None:
        """End it at once; a second time does nothing."""
        if self.connection.closed:
            return
        if self.process.is_alive():
            self.process.kill()
        self.process.join(_JOIN_S)
        self.connection.close()
        if self.process.exitcode is not None:
            self.process.close()

    def why_dead(self) -> str:
        """Its end in words."""
        self.process.join(_JOIN_S)  # its pipes close a moment before its exit code is known
        return ending(self.process.exitcode)


class Pool:
    """N workers. Hand out tasks while one :attr:`is_free`, then :meth:`collect`.

    Args:
        jobs: of the run.
        workers: how many processes.
        timeout_s: longest a call of a system may take before its worker is killed; None for as long as it takes.
    """

    def __init__(self, jobs: Sequence[Job], workers: int, timeout_s: float | None = None) -> None:
        resource_tracker.ensure_running()  # it lifts a block on signals when it starts: let it do so now
        self._context = multiprocessing.get_context("spawn")
        self._jobs, self._timeout_s = jobs, timeout_s
        self._again: deque[Task] = deque()
        self._deaths = 0
        self._number = 0
        self._workers: list[Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(Worker(self._context, jobs))
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
        waited: list[Any] = [w.connection for w in self._workers] + [w.process.sentinel for w in self._workers]
        ready = mp_connection.wait(waited, _LOOK_EVERY_S)
        for worker in list(self._workers):
            if worker.connection in ready or worker.process.sentinel in ready:
                dead = worker.process.sentinel in ready  # asked first: what it sent before is then all there
                for report in worker.reports():
                    yield from self._reported(worker, report)
                if dead or not worker.process.is_alive():
                    yield from self._died(worker, worker.why_dead())
            elif self._timeout_s is not None and worker.seconds_in_step() > self._timeout_s:
                worker.process.kill()
                worker.process.join(_JOIN_S)
                for report in worker.reports():
                    yield from self._reported(worker, report)
                yield from self._died(worker, f"no answer within {self._timeout_s:g} s")

    def stop(self) -> None:
        """Let all workers end."""
        while self._workers:
            self._workers.pop().stop()

    def kill(self) -> None:
        """End all workers at once."""
        while self._workers:
            self._workers.pop().kill()

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

    def _died(self, worker: Worker, reason: str) -> Iterator[Lost]:
        """Start another worker; the call that was running is lost, a batch is asked again one by one."""
        self._deaths += 1
        running, number = int(worker.marker[0]), int(worker.marker[1])
        worker.kill()
        place = self._workers.index(worker)
        lost = None
        for held in worker.held.values():
            open_steps = [n for n in range(len(held.steps)) if n not in held.reported]
            if held.task.number == running and number in open_steps and len(held.steps[number].items) == 1:
                open_steps.remove(number)
                lost = Lost(held.task, held.steps[number], reason)
                self._deaths = 0
            self._again.extend(self._left(held, open_steps))
        if self._deaths >= _LIVES:
            raise WorkerError(
                f"worker processes die before they answer anything ({reason}); try --workers 0 to see why"
            )
        self._workers[place] = Worker(self._context, self._jobs)
        if lost is not None:
            yield lost

    def _left(self, held: _Held, numbers: Sequence[int]) -> list[Task]:
        """The steps that are still to be done, as tasks that ask one sample at a time."""
        jobs: dict[int, list[int]] = {}
        for number in numbers:
            for place in held.steps[number].items:
                jobs.setdefault(place, []).append(held.steps[number].job)
        items = [held.task.items[place]._replace(jobs=tuple(wanting)) for place, wanting in sorted(jobs.items())]
        return [self._task(items, 1)] if items else []


@contextmanager
def _signals_held() -> Iterator[None]:
    """Children start with Ctrl-C held back, so that none prints a traceback while it is still importing."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
