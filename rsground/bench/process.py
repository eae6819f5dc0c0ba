"""A worker process as the parent sees it: what it holds, what it sent, whether it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rsground.bench.marker import new_marker, open_marker
from rsground.bench.messages import Report, job_to_message, report_from_message, task_to_message
from rsground.bench.work import Task
from rsground.contracts import Job
from rsground.errors import ContractError, ProtocolError
from rsground.isolation.framing import FRAME_LIMIT, Frame, encode
from rsground.isolation.link import Link, wait
from rsground.isolation.memory import excess
from rsground.isolation.process import CallError, Limits, content, hello
from rsground.isolation.stderr import Stderr

AHEAD = 2
"""Tasks a worker has at most: the one it works on, and the next one."""
GRACE_S = 60.0
"""What a worker may take beyond the time of a call while none runs: to start, to read a task, to send its answers."""
START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from rsground.bench.worker import main; main()"
"""``python -m rsground.bench.worker``, importing from where this process does."""
_HELLO, _LOAD, _SHUTDOWN = -1, -2, -3
"""Numbers of the calls that are no tasks."""
_END_S = 5.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a worker may take.

    Attributes:
        timeout_s: seconds for a call of a system; None for as long as it takes.
        load_s: seconds to build a system, where there is a ``timeout_s``.
        memory_bytes: of the worker and the processes it started, together; None for what the machine has.
    """

    timeout_s: float | None = None
    load_s: float = 1800.0
    memory_bytes: int | None = None


class Held:
    """A task in a worker's hands: its steps, which of them have been reported, and the seconds spent so far."""

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, task.steps()
        self.reported: set[int] = set()
        self.seconds = 0.0


class Worker:
    """One process; started at construction.

    Args:
        jobs: of the run.
        bounds: what it may take.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, jobs: Sequence[Job], bounds: Bounds) -> None:
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        command = [sys.executable, *flags, "-c", START, json.dumps(sys.path)]
        shared = new_marker()
        try:
            self.link = Link(command, None, _Echo(), inherited=[shared])
        except BaseException:
            os.close(shared)
            raise
        self.marker = open_marker(shared)
        self.held: dict[int, Held] = {}
        self._bounds = bounds
        self._heard, self._ended = time.monotonic(), ""
        self._looked = 0.0
        limits = Limits(memory_bytes=bounds.memory_bytes, answer_bytes=FRAME_LIMIT)
        self._call("hello", _HELLO, hello(limits))
        self._call("load", _LOAD, {"jobs": [job_to_message(job) for job in jobs], "marker": shared})

    @property
    def is_free(self) -> bool:
        """Whether it can take another task."""
        return len(self.held) < AHEAD

    @property
    def is_dead(self) -> bool:
        """Whether it has ended or been ended, or can send nothing more."""
        return self.was_ended or self.link.is_closed or self.link.has_ended

    @property
    def was_ended(self) -> bool:
        """Whether it was killed from here, with a reason."""
        return bool(self._ended)

    @property
    def is_overdue(self) -> bool:
        """Whether its call, or the building of a system, takes too long; or neither goes on, and it owes an answer."""
        timeout_s = self._bounds.timeout_s
        if timeout_s is None:
            return False
        if began := int(self.marker[2]):
            limit = timeout_s if began > 0 else self._bounds.load_s
            return time.monotonic_ns() - abs(began) > limit * 1e9
        return bool(self.held) and time.monotonic() - self._heard > timeout_s + GRACE_S

    def give(self, task: Task) -> None:
        """Hand over a task.

        Raises:
            ContractError: its samples cannot be sent to another process.
        """
        message, attachment = task_to_message(task)
        if not self.held:
            self._heard = time.monotonic()
        self.held[task.number] = Held(task)
        try:
            self._call("work", task.number, message, attachment)
        except ProtocolError as error:
            raise ContractError(
                f"samples from {task.items[0].sample.id!r} on cannot be sent to a worker process: {error}"
            ) from error

    def _call(self, name: str, number: int, message: dict[str, Any], attachment: bytes = b"") -> None:
        self.link.send(encode({**message, "call": name, "id": number}, attachment, FRAME_LIMIT))

    def reports(self) -> Iterator[Report]:
        """What it has sent; ends when nothing more is there now, or for good."""
        try:
            if self.is_dead:
                self.link.read_all()
            while (frame := self.link.take()) is not None:
                self._heard = time.monotonic()
                if (report := self._understood(frame)) is not None:
                    yield report
        except ProtocolError as error:
            self.broke(error)
        except CallError as error:
            self._fail(str(error))

    def _understood(self, frame: Frame) -> Report | None:
        """A report; None for an answer to another call than ``work``."""
        number = frame.message.get("id")
        held = self.held.get(number) if isinstance(number, int) else None
        if held is None:
            if number not in (_HELLO, _LOAD):
                raise ProtocolError(f"an answer to call {number!r}, which nobody asked")
            content(frame, number)
            return None
        if (part := frame.message.get("part")) is None:
            content(frame, held.task.number)
            if len(held.reported) < len(held.steps):
                raise ProtocolError(f"{len(held.reported)} of a task's {len(held.steps)} steps were answered")
            return Report(held.task.number, [], held.seconds, finished=True)
        report = report_from_message(part, held.task.number, held.steps)
        if again := [step for step, _ in report.steps if step in held.reported]:
            raise ProtocolError(f"steps {again} of a task were answered twice")
        held.seconds = report.seconds
        return report

    def stop(self) -> None:
        """Let it end by itself, and make it if it does not."""
        self._call("shutdown", _SHUTDOWN, {})
        until = time.monotonic() + _END_S
        with contextlib.suppress(ProtocolError):
            while not self.is_dead and time.monotonic() < until:
                wait([self.link], _LOOK_EVERY_S)
                if (frame := self.link.take()) is not None and frame.message.get("id") == _SHUTDOWN:
                    break
        self.kill()

    def broke(self, error: ProtocolError) -> None:
        """Kill it because it sent what nobody understands."""
        self._fail(f"the worker process broke the protocol and was ended: {error}")

    def _fail(self, reason: str) -> None:
        self._ended = self._ended or reason
        self.link.strike()

    def end(self) -> None:
        """Kill it because it does not answer; what it has sent can still be read."""
        loads = int(self.marker[2]) < 0
        limit = self._bounds.load_s if loads else self._bounds.timeout_s or 0.0
        self._ended = f"no {'system' if loads else 'answer'} within {limit:g} s"
        self.link.strike()

    def ends_for_memory(self) -> bool:
        """Whether it was killed now because it, with what it has started, takes too much memory."""
        now = time.monotonic()
        if self._bounds.memory_bytes is None or now - self._looked < _LOOK_EVERY_S:
            return False
        self._looked = now
        if too_much := excess(self.link.pid, self._bounds.memory_bytes):
            self._ended = too_much
            self.link.strike()
        return bool(too_much)

    def kill(self) -> None:
        """End it at once; a second time does nothing."""
        self.link.kill()

    def why_dead(self) -> str:
        """Its end in words."""
        reason = self._ended or self.link.why_dead()
        self.link.kill()  # what it wrote last is read now
        return self.link.with_last_words(reason)


class _Echo(Stderr):
    """What workers write to standard error goes to that of this process, too."""

    def __init__(self) -> None:
        super().__init__(None)

    def take(self, piece: bytes) -> None:
        super().take(piece)
        with contextlib.suppress(OSError):
            os.write(2, piece)
