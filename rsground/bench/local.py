"""The executor ``local``: in this process, or in worker processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rsground.bench.drive import Done, chunks, drive, outcome_of
from rsground.bench.pool import Pool
from rsground.bench.process import Bounds
from rsground.bench.work import Task, Workbench
from rsground.contracts import Executor, Job, Notice, Outcome
from rsground.errors import ShapeError


class LocalExecutor(Executor):
    """Works off jobs here. Answers are the same for any number of workers.

    Args:
        workers: processes. 0 works in this one: nothing to start, but a crash ends the run.
        timeout_s: longest an answer may take, in worker processes only; the worker is then replaced and the sample
            asked once more, and the second time the answer is lost.
        load_s: longest building a system may take, where there is a ``timeout_s``; it is no part of an answer's time.
        memory_gib: what a worker process and those it started may take together; None for what the machine has.
    """

    def __init__(
        self,
        workers: int = 0,
        timeout_s: float | None = None,
        load_s: float = 1800.0,
        memory_gib: float | None = None,
    ) -> None:
        if workers < 0:
            raise ShapeError(f"option 'workers' must be 0 or more, got {workers}")
        if workers and os.name == "nt":
            raise ShapeError(f"option 'workers' must be 0 on Windows, got {workers}: workers need the pipes of POSIX")
        if timeout_s is not None and timeout_s <= 0:
            raise ShapeError(f"option 'timeout_s' must be above 0, got {timeout_s}")
        if load_s <= 0:
            raise ShapeError(f"option 'load_s' must be above 0, got {load_s}")
        if memory_gib is not None and memory_gib <= 0:
            raise ShapeError(f"option 'memory_gib' must be above 0, got {memory_gib}")
        self.workers = workers
        self.bounds = Bounds(timeout_s, load_s, None if memory_gib is None else int(memory_gib * 2**30))

    def run(self, jobs: Sequence[Job], done: Done) -> Iterator[Outcome | Notice]:
        """As :meth:`rsground.contracts.Executor.run`.

        Raises:
            WorkerError: workers die before they answer anything.
            ContractError: samples cannot be sent to workers.
        """
        if not jobs:
            return iter(())
        if not self.workers:
            return self._here(jobs, done)
        return drive(jobs, done, lambda: Pool(jobs, self.workers, self.bounds))

    def _here(self, jobs: Sequence[Job], done: Done) -> Iterator[Outcome | Notice]:
        bench = Workbench(jobs)
        try:
            for found in chunks(jobs, done, lambda group: group.batch):
                if isinstance(found, Notice):
                    yield found
                    continue
                task = Task(0, tuple(found.items), found.batch)
                for step in task.steps():
                    for place, record in bench.answer(task, step):
                        yield outcome_of(jobs, task.items[place], step.job, record)
        finally:
            bench.close()
