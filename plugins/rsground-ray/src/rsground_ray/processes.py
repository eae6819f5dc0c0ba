"""Is that process still the one we knew? A number alone is not enough: they are used again."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple


class Life(NamedTuple):
    """A process of a machine.

    Attributes:
        pid: its number.
        birth: when it began, in ticks since the machine started; None where the system does not tell.
    """

    pid: int
    birth: int | None


def this_life() -> Life:
    """The present process."""
    return Life(os.getpid(), _birth(os.getpid()))


def is_alive(life: Life) -> bool:
    """Whether the process still runs on this machine; where it cannot be told, true."""
    if os.name != "posix":
        return True
    try:
        os.kill(life.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return life.birth is None or _birth(life.pid) == life.birth


def end(life: Life) -> bool:
    """SIGKILL; false where it is gone already."""
    if os.name != "posix" or not is_alive(life):
        return False
    try:
        os.kill(life.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _birth(pid: int) -> int | None:
    """Field 22 of ``/proc/PID/stat``; -1 for a zombie, which is as good as gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return -1 if fields[0] in "ZX" else int(fields[19])
