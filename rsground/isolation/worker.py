"""The worker process: ``python -m rsground.isolation.worker``. Speaks frames on what were its stdin and stdout.

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
from typing import Any

from rsground.errors import ProtocolError
from rsground.isolation.framing import FRAME_LIMIT, Frame, FrameReader, encode

_PIECE = 1 << 20


def main() -> None:
    """Answer calls until ``shutdown``, or until whoever asks is gone."""
    incoming, outgoing = _take_pipes()
    for name in ("SIGINT", "SIGTERM"):  # the asking process decides what Ctrl-C means
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    os.register_at_fork(after_in_child=lambda: _drop(incoming, outgoing))
    frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(incoming, frames), daemon=True).start()
    from rsground.isolation.service import Service

    service = Service()
    while (frame := frames.get()) is not None:
        _write(outgoing, _reply(service, frame))
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


def _reply(service: Any, frame: Frame) -> bytes:
    ident = frame.message.get("id")
    try:
        found = service.answer(frame.message.get("call"), frame.message, frame.attachment)
        return encode({"id": ident, "ok": found}, limit=service.frame_limit)
    except Exception as error:  # a plugin may fail in any way; who asked is told
        text = " ".join(str(error).split())
        return encode({"id": ident, "error": {"kind": type(error).__name__, "message": text[:2000]}})


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
