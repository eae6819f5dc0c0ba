"""The executor ``local``: in this process, or in worker processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from rsground.bench.feed import Group, feed, groups
from rsground.bench.pool import Lost, Pool
from rsground.bench.work import Item, Task, Workbench, failed_record
from rsground.contracts import Executor, Job, Notice, Outcome
from rsground.errors import ShapeError

CHUNK_S = 0.25
"""Work handed to a worker at once, seconds."""
_MOST_ITEMS = 64

Done = Mapping[str, Container[int]]
_SizeOf = Callable[[Group], int]


class LocalExecutor(Executor):
    """Works off jobs here. Answers are the same for any number of workers.

    Args:
        workers: processes. 0 works in this one: nothing to start, but a crash ends the run.
        timeout_s: longest an answer may take, in worker processes only; the answer is then lost and the worker
            replaced.
    """

    def __init__(self, workers: int = 0, timeout_s: float | None = None) -> None:
        if workers < 0:
            raise ShapeError(f"option 'workers' must be 0 or more, got {workers}")
        if timeout_s is not None and timeout_s <= 0:
            raise ShapeError(f"option 'timeout_s' must be above 0, got {timeout_s}")
        self.workers, self.timeout_s = workers, timeout_s

    def run(self, jobs: Sequence[Job], done: Done) -> Iterator[Outcome | Notice]:
        """As :meth:`rsground.contracts.Executor.run`.

        Raises:
            WorkerError: workers die before they answer anything.
            ContractError: samples cannot be sent to workers.
        """
        if not jobs:
            return iter(())
        return self._pooled(jobs, done) if self.workers else self._here(jobs, done)

    def _here(self, jobs: Sequence[Job], done: Done) -> Iterator[Outcome | Notice]:
        bench = Workbench(jobs)
        try:
            for found in _chunks(jobs, done, lambda group: group.batch):
                if isinstance(found, Notice):
                    yield found
                    continue
                task = Task(0, tuple(found.items), found.batch)
                for step in task.steps():
                    for place, record in bench.answer(task, step):
                        yield _outcome(jobs, task.items[place], step.job, record)
        finally:
            bench.close()

    def _pooled(self, jobs: Sequence[Job], done: Done) -> Iterator[Outcome | Notice]:
        judge = Workbench(jobs)  # scores the answers that no worker lived to score
        pace = _Pace()
        pool = Pool(jobs, self.workers, self.timeout_s)
        try:
            stream = _chunks(jobs, done, pace.items)
            more = True
            while more or pool.is_busy:
                while pool.is_free and more:
                    found = next(stream, None)
                    if found is None:
                        more = False
                    elif isinstance(found, Notice):
                        yield found
                    else:
                        pool.give(found.items, found.batch)
                for come in pool.collect():
                    if isinstance(come, Lost):
                        for place, lost in failed_record(judge, come.task, come.step, come.reason):
                            yield _outcome(jobs, come.task.items[place], come.step.job, lost)
                        continue
                    task, report = come
                    steps = task.steps()
                    for number, records in report.steps:
                        for place, record in records:
                            yield _outcome(jobs, task.items[place], steps[number].job, record)
                    if report.finished:
                        pace.took(report.seconds, len(task.items))
            pool.stop()
        finally:
            pool.kill()


class _Chunk:
    """Neighbouring items to be handed out together."""

    def __init__(self, items: list[Item], batch: int) -> None:
        self.items, self.batch = items, batch


class _Pace:
    """How many items make a good task: few enough to spread, enough to be worth sending."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def took(self, seconds: float, items: int) -> None:
        """A task was done."""
        each = seconds / items
        self._seconds = each if self._seconds is None else 0.7 * self._seconds + 0.3 * each

    def items(self, group: Group) -> int:
        """Items of the next task, whole batches."""
        wanted = 1 if self._seconds is None else int(CHUNK_S / max(self._seconds, 1e-6))
        batches = max(1, min(wanted, _MOST_ITEMS) // group.batch)
        return batches * group.batch


def _chunks(jobs: Sequence[Job], done: Done, items_of: _SizeOf) -> Iterator[_Chunk | Notice]:
    for group in groups(jobs):
        items: list[Item] = []
        for found in feed(jobs, group, done):
            if isinstance(found, Notice):
                if found.size is not None and items:  # the pass is over
                    yield _Chunk(items, group.batch)
                    items = []
                yield found
                continue
            items.append(found)
            if len(items) >= items_of(group):
                yield _Chunk(items, group.batch)
                items = []


def _outcome(jobs: Sequence[Job], item: Item, job: int, record: Mapping[str, object]) -> Outcome:
    return Outcome(jobs[job].key, item.place, item.sample, record)
