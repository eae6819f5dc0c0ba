"""Is there room? Free memory of a machine and its cards, and waiting until there is enough."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rsground.errors import DeviceError

GIB = 1 << 30
_LOOK_EVERY_S = 1.0


class Room(NamedTuple):
    """Bytes free; a card's total beside it."""

    ram: int | None
    cards: tuple[tuple[str, int, int], ...] = ()
    """(card, free, total) each; empty where nothing can be found out."""


class Need(NamedTuple):
    """What a worker wants free before it starts.

    Attributes:
        ram: bytes.
        card: bytes on each of its cards; None for ``share`` of the card's total.
        share: of a card that the worker was given.
    """

    ram: int = 0
    card: int | None = 0
    share: float = 0.0


def free_room(cards: Sequence[str]) -> Room:
    """What is free now.

    Args:
        cards: as in ``CUDA_VISIBLE_DEVICES``.
    """
    return Room(_free_ram(), _free_cards(cards) if cards else ())


def shortage(room: Room, need: Need) -> str | None:
    """What is missing, in words; None when there is room (or nobody can tell)."""
    if room.ram is not None and room.ram < need.ram:
        return f"{room.ram / GIB:.1f} GiB of memory are free, {need.ram / GIB:.1f} are needed"
    for name, free, total in room.cards:
        wanted = int(need.share * total) if need.card is None else need.card
        if free < wanted:
            return f"{free / GIB:.1f} GiB of GPU {name} are free, {wanted / GIB:.1f} are needed"
    return None


def wait_for_room(
    look: Callable[[], Room], need: Need, patience_s: float, sleep: Callable[[float], None] = time.sleep
) -> float:
    """Wait until there is room; the seconds waited.

    Raises:
        DeviceError: there was none for ``patience_s``.
    """
    waited = 0.0
    while (missing := shortage(look(), need)) is not None:
        if waited >= patience_s:
            raise DeviceError(
                f"no room for a worker after waiting {waited:.0f} s: {missing}; free some, ask for fewer workers, "
                "or lower min_free_gpu_gib / min_free_ram_gib"
            )
        sleep(_LOOK_EVERY_S)
        waited += _LOOK_EVERY_S
    return waited


def visible_cards() -> list[str]:
    """The cards this process was given."""
    return [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]


def _free_ram() -> int | None:
    """``MemAvailable``, or less where a control group allows less."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        stats = Path("/sys/fs/cgroup/memory.stat").read_text().split()
        used -= int(stats[stats.index("inactive_file") + 1])
    except (OSError, ValueError):
        return free
    if free is None or most == "max":
        return free
    return min(free, int(most) - used)


def _free_cards(cards: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    words = ["nvidia-smi", f"--id={','.join(cards)}", "--query-gpu=memory.free,memory.total"]
    try:
        told = subprocess.run(
            [*words, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
        rows = [[int(word) << 20 for word in line.split(",")] for line in told.splitlines() if line.strip()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    return tuple((name, row[0], row[1]) for name, row in zip(cards, rows, strict=False))
