"""Which objects a question means, settled once before the answer begins.

The pointer compares every object with the question by itself. "The second from the left", "the larger of the two" or
"nearest to the red one" are about objects beside other objects: here those that stand in question weigh each other, as
in relation networks (Santoro et al., 2017, https://arxiv.org/abs/1706.01427, eq. 1), pairs being weighed by attention.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_HEADS, _LARGEST = 4, 10.0


class Judge(nn.Module):
    """The pointer's scores of a question's end, after the objects have been compared with each other.

    Args:
        hidden: D.
        width: of the states of objects in question.
        layers: rounds of comparison.
    """

    def __init__(self, hidden: int, width: int, layers: int) -> None:
        super().__init__()
        self.objects = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        self.question = nn.Linear(hidden, 2 * width)
        self.score = nn.Linear(1, width)
        self.rounds = nn.ModuleList(Round(width) for _ in range(layers))
        self.last = nn.LayerNorm(width)
        self.verdict = nn.Linear(width, 1)
        self.leans = nn.Linear(hidden, 1)

    def begin(self) -> None:
        """Weights as large as their inputs are many; the verdict begins at nothing."""
        for each in self.modules():
            if isinstance(each, nn.Linear):
                each.reset_parameters()
        nn.init.zeros_(self.verdict.weight)
        nn.init.zeros_(self.verdict.bias)

    def forward(self, questions: Tensor, offers: Tensor, scores: Tensor, shown: Tensor, rows: Tensor) -> Tensor:
        """Scores ``(N, L)`` of N questions' objects; zero means "none", as the pointer's.

        Args:
            questions: ``(N, D)`` states of the marks that end them.
            offers: ``(B, L, D)`` of the columns, see :class:`rsground.models.tower_lm.recall.Memory`.
            scores: ``(N, L)`` what the pointer says.
            shown: ``(B, L)`` bool, whether the column is a visual token.
            rows: ``(N,)`` which of the B rows each question is about.
        """
        scale, shift = self.question(questions)[:, None].chunk(2, -1)
        states = self.norm(self.objects(offers))[rows] * (1 + scale) + shift
        states = states + self.score(scores.clamp(-_LARGEST, _LARGEST)[..., None] / _LARGEST)
        seen = (shown | ~shown.any(1, keepdim=True))[rows][:, None, None]  # nothing to see is no reason to fail
        for each in self.rounds:
            states = each(states, seen)
        judged: Tensor = scores + self.verdict(self.last(states))[..., 0]
        return judged.masked_fill(~shown[rows], 0.0)

    def lean(self, words: Tensor) -> Tensor:
        """How much ``(..., 1)`` words rely on what was settled, in [0, 2]."""
        share: Tensor = 2 * self.leans(words).sigmoid()
        return share


class Round(nn.Module):
    """One layer of a transformer over the objects of one question."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asks = nn.Linear(width, 3 * width)
        self.takes = nn.Linear(width, width)
        self.thinks = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, states: Tensor, seen: Tensor) -> Tensor:
        """``(N, L, W)`` states after a round; ``seen`` ``(N, 1, 1, L)`` bool are those that count."""
        parts = self.asks(self.before(states)).chunk(3, -1)
        query, key, value = (each.unflatten(-1, (_HEADS, -1)).transpose(1, 2) for each in parts)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        states = states + self.takes(found.transpose(1, 2).flatten(2))
        after: Tensor = states + self.thinks(self.between(states))
        return after
