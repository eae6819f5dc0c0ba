"""What words point at among the visual tokens comes back to them: its features by addition, its numbers by copying.

A pointer (Vinyals et al., 2015, https://arxiv.org/abs/1506.03134, eq. 3) with the mixture of a pointer-generator (See
et al., 2017, https://arxiv.org/abs/1704.04368, eq. 9): a language model of a few million weights says *which* object
and *which* of its numbers, and need not learn how to write 1,001 numbers. What is remembered of an image is kept in one
more layer of the key-value cache, column by column, so that it goes wherever the cache goes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers.cache_utils import DynamicLayer

from rsground.models.tower_lm.cursor import PLACE
from rsground.models.tower_lm.facts import NUMBERS

SLOTS, _FINE = 33, 16
"""Ways a number may be written, see :func:`written`; the first are of the finer scale."""
_TOP = 8
_SPREAD, _REACH = 3.0, 9
"""Doubt about a number on the scale of a thousand, standard deviation and farthest."""


@dataclass(frozen=True, slots=True)
class Memory:
    """L columns of B rows, those of visual tokens and others.

    Attributes:
        offers: ``(B, L, D)`` what the pointer compares with.
        tokens: ``(B, L, D)`` visual tokens as they were embedded.
        numbers: ``(B, L, 17)``, see :class:`rsground.models.tower_lm.facts.Facts`; words have those of the object that
            they complete, see :class:`rsground.models.tower_lm.ledger.Ledger`, or zero.
        shown: ``(B, L)`` bool, whether the column is a visual token.
        settled: ``(B, L)`` scores of what the question means, see :class:`rsground.models.tower_lm.judge.Judge`.
        cursors: ``(B, L, 6)`` where in a mask grid the cell after the column stands, see
            :class:`rsground.models.tower_lm.cursor.Cursor`.
    """

    offers: Tensor
    tokens: Tensor
    numbers: Tensor
    shown: Tensor
    settled: Tensor
    cursors: Tensor

    @classmethod
    def kept(cls, cache: Any, layers: int) -> Memory | None:
        """The columns in the cache, None where there are none; ``layers`` are the model's own."""
        if cache is None or len(cache.layers) <= layers or not cache.layers[layers].is_initialized:
            return None
        layer = cache.layers[layers]
        offers = layer.keys[:, 0]
        sizes = [offers.shape[-1], NUMBERS, 1, 1, PLACE]
        tokens, numbers, shown, settled, cursors = layer.values[:, 0].split(sizes, -1)
        return cls(offers, tokens, numbers, shown[..., 0] > 0, settled[..., 0], cursors)

    def after(self, before: Memory | None) -> Memory:
        """All columns so far: those before, then these."""
        if before is None:
            return self
        return Memory(*(torch.cat([getattr(each, part.name) for each in (before, self)], 1) for part in fields(self)))

    def into(self, cache: Any, layers: int) -> None:
        """Add these columns to the cache."""
        if cache is None:
            return
        while len(cache.layers) <= layers:
            cache.layers.append(DynamicLayer())  # type: ignore[no-untyped-call]
        told = [self.numbers, self.shown[..., None], self.settled[..., None], self.cursors]
        values = torch.cat([self.tokens, *(each.to(self.tokens) for each in told)], -1)
        cache.update(self.offers[:, None], values[:, None], layers)


