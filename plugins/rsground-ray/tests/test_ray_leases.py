"""Leases: laws over any order of asking, giving back and dying."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from rsground_ray.keeper import Keeper
from rsground_ray.leases import LeaseBook, claim
from rsground_ray.processes import this_life

NAMES = ("gpu:0", "gpu:1", "gpu:2")
ACTS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["ask", "drop"]), st.sets(st.sampled_from(NAMES), min_size=1), st.booleans()
    ),
    max_size=40,
)


@given(acts=ACTS)
def test_alone_means_alone_and_nobody_waits_for_nothing(acts: list[tuple[int, str, set[str], bool]]) -> None:
    book = LeaseBook()
    waiting: dict[int, None] = {}
    for holder, act, names, alone in acts:
        if act == "ask":
            waiting.pop(holder, None)
            book.ask(claim(holder, names, alone=alone))
            waiting[holder] = None
        else:
            book.drop(holder)
            waiting.pop(holder, None)
        for granted in book.grant():
            waiting.pop(granted)  # type: ignore[call-overload]
        for name in NAMES:
            held = book.holders(name)
            assert len(held) <= 1 or not any(one.alone for one in held)
        if waiting:
            assert any(book.holders(name) for name in NAMES), "somebody holds what the first waits for"
    for holder in range(6):
        book.drop(holder)
    assert book.is_idle


def test_who_came_first_is_not_overtaken() -> None:
    book = LeaseBook()
    book.ask(claim("reader", ["gpu:0"], alone=False))
    assert book.grant() == ["reader"]
    book.ask(claim("measurer", ["gpu:0"], alone=True))
    book.ask(claim("late reader", ["gpu:0"], alone=False))
    book.ask(claim("elsewhere", ["gpu:1"], alone=False))
    assert book.grant() == ["elsewhere"]
    book.drop("reader")
    assert book.grant() == ["measurer"]
    book.drop("measurer")
    assert book.grant() == ["late reader"]


def test_the_dead_give_back() -> None:
    book = LeaseBook()
    book.ask(claim("dead", ["gpu:0", "gpu:1"], alone=True))
    book.ask(claim("next", ["gpu:1"], alone=True))
    assert book.grant() == ["dead"]
    assert book.sweep(lambda holder: holder != "dead") == ["dead"]
    assert book.grant() == ["next"]
    assert not book.is_granted("dead")


def test_a_late_farewell_does_not_end_the_next_lease() -> None:
    async def story() -> list[bool]:
        keeper, me = Keeper(), this_life()
        first = await keeper.acquire(me, 1, ["gpu:0"], True)
        second = await keeper.acquire(me, 2, ["gpu:0"], True)
        await keeper.release(me, 1)  # overtaken by the call before
        held = not await keeper.retire()
        await keeper.release(me, 2)
        return [first, second, held, await keeper.retire()]

    assert asyncio.run(story()) == [True, True, True, True]


def test_a_claim_that_is_gone_is_not_waited_for() -> None:
    async def story() -> bool:
        keeper, me = Keeper(), this_life()
        keeper._book.ask(claim("somebody", ["gpu:0"], alone=True))
        keeper._book.grant()
        keeper._sweep = lambda: None  # type: ignore[method-assign]  # "somebody" is no process, and stays
        waiting = asyncio.create_task(keeper.acquire(me, 1, ["gpu:0"], True))
        await asyncio.sleep(0)
        keeper._book.drop(me)
        return await waiting

    assert asyncio.run(story()) is False
