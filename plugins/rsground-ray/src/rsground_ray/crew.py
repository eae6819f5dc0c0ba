"""Ray actors as the driver sees them: started, given tasks, watched, and replaced when they are lost."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rsground.bench.messages import Report
from rsground.bench.pool import Lost
from rsground.bench.work import Item, Task
from rsground.contracts import Job
from rsground.errors import ContractError, WorkerError
from rsground_ray.desk import AHEAD, Desk, back_off
from rsground_ray.keeper import dismiss
from rsground_ray.processes import Life, end
from rsground_ray.worker import Facts, Terms, Worker, code_facts

log = logging.getLogger("rsground_ray")

_LOOK_EVERY_S = 0.2
_LIVES = 8
"""Losses per worker, in a row and without an answer in between, before the run gives up."""
_DEAF_S = 15.0
"""A worker that does not answer a pulse for so long beyond the deadline is stopped or stuck in native code."""


class Hire(NamedTuple):
    """What workers are asked for.

    Attributes:
        workers: how many.
        cpus, gpus: of each, as Ray counts them.
        retries: of a sample that a worker died over.
        timeout_s: longest a call of a system may take, None for as long as it takes.
        patience_s: how long to go without any worker.
        terms: see there.
    """

    workers: int
    cpus: float
    gpus: float
    retries: int
    timeout_s: float | None
    patience_s: float
    terms: Terms


class _Hand:
    """One place for a worker: the actor that fills it now, if any."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.actor: Any = None
        self.hello: Any = None
        self.facts: Facts | None = None
        self.refs: dict[Any, int] = {}
        self.pulse: Any = None
        self.heard = 0.0
        self.start_at = 0.0

    def clear(self) -> None:
        """Forget the actor."""
        self.actor = self.hello = self.facts = self.pulse = None
        self.refs.clear()


