"""A worker process as the asking side sees it: calls with a deadline, and a reason when there is no answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rsground.errors import ProtocolError, RsgroundError
from rsground.isolation.framing import FRAME_LIMIT, VERSION, Frame, encode
from rsground.isolation.link import Link, wait
from rsground.isolation.memory import excess
from rsground.isolation.stderr import Stderr
from rsground.isolation.surroundings import allowed

_LOOK_EVERY_S = 0.1
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may take.

    Attributes:
        sample_s: seconds for one sample.
        load_s: seconds to build the system; the first time it may fetch weights.
        start_s: seconds until it says hello.
        memory_bytes: of the worker and the processes it started, together; None for what the machine has.
        answer_bytes: of one frame it sends.
    """

    sample_s: float = 300.0
    load_s: float = 1800.0
    start_s: float = 120.0
    memory_bytes: int | None = None
    answer_bytes: int = 64 << 20


DEFAULT_LIMITS = Limits()


class WorkerDiedError(RsgroundError, RuntimeError):
    """A worker is gone, or had to be ended; the message is the reason in words."""


class CallError(RsgroundError, RuntimeError):
    """A worker answered that a call failed; it goes on working."""


class WorkerProcess:
    """One worker, started at construction.

    Args:
        python: interpreter of the environment.
        limits: see there.
        log: file for its standard error, None for none.

    Raises:
        WorkerDiedError: it did not get as far as saying hello.
        CallError: it speaks another version of the protocol.
    """

    def __init__(self, python: str | Path, limits: Limits = DEFAULT_LIMITS, log: Path | None = None) -> None:
        self.limits, self.stderr = limits, Stderr(log)
        self._number = 0
        command = [str(python), "-I", "-m", "rsground.isolation.worker"]
        try:
            self._link = Link(command, allowed(), self.stderr, limits.answer_bytes)
        except OSError as error:
            raise WorkerDiedError(f"the worker process cannot be started from {python}: {error}") from error
        self.pid = self._link.pid
        try:
            self.hello = self.call("hello", hello(limits), seconds=limits.start_s)
        except BaseException:
            self.kill()
            raise

    def call(
        self, name: str, message: Mapping[str, Any] | None = None, attachment: bytes = b"", *, seconds: float
    ) -> dict[str, Any]:
        """Ask, and wait for the answer.

        Raises:
            CallError: the worker says that it cannot.
            WorkerDiedError: it died, did not answer in time, took too much memory, or sent garbage. It is gone now.
            ProtocolError: the call is too large to be sent; nothing was.
        """
        self._number += 1
        sent = encode({**(message or {}), "call": name, "id": self._number}, attachment, FRAME_LIMIT)
        try:
            return content(self._exchange(sent, seconds), self._number)
        except ProtocolError as error:
            self._fail(f"the worker process broke the protocol and was ended: {error}")
        except (KeyboardInterrupt, SystemExit):
            self.kill()  # its answer would be taken for that to the next call
            raise

    def _exchange(self, data: bytes, seconds: float) -> Frame:
        until = time.monotonic() + seconds
        looked = time.monotonic()
        if self._link.has_unasked:
            raise ProtocolError("something was sent that nobody asked for")
        self._link.send(data)
        while (frame := self._link.take()) is None:
            came = wait([self._link], _LOOK_EVERY_S)
            if error := came.get(self._link):
                raise error
            now = time.monotonic()
            if self._link.is_closed or (not came and self._link.has_ended):
                self._fail(self._link.why_dead())
            if now > until:
                self._fail(f"no answer within {seconds:g} s")
            if now - looked > _LOOK_EVERY_S:
                looked = now
                if too_much := excess(self.pid, self.limits.memory_bytes):
                    self._fail(too_much)
        return frame

    def _fail(self, reason: str) -> NoReturn:
        self.kill()
        raise WorkerDiedError(self._link.with_last_words(reason))

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._link.is_alive

    def stop(self) -> None:
        """Let it end by itself, and make it if it does not."""
        if self.is_alive:
            with contextlib.suppress(WorkerDiedError, CallError):
                self.call("shutdown", seconds=_END_S)
        self.kill()

    def kill(self) -> None:
        """End it and what it has started, at once; a second time does nothing."""
        self._link.kill()


def hello(limits: Limits) -> dict[str, Any]:
    """What the first call carries."""
    bounds = {"memory_bytes": limits.memory_bytes, "answer_bytes": limits.answer_bytes}
    return {"versions": [VERSION], "limits": bounds}


def content(frame: Frame, number: int) -> dict[str, Any]:
    """What a frame answers to call ``number``.

    Raises:
        CallError: the worker says that it cannot.
        ProtocolError: it is no answer, or one to another call.
    """
    message = frame.message
    if message.get("id") != number:
        raise ProtocolError(f"call {number} was asked, {message.get('id')!r} answered")
    if isinstance(error := message.get("error"), dict):
        raise CallError(f"{error.get('kind')}: {error.get('message')}")
    found = message.get("ok")
    if not isinstance(found, dict):
        raise ProtocolError("an answer holds neither 'ok' nor 'error'")
    return found
