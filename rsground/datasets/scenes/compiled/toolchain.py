"""How kernels are compiled: once per machine, for one signature each, with the arithmetic of the plain path.

No fast-math and no fused multiply-add, so every kernel rounds where NumPy rounds. One signature per kernel keeps what
two processes write to the cache at the same time interchangeable, and turns a wrong dtype into an error.

A kernel may call helpers of its own file only: numba's cache notices a change of the file it stands in, not of others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_OPTIONS = {"error_model": "numpy", "nogil": True}

F = TypeVar("F", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[F], F]:
    """Compile a kernel for a numba signature, such as ``"void(float32[:, ::1], int64)"``, when its file is imported."""

    def build(function: F) -> F:
        njit: Any = numba.njit
        try:
            built: F = njit(signature, cache=True, **_OPTIONS)(function)
        except (RuntimeError, OSError):  # nowhere to keep it: neither beside the file nor in the user's cache folder
            built = njit(signature, cache=False, **_OPTIONS)(function)
        return built

    return build


def helper(function: Callable[..., Any]) -> Any:
    """A part of kernels of the same file, compiled into each of them for the types it is called with."""
    njit: Any = numba.njit
    return njit(**_OPTIONS)(function)
