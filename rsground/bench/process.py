"""A worker process as the parent sees it: what it holds, what it sent, whether it goes on."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rsground.bench.work import Task
from rsground.bench.worker import Report, main
from rsground.contracts import Job
from rsground.errors import ContractError
from rsground.isolation.endings import ending

AHEAD = 2
"""Tasks a worker has at most: the one it works on, and the next one."""
GRACE_S = 60.0
"""What a worker may take beyond the time of a call while none runs: to start, to read a task, to send its answers."""
_JOIN_S = 5.0


class Held:
    """A task in a worker's hands: its steps, and which of them have been reported."""

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, task.steps()
        self.reported: set[int] = set()


class Worker:
    """One process; started at construction.

    Args:
        context: of multiprocessing.
        jobs: of the run.
        timeout_s: longest a call of a system may take; None for as long as it takes.
        load_s: longest building a system may take, where there is a timeout.
    """

    def __init__(self, context: Any, jobs: Sequence[Job], timeout_s: float | None, load_s: float) -> None:
        self.marker = context.RawArray("q", 3)
        self.connection, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=main, args=(theirs, list(jobs), self.marker), daemon=True)
        with _signals_held():
            self.process.start()
        theirs.close()
        self.held: dict[int, Held] = {}
        self.is_silent = False
        self._timeout_s, self._load_s = timeout_s, load_s
        self._heard, self._ended = time.monotonic(), ""
        if timeout_s is not None:
            _wait_at_most(self.connection, timeout_s + GRACE_S)

    @property
    def is_free(self) -> bool:
        """Whether it can take another task."""
        return len(self.held) < AHEAD

    @property
    def is_dead(self) -> bool:
        """Whether it has ended, or can send nothing more."""
        return self.is_silent or not self.process.is_alive()

    @property
    def is_overdue(self) -> bool:
        """Whether its call, or the building of a system, takes too long; or neither goes on, and it owes an answer."""
        if self._timeout_s is None:
            return False
        if began := int(self.marker[2]):
            limit = self._timeout_s if began > 0 else self._load_s
            return time.monotonic_ns() - abs(began) > limit * 1e9
        return bool(self.held) and time.monotonic() - self._heard > self._timeout_s + GRACE_S

    def give(self, task: Task) -> None:
        """Hand over a task.

        Raises:
            ContractError: its samples cannot be sent to another process.
        """
        if not self.held:
            self._heard = time.monotonic()
        self.held[task.number] = Held(task)
        try:
            self.connection.send(task)
        except BlockingIOError:
            self.end()
        except (BrokenPipeError, ConnectionResetError):
            return  # it is dead; whoever waits for it finds out
        except Exception as error:  # pickling fails in many ways
            names = ", ".join(repr(item.sample.id) for item in task.items[:3])
            raise ContractError(
                f"samples {names} cannot be sent to a worker process: {error}; "
                "data sets must give samples that pickle (or run with --workers 0)"
            ) from error

    def reports(self) -> Iterator[Report]:
        """What it has sent; ends when nothing more is there now, or for good."""
        try:
            while self.connection.poll():
                report = self.connection.recv()
                self._heard = time.monotonic()
                yield report
        except BlockingIOError:
            self.end()
        except (EOFError, OSError):
            self.is_silent = True

    def stop(self) -> None:
        """Let it end by itself, and make it if it does not."""
        try:
            self.connection.send(None)
            self.process.join(_JOIN_S)
        except OSError:
            pass
        self.kill()

    def end(self) -> None:
        """Kill it because it does not answer; what it has sent can still be read."""
        loads = int(self.marker[2]) < 0
        self._ended = f"no {'system' if loads else 'answer'} within {self._load_s if loads else self._timeout_s:g} s"
        self.process.kill()
        self.process.join(_JOIN_S)

    def kill(self) -> None:
        """End it at once; a second time does nothing."""
        if self.connection.closed:
            return
        if self.process.is_alive():
            self.process.kill()
        self.process.join(_JOIN_S)
        self.connection.close()
        if self.process.exitcode is not None:
            self.process.close()

    def why_dead(self) -> str:
        """Its end in words."""
        self.process.join(_JOIN_S)  # its pipes close a moment before its exit code is known
        return self._ended or ending(self.process.exitcode)


def _wait_at_most(connection: Any, seconds: float) -> None:
    """Sending and receiving raise BlockingIOError when nothing moves for so long: who hangs may hang in the middle."""
    if os.name == "nt":
        return
    whole = int(seconds)
    limit = struct.pack("ll", whole, int((seconds - whole) * 1e6))
    with socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Children start with Ctrl-C held back, so that none prints a traceback while it is still importing."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
