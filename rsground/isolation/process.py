"""A worker process as the asking side sees it: calls with a deadline, and a reason when there is no answer."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rsground.errors import ProtocolError, RsgroundError
from rsground.isolation.endings import ending
from rsground.isolation.framing import FRAME_LIMIT, VERSION, Frame, FrameReader, encode
from rsground.isolation.memory import resident_bytes
from rsground.isolation.stderr import Stderr
from rsground.isolation.surroundings import allowed

_LOOK_EVERY_S = 0.1
_PIECE = 1 << 18
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
        self._reader = FrameReader(limits.answer_bytes)
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", "-m", "rsground.isolation.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=allowed(),
                start_new_session=True,  # Ctrl-C does not reach it, and it can be ended with all it has started
                bufsize=0,
            )
        except OSError as error:
            raise WorkerDiedError(f"the worker process cannot be started from {python}: {error}") from error
        self.pid = self._process.pid
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._in, self._out, self._err = (stream.fileno() for stream in streams if stream is not None)
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        bounds = {"memory_bytes": limits.memory_bytes, "answer_bytes": limits.answer_bytes}
        try:
            self.hello = self.call("hello", {"versions": [VERSION], "limits": bounds}, seconds=limits.start_s)
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
            frame = self._exchange(sent, seconds)
            return self._content(frame)
        except ProtocolError as error:
            self._fail(f"the worker process broke the protocol and was ended: {error}")
        except (KeyboardInterrupt, SystemExit):
            self.kill()  # its answer would be taken for that to the next call
            raise

    def _content(self, frame: Frame) -> dict[str, Any]:
        message = frame.message
        if message.get("id") != self._number:
            raise ProtocolError(f"call {self._number} was asked, {message.get('id')!r} answered")
        if isinstance(error := message.get("error"), dict):
            raise CallError(f"{error.get('kind')}: {error.get('message')}")
        found = message.get("ok")
        if not isinstance(found, dict):
            raise ProtocolError("an answer holds neither 'ok' nor 'error'")
        return found

    def _exchange(self, data: bytes, seconds: float) -> Frame:
        unsent = memoryview(data)
        until = time.monotonic() + seconds
        looked = time.monotonic()
        if not self._reader.is_empty:
            raise ProtocolError("something was sent that nobody asked for")
        with selectors.DefaultSelector() as selector:
            selector.register(self._in, selectors.EVENT_WRITE)
            selector.register(self._out, selectors.EVENT_READ)
            selector.register(self._err, selectors.EVENT_READ)
            while (frame := self._reader.take()) is None:
                ready = {key.fd for key, _ in selector.select(_LOOK_EVERY_S)}
                if self._err in ready and not self._hear():
                    selector.unregister(self._err)
                if self._in in ready:
                    unsent = self._send(unsent)
                    if not unsent:
                        selector.unregister(self._in)
                came = self._out in ready and self._receive()
                now = time.monotonic()
                if not came and (self._out in ready or self._has_ended()):
                    self._fail(self._why_dead())
                if now > until:
                    self._fail(f"no answer within {seconds:g} s")
                if now - looked > _LOOK_EVERY_S:
                    looked = now
                    self._check_memory()
        return frame

    def _send(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(self._in, unsent[:_PIECE]) :]
        except BlockingIOError:
            return unsent
        except OSError:
            return unsent[len(unsent) :]  # it is dead; the answer that does not come tells

    def _receive(self) -> bool:
        """Whether anything came; false at the end of the stream."""
        try:
            piece = os.read(self._out, _PIECE)
        except BlockingIOError:
            return True
        self._reader.feed(piece)
        return bool(piece)

    def _hear(self) -> bool:
        """Take what is there of standard error; false at its end."""
        try:
            piece = os.read(self._err, _PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.stderr.take(piece)
        return bool(piece)

    def _check_memory(self) -> None:
        limit = self.limits.memory_bytes
        if limit is not None and (used := resident_bytes(self.pid)) > limit:
            self._fail(
                f"the worker process used {used / 2**30:.2f} GiB, more than its limit of {limit / 2**30:.2f}: "
                "out of memory"
            )

    def _has_ended(self) -> bool:
        if self._process.returncode is not None:
            return True
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended is not None

    def _why_dead(self) -> str:
        """Its end in words. Its pipes close a moment before its exit code is known."""
        until = time.monotonic() + _END_S
        while not self._has_ended():
            if time.monotonic() > until:
                return ending(None)
            time.sleep(0.001)
        self.kill()
        return ending(self._process.returncode)

    def _fail(self, reason: str) -> NoReturn:
        self.kill()
        words = self.stderr.last_words()
        raise WorkerDiedError(f"{reason}; its last words: {words}" if words else reason)

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._err_closed and not self._has_ended()

    @property
    def _err_closed(self) -> bool:
        return self._process.stderr is None or self._process.stderr.closed

    def stop(self) -> None:
        """Let it end by itself, and make it if it does not."""
        if self.is_alive:
            with contextlib.suppress(WorkerDiedError, CallError):
                self.call("shutdown", seconds=_END_S)
        self.kill()

    def kill(self) -> None:
        """End it and what it has started, at once; a second time does nothing."""
        if self._err_closed:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # before it is waited for: until then its number is its own
        self._process.wait()
        for _ in range(64):  # what is left of its last words, of which there may be no end
            before = len(self.stderr.text())
            if not self._hear() or len(self.stderr.text()) == before:
                break
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
