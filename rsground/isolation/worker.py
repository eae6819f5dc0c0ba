"""The worker process: ``python -m rsground.isolation.worker``. Speaks frames on what were its stdin and stdout.

:mod:`rsground.bench.worker` is the same process with other work: the tasks of a run.

The two pipes are moved to descriptors of their own at once. After that standard input is empty, and what anybody
prints, in Python or in C, goes to standard error: it cannot end up between two frames.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rsground.errors import ProtocolError
from rsground.isolation.framing import FRAME_LIMIT, Frame, FrameReader, encode

if TYPE_CHECKING:
    from rsground.isolation.calls import Calls

_PIECE = 1 << 20


def main() -> None:
    """The worker of an isolated environment: answer calls until ``shutdown``, or until whoever asks is gone."""
    serve(_service)


def _service() -> Calls:
    from rsground.isolation.service import Service

    return Service()


def serve(make: Callable[[], Calls]) -> None:
    """Answer calls until ``shutdown``, or until whoever asks is gone.

    Args:
        make: makes what answers. Called once the pipes are out of everybody's way, so let it do the heavy imports.
    """
    incoming, outgoing = _take_pipes()
    for name in ("SIGINT", "SIGTERM"):  # the asking process decides what Ctrl-C means
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    os.register_at_fork(after_in_child=lambda: _drop(incoming, outgoing))
    frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(incoming, frames), daemon=True).start()
    calls = make()
    while (frame := frames.get()) is not None:
        for reply in _replies(calls, frame):
            _write(outgoing, reply)
        if frame.message.get("call") == "shutdown":
            return


def _take_pipes() -> tuple[int, int]:
    incoming, outgoing = os.dup(0), os.dup(1)  # not inherited by programs that this process starts
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _receive(incoming: int, frames: queue.SimpleQueue[Frame | None]) -> None:
    """Reads all the time: whoever asks never waits to be heard, and the end of the asking process is noticed."""
    reader = FrameReader(FRAME_LIMIT)
    try:
        while piece := os.read(incoming, _PIECE):
            reader.feed(piece)
            while (frame := reader.take()) is not None:
                frames.put(frame)
    except ProtocolError as error:
        print(f"rsground worker: {error}", file=sys.stderr)  # noqa: T201
    except OSError:
        pass
    _end_all()


def _end_all() -> None:
    """End this process and those it has started, at once: there is nobody to answer to."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _replies(calls: Calls, frame: Frame) -> Iterator[bytes]:
    ident = frame.message.get("id")
    try:
        found = calls.answer(frame.message.get("call"), frame.message, frame.attachment)
        if not isinstance(found, dict):
            for part in found:
                yield encode({"id": ident, "part": part}, limit=calls.frame_limit)
            found = {}
        yield encode({"id": ident, "ok": found}, limit=calls.frame_limit)
    except Exception as error:  # a plugin may fail in any way; who asked is told
        text = " ".join(str(error).split())
        yield encode({"id": ident, "error": {"kind": type(error).__name__, "message": text[:2000]}})


def _write(outgoing: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(outgoing, view) :]
        except BrokenPipeError:
            _end_all()


def _drop(*descriptors: int) -> None:
    """A forked copy of this process must neither answer nor keep the pipes open."""
    for each in descriptors:
        with contextlib.suppress(OSError):
            os.close(each)


if __name__ == "__main__":
    main()
