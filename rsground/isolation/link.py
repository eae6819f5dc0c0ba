"""A worker process and its pipes: frames go out and come in, and nothing it does holds up who started it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from rsground.errors import ProtocolError
from rsground.isolation.endings import ending
from rsground.isolation.framing import FRAME_LIMIT, Frame, FrameReader
from rsground.isolation.stderr import Stderr

_PIECE = 1 << 18
_PIPE = 1 << 20
_END_S = 5.0


class Link:
    """One worker process, started at construction, in a session and process group of its own.

    Ctrl-C does not reach it, and it can be ended with everything it has started.

    Args:
        command: what to start; it speaks frames on its standard input and output.
        environment: variables it gets; None for those of this process.
        stderr: takes what it writes to standard error.
        answer_bytes: of one frame it sends.
        inherited: descriptors it keeps, beside its three pipes.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None,
        stderr: Stderr,
        answer_bytes: int = FRAME_LIMIT,
        inherited: Collection[int] = (),
    ) -> None:
        self.stderr = stderr
        self._reader = FrameReader(answer_bytes)
        self._unsent: deque[memoryview] = deque()
        self._hears = True
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
            pass_fds=tuple(inherited),
            bufsize=0,
        )
        self.pid = self._process.pid
        self.is_closed = False
        """Whether nothing more can come of it: its output ended, or it was killed."""
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._in, self._out, self._err = (stream.fileno() for stream in streams if stream is not None)
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        _widen(self._in, self._out)

    # frames ----------------------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send a frame; what the pipe does not take now goes on in :func:`wait`."""
        self._unsent.append(memoryview(frame))
        self._write()

    def take(self) -> Frame | None:
        """The next whole frame that has come, None where there is none.

        Raises:
            ProtocolError: what came is no frame.
        """
        return self._reader.take()

    @property
    def has_unasked(self) -> bool:
        """Whether something has come that :meth:`take` has not taken."""
        return not self._reader.is_empty

    def read_all(self) -> None:
        """Take in whatever has come, to the last byte: for a worker that has ended.

        Raises:
            ProtocolError: what came is no frame.
        """
        while self._read():
            pass

    def _read(self) -> bool:
        """Take in a piece of what has come; false where there is nothing, now or for good."""
        if self.is_closed:
            return False
        try:
            piece = os.read(self._out, _PIECE)
        except BlockingIOError:
            return False
        self.is_closed = not piece
        self._reader.feed(piece)
        return bool(piece)

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have a selector watch the pipes that something can happen on."""
        if not self.is_closed:
            selector.register(self._out, selectors.EVENT_READ, self)
        if self._hears:
            selector.register(self._err, selectors.EVENT_READ, self)
        if self._unsent:
            selector.register(self._in, selectors.EVENT_WRITE, self)

    def move(self, descriptor: int) -> bool:
        """Do what a pipe is ready for; whether it was the one that frames come from.

        Raises:
            ProtocolError: what came is no frame.
        """
        if descriptor == self._out:
            self._read()
            return True
        if descriptor == self._err:
            self._hears = self._hear()
        else:
            self._write()
        return False

    def _write(self) -> None:
        try:
            while self._unsent:
                rest = self._unsent[0][os.write(self._in, self._unsent[0][:_PIECE]) :]
                if rest:
                    self._unsent[0] = rest
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # it is dead; the answer that does not come tells

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

    # life and death --------------------------------------------------------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether the process is over. It is left unburied where the system can do so: its number stays its own."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._is_buried and not self.has_ended

    @property
    def _is_buried(self) -> bool:
        return self._process.stderr is None or self._process.stderr.closed

    def why_dead(self) -> str:
        """The end of a process that is ending, in words. Its pipes close a moment before its exit code is known."""
        until = time.monotonic() + _END_S
        while not self.has_ended:
            if time.monotonic() > until:
                return ending(None)
            time.sleep(0.001)
        self.kill()
        return ending(self._process.returncode)

    def with_last_words(self, reason: str) -> str:
        """A reason, and the last line the process wrote to standard error, if any."""
        words = self.stderr.last_words()
        return f"{reason}; its last words: {words}" if words else reason

    def strike(self) -> None:
        """End it and what it has started, at once; what it has sent can still be read."""
        if self._is_buried or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # before it is waited for: until then its number is its own

    def kill(self) -> None:
        """End it and what it has started, at once, and close the pipes; a second time does nothing."""
        if self._is_buried:
            return
        self.strike()
        self._process.wait()
        for _ in range(64):  # what is left of its last words, of which there may be no end
            before = self.stderr.taken
            if not self._hear() or self.stderr.taken == before:
                break
        self.is_closed, self._hears = True, False
        self._unsent.clear()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def wait(links: Sequence[Link], seconds: float) -> dict[Link, ProtocolError | None]:
    """Move what can be moved, waiting for at most so long; links that frames, or an end, came of, and what is no frame.

    Args:
        links: workers, none of them killed.
        seconds: longest to wait while nothing moves.
    """
    found: dict[Link, ProtocolError | None] = {}
    with selectors.DefaultSelector() as selector:
        for link in links:
            link.register(selector)
        if not selector.get_map():
            time.sleep(seconds)
        for key, _ in selector.select(seconds):
            try:
                if key.data.move(key.fd):
                    found.setdefault(key.data, None)
            except ProtocolError as error:
                found[key.data] = error
    return found


def _widen(*pipes: int) -> None:
    """Let pipes hold more, where the system can (Linux) and the user has not too many of them: fewer turns."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        for pipe in pipes if hasattr(fcntl, "F_SETPIPE_SZ") else ():
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
