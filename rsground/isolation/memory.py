"""Memory of a process and of those it has started, and what a process may take."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and all its descendants; 0 where the system does not tell (only Linux does)."""
    page = os.sysconf("SC_PAGE_SIZE")
    total, left, seen = 0, [pid], set()
    while left:
        each = left.pop()
        if each in seen:
            continue
        seen.add(each)
        try:
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * page
            for thread in os.listdir(f"/proc/{each}/task"):
                left += map(int, Path(f"/proc/{each}/task/{thread}/children").read_text().split())
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    return total


def excess(pid: int, limit: int | None) -> str:
    """In words, by how much a process and its descendants have passed a limit; empty while they have not."""
    if limit is None or (used := resident_bytes(pid)) <= limit:
        return ""
    return f"the worker process used {used / 2**30:.2f} GiB, more than its limit of {limit / 2**30:.2f}: out of memory"
