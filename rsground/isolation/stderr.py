"""What a worker writes to standard error: the first of it in a file, the last of it in memory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_RING = 64 << 10
_FILE_LIMIT = 4 << 20
_LOGS_KEPT = 20


class Stderr:
    """Takes what is read from a worker's standard error.

    Args:
        file: where to write it, up to 4 MiB; None keeps only the last 64 KiB in memory. A folder that cannot be
            written is no error: the memory is enough to tell why a worker died.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.taken = 0
        """Bytes taken so far."""
        self._ring = bytearray()
        self._written = 0
        if file is not None:
            with contextlib.suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                _thin_out(file.parent)

    def take(self, piece: bytes) -> None:
        """Keep a piece."""
        self.taken += len(piece)
        self._ring += piece
        del self._ring[:-_RING]
        if self.file is None or self._written >= _FILE_LIMIT:
            return
        with contextlib.suppress(OSError), self.file.open("ab") as stream:
            self._written += stream.write(piece[: _FILE_LIMIT - self._written])

    def text(self) -> str:
        """The last 64 KiB."""
        return self._ring.decode("utf-8", "replace")

    def last_words(self) -> str:
        """The last line that says anything, at most 200 characters."""
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return lines[-1][:200] if lines else ""


def _thin_out(folder: Path) -> None:
    logs = sorted(folder.glob("*.log"), key=os.path.getmtime)
    for old in logs[: max(0, len(logs) - _LOGS_KEPT + 1)]:
        old.unlink()
