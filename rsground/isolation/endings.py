"""How a worker process ended, in words for people."""

from __future__ import annotations

import signal


def ending(code: int | None) -> str:
    """An exit code as :mod:`subprocess` and :mod:`multiprocessing` give it, negative for a signal, as a sentence.

    None says that it has not ended, and yet sends nothing more.
    """
    if code is None:
        return "the worker process closed its pipe"
    if code >= 0:
        return f"the worker process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the worker process was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
