"""Which objects a question means, settled once before the answer begins.

The pointer compares every object with the question by itself. "The second from the left", "the larger of the two" or
"nearest to the red one" are about objects beside other objects: here those that stand in question weigh each other, as
in relation networks (Santoro et al., 2017, https://arxiv.org/abs/1706.01427, eq. 1), pairs being weighed by attention,
and, where the judge compares, by what :mod:`rsground.models.tower_lm.comparing` knows of them. What a question starts
from is a question of its own, which the same judge answers first, see :mod:`rsground.models.tower_lm.asking`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.asking import Asked, Asking
from rsground.models.tower_lm.comparing import GEOMETRY, Around, Counts, Pairs, decided, pairs_of

_HEADS, _LARGEST = 4, 10.0
_NEVER = -10.0
"""Scores of what is not looked at as members of sets."""
_FAINT = -3.0
"""Where the pointer gives no object a higher score, a question starts from nothing, and nothing is compared for it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What N questions mean, of L columns, in K steps: what is meant, what that starts from, what this starts from ...

    Attributes:
        first: ``(N, K, L)`` the pointer's scores; zero means "none".
        settled: ``(N, K, L)`` scores after the objects have been compared.
        members: ``(N, K, R, 2, L)`` scores of what each of R rounds counts and starts from; None where none counts.
    """

    first: Tensor
    settled: Tensor
    members: Tensor | None


class Judge(nn.Module):
    """The pointer's scores of a question's end, after the objects have been compared with each other.

    Args:
        hidden: D.
        width: of the states of objects in question.
        layers: rounds of comparison.
        compares: whether rounds look at the geometry of pairs, and count.
        measures: whether they also measure from what a question starts from.
        starts: how many times it is asked what a question starts from, what that starts from, and so on.

    Raises:
        ValueError: it is to measure and not to compare, or to ask for starts and not to measure from them.
    """

    def __init__(
        self,
        hidden: int,
        width: int,
        layers: int,
        compares: bool = False,
        measures: bool = False,
        starts: int = 0,
    ) -> None:
        super().__init__()
        if measures and not compares:
            raise ValueError("judge_measures needs judge_compares: what is measured belongs to sets that are compared")
        if starts and not measures:
            raise ValueError("judge_starts needs judge_measures: what a question starts from is there to measure from")
        self.compares = compares
        self.objects = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        self.question = nn.Linear(hidden, 2 * width)
        self.score = nn.Linear(1, width)
        self.rounds = nn.ModuleList(Round(width, hidden, compares, measures) for _ in range(layers))
        self.last = nn.LayerNorm(width)
        self.verdict = nn.Linear(width, 1)
        self.leans = nn.Linear(hidden, 1)
        self.asking = Asking(hidden, starts) if starts else None

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
        self.begin_starting()

    def begin_measuring(self) -> None:
        """What is measured begins without a say."""
        for each in self.modules():
            if isinstance(each, Around):
                each.begin()
        self.begin_starting()

    def begin_starting(self) -> None:
        """Questions begin to start from nothing, and what is measured from that without a say."""
        if self.asking is None:
            return
        self.asking.begin()
        for each in self.modules():
            if isinstance(each, Counts):
                each.begin_starting()
            if isinstance(each, Around):
                each.begin()

    def forward(
        self, asked: Asked, offers: Tensor, clear: Tensor, numbers: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Scores ``(N, K, L)`` of the objects in N questions and K steps; zero means "none", as the pointer's.

        And ``(N, K, R, 2, L)`` scores of the sets that were counted, None where nothing was.

        Args:
            asked: the questions, and what the pointer says of them.
            offers: ``(B, L, D)`` of the columns, see :class:`rsground.models.tower_lm.recall.Memory`.
            clear: ``(B, L)`` bool, which columns are compared; of others the pointer's word stands.
            numbers: ``(B, L, 17)`` of the columns.
            rows: ``(N,)`` which of the B rows each question is about.
        """
        settled = asked.own
        members = settled.new_full((*settled.shape[:2], len(self.rounds), 2, settled.shape[2]), _NEVER)
        for row in sorted(set(rows.tolist())):
            here, columns = (rows == row).nonzero()[:, 0], clear[row].nonzero()[:, 0]
            if not len(columns):
                continue
            found, counted = self._image(asked.select(here, columns), offers[row, columns], numbers[row, columns])
            settled = _put(settled, here, columns, found)
            if counted is not None:
                members = _put(members, here, columns, counted)
        return settled, members if self.compares else None

    def _image(self, asked: Asked, offers: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same of N questions about the L clear objects of one image; the last step first."""
        objects = self.norm(self.objects(offers))
        pairs = pairs_of(numbers) if self.compares else None
        start: Tensor | None = None
        steps, counted = [], []
        for step in reversed(range(asked.own.shape[1])):
            some = asked.own[:, step].amax(1) > _FAINT if step else asked.own.new_ones(len(asked.own), dtype=torch.bool)
            rows = some.nonzero()[:, 0]
            found, members = self._step(asked, rows, step, objects, start, pairs)
            start = asked.own[:, step].index_copy(0, rows, found)
            steps.append(start)
            if members is not None:
                never = members.new_full((len(asked.own), *members.shape[1:]), _NEVER)
                counted.append(never.index_copy(0, rows, members))
        return torch.stack(steps[::-1], 1), torch.stack(counted[::-1], 1) if counted else None

    def _step(
        self, asked: Asked, rows: Tensor, step: int, objects: Tensor, start: Tensor | None, pairs: Pairs | None
    ) -> tuple[Tensor, Tensor | None]:
        """Scores ``(M, L)`` of one step of M of the questions, and ``(M, R, 2, L)`` of the sets.

        ``start`` ``(N, L)`` scores what it starts from, None where that is not asked.
        """
        questions = asked.questions[rows, step]
        own, among = (each[rows, step].clamp(-_LARGEST, _LARGEST) for each in (asked.own, asked.among))
        if self.asking is not None:
            start = own.new_full(own.shape, _NEVER) if start is None else start[rows].clamp(-_LARGEST, _LARGEST)
        scale, shift = self.question(questions)[:, None].chunk(2, -1)
        states = objects * (1 + scale) + shift + self.score(own[..., None] / _LARGEST)
        members = []
        for each in self.rounds:
            states, counted = each(states, questions, among, start, pairs)
            members += [] if counted is None else [counted]
        judged: Tensor = asked.own[rows, step] + self.verdict(self.last(states))[..., 0]
        return judged, torch.stack(members, 1).transpose(-1, -2) if members else None

    def lean(self, words: Tensor) -> Tensor:
        """How much ``(..., 1)`` words rely on what was settled, in [0, 2]."""
        share: Tensor = 2 * self.leans(words).sigmoid()
        return share


def _put(whole: Tensor, rows: Tensor, columns: Tensor, part: Tensor) -> Tensor:
    """``(N, ..., L)`` with some rows' columns taken from ``part``."""
    return whole.index_copy(0, rows, whole[rows].index_copy(-1, columns, part.to(whole.dtype)))


class Round(nn.Module):
    """One layer of a transformer over the objects of one image, for each question about it."""

    def __init__(self, width: int, hidden: int, compares: bool, measures: bool) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asks = nn.Linear(width, 3 * width)
        self.takes = nn.Linear(width, width)
        self.thinks = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.compares = Comparison(width, hidden, measures) if compares else None

    def forward(
        self, states: Tensor, questions: Tensor, among: Tensor, start: Tensor | None, pairs: Pairs | None
    ) -> tuple[Tensor, Tensor | None]:
        """``(N, L, W)`` states after a round, and ``(N, L, 2)`` scores of what it counted."""
        members = None
        inner = self.before(states)
        query, key, value = (each.unflatten(-1, (_HEADS, -1)).transpose(1, 2) for each in self.asks(inner).chunk(3, -1))
        logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if self.compares is not None and pairs is not None:
            logits = logits + self.compares.leans(questions, pairs)
        weights = logits.softmax(-1)
        states = states + self.takes((weights @ value).transpose(1, 2).flatten(2))
        if self.compares is not None and pairs is not None:
            members = self.compares.counts.members(inner, among, start, pairs)
            states = states + self.compares(inner, questions, members, weights, pairs)
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
        """What ``(N, heads, L, L)`` a question ``(N, D)`` adds to the attention of pairs, for how they lie."""
        weights = self.looks(questions).unflatten(-1, (_HEADS, GEOMETRY))
        return torch.einsum("nhg,gij->nhij", weights, pairs.between)

    def forward(self, states: Tensor, questions: Tensor, members: Tensor, weights: Tensor, pairs: Pairs) -> Tensor:
        """What ``(N, L, W)`` is added to the states, for how what they attend to lies, and for what was counted."""
        lies = torch.einsum("nhij,gij->nihg", weights, pairs.between)
        member = decided(members, pairs)
        told: Tensor = self.lies(lies.flatten(2)) + self.counts(states, questions, member, pairs)
        return told if self.around is None else told + self.around(questions, member, pairs)
