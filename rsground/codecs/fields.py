"""Numbers inside a fixed wording, each within its range: the rule behind every box, oriented box and vertex."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rsground.codecs.grammar import NO_CHARS, CharSet, Rule

DECIMAL = "0123456789"
ALPHANUMERIC = DECIMAL + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A number slot; the value is an integer even where it is written with a decimal point.

    Attributes:
        low, high: inclusive range.
        above: index of an earlier slot whose value this one must exceed by ``gap``, None for none.
        gap: smallest difference to that slot.
        width: digits, zero padded; 0 for as many as it takes without leading zeros.
        decimals: of these digits, how many stand after a decimal point (``width`` must be set).
        alphabet: the digits, in order; its length is the base.
    """

    low: int
    high: int
    above: int | None = None
    gap: int = 1
    width: int = 0
    decimals: int = 0
    alphabet: str = DECIMAL

    def ranges(self, values: tuple[int, ...]) -> Ranges:
        """Inclusive ranges of legal values, given those of the earlier slots."""
        low = self.low if self.above is None else max(self.low, values[self.above] + self.gap)
        return ((low, self.high),)

    def write(self, value: int) -> str:
        """The text of a value."""
        sign, value = ("-", -value) if value < 0 else ("", value)
        if self.alphabet == DECIMAL:
            digits = str(value).zfill(self.width)
        else:
            digits, base = "", len(self.alphabet)
            while value or len(digits) < max(self.width, 1):
                value, digit = divmod(value, base)
                digits = self.alphabet[digit] + digits
        if self.decimals:
            digits = f"{digits[: -self.decimals]}.{digits[-self.decimals :]}"
        return sign + digits

    def value(self, typed: str) -> int:
        """The value of a complete text."""
        sign, digits = (-1, typed[1:]) if typed[:1] == "-" else (1, typed)
        return sign * _number(digits.replace(".", "") if self.decimals else digits, self.alphabet)

    def viable(self, typed: str, values: tuple[int, ...]) -> bool:
        """Whether ``typed`` is the beginning (or all) of a legal number."""
        return _viable(typed, self.ranges(values), self.width, self.decimals, self.alphabet)

    def complete(self, typed: str, values: tuple[int, ...]) -> bool:
        """Whether ``typed`` is all of a legal number."""
        digits = typed.removeprefix("-")
        if not digits or (self.width and len(digits) != self.width + bool(self.decimals)):
            return False
        value = self.value(typed)
        return any(low <= value <= high for low, high in self.ranges(values))

    def shortest(self, typed: str, values: tuple[int, ...]) -> str:
        """A legal number that begins with ``typed``, of as few characters as any."""
        ring = [typed]
        while ring:
            done = next((text for text in ring if self.complete(text, values)), None)
            if done is not None:
                return done
            ring = ring[:1] if self.width else ring  # of fixed width: all alike
            ring = [text + char for text in ring for char in sorted(self.next_chars(text, values))]
        raise ValueError(f"{typed!r} begins no number of {self}")

    def next_chars(self, typed: str, values: tuple[int, ...]) -> frozenset[str]:
        """The characters that may come next inside this number."""
        return _next_chars(typed, self.ranges(values), self.width, self.decimals, self.alphabet)


