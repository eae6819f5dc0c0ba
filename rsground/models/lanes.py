"""One answer in the making: what was said, what the model has not been fed yet, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rsground.models.constrain import Ids, TokenGrammar, TokenState
from rsground.models.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What is asked of one row of a batch.

    Attributes:
        grammar: what the answer may look like, by tokens; None for free text. Rows may share one.
        max_new_tokens: the most tokens of the answer, its end token not counted.
        temperature: 0 for the likeliest token; else logits are divided by it before one is drawn.
        top_p: only the likeliest tokens that hold this much probability together are drawn from.
        dice: where draws come from, a generator on the CPU of the row's own; None for one of seed 0.
    """

    grammar: TokenGrammar | None = None
    max_new_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    dice: torch.Generator | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """A row on its way.

    Attributes:
        index: the row's number in the batch as given.
        row: what is asked of it.
        vocabulary: of the model.
        length: tokens of the prompt.
        ids: the answer so far, without end token.
        queue: its last tokens, those that the model has not been fed.
        finish: ``"stop"``, ``"length"``, or empty while it goes on.
        forced: tokens of ``ids`` that the model was not asked about.
        states: ``(k, D)`` pieces of the hidden states of the tokens fed.
    """

    index: int
    row: Row
    vocabulary: Vocabulary
    length: int
    ids: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    finish: str = ""
    forced: int = 0
    states: list[Tensor] = field(default_factory=list)
    dice: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.dice = self.row.dice if self.row.dice is not None else torch.Generator().manual_seed(0)
        self.finish = "" if self.left > 0 else "length"

    @property
    def left(self) -> int:
        """Tokens it may still say."""
        return self.row.max_new_tokens - len(self.ids)

    @property
    def fed(self) -> int:
        """Tokens of prompt and answer that the model has seen."""
        return self.length + len(self.ids) - len(self.queue)

    def choices(self) -> Ids | None:
        """Ids to choose from, None for all."""
        return None

    def take(self, token: int) -> None:
        """The model's choice, and all that follows from it."""
        if token in self.vocabulary.ends:
            self.finish = "stop"
        else:
            self.say((token,))
            self.finish = "" if self.left > 0 else "length"

    def say(self, tokens: Sequence[int]) -> None:
        """Append tokens to the answer."""
        self.ids.extend(tokens)
        self.queue.extend(tokens)


class GrammarLane(Lane):
    """A row under a grammar. The answer can be completed within its limit at any time.

    Args:
        grammar: of the row.
        index, row, vocabulary, length: as for any lane.
    """

    def __init__(self, grammar: TokenGrammar, index: int, row: Row, vocabulary: Vocabulary, length: int) -> None:
        super().__init__(index, row, vocabulary, length)
        self.grammar, self.state, self.finish = grammar, grammar.start(), ""
        if self._fits(self.state, self.left):
            self._run_on()
        else:
            self._close()

    def choices(self) -> Ids:
        """Ids to choose from."""
        return self.grammar.allowed(self.state)

    def take(self, token: int) -> None:
        """The model's choice, and all that follows from it."""
        if token in self.vocabulary.ends:
            self.finish = "stop"
        elif self._follow((token,)):
            self._run_on()

    def _run_on(self) -> None:
        """Say what is forced, and stop where only the end is left."""
        tokens, _ = self.grammar.forced(self.state)
        if tokens and not self._follow(tokens):
            return
        self.forced += len(tokens)
        if self.vocabulary.ends.issuperset(self.choices().tolist()):
            self.finish = "stop"
        elif self.left <= 0:
            self.finish = "length"

    def _follow(self, tokens: tuple[int, ...]) -> bool:
        """Say these if the answer can still be completed in time; complete it at once, and return False, if not."""
        after = self.grammar.follow(self.state, tokens)
        if after is None:
            raise ValueError(f"tokens {tokens} are not allowed here; was one chosen from outside of choices()?")
        if not self._fits(after, self.left - len(tokens)):
            self._close()
            return False
        self.state = after
        self.say(tokens)
        return True

    def _fits(self, state: TokenState, left: int) -> bool:
        if left < 0:
            return False
        return self.grammar.most_to_end(state) <= left or len(self.grammar.ending(state)) <= left

    def _close(self) -> None:
        """Complete the answer as far as the limit allows."""
        tokens = self.grammar.ending(self.state)[: max(self.left, 0)]
        self.say(tokens)
        self.forced += len(tokens)
        self.finish = "length"


def lane(index: int, row: Row, vocabulary: Vocabulary, length: int) -> Lane:
    """The lane of a row."""
    if row.grammar is None:
        return Lane(index, row, vocabulary, length)
    return GrammarLane(row.grammar, index, row, vocabulary, length)
