"""Frames: how one JSON message, and the bytes that go with it, cross a pipe.

A frame is a header of 12 bytes and two parts::

    4 bytes   b"RSG1"            the protocol's mark and version
    4 bytes   unsigned, big end  bytes of the JSON text
    4 bytes   unsigned, big end  bytes of the attachment
    ...       JSON text, UTF-8, one object
    ...       attachment: bytes that the object refers to by (offset, length)

A stream that loses its place is found out at the next header: bytes that are no mark end the conversation.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from rsground.errors import ProtocolError

MARK = b"RSG1"
VERSION = 1
"""Of the conversation: what calls there are and what they hold."""
FRAME_LIMIT = 256 << 20
"""Bytes of a frame at most, unless the parties agree on less. A larger one is refused by its header alone."""
_HEADER = struct.Struct(">4sII")
_SHOWN = 40


class Frame(NamedTuple):
    """A message and its attachment."""

    message: dict[str, Any]
    attachment: bytes = b""


def encode(message: Mapping[str, Any], attachment: bytes = b"", limit: int = FRAME_LIMIT) -> bytes:
    """The bytes of a frame.

    Raises:
        ProtocolError: the frame would be larger than ``limit``, or the message is no JSON.
    """
    try:
        text = json.dumps(message, ensure_ascii=True, separators=(",", ":"), default=str).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"a message cannot be written as JSON: {error}") from error
    _check_length(len(text) + len(attachment), limit)
    return _HEADER.pack(MARK, len(text), len(attachment)) + text + attachment


class FrameReader:
    """Puts frames together from whatever pieces a pipe gives. Holds at most one frame of ``limit`` bytes, and a piece.

    Args:
        limit: bytes of a frame at most.
    """

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self.limit = limit
        self._held = bytearray()
        self._sizes: tuple[int, int] | None = None

    def feed(self, piece: bytes) -> None:
        """Take what was read.

        Raises:
            ProtocolError: no frame begins where one must, or one is announced that is too large.
        """
        self._held += piece
        self._look()

    def take(self) -> Frame | None:
        """The next whole frame, None while it is not all there.

        Raises:
            ProtocolError: it holds no JSON object; or as :meth:`feed`, of the frame behind it.
        """
        if self._sizes is None or len(self._held) < sum(self._sizes):
            return None
        text, after = self._sizes[0], sum(self._sizes)
        message = _parsed(bytes(self._held[:text]))
        attachment = bytes(self._held[text:after])
        del self._held[:after]
        self._sizes = None
        self._look()
        return Frame(message, attachment)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come of a next frame."""
        return self._sizes is None and not self._held

    def _look(self) -> None:
        if self._sizes is not None:
            return
        if not MARK.startswith(self._held[: len(MARK)]):
            raise ProtocolError(f"garbage instead of a frame: {bytes(self._held[:_SHOWN])!r}")
        if len(self._held) < _HEADER.size:
            return
        _, text, attached = _HEADER.unpack_from(self._held)
        _check_length(text + attached, self.limit)
        self._sizes = (text, attached)
        del self._held[: _HEADER.size]


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame without JSON: {error}: {text[:_SHOWN]!r}") from None
    if not isinstance(message, dict):
        raise ProtocolError(f"a frame must hold a JSON object, got {type(message).__name__}")
    return message


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise ProtocolError(f"a frame of {length / 2**20:,.1f} MiB, more than the limit of {limit / 2**20:,.1f}")
