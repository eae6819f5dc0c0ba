"""Reading values of unknown make: every getter answers the type it names or raises :class:`RecordError`, nothing else.

Annotation files are written by other people's scripts. A reader that goes through these getters cannot fail in any
other way than the one that is reported, whatever stands in the file.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

_MISSING: Any = object()
MAX_DETAIL = 160
"""Characters of a detail; it has to fit on a line."""


class RecordError(Exception):
    """A record that cannot be used: the reader reports it with file and line, and goes on.

    Args:
        code: short stable reason (``"bad-box"``); the codes are listed in ``docs/reference/datasets.md``.
        detail: what was found, for people.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail if len(detail) <= MAX_DETAIL else f"{detail[: MAX_DETAIL - 3]}..."


def short(value: object) -> str:
    """``value`` for a message: bounded in depth and length, whatever it is."""
    text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_map(value: Any, what: str) -> Mapping[str, Any]:
    """``value`` if it is a mapping."""
    if not isinstance(value, dict):
        raise RecordError("bad-record", f"{what} must be an object with keys, got {short(value)}")
    return value


def as_list(value: Any, what: str) -> list[Any]:
    """``value`` as a list, if it is a list or tuple."""
    if not isinstance(value, list | tuple):
        raise RecordError("bad-field", f"{what} must be a list, got {short(value)}")
    return value if isinstance(value, list) else list(value)


def as_text(value: Any, what: str) -> str:
    """``value`` if it is a string that can be written out again (no lone surrogate)."""
    if not isinstance(value, str):
        raise RecordError("bad-field", f"{what} must be text, got {short(value)}")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RecordError("bad-field", f"{what} holds half a surrogate pair: {short(value)}")
    return value


def as_number(value: Any, what: str) -> float:
    """``value`` as a finite float; true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError("bad-field", f"{what} must be a number, got {short(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise RecordError("bad-field", f"{what} is too large: {short(value)}") from None
    if not math.isfinite(number):
        raise RecordError("bad-field", f"{what} must be finite, got {number}")
    return number


def as_int(value: Any, what: str) -> int:
    """``value`` as an int; 3.0 counts as 3."""
    number = as_number(value, what)
    if number != int(number) or abs(number) > 2**53:
        raise RecordError("bad-field", f"{what} must be a whole number, got {short(value)}")
    return int(number)


def as_key(value: Any, what: str) -> int | str:
    """``value`` as an id: a whole number or a text that is not blank."""
    if isinstance(value, str) and value.strip():
        return as_text(value, what)
    if isinstance(value, str):
        raise RecordError("bad-field", f"{what} must not be blank")
    return as_int(value, what)


def numbers(values: Any, what: str, count: int | None = None) -> list[float]:
    """``values`` as finite floats, ``count`` of them where that is given; ``[[1, 2], [3, 4]]`` counts as four."""
    flat: list[Any] = []
    for item in as_list(values, what):
        if isinstance(item, list | tuple):
            flat.extend(item)
        else:
            flat.append(item)
    if count is not None and len(flat) != count:
        raise RecordError("bad-field", f"{what} must be {count} numbers, got {short(values)}")
    return [as_number(value, what) for value in flat]


def field(record: Mapping[str, Any], *names: str, default: Any = _MISSING) -> Any:
    """The first of ``names`` that ``record`` has and that is not null; ``default`` where none is there."""
    for name in names:
        value = record.get(name)
        if value is not None:
            return value
    if default is _MISSING:
        raise RecordError(
            "missing-field", f"no {' or '.join(map(repr, names))} in the record; it has {short(list(record))}"
        )
    return default


def text(record: Mapping[str, Any], *names: str) -> str:
    """A text field; surrounding blanks stay, a blank text is broken."""
    value = as_text(field(record, *names), repr(names[0]))
    if not value.strip():
        raise RecordError("empty-text", f"{names[0]!r} is blank")
    return value


def json_able(value: Any, depth: int = 6) -> Any:
    """``value`` if JSON can hold it and it is small enough to carry along in ``Sample.meta``, else its short form."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value if isinstance(value, int) or math.isfinite(value) else str(value)
    if depth and isinstance(value, list | tuple):
        return [json_able(item, depth - 1) for item in value]
    if depth and isinstance(value, dict):
        return {str(key): json_able(item, depth - 1) for key, item in value.items()}
    return short(value)
