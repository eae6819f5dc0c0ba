"""How this process trains: where it computes, with how many others, who is shown what. No part of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from rsground.errors import SuiteError

LAUNCHERS = ("none", "pytorch")


@dataclass(frozen=True, slots=True)
class Ways:
    """Facts of the process that a recipe does not name.

    Attributes:
        device: ``"auto"`` (CUDA where it is, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        launcher: ``"none"``, or ``"pytorch"`` under torchrun: one process per GPU, or several on the CPU.
        hooks: further mmengine hooks, such as a progress bar.
        quiet: log to the run's folder only, not to the terminal.
    """

    device: str = "auto"
    launcher: str = "none"
    hooks: tuple[Any, ...] = ()
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise SuiteError(f"launcher must be one of {', '.join(LAUNCHERS)}, got {self.launcher!r}")


_PLAIN = Ways()
_NOW: ContextVar[Ways] = ContextVar("ways")


def ways() -> Ways:
    """Those in force."""
    return _NOW.get(_PLAIN)


@contextmanager
def training_in(chosen: Ways) -> Iterator[None]:
    """Train in these ways inside the block."""
    token = _NOW.set(chosen)
    try:
        yield
    finally:
        _NOW.reset(token)
