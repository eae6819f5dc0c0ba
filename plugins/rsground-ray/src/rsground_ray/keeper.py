"""The lease keeper: one named actor per machine, shared by every run on it, that survives the runs it serves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rsground_ray.leases import LeaseBook, claim
from rsground_ray.processes import Life, is_alive, this_life

NAMESPACE = "rsground"
_LOOK_EVERY_S = 0.5
_FAREWELLS = 10


class Keeper:
    """Actor around a :class:`rsground_ray.leases.LeaseBook`; holders are processes of its machine.

    Whoever dies with a lease is found out by those who wait for it. Calls may be worked off in another order than they
    were made, so a lease is given back by its number: a holder's late "I am done" must not end its next lease.
    """

    def __init__(self) -> None:
        self._book = LeaseBook()
        self._news = asyncio.Condition()
        self._retired = False
        self._numbers: dict[Life, int] = {}

    async def acquire(self, holder: Life, number: int, names: list[str], alone: bool) -> bool:
        """Wait for the holder's lease of that number; false when it must be asked for again, or of another keeper."""
        if self._retired:
            return False
        holder = Life(*holder)
        async with self._news:
            self._numbers[holder] = number
            self._book.ask(claim(holder, names, alone=alone))
            self._tell()
            while not self._book.is_granted(holder):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
                self._sweep()
                if not self._book.is_known(holder):
                    return False
        return True

    async def release(self, holder: Life, number: int) -> None:
        """Give a lease back; nothing happens where the holder has a later one."""
        holder = Life(*holder)
        async with self._news:
            if self._numbers.get(holder) == number:
                del self._numbers[holder]
                self._book.drop(holder)
                self._tell()

    def _sweep(self) -> None:
        for gone in self._book.sweep(lambda life: isinstance(life, Life) and is_alive(life)):
            assert isinstance(gone, Life)
            self._numbers.pop(gone, None)
        self._tell()

    def _tell(self) -> None:
        if self._book.grant():
            self._news.notify_all()

    async def retire(self) -> bool:
        """True when nobody alive holds or waits: it then takes no more claims and may be ended."""
        async with self._news:
            self._sweep()
            self._retired = self._book.is_idle
        return self._retired


def keeper_of(machine: str, node: str) -> Any:
    """Handle of a machine's keeper, made on ``node`` (a Ray node of it) where there is none."""
    return (
        ray.remote(Keeper)
        .options(
            name=f"leases-{machine}",
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            max_concurrency=1000,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        .remote()
    )


def dismiss(machine: str) -> None:
    """End a machine's keeper unless somebody needs it."""
    with contextlib.suppress(ValueError, RayActorError, ray.exceptions.GetTimeoutError):
        keeper = ray.get_actor(f"leases-{machine}", namespace=NAMESPACE)
        for _ in range(_FAREWELLS):  # our own workers are still on their way out
            if ray.get(keeper.retire.remote(), timeout=10):
                ray.kill(keeper)
                return
            time.sleep(0.1)


class Leases:
    """Leases as a worker asks for them.

    Args:
        names: the devices it works on.
    """

    def __init__(self, names: list[str]) -> None:
        context = ray.get_runtime_context()
        self.machine, self._node = ray.util.get_node_ip_address(), context.get_node_id()
        self._names, self._me, self._number = names, this_life(), 0
        self._keeper: Any = None

    @contextlib.contextmanager
    def held(self, *, alone: bool) -> Iterator[float]:
        """While entered, the devices are ours (alone, or together with others); yields the seconds waited."""
        began = time.monotonic()
        self._number += 1
        while not self._acquired(alone):
            self._keeper = None
        try:
            yield time.monotonic() - began
        finally:
            self._keeper.release.remote(self._me, self._number)

    def _acquired(self, alone: bool) -> bool:
        if self._keeper is None:
            self._keeper = keeper_of(self.machine, self._node)
        try:
            granted: bool = ray.get(self._keeper.acquire.remote(self._me, self._number, self._names, alone))
        except RayActorError:
            granted = False
        if not granted:
            time.sleep(0.05)
        return granted