@dataclass(frozen=True, slots=True)
class Template(Rule):
    """Literals and number slots in turn, e.g. ``("[", x1, ",", y1, "]")``.

    Attributes:
        parts: what is still to come; the first may be a slot that ``typed`` has begun.
        values: the numbers so far.
        typed: what was written of the number at hand.
    """

    parts: tuple[str | Field, ...]
    values: tuple[int, ...] = ()
    typed: str = ""

    @property
    def nullable(self) -> bool:
        if not self.parts:
            return True
        part = self.parts[0]
        return len(self.parts) == 1 and isinstance(part, Field) and part.complete(self.typed, self.values)

    def after(self, char: str) -> Rule | None:
        if not self.parts:
            return None
        part = self.parts[0]
        if isinstance(part, str):
            rest = (part[1:], *self.parts[1:]) if len(part) > 1 else self.parts[1:]
            return Template(rest, self.values) if part[0] == char else None
        if part.viable(self.typed + char, self.values):
            return Template(self.parts, self.values, self.typed + char)
        return self._closed().after(char) if part.complete(self.typed, self.values) else None

    def first(self) -> CharSet:
        if not self.parts:
            return NO_CHARS
        part = self.parts[0]
        if isinstance(part, str):
            return CharSet(frozenset(part[0]))
        found = CharSet(part.next_chars(self.typed, self.values))
        return found | self._closed().first() if part.complete(self.typed, self.values) else found

    @property
    def longest(self) -> int | None:
        return sum(len(part) if isinstance(part, str) else _longest(part) for part in self.parts) - len(self.typed)

    @property
    def ending(self) -> str:
        values, typed = self.values, self.typed
        found: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                found.append(part)
                continue
            text = part.shortest(typed, values)
            found.append(text[len(typed) :])
            values, typed = (*values, part.value(text)), ""
        return "".join(found)

    def _closed(self) -> Template:
        """The same after the number at hand."""
        part = self.parts[0]
        assert isinstance(part, Field)
        return Template(self.parts[1:], (*self.values, part.value(self.typed)))


def template(*parts: str | Field) -> Template:
    """A template without empty literals."""
    return Template(tuple(part for part in parts if part != ""))


def _longest(field: Field) -> int:
    return max(len(field.write(field.low)), len(field.write(field.high)))


def _number(digits: str, alphabet: str) -> int:
    if alphabet == DECIMAL:
        return int(digits)
    value = 0
    for digit in digits:
        value = value * len(alphabet) + alphabet.index(digit)
    return value


@lru_cache(maxsize=65536)
def _viable(typed: str, ranges: Ranges, width: int, decimals: int, alphabet: str) -> bool:
    digits = typed
    if typed[:1] == "-":
        digits = typed[1:]
        ranges = tuple((max(1, -high), -low) for low, high in ranges if low < 0)
    else:
        ranges = tuple((max(0, low), high) for low, high in ranges)
    if decimals:
        point = width - decimals
        if len(digits) > point:
            if digits[point] != ".":
                return False
            digits = digits[:point] + digits[point + 1 :]
    if any(digit not in alphabet for digit in digits):
        return False
    return _extends(digits, ranges, width, alphabet)


@lru_cache(maxsize=65536)
def _next_chars(typed: str, ranges: Ranges, width: int, decimals: int, alphabet: str) -> frozenset[str]:
    candidates = alphabet + ("." if decimals else "") + ("-" if not typed else "")
    return frozenset(char for char in candidates if _viable(typed + char, ranges, width, decimals, alphabet))


def _extends(digits: str, ranges: Ranges, width: int, alphabet: str) -> bool:
    """Whether some continuation of these digits lies in a range."""
    base = len(alphabet)
    if width:
        free = width - len(digits)
        return free >= 0 and any(_meets(digits, free, span, alphabet) for span in ranges)
    if not digits:
        return any(low <= high for low, high in ranges)
    if len(digits) > 1 and digits[0] == alphabet[0]:
        return False
    if digits == alphabet[0]:
        return any(low <= 0 <= high for low, high in ranges)
    for low, high in ranges:
        free, size = 0, 1
        while low <= high and _number(digits, alphabet) * size <= high:
            if _meets(digits, free, (low, high), alphabet):
                return True
            free, size = free + 1, size * base
    return False


def _meets(digits: str, free: int, span: tuple[int, int], alphabet: str) -> bool:
    size: int = len(alphabet) ** free
    least = (_number(digits, alphabet) if digits else 0) * size
    return max(least, span[0]) <= min(least + size - 1, span[1])
