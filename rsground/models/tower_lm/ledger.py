"""Which objects an answer has written so far, so that a list holds each once and ends when none is left.

Coverage (Tu et al., 2016, https://arxiv.org/abs/1601.04811; See et al., 2017, https://arxiv.org/abs/1704.04368, eq. 10)
with objects instead of source words: an object is written or it is not. The word that completes one remembers its
numbers; visual tokens that show the same object are pointed at less from there on.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.facts import intersections, one_object
from rsground.models.tower_lm.recall import Memory

_LARGEST = 16.0


class Ledger(nn.Module):
    """Tells where objects of an answer are complete, and how much less what is written counts.

    Args:
        hidden: D.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.completes = nn.Linear(hidden, 1)
        self.heeds = nn.Linear(hidden, 1)

    def begin(self) -> None:
        """Nothing is known of what completes an object; half the most is taken off what is written."""
        for each in (self.completes, self.heeds):
            nn.init.zeros_(each.weight)
            nn.init.zeros_(each.bias)

    def less(self, words: Tensor) -> Tensor:
        """What ``(..., 1)`` is taken off the scores of objects that are written, in [0, 16]."""
        share: Tensor = _LARGEST * self.heeds(words).sigmoid()
        return share

    def follow(
        self,
        states: Tensor,
        memory: Memory,
        answering: Tensor,
        point: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Which objects are written when each new word is read.

        Args:
            states: ``(B, T, D)`` of the new words.
            memory: all columns so far, L of them.
            answering: ``(B, T)`` bool, which words belong to answers.
            point: of states ``(B, 1, D)`` and ``(B, 1, L)`` bool what is written: ``(B, 1, L)`` how much each column is
                pointed at.

        Returns:
            ``(B, T, L)`` bool, whether the column shows an object that was written before the word; ``(B, T, 17)``
            numbers of the object that a word completes, zero where it completes none.
        """
        written = already(memory)[:, None].expand(-1, states.shape[1], -1).clone()
        numbers = memory.numbers.new_zeros(*states.shape[:2], memory.numbers.shape[-1])
        complete = (self.completes(states)[..., 0] > 0) & answering
        for place in complete.any(0).nonzero()[:, 0].tolist():
            weights = point(states[:, place : place + 1], written[:, place : place + 1])[:, 0]
            most, column = weights.max(-1)
            sure = complete[:, place] & (most > 0)
            chosen = memory.numbers[torch.arange(len(column), device=column.device), column] * sure[:, None]
            numbers[:, place] = chosen
            written[:, place + 1 :] |= (overlaps(chosen[:, None], memory.numbers)[:, 0] & memory.shown)[:, None]
        return written, numbers


def already(memory: Memory) -> Tensor:
    """Whether ``(B, L)`` columns show objects that words among them complete."""
    said = ~memory.shown & (memory.numbers[..., 3] > 0)
    words = said.any(0).nonzero()[:, 0]
    boxes = memory.numbers[:, words] * said[:, words, None]
    return overlaps(boxes, memory.numbers).any(1) & memory.shown


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Whether ``(B, N, M)`` the upright boxes of ``(B, N, 17)`` and ``(B, M, 17)`` numbers have an IoU of one half."""
    return one_object(*intersections(one[..., :4], other[..., :4]))
