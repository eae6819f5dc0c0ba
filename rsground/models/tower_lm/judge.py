"""Which objects a question means, settled once before the answer begins.

The pointer compares every object with the question by itself. "The second from the left", "the larger of the two" or
"nearest to the red one" are about objects beside other objects: here those that stand in question weigh each other, as
in relation networks (Santoro et al., 2017, https://arxiv.org/abs/1706.01427, eq. 1), pairs being weighed by attention,
and, where the judge compares, by what :mod:`rsground.models.tower_lm.comparing` knows of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.comparing import GEOMETRY, Around, Counts, Pairs, decided, pairs_of

_HEADS, _LARGEST = 4, 10.0


class Judge(nn.Module):
    """The pointer's scores of a question's end, after the objects have been compared with each other.

    Args:
        hidden: D.
        width: of the states of objects in question.
        layers: rounds of comparison.
        compares: whether rounds look at the geometry of pairs, and count.
        measures: whether they also measure from what a question starts from.

    Raises:
        ValueError: it is to measure and not to compare.
    """

    def __init__(self, hidden: int, width: int, layers: int, compares: bool = False, measures: bool = False) -> None:
        super().__init__()
        if measures and not compares:
            raise ValueError("judge_measures needs judge_compares: what is measured belongs to sets that are compared")
        self.compares = compares
        self.objects = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        self.question = nn.Linear(hidden, 2 * width)
        self.score = nn.Linear(1, width)
        self.rounds = nn.ModuleList(Round(width, hidden, compares, measures) for _ in range(layers))
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
        self.begin_comparing()

    def begin_comparing(self) -> None:
        """Geometry and counts begin without a say."""
        for each in self.modules():
            if isinstance(each, Comparison):
                each.begin()

    def begin_measuring(self) -> None:
        """What is measured begins without a say."""
        for each in self.modules():
            if isinstance(each, Around):
                each.begin()

    def forward(
        self, questions: Tensor, offers: Tensor, scores: Tensor, shown: Tensor, numbers: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Scores ``(N, L)`` of N questions' objects; zero means "none", as the pointer's.

        And ``(N, rounds, 2, L)`` scores of the sets that were counted, None where nothing was.

        Args:
            questions: ``(N, D)`` states of the marks that end them.
            offers: ``(B, L, D)`` of the columns, see :class:`rsground.models.tower_lm.recall.Memory`.
            scores: ``(N, L)`` what the pointer says.
            shown: ``(B, L)`` bool, whether the column is a visual token.
            numbers: ``(B, L, 17)`` of the columns.
            rows: ``(N,)`` which of the B rows each question is about.
        """
        scale, shift = self.question(questions)[:, None].chunk(2, -1)
        states = self.norm(self.objects(offers))[rows] * (1 + scale) + shift
        clear = scores.clamp(-_LARGEST, _LARGEST)
        states = states + self.score(clear[..., None] / _LARGEST)
        seen = (shown | ~shown.any(1, keepdim=True))[rows]  # nothing to see is no reason to fail
        pairs = pairs_of(numbers, shown).select(rows) if self.compares else None
        members = []
        for each in self.rounds:
            states, counted = each(states, seen, questions, clear, pairs)
            members += [] if counted is None else [counted]
        judged: Tensor = scores + self.verdict(self.last(states))[..., 0]
        judged = judged.masked_fill(~shown[rows], 0.0)
        return judged, torch.stack(members, 1).transpose(-1, -2) if members else None

    def lean(self, words: Tensor) -> Tensor:
        """How much ``(..., 1)`` words rely on what was settled, in [0, 2]."""
        share: Tensor = 2 * self.leans(words).sigmoid()
        return share


class Round(nn.Module):
    """One layer of a transformer over the objects of one question."""

    def __init__(self, width: int, hidden: int, compares: bool, measures: bool) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asks = nn.Linear(width, 3 * width)
        self.takes = nn.Linear(width, width)
        self.thinks = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.compares = Comparison(width, hidden, measures) if compares else None

    def forward(
        self, states: Tensor, seen: Tensor, questions: Tensor, scores: Tensor, pairs: Pairs | None
    ) -> tuple[Tensor, Tensor | None]:
        """``(N, L, W)`` states after a round, and ``(N, L, 2)`` scores of what it counted.

        ``seen`` ``(N, L)`` bool are the columns that matter.
        """
        members = None
        inner = self.before(states)
        query, key, value = (each.unflatten(-1, (_HEADS, -1)) for each in self.asks(inner).chunk(3, -1))
        logits = torch.einsum("nihd,njhd->nihj", query, key) / query.shape[-1] ** 0.5
        if self.compares is not None and pairs is not None:
            logits = logits + self.compares.leans(questions, pairs)
        weights = logits.masked_fill(~seen[:, None, None], -torch.inf).softmax(-1)
        states = states + self.takes(torch.einsum("nihj,njhd->nihd", weights, value).flatten(2))
        if self.compares is not None and pairs is not None:
            told, members = self.compares(inner, questions, scores, weights, pairs)
            states = states + told
        after: Tensor = states + self.thinks(self.between(states))
        return after, members


class Comparison(nn.Module):
    """What a round learns of the geometry of pairs, of counts, and of what lies around where a question starts."""

    def __init__(self, width: int, hidden: int, measures: bool) -> None:
        super().__init__()
        self.looks = nn.Linear(hidden, _HEADS * GEOMETRY)
        self.lies = nn.Linear(_HEADS * GEOMETRY, width)
        self.counts = Counts(width, hidden)
        self.around = Around(width, hidden) if measures else None

    def begin(self) -> None:
        """Nothing has a say yet."""
        for each in (self.looks, self.lies):
            nn.init.zeros_(each.weight)
            nn.init.zeros_(each.bias)
        self.counts.begin()
        if self.around is not None:
            self.around.begin()

    def leans(self, questions: Tensor, pairs: Pairs) -> Tensor:
        """What ``(N, L, heads, L)`` a question ``(N, D)`` adds to the attention of pairs, for how they lie."""
        weights = self.looks(questions).unflatten(-1, (_HEADS, GEOMETRY))
        added: Tensor = weights[:, None] @ pairs.between
        return added

    def forward(
        self, states: Tensor, questions: Tensor, scores: Tensor, weights: Tensor, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """What ``(N, L, W)`` is added to the states, for how what they attend to lies, and for what was counted.

        And ``(N, L, 2)`` scores of what was counted.
        """
        lies = weights @ pairs.between.transpose(-1, -2)
        members = self.counts.members(states, scores, pairs)
        member = decided(members, pairs)
        told = self.lies(lies.flatten(2)) + self.counts(states, questions, member, pairs)
        return (told if self.around is None else told + self.around(questions, member, pairs)), members
