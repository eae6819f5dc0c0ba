"""The automaton of run-length rows: labels alternate and the counts of a row sum to its width, always."""

from __future__ import annotations

from dataclasses import dataclass

from rsground.codecs.fields import DECIMAL
from rsground.codecs.grammar import NO_CHARS, CharSet, Rule
from rsground.codecs.rules import Text, chain
from rsground.codecs.runs import RUN_END


@dataclass(frozen=True, slots=True)
class Runs(Rule):
    """The rest of one grid row: runs ``label *count`` whose counts sum to what is left.

    A run is never followed by one of the same label, so every row has exactly one spelling.

    Attributes:
        left: cells still to be filled, before the run at hand.
        labels: of background, object ...; none is the beginning of another.
        last: index of the previous run's label, -1 at the start of the row.
        typed: what was written of the run at hand.
    """

    left: int
    labels: tuple[str, ...]
    last: int = -1
    typed: str = ""

    @property
    def nullable(self) -> bool:
        found = self._label()
        return found is not None and self._count(found) == self.left

    def after(self, char: str) -> Rule | None:
        typed = self.typed + char
        found = self._label()
        if found is None:
            is_begun = any(self._head(index).startswith(typed) for index in self._choices())
            return Runs(self.left, self.labels, self.last, typed) if is_begun else None
        if char in DECIMAL:
            return Runs(self.left, self.labels, self.last, typed) if self._fits(typed, found) else None
        count = self._count(found)
        if char != RUN_END[0] or not 0 < count < self.left:
            return None
        return chain(Text(RUN_END[1:]), Runs(self.left - count, self.labels, found))

    def first(self) -> CharSet:
        found = self._label()
        if found is None:
            at = len(self.typed)
            heads = (self._head(index) for index in self._choices())
            return CharSet(frozenset(head[at] for head in heads if head.startswith(self.typed)))
        digits = frozenset(digit for digit in DECIMAL if self._fits(self.typed + digit, found))
        ends = RUN_END[0] if 0 < self._count(found) < self.left else ""
        return CharSet(digits | frozenset(ends)) if digits or ends else NO_CHARS

    @property
    def longest(self) -> int | None:
        # Runs of one cell each are longest: nothing beats a new label for every cell.
        label = max(map(len, self.labels))
        return self.left * (label + 3 + len(RUN_END))

    @property
    def ending(self) -> str:
        found = self._label()
        if found is None:
            heads = (self._head(index) for index in self._choices())
            head = min((head for head in heads if head.startswith(self.typed)), key=len)
            return f"{head[len(self.typed) :]}{self.left}"
        digits = self.typed[len(self._head(found)) :]
        whole = str(self.left)
        if whole.startswith(digits):
            return whole[len(digits) :]
        return RUN_END + Runs(self.left - int(digits), self.labels, found).ending

    def _choices(self) -> list[int]:
        return [index for index in range(len(self.labels)) if index != self.last]

    def _head(self, index: int) -> str:
        return f"{self.labels[index]} *"

    def _label(self) -> int | None:
        """Index of the label of the run at hand once its asterisk is there."""
        return next((index for index in self._choices() if self.typed.startswith(self._head(index))), None)

    def _count(self, label: int) -> int:
        digits = self.typed[len(self._head(label)) :]
        return int(digits) if digits else 0

    def _fits(self, typed: str, label: int) -> bool:
        digits = typed[len(self._head(label)) :]
        return digits[0] != "0" and int(digits) <= self.left
