"""Ctrl-C and SIGTERM end a run at once, but never in the middle of writing an answer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TerminatedError(KeyboardInterrupt):
    """SIGTERM arrived; handled like Ctrl-C."""


class Interrupts:
    """While entered (in the main thread), SIGINT raises KeyboardInterrupt and SIGTERM :class:`TerminatedError`.

    Inside :meth:`shield` they wait until it is left. A second signal does not wait.
    """

    def __init__(self) -> None:
        self._shielded = False
        self._waiting: KeyboardInterrupt | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *reason: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextmanager
    def shield(self) -> Iterator[None]:
        """A stretch that signals may not break."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            raise waiting

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del frame
        error = TerminatedError("terminated") if number == signal.SIGTERM else KeyboardInterrupt()
        if self._shielded and self._waiting is None:
            self._waiting = error
            return
        raise error
