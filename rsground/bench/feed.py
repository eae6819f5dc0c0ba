"""The samples that jobs still want, streamed: one pass over a data set for all jobs that can share it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from rsground.bench.data import open_dataset, samples_from
from rsground.bench.work import Item
from rsground.contracts import BrokenRecord, Job, Notice
from rsground.errors import RsgroundError

_NOTHING: frozenset[int] = frozenset()


class Group:
    """Jobs that are worked off in one pass over their data set.

    Attributes:
        jobs: their places among the run's jobs.
        batch: samples per call of the backbone.
    """

    def __init__(self, jobs: tuple[int, ...], batch: int) -> None:
        self.jobs, self.batch = jobs, batch


def groups(jobs: Sequence[Job]) -> list[Group]:
    """Light jobs of one data set share a pass (and what they compute of a sample); a heavy one has its own."""
    found: list[Group] = []
    light: dict[Any, list[int]] = {}
    for place, job in enumerate(jobs):
        batch = int(job.system.get("batch", 1))
        if job.system.get("light", False) and batch == 1:
            light.setdefault(job.dataset["key"], []).append(place)
        else:
            found.append(Group((place,), batch))
    return [Group(tuple(places), 1) for places in light.values()] + found


def feed(jobs: Sequence[Job], group: Group, done: Mapping[str, Container[int]]) -> Iterator[Item | Notice]:
    """Items of one pass, in the data set's order, and what the pass found out; ends with a notice of the size.

    A pass that cannot go on (a file that vanished) ends early, with the reason as a broken record.
    """
    choice = jobs[group.jobs[0]].dataset
    key = choice["key"]
    notices: list[Notice] = []
    start, stop = _bounds(jobs, group, done)
    seen = start
    try:
        source = open_dataset(choice["name"], choice["root"], choice["split"], choice["options"], choice["tasks"])
        source.on_broken = lambda record: notices.append(Notice(key, broken=record))
        for place, sample in samples_from(source, start, stop, choice["tasks"]):
            yield from _taken(notices)
            seen = place + 1
            wanting = tuple(j for j in group.jobs if _wants(jobs[j], place, done))
            if wanting:
                yield Item(place, sample, wanting)
        yield from _taken(notices)
        yield Notice(key, size=seen, ended=seen < stop)
    except (RsgroundError, OSError) as error:
        yield from _taken(notices)
        reason = BrokenRecord(str(choice["root"] or choice["name"]), None, "unreadable", str(error))
        yield Notice(key, broken=reason)
        yield Notice(key, size=seen, ended=False)


def _bounds(jobs: Sequence[Job], group: Group, done: Mapping[str, Container[int]]) -> tuple[int, int]:
    """The range of places that some job may still want; what all have done at the front is skipped."""
    start = min(jobs[j].start for j in group.jobs)
    stop = max(jobs[j].stop for j in group.jobs)
    while start < stop and not any(_wants(jobs[j], start, done) for j in group.jobs):
        start += 1
    return start, stop


def _wants(job: Job, place: int, done: Mapping[str, Container[int]]) -> bool:
    return job.start <= place < job.stop and place not in done.get(job.key, _NOTHING)


def _taken(notices: list[Notice]) -> list[Notice]:
    taken = notices[:]
    notices.clear()
    return taken
