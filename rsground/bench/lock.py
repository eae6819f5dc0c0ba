"""One writer per run folder."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import IO

from rsground.errors import StoreError

LOCK = "run.lock"


class FolderLock:
    """Holds a folder until :meth:`release` or the end of the process, however it ends.

    Args:
        folder: the run folder; made if need be.

    Raises:
        StoreError: another process holds it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._stream: IO[str] = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115 - held open on purpose
        except OSError as error:
            raise StoreError(f"run folder {folder} cannot be written: {error.strerror}") from error
        if not _taken(self._stream):
            self._stream.seek(0)
            holder = self._stream.read().strip()
            self._stream.close()
            raise StoreError(
                f"another process writes to {folder}: {holder or 'unknown'}; "
                "wait for it, end it, or choose another --out"
            )
        self._stream.seek(0)
        self._stream.truncate()
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, self._stream)
        self._stream.flush()

    def release(self) -> None:
        """Let go; the file stays, empty."""
        if not self._stream.closed:
            self._stream.truncate(0)
            self._stream.close()


if sys.platform == "win32":
    import msvcrt

    def _taken(stream: IO[str]) -> bool:
        try:
            stream.seek(1 << 20)  # a byte far behind the text, so that others can still read who holds it
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(stream: IO[str]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
