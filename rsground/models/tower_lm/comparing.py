"""What objects of an image are to each other, in numbers: how pairs lie, how many of a set come before each.

"The third ship from the left" is a matter of counting, "the tank nearest to the court" one of distances. Attention sees
neither: it compares features and takes means. So a round of the judge may look at the geometry of pairs (relation
networks: Hu et al., 2018, https://arxiv.org/abs/1711.11575, eq. 5) and at counts, which are sums over all objects,
not means (Zhang et al., 2018, https://arxiv.org/abs/1802.05766, count objects by such sums, each of them once). And
where a question starts from something ("nearest to the court"), how each object lies to that, and how many are nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.facts import intersections, one_object

GEOMETRY, ORDERS = 11, 6
_SHARP, _BLUNT, _LARGER = 0.008, 0.03, 0.1
"""Differences as good as certain: of centres and edges, in shares of the image's side, and of logarithms of areas."""
_AWAY, _PER_SIDE = 4, -6.0
"""Which number of a pair is how far apart the two are, and what it is for the length of the image's side."""
_BINS, _WIDTH = 8, 0.4
_SETS, _OWN = 2, 2
_NEAR = 3.0
"""What scores so much less than the best is as likely as not to be chosen among."""
_DECIDED = 4.0
"""How much surer than its score says a member counts: a hundred doubts of a hundredth each must not add up to one."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """What the L objects of an image are to each other; the second object is the last axis.

    Attributes:
        between: ``(11, L, L)`` how the second lies to the first.
        before: ``(6, L, L)`` in [0, 1], whether the second comes first from the left, the right, the top, the bottom,
            the largest, the smallest.
        once: ``(L,)`` 1 for tokens that show an object which no stronger one shows, else 0.
    """

    between: Tensor
    before: Tensor
    once: Tensor

    @property
    def others(self) -> Tensor:
        """``(L, L)`` 1 where the second shows another object than the first, else 0: it lies left or right of it."""
        return self.before[0] + self.before[1]


@torch.no_grad()
def pairs_of(numbers: Tensor) -> Pairs:
    """Pairs of visual tokens by their ``(L, 17)`` numbers, the strongest first."""
    dtype, numbers = numbers.dtype, numbers.float()
    centres, boxes = numbers[:, 4:6], numbers[:, :4]
    x, y = (centres[None] - centres[:, None]).unbind(-1)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    area = numbers[:, 6:8].clamp(min=1e-3).prod(-1).log()  # of the oriented box: turning makes nothing larger
    larger = area[None] - area[:, None]
    across, down = (
        torch.maximum(boxes[:, None, low] - boxes[None, :, low + 2], boxes[None, :, low] - boxes[:, None, low + 2])
        for low in (0, 1)
    )
    inner, union = intersections(boxes, boxes)
    same = one_object(inner, union).float()
    between = [
        (x / _BLUNT).tanh(),
        (y / _BLUNT).tanh(),
        3 * x,
        3 * y,
        _PER_SIDE * (x**2 + y**2).sqrt(),
        (larger / _LARGER).tanh(),
        same,
        (across / _BLUNT).tanh(),
        (down / _BLUNT).tanh(),
        ((across - down) / _BLUNT).tanh(),
        inner / (sides.prod(-1)[None] + 1e-6),
    ]
    sides_of = [-x / _SHARP, x / _SHARP, -y / _SHARP, y / _SHARP, larger / _LARGER, -larger / _LARGER]
    before = torch.stack([each.sigmoid() * (1 - same) for each in sides_of])
    once = ~((same * torch.ones_like(same).tril(-1)) > 0).any(-1)
    return Pairs(torch.stack(between).to(dtype), before.to(dtype), once.to(dtype))


class Counts(nn.Module):
    """How many objects of a few sets come before each object, in given orders and in orders of its own.

    Args:
        width: of the states of objects in question.
        hidden: of the states of questions.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        kinds = (ORDERS + _OWN) * _SETS
        self.member = nn.Linear(width, _SETS)
        self.trust = nn.Parameter(torch.ones(_SETS))
        self.key = nn.Linear(width, _OWN)
        self.wanted = nn.Linear(hidden, kinds * _BINS)
        self.tells = nn.Linear(2 * kinds, width)

    def begin(self) -> None:
        """What is counted tells nothing; what the pointer scores nearly as high as the best is a member."""
        nn.init.zeros_(self.member.weight)
        nn.init.constant_(self.member.bias, _NEAR)
        nn.init.zeros_(self.tells.weight)
        nn.init.zeros_(self.tells.bias)
        nn.init.ones_(self.trust)

    @torch.no_grad()
    def begin_starting(self) -> None:
        """What a question starts from is what its own question says."""
        self.member.weight[1] = 0.0
        self.member.bias[1] = 0.0
        self.trust[1] = 1.0

    def members(self, states: Tensor, among: Tensor, start: Tensor | None, pairs: Pairs) -> Tensor:
        """Scores ``(N, L, 2)`` of what is chosen among and of what a question starts from; above zero belongs to it.

        Args:
            states: ``(N, L, W)`` of the objects in N questions.
            among: ``(N, L)`` scores of what is chosen among; the best surely belongs to it.
            start: likewise of what is started from, None where that is not asked.
            pairs: of the objects.
        """
        best = among.masked_fill(pairs.once == 0, -torch.inf).amax(1, keepdim=True)
        given = torch.stack([among - best, among - best if start is None else start], -1)
        found: Tensor = self.member(states) + given * self.trust
        return found

    def forward(self, states: Tensor, questions: Tensor, member: Tensor, pairs: Pairs) -> Tensor:
        """What ``(N, L, W)`` is added to the states.

        Args:
            states: ``(N, L, W)`` of the objects in N questions.
            questions: ``(N, D)``.
            member: ``(N, L, 2)`` how much each belongs to what is counted, see :func:`decided`.
            pairs: of the objects.
        """
        key = self.key(states).transpose(1, 2)
        own = (key[:, :, None, :] - key[:, :, :, None]).sigmoid() * pairs.others
        given = torch.einsum("kij,njs->niks", pairs.before, member)
        counts = torch.cat([given, torch.einsum("nkij,njs->niks", own, member)], 2).flatten(2)
        wanted = self.wanted(questions).unflatten(-1, (-1, _BINS))
        fits = torch.einsum("nlcb,ncb->nlc", _binned(counts), wanted)
        told: Tensor = self.tells(torch.cat([fits, counts.log1p()], -1))
        return told


