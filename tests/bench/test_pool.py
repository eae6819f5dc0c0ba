"""Workers that are stopped, wherever in their work, do not stop the run."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import connection as mp_connection
from typing import Any

import pytest

from rsground.bench.plan import Plan
from rsground.bench.pool import Lost, Pool
from rsground.bench.work import Item
from rsground.registry import load

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")


@pytest.fixture
def pool_of(plan_of: Callable[..., Plan]) -> Iterator[Callable[..., Pool]]:
    """A pool of one worker for the toys."""
    pools = []

    def make(timeout_s: float) -> Pool:
        pools.append(Pool([planned.job for planned in plan_of().jobs], 1, timeout_s))
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
    os.kill(worker.process.pid, signal.SIGSTOP)
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


def test_a_stopped_worker_that_reads_no_task_does_not_hold_up_who_sends(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsground.bench.process.GRACE_S", 0.2)
    pool = pool_of(timeout_s=0.2)
    monkeypatch.setattr("rsground.bench.process.GRACE_S", 3600)
    monkeypatch.setattr(pool, "_timeout_s", 3600)  # of the next worker
    worker = stop(pool)
    pool.give(items(3, large="x" * 10_000_000), 1)
    assert worker.why_dead() == "no answer within 0.2 s"
    assert answered(pool) == [3]


def test_a_worker_that_stops_in_the_middle_of_an_answer_does_not_hold_up_who_reads(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = importlib.import_module("rsground.bench.process").main
    monkeypatch.setattr("rsground.bench.process.main", importlib.import_module("toys").half_said)
    monkeypatch.setattr("rsground.bench.process.GRACE_S", 0.2)
    pool = pool_of(timeout_s=0.2)
    monkeypatch.setattr("rsground.bench.process.main", whole)
    monkeypatch.setattr("rsground.bench.process.GRACE_S", 3600)
    monkeypatch.setattr(pool, "_timeout_s", 3600)  # of the next worker
    (worker,) = pool._workers
    mp_connection.wait([worker.connection])
    assert list(worker.reports()) == []
    assert worker.why_dead() == "no answer within 0.2 s"
    pool.give(items(4, 5), 1)
    assert answered(pool) == [4, 5]
