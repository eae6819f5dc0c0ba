"""Content keys of annotation files, so that a stored result can tell whether its data has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

_CHUNK = 1 << 20


def fingerprint_files(name: str, split: str, files: Iterable[Path]) -> str:
    """Hex digest (32 characters) of a split: equal for equal annotations on any machine.

    Covers the data set's name, the split, and of each file its path below the folder they all share, its size and
    its content. The order in which files are given does not matter; where the data set lies does not either.

    Raises:
        FileNotFoundError: a file is not there.
    """
    paths = sorted({Path(os.path.abspath(file)) for file in files})
    base = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    digest = hashlib.blake2b(digest_size=16)
    for word in (name, split):
        digest.update(word.encode() + b"\0")
    for path in paths:
        relative = path.relative_to(base).as_posix()
        digest.update(f"{relative}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
