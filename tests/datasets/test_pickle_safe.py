"""The restricted pickle reader: plain data comes through, nothing else ever runs."""

from __future__ import annotations

import builtins
import contextlib
import copyreg
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.datasets.pickle_safe import load_plain_pickle, loads_plain_pickle
from rsground.errors import DataError, UnsafePickleError

keys = st.one_of(st.text(max_size=6), st.integers(), st.booleans(), st.none(), st.binary(max_size=4))
leaves = st.one_of(keys, st.floats(allow_nan=False), st.integers(-(2**80), 2**80))
plain = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(keys, max_size=3),
    ),
    max_leaves=25,
)


def has_call(data: bytes) -> bool:
    """Protocols 0 to 2 have no opcode for bytes or sets and write calls in their place."""
    import pickletools

    return any(op.name in ("GLOBAL", "STACK_GLOBAL", "REDUCE") for op, _, _ in pickletools.genops(data))


@given(value=plain, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_comes_back_as_pickle_reads_it(value, protocol):
    data = pickle.dumps(value, protocol=protocol)
    if has_call(data):
        with pytest.raises(UnsafePickleError):
            loads_plain_pickle(data)
    else:
        assert loads_plain_pickle(data) == pickle.loads(data)


def test_shared_and_recursive_lists_keep_their_identity():
    shared = [1]
    loaded = loads_plain_pickle(pickle.dumps([shared, shared]))
    assert loaded[0] is loaded[1]
    loop: list = []
    loop.append(loop)
    again = loads_plain_pickle(pickle.dumps(loop))
    assert again[0] is again


def test_byte_strings_of_python_2_become_text():
    utf8 = b"U\x06" + "größ".encode()[:6] + b"."
    latin = b"U\x03gr\xfc."
    quoted = b"S'gr\\xfc\\n'\np0\n."
    assert loads_plain_pickle(b"\x80\x02" + utf8) == "größ"
    assert loads_plain_pickle(b"\x80\x02" + latin) == "grü"
    assert loads_plain_pickle(quoted) == "grü\n"


class Marker:
    """Leaves a trace if anything of it ever runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def attacks(trace: Path) -> dict[str, tuple[bytes, str]]:
    """Name → (payload, what the message must name)."""
    command = f"touch {trace}"
    short = bytes([len(command)])
    code = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    inst = b"(S'" + command.encode() + b"'\nios\nsystem\n."
    obj = b"(cos\nsystem\nS'" + command.encode() + b"'\no."
    stack = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + short + command.encode() + b"\x85R."
    build = b"\x80\x02}}U\x04__x_U\x01ys}b."
    return {
        "reduce": (pickle.dumps(Marker(trace), 2), f"{os.system.__module__}.system"),
        "reduce-4": (pickle.dumps(Marker(trace), 4), f"{os.system.__module__}.system"),
        "reduce-0": (pickle.dumps(Marker(trace), 0), f"{os.system.__module__}.system"),
        "eval": (b"cbuiltins\neval\n(V" + code.encode() + b"\ntR.", "builtins.eval"),
        "eval-2": (b"c__builtin__\neval\n(S" + repr(code).encode() + b"\ntR.", "__builtin__.eval"),
        "getattr": (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
        "inst": (inst, "os.system"),
        "obj": (obj, "os.system"),
        "stack-global": (stack, "os.system"),
        "build": (build, "BUILD"),
        "newobj": (b"\x80\x02])\x81.", "NEWOBJ"),
        "newobj-ex": (b"\x80\x04])}\x92.", "NEWOBJ_EX"),
        "bare-reduce": (b"\x80\x02])R.", "REDUCE"),
        "persid": (b"Pos.system\n.", "PERSID"),
        "binpersid": (b"U\x01xQ.", "BINPERSID"),
        "ext1": (b"\x80\x02\x82\x07.", "EXT1"),
        "ext2": (b"\x80\x02\x83\x07\x00.", "EXT2"),
        "ext4": (b"\x80\x02\x84\x07\x00\x00\x00.", "EXT4"),
        "buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
        "numpy": (pickle.dumps(np.arange(3), 2), "_reconstruct"),
        "numpy-scalar": (pickle.dumps(np.float64(1.0), 2), "scalar"),
        "partial": (b"\x80\x02cfunctools\npartial\n(cos\nsystem\ntR.", "functools.partial"),
        "code": (b"ctypes\nCodeType\n.", "types.CodeType"),
        "import": (b"cbuiltins\n__import__\n(S'antigravity'\ntR.", "builtins.__import__"),
        "hidden-in-a-list": (pickle.dumps([{"ref_id": 1, "split": Marker(trace)}], 2), "system"),
        "escape-sequence": (b"cos\x1b[31m\nsystem\n.", r"os\x1b[31m.system"),
    }


@pytest.mark.parametrize("name", list(attacks(Path("x"))))
def test_a_malicious_pickle_runs_nothing_and_is_named(name, tmp_path, monkeypatch):
    trace = tmp_path / "ran"
    payload, named = attacks(trace)[name]
    copyreg._inverted_registry[7] = ("os", "system")  # what EXT would resolve to
    copyreg._extension_registry["os", "system"] = 7

    def forbidden(*args, **kwargs):
        raise AssertionError("something was imported or looked up")

    path = tmp_path / "refs(unc).p"
    path.write_bytes(payload)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "eval", forbidden)
            patch.setattr(os, "system", forbidden)
            with pytest.raises(UnsafePickleError) as caught:
                load_plain_pickle(path)
    finally:
        del copyreg._inverted_registry[7], copyreg._extension_registry["os", "system"]
    assert named in str(caught.value)
    assert "nothing of it was run" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not trace.exists()


def test_the_attacks_are_real(tmp_path):
    """The payloads do run in Python's own unpickler: the test above proves something."""
    for name in ("reduce", "inst", "obj", "stack-global", "eval"):
        trace = tmp_path / name
        pickle.load(io.BytesIO(attacks(trace)[name][0]))
        assert trace.exists(), name
        trace.unlink()


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",  # a frame of four exabytes
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",  # a terabyte of bytes
        b"\x80\x04\x8d" + struct.pack("<Q", 2**63 + 5) + b"x.",
        b"\x80\x04\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.",
        b"\x80\x02T" + struct.pack("<i", -5) + b"x.",
        b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".",  # a memo of 64 GB in Python's own unpickler
        b"L" + b"9" * 100_000 + b"L\n.",
        b"\x80\x02)" + b"\x86".join([b"2"] * 60) + b"\x86}q\x00h\x00.",
    ],
)
def test_a_memory_bomb_costs_no_memory(bomb):
    import tracemalloc

    tracemalloc.start()
    try:
        loads_plain_pickle(bomb)
    except DataError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_tuple_nested_into_itself_is_no_key():
    """Hashing it would take 2**60 steps."""
    nested = b")" + b"2\x86" * 60
    with pytest.raises(DataError, match="key or set member is a tuple"):
        loads_plain_pickle(b"\x80\x02}" + nested + b"Ns.")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ends before its STOP"),
        (b"\x80\x02]", "ends before its STOP"),
        (b"\x80\x02.", "pop from empty list"),
        (b"\x80\x09N.", "protocol 9"),
        (b"\x80\x02\xff.", "unknown operation"),
        (b"\x80\x02e.", "no beginning"),
        (b"\x80\x02(NNe.", "list index out of range"),
        (b"\x80\x02N(Ne.", "a list was expected"),
        (b"\x80\x02}(Nu.", "without a value"),
        (b"\x80\x02h\x05.", "5"),
        (b"not a pickle at all", "unknown operation|line has no end|not a pickle"),
    ],
)
def test_damage_is_a_data_error(data, why):
    with pytest.raises(DataError, match=why):
        loads_plain_pickle(data)


@given(data=st.binary(max_size=60))
def test_any_bytes_load_or_are_refused(data):
    with contextlib.suppress(DataError):
        loads_plain_pickle(b"\x80\x02" + data)


def test_too_large_a_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("rsground.datasets.pickle_safe.MAX_BYTES", 10)
    path = tmp_path / "big.p"
    path.write_bytes(b"\x00" * 11)
    with pytest.raises(DataError, match="11 bytes"):
        load_plain_pickle(path)


def test_real_references_equal_what_pickle_reads(shared_data):
    path = shared_data / "refer_mini" / "rrsisd" / "refs(unc).p"
    assert load_plain_pickle(path) == pickle.loads(path.read_bytes())
