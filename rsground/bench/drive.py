"""The parent's side of a run with workers: samples are handed out in tasks, outcomes come back in any order."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from rsground.bench.feed import Group, feed, groups
from rsground.bench.messages import Report
from rsground.bench.pool import Lost
from rsground.bench.work import Item, Task, Workbench, failed_record
from rsground.contracts import Job, Notice, Outcome

CHUNK_S = 0.25
"""Work handed to a worker at once, seconds."""
MOST_ITEMS = 64

Done = Mapping[str, Container[int]]
SizeOf = Callable[[Group], int]


class Chunk(NamedTuple):
    """Neighbouring items to be handed out together, and how many go to the backbone at once."""

    items: list[Item]
    batch: int


class Crew(Protocol):
    """Workers, wherever they are: :class:`rsground.bench.pool.Pool` are processes of this machine."""

    @property
    def is_free(self) -> bool:
        """Whether a worker can take a task."""

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight."""

    def give(self, items: Sequence[Item], batch: int) -> None:
        """Hand a task to a worker; only while :attr:`is_free`."""

    def collect(self) -> Iterator[tuple[Task, Report] | Lost]:
        """What has come in, after waiting for a moment."""

    def stop(self) -> None:
        """Let all workers end."""

    def kill(self) -> None:
        """End all workers at once; a second time does nothing."""


def drive(jobs: Sequence[Job], done: Done, hire: Callable[[], Crew]) -> Iterator[Outcome | Notice]:
    """Outcomes of all samples of ``jobs`` that are not in ``done``; the crew is ended when this is."""
    judge = Workbench(jobs)  # scores the answers that no worker lived to score
    pace = Pace()
    crew = hire()
    try:
        stream = chunks(jobs, done, pace.items)
        more = True
        while more or crew.is_busy:
            while more and crew.is_free:
                found = next(stream, None)
                if found is None:
                    more = False
                elif isinstance(found, Notice):
                    yield found
                else:
                    crew.give(found.items, found.batch)
            for come in crew.collect():
                if isinstance(come, Lost):
                    for place, lost in failed_record(judge, come.task, come.step, come.reason):
                        yield outcome_of(jobs, come.task.items[place], come.step.job, lost)
                    continue
                task, report = come
                steps = task.steps()
                for number, records in report.steps:
                    for place, record in records:
                        yield outcome_of(jobs, task.items[place], steps[number].job, record)
                if report.finished:
                    pace.took(report.seconds, len(task.items))
        crew.stop()
    finally:
        crew.kill()


class Pace:
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
        batches = max(1, min(wanted, MOST_ITEMS) // group.batch)
        return batches * group.batch


def chunks(jobs: Sequence[Job], done: Done, items_of: SizeOf) -> Iterator[Chunk | Notice]:
    """What is still to be asked, in pieces of ``items_of(group)`` items, and what the passes found out."""
    for group in groups(jobs):
        items: list[Item] = []
        for found in feed(jobs, group, done):
            if isinstance(found, Notice):
                if found.size is not None and items:  # the pass is over
                    yield Chunk(items, group.batch)
                    items = []
                yield found
                continue
            items.append(found)
            if len(items) >= items_of(group):
                yield Chunk(items, group.batch)
                items = []


def outcome_of(jobs: Sequence[Job], item: Item, job: int, record: Mapping[str, object]) -> Outcome:
    """A record as the store takes it."""
    return Outcome(jobs[job].key, item.place, item.sample, record)
