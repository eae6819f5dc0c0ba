"""Workers that are stopped, wherever in their work, do not stop the run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from rsground.bench.plan import Plan
from rsground.bench.pool import Lost, Pool
from rsground.bench.process import START, Bounds
from rsground.bench.work import Item, Step, Task
from rsground.bench.worker import work
from rsground.isolation.link import wait
from rsground.registry import load
from rsground.testing import miniature
from rsground.types import Task as Domain

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")


@pytest.fixture
def pool_of(plan_of: Callable[..., Plan]) -> Iterator[Callable[..., Pool]]:
    """A pool of one worker for the toys."""
    pools = []

    def make(timeout_s: float, load_s: float = 1000.0) -> Pool:
        pools.append(Pool([planned.job for planned in plan_of().jobs], 1, Bounds(timeout_s, load_s)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.kill()


def items(*places: int, **meta: str) -> list[Item]:
    samples = list(load("dataset", "toy"))
    return [Item(place, replace(samples[place], meta=meta), (0,)) for place in places]


def answered(pool: Pool) -> list[int]:
    """Places of what is answered, until nothing is in flight; a lost answer fails the test."""
    found = []
    while pool.is_busy:
        for come in pool.collect():
            assert not isinstance(come, Lost)
            task, report = come
            found += [task.items[place].place for _, records in report.steps for place, _ in records]
    return found


def stop(pool: Pool) -> Any:
    worker = pool._workers[0]
    os.kill(worker.link.pid, signal.SIGSTOP)
    return worker


@pytest.mark.parametrize("began", [False, True], ids=["starting", "idle"])
def test_a_worker_that_stops_between_tasks_is_replaced(pool_of: Callable[..., Pool], began: bool) -> None:
    pool = pool_of(timeout_s=3600)
    if began:
        pool.give(items(0), 1)
        assert answered(pool) == [0]
    worker = stop(pool)
    worker._heard -= 1e6  # that it has nothing to do is no reason
    assert list(pool.collect()) == []
    assert pool._workers == [worker]
    pool.give(items(1, 2), 1)
    assert list(pool.collect()) == []
    assert pool._workers == [worker]
    worker._heard -= 1e6
    assert list(pool.collect()) == []
    assert pool._workers != [worker]
    assert answered(pool) == [1, 2]


def test_building_a_system_is_no_part_of_a_calls_time(pool_of: Callable[..., Pool]) -> None:
    pool = pool_of(timeout_s=60.0, load_s=180.0)
    worker = stop(pool)
    pool.give(items(6), 1)
    for sign, seconds, overdue in ((1, 20, False), (1, 90, True), (-1, 90, False), (-1, 200, True)):
        worker.marker[2] = sign * (time.monotonic_ns() - seconds * 10**9)
        assert worker.is_overdue is overdue
    worker.end()
    assert worker.why_dead() == "no system within 180 s"
    assert answered(pool) == [6]


def test_a_worker_tells_building_from_answering() -> None:
    marker, seen = [0, 0, 0], []

    class Bench:
        def is_ready(self, job: int) -> bool:
            return bool(seen)

        def prepare(self, job: int) -> None:
            seen.append(("builds", job, marker[:2], marker[2] < 0))

        def answer(self, task: Task, step: Step) -> list[Any]:
            seen.append(("answers", step.job, marker[:2], marker[2] > 0))
            return []

    task = Task(9, (Item(0, miniature(Domain.HBB), (3,)), Item(1, miniature(Domain.HBB), (3,))))
    parts = work(Bench(), task, marker)  # type: ignore[arg-type]
    seen.extend(("sends", part["steps"], marker[:2], marker[2] == 0) for part in parts)
    steps = [("builds", 3, [9, 0], True), ("answers", 3, [9, 0], True), ("answers", 3, [9, 1], True)]
    assert seen == [*steps, ("sends", [[0, []], [1, []]], [9, 1], True)]


def test_a_stopped_worker_that_reads_no_task_does_not_hold_up_who_sends(pool_of: Callable[..., Pool]) -> None:
    pool = pool_of(timeout_s=3600)
    worker = stop(pool)
    pool.give(items(3, large="x" * 10_000_000), 1)
    assert list(pool.collect()) == []
    assert pool._workers == [worker], "it may take its time"
    worker._heard -= 1e6
    assert list(pool.collect()) == []
    assert worker.why_dead() == "no answer within 3600 s"
    assert answered(pool) == [3]


def started_as(name: str) -> str:
    """What starts one of the toys in place of a worker."""
    return START.replace("rsground.bench.worker import main", f"toys import {name} as main")


def test_a_worker_that_stops_in_the_middle_of_an_answer_does_not_hold_up_who_reads(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("rsground.bench.process.START", started_as("half_said"))
        pool = pool_of(timeout_s=3600)
    (worker,) = pool._workers
    pool.give(items(4, 5), 1)
    assert wait([worker.link], 60.0) == {worker.link: None}
    assert list(worker.reports()) == []
    worker._heard -= 1e6
    assert list(pool.collect()) == []
    assert worker.why_dead() == "no answer within 3600 s"
    assert answered(pool) == [4, 5]


def test_a_worker_that_speaks_something_else_is_replaced(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("rsground.bench.process.START", started_as("babbles"))
        pool = pool_of(timeout_s=3600)
    (worker,) = pool._workers
    pool.give(items(4, 5), 1)
    assert answered(pool) == [4, 5]
    assert "broke the protocol and was ended: garbage instead of a frame: b'good morning'" in worker.why_dead()
