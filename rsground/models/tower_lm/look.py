"""A second look at the strongest peaks: what the pixels around each say of it, seen as large as its box.

The tower sees all things at one scale; a car is three of its cells long, and an edge that is one cell off halves the
IoU. So each box is cut out and looked at again at one size, as detectors in two stages do (Girshick, "Fast R-CNN",
arXiv 1504.08083; boxes refined once more: Cai and Vasconcelos, "Cascade R-CNN", arXiv 1712.00726), and what is seen is
added to what the tower told; and that, if the configuration says so, once more where the box is now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rsground.models.tower_lm.config import DIRECTIONS, TowerLMConfig
from rsground.models.tower_lm.facts import Facts, numbers_of

LOOKED = 80
"""How many of the strongest peaks are looked at again."""
_CROP, _CONTEXT, _MARGIN = 16, 1.5, 2.0
"""Side of what is cut out, in samples; how much more than the box it shows; and what is added all around, in pixels."""
_WIDTHS, _KNOWN, _WIDTH = (24, 64, 64), 128, 192
_SMALL = 1e-4


@dataclass(frozen=True, slots=True)
class Seen:
    """What the second look says of B images' K strongest peaks, in the tower's terms and units.

    Attributes:
        middle: ``(B, K, 2)`` centres of the boxes that were looked at, in shares of the image's side.
        edges: ``(B, K, 4)`` log distances from there to the left, top, right and bottom edge, in such shares.
        oriented: ``(B, K, 6)`` offset of the oriented box's centre, log of its long and short side, sine and cosine of
            twice the long side's angle, likewise.
        category, colour: ``(B, K, ...)`` logits of one of them.
        there: ``(B, K)`` logits of "an object is there".
        heading: ``(B, K, directions)`` logits of one of the ways to point, of no width where none is told.
    """

    middle: Tensor
    edges: Tensor
    oriented: Tensor
    category: Tensor
    colour: Tensor
    there: Tensor
    heading: Tensor


class Look(nn.Module):
    """Facts in, better facts out."""

    def __init__(self, config: TowerLMConfig) -> None:
        super().__init__()
        self.objects, self.looked, self.times = config.objects, min(LOOKED, config.objects), config.look
        told = [len(config.categories), len(config.colours), 1]
        self.parts = [4, 6, *told, DIRECTIONS * config.headings]
        features = config.dense_width + 4 * config.fpn_width
        layers: list[nn.Module] = []
        for at, (before, width) in enumerate(zip((3, *_WIDTHS), _WIDTHS, strict=False)):
            stride = 1 if at == 0 else 2
            layers += [nn.Conv2d(before, width, 3, stride, 1), nn.ReLU(inplace=True)]
        layers += [nn.Flatten(), nn.Linear(_WIDTHS[-1] * (_CROP // 4) ** 2, _KNOWN)]
        self.sees = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.norm = nn.LayerNorm(features)
        self.knows = nn.Linear(features + sum(told) + 4, _KNOWN)
        self.thinks = nn.Sequential(nn.ReLU(), nn.Linear(2 * _KNOWN, _WIDTH), nn.ReLU())
        self.tells = nn.Linear(_WIDTH, sum(self.parts))

    def begin(self) -> None:
        """All is as the tower told."""
        for each in self.modules():
            if isinstance(each, nn.Linear | nn.Conv2d):
                each.reset_parameters()
        nn.init.zeros_(self.tells.weight)
        nn.init.zeros_(self.tells.bias)

    @torch.no_grad()
    def begin_headings(self) -> None:
        """It also tells ways to point, all alike at first; what it is taught otherwise stays."""
        told = self.tells
        self.parts[-1] = DIRECTIONS
        self.tells = nn.Linear(_WIDTH, sum(self.parts))
        for new, old in zip(self.tells.parameters(), told.parameters(), strict=True):
            new.zero_()
            new[: len(old)] = old

    def forward(self, pixels: Tensor, found: Facts) -> Facts:
        """Facts after all looks, for normalised pixels ``(B, 3, S, S)``; what is not looked at stays."""
        for _ in range(self.times):
            found = self.after(self.see(pixels, found), found)
        return found

    def after(self, seen: Seen, found: Facts) -> Facts:
        """Facts after what was seen."""
        numbers = numbers_of(seen.middle, seen.edges, seen.oriented, 1.0)
        there = seen.there.sigmoid()[..., None]
        of_one = (there * seen.category.softmax(-1), seen.colour.softmax(-1), seen.heading.softmax(-1))
        told = torch.cat([*of_one, there], -1)
        others = self._known(found.told[:, self.looked :])
        unseen = others[0].new_zeros(*others[0].shape[:2], seen.heading.shape[-1])
        return Facts(
            torch.cat([numbers, found.numbers[:, self.looked :]], 1),
            torch.cat([told, torch.cat([*others[:2], unseen, others[2]], -1)], 1),
            found.features,
        )

    def see(self, pixels: Tensor, found: Facts) -> Seen:
        """What is seen, for normalised pixels ``(B, 3, S, S)``."""
        some = slice(None, self.looked)
        numbers, told = found.numbers[:, some], found.told[:, some]
        middle, edges, oriented = measured(numbers)
        around = cut(pixels, numbers[..., :4]).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        pictures = self.sees(around).unflatten(0, numbers.shape[:2])
        categories, colours, height = self._known(told)
        features = self.norm(found.features[:, some])
        known = torch.cat([features, categories, colours, height, oriented[..., 2:]], -1)
        more: Tensor = self.tells(self.thinks(torch.cat([pictures, self.knows(known)], -1)))
        edge, orient, category, colour, there, heading = torch.split(more, self.parts, -1)
        sides = edges[..., :2].exp() + edges[..., 2:].exp()
        return Seen(
            middle,
            edges + edge,
            oriented + orient * torch.cat([sides, torch.ones_like(orient[..., 2:])], -1),
            categories.clamp(min=_SMALL).log() + category,
            colours.clamp(min=_SMALL).log() + colour,
            (height.logit(_SMALL) + there)[..., 0],
            heading,
        )

    def _known(self, told: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Classes, colours and height; ways to point that an earlier look told are seen anew."""
        categories, colours = self.parts[2:4]
        return told[..., :categories], told[..., categories : categories + colours], told[..., -1:]


