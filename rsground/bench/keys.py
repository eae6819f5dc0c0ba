"""Content keys: equal for equal work, different as soon as anything that decides an answer differs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsground.assembly import locate
from rsground.bench.suite import DataChoice, Entry, Part
from rsground.registry import registry
from rsground.source_key import code_key

_CHUNK = 1 << 20
_CORE = "rsground"


def content_key(value: Any) -> str:
    """Hex digest (32 characters) of a JSON-able value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def part_key(kind: str, part: Part, without: frozenset[str] = frozenset()) -> str:
    """Key of a registered thing: who offers it, its code, its options with the content of files they name.

    Args:
        kind, part: the thing.
        without: rooms of the core whose code cannot matter to it; only taken at its word for parts of the core.
    """
    offer = registry().offer(kind, part.name)
    spec = offer.spec
    codec = part.options.get("codec") if kind == "head" else None
    known = isinstance(codec, str) and codec in registry().offers("codec")
    inner = part_key("codec", Part(str(codec)), without) if known else None
    options = _with_files({**spec.options, **part.options})
    return content_key([kind, part.name, offer.distribution, code_keys(spec.target, without), options, inner])


def code_keys(target: str, without: frozenset[str] = frozenset()) -> list[str]:
    """Keys of the code behind ``"module:name"``: its package's, and the core's that every plugin stands on."""
    module = target.partition(":")[0]
    package = module.partition(".")[0]  # whose key is made once, whatever module of it is named
    if package == _CORE:
        return [code_key(_CORE, without)]
    return [code_key(package), code_key(_CORE)]


def entry_key(entry: Entry, without: frozenset[str] = frozenset()) -> str:
    """Key of a system; its label, family and batch decide nothing. ``without`` as in :func:`part_key`."""
    parts = [part_key(kind, part, without) for kind, part in entry.parts()]
    place = None if entry.checkpoint is None else str(locate(entry.checkpoint))
    return content_key([parts, _with_files({"checkpoint": place})])


def data_key(choice: DataChoice, fingerprint: str) -> str:
    """Key of a data set: its annotations and options, not where it lies nor what it is called."""
    offer = registry().offers("dataset")[choice.name]
    code = code_keys(offer.spec.target)
    return content_key(
        [choice.name, choice.split, sorted(choice.tasks), dict(choice.options), fingerprint, offer.distribution, code]
    )


def _with_files(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with every value that is a path of something there replaced by its content."""
    return {name: _content(value) if isinstance(value, str) else value for name, value in options.items()}


def _content(value: str) -> Any:
    try:
        if os.path.isfile(value):
            with open(value, "rb") as stream:
                digest = hashlib.blake2b(digest_size=16)
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                return {"file": digest.hexdigest()}
        if os.sep in value and os.path.isdir(value):
            stats = [(path, path.stat()) for path in sorted(Path(value).rglob("*")) if path.is_file()]
            base = Path(value)
            return {"folder": [[p.relative_to(base).as_posix(), s.st_size, s.st_mtime_ns] for p, s in stats]}
    except (OSError, ValueError):
        return value
    return value