class RayCrew:
    """Workers on a Ray cluster; a :class:`rsground.bench.drive.Crew`.

    Raises:
        WorkerError: (while it works) workers cannot start, keep dying, or run other code than the driver.
    """

    def __init__(self, jobs: Sequence[Job], hire: Hire) -> None:
        self._hire = hire
        self._jobs = ray.put(list(jobs))
        self._desk = Desk(hire.retries, time.monotonic)
        self._code = code_facts()
        self._hands = [_Hand(number) for number in range(hire.workers)]
        self._machines: set[str] = set()
        self._losses = 0
        self._well = time.monotonic()
        self._start_due()

    # the crew's side -------------------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether a worker can take a task; what must be asked again is handed out first."""
        while (hand := self._freest()) is not None and (task := self._desk.due()) is not None:
            self._send(hand, task)
        return self._freest() is not None

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight."""
        return self._desk.is_busy

    def give(self, items: Sequence[Item], batch: int) -> None:
        """Hand a task to the worker with the least to do."""
        hand = self._freest()
        assert hand is not None, "give() needs is_free"
        self._send(hand, self._desk.task(items, batch))

    def collect(self) -> Iterator[tuple[Task, Report] | Lost]:
        """What has come in, after waiting for a moment."""
        self._start_due()
        if self._freest() is not None and self._desk.next_due_s == 0.0:
            _ = self.is_free
        ready = self._ready()
        for hand in self._hands:
            if hand.hello in ready:
                yield from self._greeted(hand)
            for ref, number in list(hand.refs.items()):
                if ref not in ready:
                    break  # they are answered in order
                report = self._fetched(hand, ref)
                if isinstance(report, str):
                    yield from self._died(hand, report)
                    break
                del hand.refs[ref]
                self._losses, self._well = 0, time.monotonic()
                yield self._desk.done(hand.number, number), report
            yield from self._watched(hand, ready)
        if not any(hand.facts for hand in self._hands) and time.monotonic() - self._well > self._hire.patience_s:
            raise WorkerError(
                f"no worker could start for {self._hire.patience_s:.0f} s: the cluster has no room for one of "
                f"{self._hire.cpus:g} CPU and {self._hire.gpus:g} GPU ('ray status' says what is in use); every answer "
                "stored so far is safe, run the same command again"
            )

    def stop(self) -> None:
        """Let all workers end."""
        self.kill()

    def kill(self) -> None:
        """End all workers at once; a second time does nothing."""
        if not ray.is_initialized():
            return
        for hand in self._hands:
            self._end(hand)
        self._hands = []
        for machine in self._machines:
            dismiss(machine)
        self._machines.clear()

    # starting --------------------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for hand in self._hands:
            if hand.actor is None and hand.start_at <= now:
                options = {"num_cpus": self._hire.cpus, "num_gpus": self._hire.gpus, "max_restarts": 0}
                made = ray.remote(concurrency_groups={"pulse": 1})(Worker).options(**options)
                hand.actor = made.remote(self._jobs, self._hire.terms)
                hand.hello = hand.actor.hello.remote()

    def _greeted(self, hand: _Hand) -> Iterator[Lost]:
        facts = self._fetched(hand, hand.hello)
        hand.hello = None
        if isinstance(facts, str):
            yield from self._died(hand, facts)
            return
        _same_code(self._code, facts)
        hand.facts, hand.heard, self._well = facts, time.monotonic(), time.monotonic()
        if self._hire.terms.leased:
            self._machines.add(facts.machine)

    def _freest(self) -> _Hand | None:
        ready = [hand for hand in self._hands if hand.facts is not None and self._desk.load(hand.number) < AHEAD]
        return min(ready, key=lambda hand: self._desk.load(hand.number), default=None)

    def _send(self, hand: _Hand, task: Task) -> None:
        if not hand.refs:
            hand.heard = time.monotonic()
        try:
            ref = hand.actor.work.remote(task)
        except (TypeError, AttributeError) as error:
            names = ", ".join(repr(item.sample.id) for item in task.items[:3])
            raise ContractError(
                f"samples {names} cannot be sent to another process: {error}; data sets must give samples that pickle"
            ) from error
        hand.refs[ref] = task.number
        self._desk.assign(hand.number, task)

    # watching --------------------------------------------------------------------------------------------------------

    def _ready(self) -> set[Any]:
        refs = [ref for hand in self._hands for ref in (hand.hello, hand.pulse, *hand.refs) if ref is not None]
        if not refs:
            time.sleep(_LOOK_EVERY_S / 4)
            return set()
        first, rest = ray.wait(refs, num_returns=1, timeout=_LOOK_EVERY_S)
        if not first or not rest:
            return set(first)
        more, _ = ray.wait(rest, num_returns=len(rest), timeout=0)
        return {*first, *more}

    def _fetched(self, hand: _Hand, ref: Any) -> Any:
        """What a call answered, or why it did not, in a line."""
        try:
            return ray.get(ref)
        except RayError as error:
            return _in_words(error)

    def _watched(self, hand: _Hand, ready: set[Any]) -> Iterator[Lost]:
        """Ask how long the present step runs, now and then; end a worker that takes too long or does not hear."""
        limit = self._hire.timeout_s
        if limit is None or not hand.refs:
            return
        now = time.monotonic()
        if hand.pulse is None:
            if now - hand.heard >= min(1.0, limit / 4):
                hand.pulse = hand.actor.pulse.options(concurrency_group="pulse").remote()
        elif hand.pulse in ready:
            told = self._fetched(hand, hand.pulse)
            hand.pulse, hand.heard = None, now
            if isinstance(told, float) and told > limit:
                yield from self._died(hand, f"no answer within {limit:g} s")
        elif now - hand.heard > limit + min(_DEAF_S, 4 * limit):
            yield from self._died(hand, f"no answer within {limit:g} s, and no sign of life")

    def _died(self, hand: _Hand, reason: str) -> Iterator[Lost]:
        """Bury a worker, share out what it had, and plan its successor."""
        blame = hand.facts is not None and _node_lives(hand.facts.node)
        self._end(hand)
        self._losses += 1
        lost = self._desk.lost(hand.number, reason, blame=blame)
        log.warning("lost worker %d: %s", hand.number, reason)
        hand.start_at = time.monotonic() + back_off(self._losses - len(self._hands), first_s=0.25)
        if lost:
            self._losses = 0
        if self._losses > _LIVES * len(self._hands):
            raise WorkerError(f"workers die before they answer anything ({reason}); try --executor local to see why")
        yield from lost

    def _end(self, hand: _Hand) -> None:
        if hand.actor is None:
            return
        with contextlib.suppress(RayError, ValueError):
            ray.kill(hand.actor)
        if hand.facts is not None and self._hire.timeout_s is not None and hand.refs and _node_lives(hand.facts.node):
            _make_sure(hand.facts.node, hand.facts.life)  # a stopped process does not hear Ray either
        hand.clear()


def _make_sure(node: str, life: Life) -> None:
    with contextlib.suppress(RayError):
        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        ray.remote(end).options(num_cpus=0, scheduling_strategy=strategy, max_retries=0).remote(life)


def _node_lives(node: str) -> bool:
    return any(found["NodeID"] == node and found["Alive"] for found in ray.nodes())


def _same_code(ours: tuple[str, dict[str, str]], facts: Facts) -> None:
    code, distributions = ours
    theirs = dict(facts.distributions)
    if (facts.code, theirs) == (code, distributions):
        return
    names = sorted(name for name in {*distributions, *theirs} if distributions.get(name) != theirs.get(name))
    what = f"other versions of {', '.join(names)}" if names else "another version of rsground"
    raise WorkerError(
        f"machine {facts.machine} has {what} than the driver, so its answers would not be the same ones; "
        "install the same versions on every machine"
    )


def _in_words(error: BaseException) -> str:
    """A Ray error in a line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:300]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kinds = ("memory", "SIGKILL", "exit", "node", "died")
    for kind in kinds:
        for line in lines:
            if kind in line and not line.startswith(("class_name", "actor_id", "pid", "namespace", "ip")):
                return f"the worker was lost: {line}"[:300]
    return f"the worker was lost: {lines[0] if lines else type(error).__name__}"[:300]