def measured(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Middles ``(..., 2)`` of boxes, log edges ``(..., 4)`` and oriented boxes ``(..., 6)`` of ``(..., 17)`` numbers.

    The inverse of :func:`rsground.models.tower_lm.facts.numbers_of`, see :class:`Seen` for what they are.
    """
    box, (width, height), turn = numbers[..., :4], numbers[..., 6:8].unbind(-1), numbers[..., 16] * math.pi
    middle = (box[..., :2] + box[..., 2:]) / 2
    half = ((box[..., 2:] - box[..., :2]) / 2).clamp(min=_SMALL).log()
    corners = numbers[..., 8:16].reshape(*numbers.shape[:-1], 4, 2)
    long, short = torch.maximum(width, height), torch.minimum(width, height)
    angle = 2 * torch.where(width >= height, turn, turn + math.pi / 2)
    sides = torch.stack([long, short], -1).clamp(min=_SMALL).log()
    oriented = torch.cat([corners.mean(-2) - middle, sides, torch.stack([angle.sin(), angle.cos()], -1)], -1)
    return middle, torch.cat([half, half], -1), oriented


def cut(pixels: Tensor, boxes: Tensor) -> Tensor:
    """``(B, K, 3, 16, 16)`` of what lies in boxes ``(B, K, 4)`` and somewhat around them."""
    side = pixels.shape[-1]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    reach = (boxes[..., 2:] - boxes[..., :2]) / 2 * _CONTEXT + _MARGIN / side
    line = (torch.arange(_CROP, device=pixels.device) + 0.5) / _CROP * 2 - 1
    x = (centre[..., :1] + reach[..., :1] * line)[..., None, :].expand(-1, -1, _CROP, -1)
    y = (centre[..., 1:] + reach[..., 1:] * line)[..., None].expand(-1, -1, -1, _CROP)
    grid = (torch.stack([x, y], -1) * 2 - 1).flatten(1, 2).to(pixels.dtype)
    found: Tensor = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return found.view(len(found), found.shape[1], -1, _CROP, _CROP).transpose(1, 2)
