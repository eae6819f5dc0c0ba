"""Large JSON files element by element: memory stays at one element, and each element's place in the file is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rsground.datasets.fields import RecordError, short

CHUNK = 1 << 20
MAX_ELEMENT = 64 << 20
"""Bytes one element may have; a damaged file would otherwise be read into memory whole."""
_SPACE = " \t\r\n"
_AFTER_NUMBER = tuple(",]} \t\r\n")
_NEAR_END = 16
"""An error this close to the end of what was read may only mean that the element goes on."""


class Element(NamedTuple):
    """One element of an array, or the value of a key that is no array.

    Attributes:
        key: key of the top-level object it stands under; ``""`` in a top-level array.
        number: 1-based place in its array; 0 for a value that is no array.
        offset, length: bytes in the file; ``length`` bytes from ``offset`` are the element's JSON.
        value: the parsed element, or :class:`RecordError` when it is no UTF-8.
    """

    key: str
    number: int
    offset: int
    length: int
    value: Any


def scan(path: Path) -> Iterator[Element]:
    """Every element of a top-level array, or of every array of a top-level object, in file order.

    A file damaged in the middle gives the elements before the damage, then one :class:`Element` whose value is
    :class:`RecordError`, and ends: what follows the damage cannot be told apart.
    """
    with path.open("rb") as stream:
        window = _Window(stream)
        try:
            yield from _document(window)
        except RecordError as damage:
            yield Element("", 0, window.offset, 0, damage)


def read_element(stream: BinaryIO, offset: int, length: int) -> Any:
    """The element that :func:`scan` found at ``offset``, read again.

    Raises:
        RecordError: the file has changed since, or the element is no UTF-8.
    """
    stream.seek(offset)
    try:
        return json.loads(stream.read(length).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordError("bad-json", f"element at byte {offset}: {error!s}") from None


def _document(window: _Window) -> Iterator[Element]:
    opening = window.peek()
    if opening == "[":
        yield from _array(window, "")
    elif opening == "{":
        yield from _object(window)
    else:
        raise RecordError("bad-json", f"a JSON list or object must begin with [ or {{, got {opening!r}")
    if window.peek():
        raise RecordError("bad-json", f"text after the end of the document, at byte {window.offset}")


def _object(window: _Window) -> Iterator[Element]:
    window.take("{")
    if window.peek() == "}":
        window.take("}")
        return
    while True:
        key = window.element("", 0).value
        if not isinstance(key, str):
            raise RecordError("bad-json", f"a key must be text, got {short(key)} at byte {window.offset}")
        window.take(":")
        if window.peek() == "[":
            yield from _array(window, key)
        else:
            yield window.element(key, 0)
        if window.take(",}") == "}":
            return


def _array(window: _Window, key: str) -> Iterator[Element]:
    window.take("[")
    if window.peek() == "]":
        window.take("]")
        return
    number = 0
    while True:
        number += 1
        yield window.element(key, number)
        if window.take(",]") == "]":
            return


class _Window:
    """A moving part of the file, as Latin-1: one character is one byte, so places in the text are the file's."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._base = 0
        self._ended = False
        self._read(CHUNK)
        if self._text.startswith("\xef\xbb\xbf"):
            self._at = 3

    @property
    def offset(self) -> int:
        """Byte in the file that is read next."""
        return self._base + self._at

    def _read(self, size: int) -> None:
        chunk = self._stream.read(size)
        self._ended = not chunk
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._base += self._at
        self._at = 0

    def peek(self) -> str:
        """The next character that is no white space, ``""`` at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read(CHUNK)

    def take(self, wanted: str) -> str:
        """The next character, which must be one of ``wanted``."""
        found = self.peek()
        if not found:
            raise RecordError("bad-json", f"the file ends at byte {self.offset}, inside the document; is it truncated?")
        if found not in wanted:
            raise RecordError("bad-json", f"expected one of {' '.join(wanted)} at byte {self.offset}, got {found!r}")
        self._at += 1
        return found

    def element(self, key: str, number: int) -> Element:
        """The value that begins here."""
        self.peek()
        more = CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._is_damage(error):
                    message = f"{error.msg} at byte {self._base + error.pos}"
                    raise RecordError("bad-json", f"element {number or key!r}: {message}") from None
            except (ValueError, RecursionError) as error:
                raise RecordError("bad-json", f"element at byte {self.offset}: {error!s}") from None
            else:
                if self._is_whole(value, end):
                    return self._finished(key, number, value, end)
            if len(self._text) - self._at > MAX_ELEMENT:
                raise RecordError(
                    "too-long", f"the element at byte {self.offset} has no end within {MAX_ELEMENT} bytes"
                )
            self._read(more)
            more *= 2

    def _is_whole(self, value: Any, end: int) -> bool:
        """Whether a value ends where it seems to: a number may go on after the part that was read."""
        if self._ended or not isinstance(value, int | float):
            return self._ended or end < len(self._text)
        return self._text[end : end + 1] in _AFTER_NUMBER or end + _NEAR_END < len(self._text)

    def _is_damage(self, error: json.JSONDecodeError) -> bool:
        if self._ended:
            return True
        return error.pos < len(self._text) - _NEAR_END and not error.msg.startswith("Unterminated string")

    def _finished(self, key: str, number: int, value: Any, end: int) -> Element:
        raw = self._text[self._at : end]
        offset, self._at = self.offset, end
        if not raw.isascii():
            try:
                value = json.loads(raw.encode("latin-1").decode("utf-8"))
            except UnicodeDecodeError:
                value = RecordError(
                    "not-utf8", f"element {number} at byte {offset} is no UTF-8; save the file as UTF-8"
                )
        return Element(key, number, offset, len(raw), value)
