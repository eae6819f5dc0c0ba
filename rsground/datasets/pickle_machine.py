"""The pickle virtual machine without the opcodes that reach outside: it has no way to import, look up or call."""

from __future__ import annotations

import codecs
import struct
import warnings
from collections.abc import Callable
from typing import Any

_STOP = 0x2E
_CALLS = {
    b"R": "REDUCE",
    b"b": "BUILD",
    b"o": "OBJ",
    b"\x81": "NEWOBJ",
    b"\x92": "NEWOBJ_EX",
    b"P": "PERSID",
    b"Q": "BINPERSID",
    b"\x82": "EXT1",
    b"\x83": "EXT2",
    b"\x84": "EXT4",
    b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
}
"""Opcodes that call, or look up, something: refused by name."""


class RefusedError(Exception):
    """The pickle asks for something; its text names what."""


class MalformedError(Exception):
    """The bytes are no pickle of plain data."""


_KEYS = (str, bytes, int, float, bool, type(None))
"""Types a dict key or set member may have: hashing a nested tuple can take for ever."""


class Machine:
    """The pickle virtual machine, without the opcodes that reach outside."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        table, data = _TABLE, self.data
        while True:
            if self.at >= len(data):
                raise MalformedError("it ends before its STOP mark")
            opcode = data[self.at]
            self.at += 1
            if opcode == _STOP:
                return self.stack.pop()
            action = table[opcode]
            if action is None:
                self.refuse(bytes([opcode]))
            else:
                action(self)

    def refuse(self, opcode: bytes) -> None:
        if opcode in b"ci":
            module, name = self.line(), self.line()
            raise RefusedError(f"{_shown(module)}.{_shown(name)}")
        if opcode == b"\x93":
            name, module = self.stack[-1], self.stack[-2]
            raise RefusedError(f"{_shown(module)}.{_shown(name)}")
        if opcode in _CALLS:
            raise RefusedError(f"the operation {_CALLS[opcode]}")
        raise MalformedError(f"unknown operation {opcode!r}")

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise MalformedError(f"{count} bytes are announced, {len(self.data) - self.at} are left")
        chunk = self.data[self.at : end]
        self.at = end
        return chunk

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise MalformedError("a line has no end")
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def to_mark(self) -> list[Any]:
        if not self.marks:
            raise MalformedError("a collection has no beginning")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise MalformedError("the stack runs empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if type(value) is not kind:
            raise MalformedError(f"a {kind.__name__} was expected, got {type(value).__name__}")
        return value

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def set_items(self, target: dict[Any, Any], items: list[Any]) -> None:
        if len(items) % 2:
            raise MalformedError("a dict has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_hashable(key)] = value


def _hashable(value: Any) -> Any:
    if type(value) not in _KEYS:
        raise MalformedError(f"a dict key or set member is a {type(value).__name__}")
    return value


def _shown(name: Any) -> str:
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name) if isinstance(name, str) else "?"
    return text[:60] if text.isprintable() else ascii(text)[1:-1][:60]


def _old_text(raw: bytes) -> str:
    """A byte string of Python 2, as text."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _quoted(raw: bytes) -> bytes:
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
        raise MalformedError("a string has no quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an escape Python 2 never wrote; read as it stands
        value: bytes = codecs.escape_decode(raw[1:-1])[0]
    return value


def _whole(raw: bytes) -> int:
    return int(raw.removesuffix(b"L"))


def _small_int(machine: Machine) -> None:
    line = machine.line()
    machine.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else _whole(line))


def _setitem(machine: Machine) -> None:
    key, value = machine.last(2)
    machine.set_items(machine.top(dict), [key, value])


def _setitems(machine: Machine) -> None:
    items = machine.to_mark()
    machine.set_items(machine.top(dict), items)


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    machine.top(list).append(value)


def _appends(machine: Machine) -> None:
    items = machine.to_mark()
    machine.top(list).extend(items)


def _dict(machine: Machine) -> None:
    items = machine.to_mark()
    made: dict[Any, Any] = {}
    machine.set_items(made, items)
    machine.push(made)


def _add_items(machine: Machine) -> None:
    items = machine.to_mark()
    machine.top(set).update(_hashable(item) for item in items)


def _protocol(machine: Machine) -> None:
    version = machine.take(1)[0]
    if version > 5:
        raise MalformedError(f"pickle protocol {version} is not known")


def _drop(machine: Machine) -> None:
    machine.stack.pop()


def _signed(machine: Machine, form: str) -> None:
    machine.push(int.from_bytes(machine.take(machine.number(form)), "little", signed=True))


_ACTIONS: dict[bytes, Callable[[Machine], Any]] = {
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": _drop,
    b"1": lambda m: m.to_mark(),
    b"2": lambda m: m.push(m.stack[-1]),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    b"I": _small_int,
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"L": lambda m: m.push(_whole(m.line())),
    b"\x8a": lambda m: _signed(m, "<B"),
    b"\x8b": lambda m: _signed(m, "<i"),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"S": lambda m: m.push(_old_text(_quoted(m.line()))),
    b"T": lambda m: m.push(_old_text(m.take(m.number("<i")))),
    b"U": lambda m: m.push(_old_text(m.take(m.number("<B")))),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"\x96": lambda m: m.push(m.take(m.number("<Q"))),
    b"V": lambda m: m.push(m.line().decode("raw_unicode_escape")),
    b"X": lambda m: m.push(m.take(m.number("<I")).decode("utf-8", "surrogatepass")),
    b"\x8c": lambda m: m.push(m.take(m.number("<B")).decode("utf-8", "surrogatepass")),
    b"\x8d": lambda m: m.push(m.take(m.number("<Q")).decode("utf-8", "surrogatepass")),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.to_mark()),
    b"a": _append,
    b"e": _appends,
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.to_mark())),
    b"\x85": lambda m: m.push(tuple(m.last(1))),
    b"\x86": lambda m: m.push(tuple(m.last(2))),
    b"\x87": lambda m: m.push(tuple(m.last(3))),
    b"}": lambda m: m.push({}),
    b"d": _dict,
    b"s": _setitem,
    b"u": _setitems,
    b"\x8f": lambda m: m.push(set()),
    b"\x90": _add_items,
    b"\x91": lambda m: m.push(frozenset(_hashable(item) for item in m.to_mark())),
    b"p": lambda m: m.put(_whole(m.line())),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.push(m.memo[_whole(m.line())]),
    b"h": lambda m: m.push(m.memo[m.number("<B")]),
    b"j": lambda m: m.push(m.memo[m.number("<I")]),
    b"\x80": _protocol,
    b"\x95": lambda m: m.number("<Q"),
}
_TABLE: list[Callable[[Machine], Any] | None] = [_ACTIONS.get(bytes([code])) for code in range(256)]
