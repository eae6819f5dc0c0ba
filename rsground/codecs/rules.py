"""The parts grammars are put together from: literals, free text, choices, sequences, counted repeats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rsground.codecs.grammar import NO_CHARS, CharSet, Loose, Rule


@dataclass(frozen=True, slots=True)
class Text(Rule):
    """Exactly this text.

    Attributes:
        text: may be empty.
    """

    text: str

    @property
    def nullable(self) -> bool:
        return not self.text

    def after(self, char: str) -> Rule | None:
        return Text(self.text[1:]) if self.text[:1] == char else None

    def first(self) -> CharSet:
        return CharSet(frozenset(self.text[:1]))

    @property
    def longest(self) -> int | None:
        return len(self.text)

    @property
    def ending(self) -> str:
        return self.text


EMPTY = Text("")


@dataclass(frozen=True, slots=True)
class Phrase(Rule):
    """Free text between two lengths, of allowed characters.

    Attributes:
        allowed: the characters it may hold; whatever follows must begin with another one.
        shortest, upto: number of characters.
    """

    allowed: CharSet
    shortest: int
    upto: int

    @property
    def nullable(self) -> bool:
        return self.shortest <= 0

    def after(self, char: str) -> Rule | None:
        if self.upto <= 0 or char not in self.allowed:
            return None
        return Phrase(self.allowed, self.shortest - 1, self.upto - 1)

    def first(self) -> CharSet:
        return self.allowed if self.upto > 0 else NO_CHARS

    @property
    def longest(self) -> int | None:
        return max(self.upto, 0)

    @property
    def ending(self) -> str:
        return self.allowed.some()[0] * self.shortest if self.shortest > 0 else ""

    @property
    def loose(self) -> Loose | None:
        return Loose(self.allowed, self.upto, self) if self.upto > 0 else None


@dataclass(frozen=True, slots=True)
class Choice(Rule):
    """Any of several rules; build it with :func:`choice`.

    Attributes:
        options: at least two, without repetition.
    """

    options: tuple[Rule, ...]

    @property
    def nullable(self) -> bool:
        return any(option.nullable for option in self.options)

    def after(self, char: str) -> Rule | None:
        return choice(option.after(char) for option in self.options)

    def first(self) -> CharSet:
        found = NO_CHARS
        for option in self.options:
            found = found | option.first()
        return found

    @property
    def longest(self) -> int | None:
        return _bound(max, (option.longest for option in self.options))

    @property
    def ending(self) -> str:
        return min((option.ending for option in self.options), key=len)

    @property
    def loose(self) -> Loose | None:
        found = [loose for loose in (option.loose for option in self.options) if loose is not None]
        return max(found, key=lambda loose: loose.most, default=None)


@dataclass(frozen=True, slots=True)
class Chain(Rule):
    """One rule after the other; build it with :func:`chain`.

    Attributes:
        parts: at least two, none of them the empty text.
    """

    parts: tuple[Rule, ...]

    @property
    def nullable(self) -> bool:
        return all(part.nullable for part in self.parts)

    def after(self, char: str) -> Rule | None:
        found: list[Rule] = []
        for index, part in enumerate(self.parts):
            rest = part.after(char)
            if rest is not None:
                found.append(_joined(rest, self.parts[index + 1 :]))
            if not part.nullable:
                break
        return found[0] if len(found) == 1 else choice(found)

    def first(self) -> CharSet:
        found = NO_CHARS
        for part in self.parts:
            found = found | part.first()
            if not part.nullable:
                break
        return found

    @property
    def longest(self) -> int | None:
        return _bound(sum, (part.longest for part in self.parts))

    @property
    def ending(self) -> str:
        return "".join([part.ending for part in self.parts])

    @property
    def loose(self) -> Loose | None:
        found = self.parts[0].loose
        return None if found is None else Loose(found.chars, found.most, chain(found.state, *self.parts[1:]))


@dataclass(frozen=True, slots=True)
class Repeat(Rule):
    """An item several times, with a separator between two of them.

    Attributes:
        item: must not be nullable.
        least, most: how often; ``most`` None for no bound.
        separator: text between items.
        begun: whether an item stands before this one, so that a separator is due.
    """

    item: Rule
    least: int
    most: int | None
    separator: str = ""
    begun: bool = False

    def __post_init__(self) -> None:
        if self.item.nullable:
            raise ValueError("an item that may be empty cannot be repeated: the repetitions could not be told apart")

    @property
    def nullable(self) -> bool:
        return self.least <= 0

    def after(self, char: str) -> Rule | None:
        if self.most is not None and self.most <= 0:
            return None
        rest: Rule | None
        if self.begun and self.separator:
            item = self.item.parts if isinstance(self.item, Chain) else (self.item,)
            rest = _joined(Text(self.separator[1:]), item) if self.separator[0] == char else None
        else:
            rest = self.item.after(char)
        if rest is None:
            return None
        most = None if self.most is None else self.most - 1
        tail = Repeat(self.item, max(self.least - 1, 0), most, self.separator, begun=True)
        return _joined(rest, (tail,) if most is None or most > 0 else ())

    def first(self) -> CharSet:
        if self.most is not None and self.most <= 0:
            return NO_CHARS
        return CharSet(frozenset(self.separator[0])) if self.begun and self.separator else self.item.first()

    @property
    def longest(self) -> int | None:
        if self.most is None or self.item.longest is None:
            return None
        gaps = self.most if self.begun else self.most - 1
        return max(self.most, 0) * self.item.longest + max(gaps, 0) * len(self.separator)

    @property
    def ending(self) -> str:
        if self.least <= 0:
            return ""
        found = self.separator.join([self.item.ending] * self.least)
        return self.separator + found if self.begun else found


def chain(*parts: Rule | str) -> Rule:
    """These one after the other; a string stands for itself."""
    flat: list[Rule] = []
    for part in parts:
        rule = Text(part) if isinstance(part, str) else part
        if isinstance(rule, Chain):
            flat.extend(rule.parts)
        elif not _is_spent(rule):
            flat.append(rule)
    if not flat:
        return EMPTY
    return flat[0] if len(flat) == 1 else Chain(tuple(flat))


def either(*options: Rule | str) -> Rule:
    """Any one of these (at least one); a string stands for itself."""
    found = choice(Text(option) if isinstance(option, str) else option for option in options)
    assert found is not None, "either() needs an option"
    return found


def choice(options: Iterable[Rule | None]) -> Rule | None:
    """Any of the rules that are there; None where there is none."""
    found: dict[Rule, None] = {}
    for option in options:
        if isinstance(option, Choice):
            found.update(dict.fromkeys(option.options))
        elif option is not None:
            found[option] = None
    if not found:
        return None
    return next(iter(found)) if len(found) == 1 else Choice(tuple(found))


def _joined(rest: Rule, tail: tuple[Rule, ...]) -> Rule:
    """:func:`chain` where all but the first part are known to be no chains and not spent."""
    if isinstance(rest, Chain):
        return Chain(rest.parts + tail)
    parts = tail if _is_spent(rest) else (rest, *tail)
    if not parts:
        return EMPTY
    return parts[0] if len(parts) == 1 else Chain(parts)


def _is_spent(rule: Rule) -> bool:
    """Whether only the empty text is left of it."""
    if isinstance(rule, Text):
        return not rule.text
    if isinstance(rule, Repeat):
        return rule.most is not None and rule.most <= 0
    return rule.nullable and rule.first() == NO_CHARS


def _bound(join: object, lengths: Iterable[int | None]) -> int | None:
    known = list(lengths)
    if any(length is None for length in known):
        return None
    return int(join([length for length in known if length is not None]))  # type: ignore[operator]
