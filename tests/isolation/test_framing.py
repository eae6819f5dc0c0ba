"""Frames: every message comes back whole, from pieces of any size, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.errors import ProtocolError
from rsground.isolation.framing import MARK, Frame, FrameReader, encode

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
messages = st.dictionaries(st.text(), values, max_size=4)


@settings(max_examples=30)
@given(st.lists(st.tuples(messages, st.binary(max_size=200)), max_size=4), st.integers(1, 64))
def test_frames_come_back_whole_from_any_pieces(sent: list[tuple[dict, bytes]], size: int) -> None:
    stream = b"".join(encode(message, attachment) for message, attachment in sent)
    reader, found = FrameReader(), []
    for start in range(0, len(stream), size):
        reader.feed(stream[start : start + size])
        while (frame := reader.take()) is not None:
            found.append(frame)
    assert found == [Frame(message, attachment) for message, attachment in sent]
    assert reader.is_empty


@settings(max_examples=30)
@given(st.binary(min_size=4, max_size=100))
def test_bytes_without_the_mark_are_no_frame(noise: bytes) -> None:
    if noise.startswith(MARK):
        return
    with pytest.raises(ProtocolError, match="garbage instead of a frame"):
        FrameReader().feed(noise)


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=60))
def test_a_frame_without_json_is_refused(text: bytes) -> None:
    reader = FrameReader()
    reader.feed(MARK + len(text).to_bytes(4, "big") + bytes(4) + b"[" + text[1:])
    with pytest.raises(ProtocolError, match="JSON"):
        reader.take()


def test_a_frame_that_is_too_large_is_refused_by_its_header() -> None:
    reader = FrameReader(limit=64 << 20)
    with pytest.raises(ProtocolError, match=r"a frame of 2,048\.0 MiB, more than the limit of 64\.0"):
        reader.feed(MARK + (2 << 30).to_bytes(4, "big") + bytes(4))
    with pytest.raises(ProtocolError, match="more than the limit"):
        encode({"a": "x" * 2000}, limit=1000)
    with pytest.raises(ProtocolError, match="more than the limit"):
        encode({}, b"x" * 2000, limit=1000)


def test_nesting_without_end_is_an_error_and_no_crash() -> None:
    text = b'{"a":' + b"[" * 200_000
    reader = FrameReader()
    reader.feed(MARK + len(text).to_bytes(4, "big") + bytes(4) + text)
    with pytest.raises(ProtocolError, match="without JSON"):
        reader.take()
