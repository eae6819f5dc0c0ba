"""The streamed JSON reader finds what json.load finds, wherever the chunks end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.datasets import json_stream
from rsground.datasets.fields import RecordError
from rsground.datasets.json_stream import read_element, scan

values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=12,
)


def gathered(path):
    """The document that the elements make up again."""
    found = {}
    for element in scan(path):
        assert not isinstance(element.value, RecordError), element
        if element.number:
            found.setdefault(element.key, []).append(element.value)
        else:
            found[element.key] = element.value
    return found


@settings(max_examples=50)
@given(data=st.data(), chunk=st.integers(1, 40), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_elements_make_up_the_document(data, chunk, indent, ascii_only, tmp_path_factory):
    document = data.draw(
        st.one_of(
            st.lists(values, min_size=1, max_size=5).map(lambda v: {"": v}),
            st.dictionaries(
                st.text(min_size=1, max_size=4), st.one_of(values, st.lists(values, min_size=1)), max_size=4
            ),
        )
    )
    document = {key: value for key, value in document.items() if value != []}
    whole = document[""] if set(document) == {""} else document
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps(whole, indent=indent, ensure_ascii=ascii_only), encoding="utf-8", newline="")
    before = json_stream.CHUNK
    json_stream.CHUNK = chunk
    try:
        assert gathered(path) == document
        with path.open("rb") as stream:
            for element in scan(path):
                assert read_element(stream, element.offset, element.length) == element.value
    finally:
        json_stream.CHUNK = before


def test_a_damaged_middle_gives_what_came_before(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('[{"a": 1}, {"a": 2}, {"a": oops}, {"a": 4}]' + " " * 40)
    found = list(scan(path))
    assert [element.value for element in found[:2]] == [{"a": 1}, {"a": 2}]
    assert isinstance(found[2].value, RecordError)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must begin with"),
        ("  7", "must begin with"),
        ("[1, 2", "ends at byte 5|truncated"),
        ('{"a": [1, 2}', "expected one of"),
        ("[1] 2", "after the end"),
        ('{"a" 1}', "expected one of :"),
        ("{1: 2}", "a key must be text"),
        ("[" * 3000, ""),
        ("[" + "9" * 5000 + "]", "digit"),
    ],
)
def test_damage_is_named(tmp_path, text, why):
    path = tmp_path / "x.json"
    path.write_text(text)
    *_, last = scan(path)
    assert isinstance(last.value, RecordError)
    assert why == "" or any(part in last.value.detail for part in why.split("|"))


def test_an_element_without_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 1 << 12)
    monkeypatch.setattr(json_stream, "CHUNK", 1 << 8)
    path = tmp_path / "x.json"
    path.write_text('["' + "x" * (1 << 16))
    *_, last = scan(path)
    assert last.value.code == "too-long"


def test_one_element_that_is_no_utf8_is_left_out(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'["good", "gr\xfc", "also good", "gr\xc3\xbc"]')
    found = [element.value for element in scan(path)]
    assert found[0] == "good"
    assert found[1].code == "not-utf8"
    assert found[2:] == ["also good", "grü"]


def test_memory_stays_flat(tmp_path):
    import tracemalloc

    path = tmp_path / "x.json"
    with path.open("w") as stream:
        stream.write("[")
        for k in range(10_000):
            row = {"id": k, "image": f"{k}.png", "conversations": [{"from": "human", "value": "x" * 900}]}
            stream.write(("," if k else "") + json.dumps(row))
        stream.write("]")
    assert path.stat().st_size > 9 << 20
    tracemalloc.start()
    count = sum(1 for _ in scan(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 6 << 20
