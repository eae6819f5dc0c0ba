"""Pickles of plain data, read by an interpreter that has no way to call anything.

``pickle.load`` runs whatever the file asks for. A subclass with a strict ``find_class`` stops that, but not a file
that asks for terabytes of memo table or for the hash of a tuple nested fifty-fold into itself. The REFER format needs
lists, dicts, strings and numbers only; the two dozen opcodes that make those are interpreted here, and every other
one is refused before anything of it is looked up.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from rsground.datasets.pickle_machine import Machine, MalformedError, RefusedError
from rsground.errors import DataError, UnsafePickleError

MAX_BYTES = 256 << 20
"""Size of a pickle that is read at all; RRSIS-D's has a few megabytes."""
_WAY_OUT = (
    "plain data needs none of this, and nothing of it was run; if you trust its source, save the references as JSON "
    "and name that file (refs=...)"
)


def load_plain_pickle(path: Path) -> Any:
    """The lists, dicts, tuples, sets, strings, bytes, numbers, booleans and None that a pickle holds.

    Byte strings of Python 2 become text: UTF-8 where they are valid, else Latin-1, as REFER's own loader does.

    Raises:
        UnsafePickleError: it asks for a class, a function, a persistent object or a call; names it. Nothing is run.
        DataError: it is truncated, malformed, too large, or missing.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"the pickle has {size} bytes, more than the {MAX_BYTES} that are read", path=path)
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"the pickle cannot be read: {error.strerror}", path=path) from error
    return loads_plain_pickle(data, path)


def loads_plain_pickle(data: bytes, path: object = None) -> Any:
    """As :func:`load_plain_pickle`, from bytes; ``path`` is for messages."""
    machine = Machine(data)
    try:
        return machine.run()
    except RefusedError as error:
        raise UnsafePickleError(f"the pickle asks for {error}; {_WAY_OUT}", path=path) from None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error, MalformedError) as error:
        raise DataError(
            f"not a pickle of plain data: {str(error) or type(error).__name__} (byte {machine.at}); "
            "is the download complete?",
            path=path,
        ) from None
