"""What a valid answer looks like, character by character: the automaton behind constrained decoding and strict reading.

A :class:`Grammar` walks through hashable states. :class:`RuleGrammar` makes one of a :class:`Rule`, a small immutable
description whose *derivative* after a character is again a rule (Brzozowski 1964): the state is the rule for what may
still come. A rule for the empty language does not exist (it is None), so every state can be completed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_SAMPLE_ALPHABET = "abcdefghijklmnopqrstuvwxyz ABCXYZ0189-éß船"


@dataclass(frozen=True, slots=True)
class CharSet:
    """Some characters, or all but some.

    Attributes:
        chars: the characters named.
        negated: true for every character *except* those.
    """

    chars: frozenset[str]
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        return (char in self.chars) is not self.negated

    def __or__(self, other: CharSet) -> CharSet:
        if not self.negated and not other.negated:
            return CharSet(self.chars | other.chars)
        if self.negated and other.negated:
            return CharSet(self.chars & other.chars, negated=True)
        left, right = (self, other) if self.negated else (other, self)
        return CharSet(left.chars - right.chars, negated=True)

    @property
    def only(self) -> str | None:
        """The one character in it, None where there are none or several."""
        return next(iter(self.chars)) if len(self.chars) == 1 and not self.negated else None

    def pick(self, rng: np.random.Generator) -> str:
        """One of the characters; of an open set, one of a small multilingual alphabet."""
        found = self.some()
        return found[int(rng.integers(len(found)))]

    def some(self) -> list[str]:
        """All its characters in order; of an open set, those of a small multilingual alphabet."""
        return [char for char in _SAMPLE_ALPHABET if char in self] if self.negated else sorted(self.chars)


NO_CHARS = CharSet(frozenset())


@dataclass(frozen=True, slots=True)
class Loose:
    """Free text that may come next.

    Attributes:
        chars: what it may hold; up to ``most`` of them keep the text the beginning of a valid answer.
        most: how many, at least 1.
        state: where they count alike: after k of them, whichever, the answer can go on as from here after k.
    """

    chars: CharSet
    most: int
    state: Any


class Grammar(ABC):
    """A set of valid answers as an incremental automaton. States are hashable and can be completed to an answer."""

    @abstractmethod
    def start(self) -> Any:
        """The state before the first character."""

    @abstractmethod
    def step(self, state: Any, char: str) -> Any | None:
        """The state after one more character; None where no valid answer begins like that."""

    @abstractmethod
    def is_accepting(self, state: Any) -> bool:
        """Whether the text so far is a complete answer."""

    @abstractmethod
    def allowed_next(self, state: Any) -> CharSet:
        """The characters that keep the text a prefix of a valid answer."""

    @property
    @abstractmethod
    def max_length(self) -> int | None:
        """Characters of the longest answer, None where there is no bound."""

    def advance(self, state: Any, text: str) -> Any | None:
        """The state after ``text``; None where no valid answer continues like that."""
        for char in text:
            state = self.step(state, char)
            if state is None:
                return None
        return state

    def forced(self, state: Any, limit: int = 4096) -> str:
        """The longest continuation that every valid answer shares (at most ``limit`` characters).

        A decoder can append it without asking the model.
        """
        found: list[str] = []
        while len(found) < limit and not self.is_accepting(state):
            only = self.allowed_next(state).only
            if only is None:
                break
            found.append(only)
            state = self.step(state, only)
        return "".join(found)

    def completion(self, state: Any, limit: int = 200_000) -> str:
        """A short text that ends the answer from here: what a decoder writes when it must stop soon.

        This search, breadth first over at most ``limit`` states, finds a shortest one; grammars made of rules know
        theirs without a search.

        Raises:
            ValueError: none was found within the limit.
        """
        seen, ring = {state}, [(state, "")]
        while ring and len(seen) <= limit:
            following: list[tuple[Any, str]] = []
            for here, text in ring:
                if self.is_accepting(here):
                    return text
                for char in self.allowed_next(here).some():
                    there = self.step(here, char)
                    if there is not None and there not in seen:
                        seen.add(there)
                        following.append((there, text + char))
            ring = following
        raise ValueError(f"{type(self).__name__} has no end within {limit} states; override completion()")

    def loose(self, state: Any) -> Loose | None:
        """Free text at hand, None where there is none: what lets a decoder allow whole words without spelling them."""
        del state
        return None

    def matches(self, text: str) -> bool:
        """Whether ``text`` is a complete valid answer. Takes time linear in its length, stops at the first misfit."""
        longest = self.max_length
        if longest is not None and len(text) > longest:
            return False
        state = self.advance(self.start(), text)
        return state is not None and self.is_accepting(state)

    def sample(self, rng: np.random.Generator, stop: float = 0.5, state: Any | None = None) -> str:
        """A random valid answer, for tests.

        Args:
            rng: source of randomness.
            stop: chance to end wherever the answer is complete.
            state: complete a text from here instead of from the start; only the continuation is returned.
        """
        state = self.start() if state is None else state
        found: list[str] = []
        while True:
            allowed = self.allowed_next(state)
            done = self.is_accepting(state)
            if done and (allowed == NO_CHARS or rng.random() < stop):
                return "".join(found)
            char = allowed.pick(rng)
            found.append(char)
            state = self.step(state, char)


class Rule(ABC):
    """A non-empty language. Subclasses are frozen dataclasses; equal rules are equal languages as written."""

    __slots__ = ()

    @property
    @abstractmethod
    def nullable(self) -> bool:
        """Whether the empty text belongs to it."""

    @abstractmethod
    def after(self, char: str) -> Rule | None:
        """What may follow ``char``; None where nothing in it begins with that character."""

    @abstractmethod
    def first(self) -> CharSet:
        """The characters something in it begins with."""

    @property
    @abstractmethod
    def longest(self) -> int | None:
        """Length of its longest text, None where there is no bound."""

    @property
    @abstractmethod
    def ending(self) -> str:
        """One of its shortest texts (of number templates: a short one)."""

    @property
    def loose(self) -> Loose | None:
        """Free text it begins with, None where there is none."""
        return None


@dataclass(frozen=True, slots=True)
class RuleGrammar(Grammar):
    """The grammar of a rule; its states are rules.

    Attributes:
        rule: what a valid answer looks like.
    """

    rule: Rule

    def start(self) -> Rule:
        return self.rule

    def step(self, state: Rule, char: str) -> Rule | None:
        return state.after(char)

    def is_accepting(self, state: Rule) -> bool:
        return state.nullable

    def allowed_next(self, state: Rule) -> CharSet:
        return state.first()

    def completion(self, state: Rule, limit: int = 200_000) -> str:
        del limit
        return state.ending

    def loose(self, state: Rule) -> Loose | None:
        return state.loose

    @property
    def max_length(self) -> int | None:
        return self.rule.longest
