"""Where a worker is in its task: three numbers in memory that it shares with who started it.

A message could not say it as well: it would have to be sent before every call, and read by somebody who has other
things to do. Who finds a worker dead or silent reads here what killed it, or how long it has been at it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import TypeAlias

Marker: TypeAlias = "memoryview[int]"
"""Three int64: task, step, and ``time.monotonic_ns()`` of the call that runs now, negative while its system is being
built, 0 between tasks."""
_BYTES = 24


def new_marker() -> int:
    """A descriptor of the memory of a new marker; whoever asked closes it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rsground-marker")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, bytes(_BYTES))
    return descriptor


def open_marker(descriptor: int) -> Marker:
    """The marker behind a descriptor, which is closed."""
    try:
        return memoryview(mmap.mmap(descriptor, _BYTES)).cast("q")
    finally:
        os.close(descriptor)
