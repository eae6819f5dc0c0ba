"""Text, JSON and XML files read within bounds: each problem is a :class:`RecordError`, never another exception."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rsground.datasets.fields import RecordError

MAX_RECORD_BYTES = 64 << 20
"""A line, an XML file or a per-image JSON file longer than this is broken: real ones are a thousand times smaller."""


def lines(path: Path) -> Iterator[tuple[int, str | RecordError]]:
    """(1-based number, text without its line end) of every line; :class:`RecordError` for a line that is no UTF-8."""
    with path.open("rb") as stream:
        number = 0
        while raw := stream.readline(MAX_RECORD_BYTES):
            number += 1
            if len(raw) == MAX_RECORD_BYTES and not raw.endswith(b"\n"):
                yield (
                    number,
                    RecordError("too-long", f"the line has more than {MAX_RECORD_BYTES} bytes; the rest is unread"),
                )
                return
            yield number, _decoded(raw, number)


def filled_lines(path: Path) -> Iterator[tuple[int, str | RecordError]]:
    """As :func:`lines`, without the blank ones."""
    return ((number, line) for number, line in lines(path) if isinstance(line, RecordError) or line.strip())


def _decoded(raw: bytes, number: int) -> str | RecordError:
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 4]
        return RecordError(
            "not-utf8", f"byte {error.start + 1} of the line ({bad!r}) is no UTF-8; save the file as UTF-8"
        )


def read_bytes(path: Path, limit: int = MAX_RECORD_BYTES) -> bytes:
    """The whole file.

    Raises:
        RecordError: not there, not readable, or longer than ``limit``.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise RecordError("unreadable", f"{path.name}: {error.strerror or error}") from None
    if len(data) > limit:
        raise RecordError("too-long", f"{path.name} has more than {limit} bytes")
    return data


def parse_json(raw: bytes | str, what: str) -> Any:
    """The JSON value in ``raw``.

    Raises:
        RecordError: it is none, or no UTF-8, or nested too deeply.
    """
    try:
        return json.loads(raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw)
    except UnicodeDecodeError as error:
        raise RecordError("not-utf8", f"{what}: byte {error.start + 1} is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise RecordError("bad-json", f"{what}: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; nesting without end
        raise RecordError("bad-json", f"{what}: {error!s}") from None


def read_json(path: Path) -> Any:
    """The JSON value of a small file.

    Raises:
        RecordError: as :func:`read_bytes` and :func:`parse_json`.
    """
    return parse_json(read_bytes(path), path.name)


def parse_xml(raw: bytes, what: str) -> ElementTree.Element:
    """The root element of an XML document.

    Raises:
        RecordError: not well-formed, or with a document type: entities could be expanded without end, and no annotation
            file needs any.
    """
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise RecordError("bad-xml", f"{what}: a document type or entity is declared; annotation files need none")
    try:
        return ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise RecordError("bad-xml", f"{what}: {error!s}") from None