class Around(nn.Module):
    """How each object lies to what a question starts from, and how many of those in question are nearer to it.

    Args:
        width: of the states of objects in question.
        hidden: of the states of questions.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.wanted = nn.Linear(hidden, GEOMETRY + _BINS)
        self.tells = nn.Linear(2 * (GEOMETRY + _BINS), width)

    def begin(self) -> None:
        """What is measured tells nothing."""
        nn.init.zeros_(self.tells.weight)
        nn.init.zeros_(self.tells.bias)

    def forward(self, questions: Tensor, member: Tensor, pairs: Pairs) -> Tensor:
        """What ``(N, L, W)`` is added to the states; nothing but what a bias says where nothing is started from.

        Args:
            questions: ``(N, D)``.
            member: ``(N, L, 2)`` how much each is in question, and is what the question starts from.
            pairs: of the objects.
        """
        chosen, start = member.unbind(-1)
        share = start / start.sum(1, keepdim=True).clamp(min=1.0)
        lies = torch.einsum("gij,nj->nig", pairs.between, share)
        away = lies[..., _AWAY] / _PER_SIDE
        nearer = ((away[:, :, None] - away[:, None, :]) / _SHARP).sigmoid() * pairs.others
        counts = torch.einsum("nij,nj->ni", nearer, chosen * (1 - start))
        given = share.sum(1)[:, None, None]
        seen = torch.cat([lies, _binned(counts) * given], -1)
        told: Tensor = self.tells(torch.cat([seen, seen * self.wanted(questions)[:, None]], -1))
        return told


def decided(members: Tensor, pairs: Pairs) -> Tensor:
    """How much ``(N, L, 2)`` each object belongs to the sets of those scores, each object once."""
    return (_DECIDED * members).sigmoid() * pairs.once[:, None]


def _binned(counts: Tensor) -> Tensor:
    """``(..., 8)`` how near a count is to 0 .. 7."""
    bins = torch.arange(_BINS, device=counts.device, dtype=counts.dtype)
    return torch.exp(-((counts[..., None] - bins) ** 2) / (2 * _WIDTH**2))
