"""Whether scenes are drawn by compiled kernels: where numba is installed, unless the environment says no."""

from __future__ import annotations

import os
from functools import lru_cache

SWITCH = "RSGROUND_COMPILED"
"""Environment variable: ``0`` draws with plain NumPy even where numba is installed."""


def is_compiled() -> bool:
    """Whether to draw with kernels; asked at every drawing, so the switch works at any time."""
    return os.environ.get(SWITCH) != "0" and has_numba()


@lru_cache(maxsize=1)
def has_numba() -> bool:
    """Whether numba is installed and works with this NumPy; it refuses to be imported beside one it does not know."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True
