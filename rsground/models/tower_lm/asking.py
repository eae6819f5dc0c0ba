"""What a question chooses among, and what it starts from, as questions of their own.

"The tank nearest to the topmost court" chooses among the tanks and starts from the topmost court, which is chosen among
the courts. Both are asked of the pointer like any question, in directions that are read out of the question's state
(composition of modules: Andreas et al., 2016, https://arxiv.org/abs/1511.02799, with the layout learned).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_DOUBT = -4.0
"""Added to what the pointer says of starts, to begin with: most questions start from nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """K steps of N questions, and what the pointer says of them, of L columns.

    Attributes:
        questions: ``(N, K, D)`` the question, what it starts from, what this starts from ...
        own: ``(N, K, L)`` scores of what each step means.
        among: ``(N, K, L)`` scores of what it chooses among.
    """

    questions: Tensor
    own: Tensor
    among: Tensor

    def select(self, rows: Tensor, columns: Tensor) -> Asked:
        """Some questions, about some columns."""
        return Asked(self.questions[rows], self.own[rows][..., columns], self.among[rows][..., columns])


class Asking(nn.Module):
    """Reads out of a question what it chooses among and starts from.

    Args:
        hidden: D.
        starts: how many times it is asked what a question starts from, what that starts from, and so on.
    """

    def __init__(self, hidden: int, starts: int) -> None:
        super().__init__()
        self.starts = starts
        self.among = nn.Linear(hidden, hidden)
        self.start = nn.Linear(hidden, hidden)
        self.doubt = nn.Parameter(torch.tensor(_DOUBT))

    def begin(self) -> None:
        """All are the question itself."""
        for each in (self.among, self.start):
            nn.init.zeros_(each.weight)
            nn.init.zeros_(each.bias)
        nn.init.constant_(self.doubt, _DOUBT)

    def forward(self, questions: Tensor, point: Callable[[Tensor], Tensor]) -> Asked:
        """All steps of questions ``(N, D)``; ``point`` scores ``(N, T, D)`` as ``(N, T, L)``."""
        steps = [questions]
        for _ in range(self.starts):
            steps.append(steps[-1] + self.start(steps[-1]))
        chain = torch.stack(steps, 1)
        own, among = point(torch.cat([chain, chain + self.among(chain)], 1)).chunk(2, 1)
        doubts = torch.cat([torch.zeros_like(self.doubt)[None], self.doubt.expand(self.starts)])
        return Asked(chain, own + doubts[:, None], among)


def asked_alone(questions: Tensor, scores: Tensor) -> Asked:
    """Questions ``(N, D)`` of which only what they mean is asked, given the pointer's scores ``(N, L)``."""
    return Asked(questions[:, None], scores[:, None], scores[:, None])
