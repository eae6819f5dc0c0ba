"""The desk: whatever is lost, every sample is asked until it is answered or given up, and never both."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.bench.work import Item
from rsground.types import ImageRef, Sample, Task
from rsground_ray.desk import Batches, Desk, back_off


def items(count: int, jobs: tuple[int, ...] = (0,)) -> list[Item]:
    sample = Sample("s", (ImageRef("x", 4, 4),), "it", Task.HBB, ())
    return [Item(place, sample, jobs) for place in range(count)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    count=st.integers(1, 12),
    batch=st.sampled_from([1, 2, 5, 8]),
    jobs=st.sampled_from([(0,), (0, 1, 2)]),
    poison=st.sets(st.integers(0, 11), max_size=3),
    seed=st.integers(0, 10**6),
    retries=st.integers(0, 3),
)
def test_every_answer_once(
    count: int, batch: int, jobs: tuple[int, ...], poison: set[int], seed: int, retries: int
) -> None:
    """Workers die over poisoned samples always, and now and then because their node is lost."""
    jobs = jobs if batch == 1 else (0,)
    clock, chance = Clock(), random.Random(seed)
    desk = Desk(retries, clock)
    desk.assign(0, desk.task(items(count, jobs), batch))
    answered: Counter[tuple[int, int]] = Counter()
    given_up: Counter[tuple[int, int]] = Counter()
    for _ in range(5000):
        if not desk.is_busy:
            break
        while desk.load(0) < 2 and (task := desk.due()) is not None:
            desk.assign(0, task)
        if not desk.held(0):
            clock.now += 1.0
            continue
        task = desk.held(0)[0]
        if chance.random() < 0.1:
            assert desk.lost(0, "node", blame=False) == []
        elif any(item.place in poison for item in task.items):
            for lost in desk.lost(0, "died"):
                given_up.update((lost.step.job, lost.task.items[place].place) for place in lost.step.items)
        else:
            done = desk.done(0, task.number)
            answered.update((job, item.place) for item in done.items for job in item.jobs)
    wanted = {(job, place) for job in jobs for place in range(count)}
    assert set(answered) == {pair for pair in wanted if pair[1] not in poison}
    assert set(given_up) == {pair for pair in wanted if pair[1] in poison}
    assert set(answered.values()) | set(given_up.values()) == {1}


def test_who_waits_behind_a_poisoned_sample_is_not_blamed() -> None:
    desk = Desk(0, Clock())
    desk.assign(7, desk.task(items(1), 1))
    desk.assign(7, desk.task([items(2)[1]], 1))
    (lost,) = desk.lost(7, "died")
    assert lost.task.items[0].place == 0
    again = desk.due()
    assert again is not None
    assert again.items[0].place == 1


def test_a_batch_is_halved_and_comes_back() -> None:
    batches = Batches()
    batches.failed(3, 8)
    assert batches.most(3, 8) == 4
    assert batches.most(4, 8) == 8
    for _ in range(16):
        batches.went_well(3)
    assert batches.most(3, 8) == 8


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0.0), (1, 0.5), (2, 1.0), (4, 4.0), (50, 30.0)])
def test_back_off_doubles_up_to_a_bound(failures: int, seconds: float) -> None:
    assert back_off(failures) == seconds