class Pointer(nn.Module):
    """Scores every visual token as what a word means."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.asks = nn.Linear(hidden, hidden)
        self.offers = nn.Linear(hidden, hidden)
        self.bias = nn.Parameter(torch.tensor(-3.0))

    def forward(self, words: Tensor, offers: Tensor) -> Tensor:
        """Logits ``(B, T, L)`` for ``(B, T, D)`` states of words and ``(B, L, D)`` offers; zero means "none"."""
        scores: Tensor = self.asks(words) @ offers.transpose(1, 2) / words.shape[-1] ** 0.5 + self.bias
        return scores


class Recall(nn.Module):
    """Adds to words what they point at, and lets numbers be copied.

    Args:
        hidden: D.
        numbers: token ids of the numbers 0 to 1000; empty where none are copied.
    """

    def __init__(self, hidden: int, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.brings = nn.Linear(hidden, hidden, bias=False)
        self.slot = nn.Linear(hidden, SLOTS)
        self.copies = nn.Linear(hidden, 1)
        self.numbers = numbers

    def forward(self, words: Tensor, scores: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """States ``(B, T, D)`` with what they point at, and how much ``(B, T, L)`` they point at each column."""
        scores = scores.masked_fill(~memory.shown[:, None], -torch.inf)
        none = torch.zeros_like(words[..., :1])
        weights = torch.cat([scores, none], -1).softmax(-1)[..., :-1]
        return words + self.brings(weights @ memory.tokens.to(weights)), weights

    def logits(self, said: Tensor, states: Tensor, weights: Tensor, numbers: Tensor, rows: Tensor) -> Tensor:
        """Log-probabilities ``(N, vocabulary)`` of N words.

        Args:
            said: ``(N, vocabulary)`` logits of what the language model would say.
            states: ``(N, D)`` of the words, as :meth:`forward` gives them.
            weights: ``(N, L)``, likewise.
            numbers: ``(B, L, 17)`` of the columns.
            rows: ``(N,)`` which of the B rows each word is in.
        """
        chances: Tensor = said.float().softmax(-1)
        gate = self.copies(states).float().sigmoid()
        copied = gate * self._copied(states, weights.float(), numbers.float(), rows)
        chances = chances * (1 - copied.sum(-1, keepdim=True))
        ids = torch.tensor(self.numbers, device=said.device)
        chances = chances.index_add(1, ids, copied)
        return chances.clamp(min=1e-20).log()

    def _copied(self, states: Tensor, weights: Tensor, numbers: Tensor, rows: Tensor) -> Tensor:
        """``(N, 1001)`` chances of the numbers, all together how much is pointed at."""
        top, place = weights.topk(min(_TOP, weights.shape[-1]), -1)
        scaled = written(numbers[rows[:, None], place])
        share = top[..., None] * self.slot(states).float().softmax(-1)[:, None]
        fine = _spread(_histogram(scaled[..., :_FINE], share[..., :_FINE]))
        return fine + _histogram(scaled[..., _FINE:], share[..., _FINE:])


def written(numbers: Tensor) -> Tensor:
    """``(..., 33)`` numbers as answers write them, for ``(..., 17)`` in [0, 1]: thousandths, hundredths, degrees."""
    inside = numbers.clamp(0, 1)
    return torch.cat([inside[..., :16] * 1000, inside[..., :16] * 100, inside[..., 16:] * 180], -1)


def _histogram(values: Tensor, share: Tensor) -> Tensor:
    """``(N, 1001)`` shares at the whole numbers on both sides of each value."""
    low = values.floor().clamp(0, 999)
    part = values - low
    found = values.new_zeros(len(values), 1001)
    found = found.scatter_add(1, low.long().flatten(1), (share * (1 - part)).flatten(1))
    return found.scatter_add(1, low.long().flatten(1) + 1, (share * part).flatten(1))


def _spread(chances: Tensor) -> Tensor:
    """Each number's chance shared with its neighbours; none is lost at the ends."""
    reach = torch.arange(-_REACH, _REACH + 1, device=chances.device, dtype=chances.dtype)
    kernel = torch.exp(-(reach**2) / (2 * _SPREAD**2))
    kernel = (kernel / kernel.sum())[None, None]
    kept = F.conv1d(torch.ones_like(chances[:1, None]), kernel, padding=_REACH)
    return F.conv1d(chances[:, None] / kept, kernel, padding=_REACH)[:, 0]
