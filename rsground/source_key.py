"""Content keys of code, so that a stored answer can tell whether what made it has changed."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

_NOT_DECIDING = frozenset({"bench", "cli", "isolation", "report", "testing"})
"""Rooms of the core that cannot change an answer or its score."""


@cache
def code_key(module: str, without: frozenset[str] = frozenset()) -> str:
    """Digest of the source files of the module's top-level package.

    Of the core, rooms that only run and show things are left out, and those in ``without``.
    """
    top = module.partition(".")[0]
    found = importlib.util.find_spec(top)
    if found is None or found.origin is None:
        return ""
    origin = Path(found.origin)
    files = sorted(origin.parent.rglob("*.py")) if found.submodule_search_locations else [origin]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        inside = file.relative_to(origin.parent)
        if top == "rsground" and inside.parts[0] in _NOT_DECIDING | without:
            continue
        digest.update(inside.as_posix().encode() + b"\0")
        digest.update(file.read_bytes())
    return digest.hexdigest()
