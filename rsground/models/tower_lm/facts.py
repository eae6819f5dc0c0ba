"""From dense predictions to visual tokens: the strongest peaks and all that is known of them, then a grid of context.

A peak says in numbers where its object is (upright box, corners, sides, angle), each number written in the sinusoidal
code that the tokens of the numbers 0 to 1000 start from, so that "the left edge of this object" and "the word 437"
begin in one space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from rsground.models.tower_lm.config import TowerLMConfig
from rsground.models.tower_lm.tower import Dense

NUMBERS = 17
"""x1, y1, x2, y2, centre x, y, width, height, four corners x, y clockwise from the upper left one, angle."""
_CLEAR = 0.15
"""Height from which a peak is surely compared with others; what is lower is no object nearly always."""
_SAME = 0.5
"""IoU of upright boxes from which two visual tokens show one object."""
_SHORTEST, _LONGEST = 8.0, 4000.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tower tells of B images, V tokens each.

    Attributes:
        numbers: ``(B, V, 17)`` in [0, 1] of the image's sides, see ``NUMBERS``; the angle in half turns.
        told: ``(B, V, categories + colours + 1)`` probabilities, and the peak's height; zero for context. Before the
            height stand ways to point, where a second look told them.
        features: ``(B, V, dense_width + 4 * fpn_width)``; the first part is zero for context.
    """

    numbers: Tensor
    told: Tensor
    features: Tensor

    @property
    def clear(self) -> Tensor:
        """``(B, V)`` bool, which tokens are peaks high enough to be compared with each other; context never is."""
        return self.told[..., -1] > _CLEAR

    def to(self, device: torch.device, dtype: torch.dtype) -> Facts:
        """Elsewhere, in another precision."""
        return Facts(*(each.to(device, dtype) for each in (self.numbers, self.told, self.features)))

    def select(self, rows: Tensor) -> Facts:
        """Some of the images."""
        return Facts(self.numbers[rows], self.told[rows], self.features[rows])


def facts(dense: Dense, objects: int, grid: int) -> Facts:
    """The ``objects`` strongest peaks, strongest first, then ``grid x grid`` context tokens row by row."""
    heat = dense.heat.sigmoid()
    best = heat.amax(1)
    peaks = best * (best == F.max_pool2d(best, 3, stride=1, padding=1))
    height, place = peaks.flatten(1).topk(objects)
    row, column = place // best.shape[2], place % best.shape[2]
    image = torch.arange(len(place), device=place.device)[:, None]

    def at(plane: Tensor) -> Tensor:
        return plane[image, :, row, column]

    middle = torch.stack([column, row], -1) + 0.5
    numbers = numbers_of(middle, at(dense.edges), at(dense.oriented), best.shape[2])
    told = torch.cat([at(heat), at(dense.colour).softmax(-1), height[..., None]], -1)
    spots = middle / best.shape[2] * 2 - 1
    features = torch.cat([at(dense.features), _sampled(dense, spots)], -1)
    context = _context(dense, grid)
    return Facts(
        torch.cat([numbers, context.numbers], 1),
        torch.cat([told, torch.zeros(len(told), grid**2, told.shape[2], device=told.device)], 1),
        torch.cat([features, context.features], 1),
    )


def numbers_of(middle: Tensor, edges: Tensor, oriented: Tensor, cells: float) -> Tensor:
    """Numbers ``(..., 17)`` of objects.

    Args:
        middle: ``(..., 2)`` x and y of the place that predicts them, in cells.
        edges: ``(..., 4)``, oriented: ``(..., 6)``, see :class:`rsground.models.tower_lm.tower.Dense`.
        cells: along a side of the image.
    """
    reach = edges.clamp(max=6).exp()
    box = torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], -1)
    box = box.clamp(0, cells)
    upright = [box, (box[..., :2] + box[..., 2:]) / 2]
    centre = middle + oriented[..., :2]
    long, short = oriented[..., 2:4].clamp(max=6).exp().unbind(-1)
    angle = torch.atan2(oriented[..., 4], oriented[..., 5]) / 2 % math.pi
    angle = torch.where(angle <= 0, math.pi, angle)
    steep = angle > math.pi / 2
    turn = torch.where(steep, angle - math.pi / 2, angle)
    width, height = torch.where(steep, short, long), torch.where(steep, long, short)
    cos, sin = turn.cos(), turn.sin()
    right = torch.stack([cos * width, sin * width], -1) / 2
    down = torch.stack([-sin * height, cos * height], -1) / 2
    # the box's upper left corner begins: up to 45 degrees of turn the one before both axes, then the one below it
    around = torch.stack([centre - right - down, centre + right - down, centre + right + down, centre - right + down])
    corners = torch.where((turn > math.pi / 4)[..., None], around.roll(1, 0), around).unbind(0)
    parts = [*upright, torch.stack([width, height], -1), *corners]
    return torch.cat([torch.cat(parts, -1) / cells, (turn / math.pi)[..., None]], -1)


def _sampled(dense: Dense, spots: Tensor) -> Tensor:
    """The pyramid at ``(B, V, 2)`` places in [-1, 1]."""
    grid = spots[:, :, None]
    maps = [F.grid_sample(plane.float(), grid, align_corners=False)[..., 0] for plane in dense.pyramid]
    return torch.cat(maps, 1).transpose(1, 2)


def _context(dense: Dense, grid: int) -> Facts:
    batch, _, cells, _ = dense.features.shape
    device = dense.features.device
    maps = [F.adaptive_avg_pool2d(plane, grid).flatten(2).transpose(1, 2) for plane in dense.pyramid]
    empty = torch.zeros(batch, grid**2, dense.features.shape[1], device=device)
    line = torch.arange(grid, device=device) / grid
    y, x = torch.meshgrid(line, line, indexing="ij")
    box = torch.stack([x, y, x + 1 / grid, y + 1 / grid], -1).reshape(1, grid**2, 4).expand(batch, -1, -1)
    log_side = math.log(cells / grid / 2)
    middle = (box[..., :2] + box[..., 2:]) / 2 * cells
    edges = torch.full_like(box, log_side)
    oriented = torch.zeros(batch, grid**2, 6, device=device)
    oriented[..., 2:4] = log_side + math.log(2)
    oriented[..., 5] = 1.0
    numbers = numbers_of(middle, edges, oriented, cells)
    return Facts(numbers, torch.zeros(0, device=device), torch.cat([empty, *maps], -1))


def code(values: Tensor, width: int) -> Tensor:
    """Sinusoidal code ``(..., width)`` of values in [0, 1], on a scale of a thousand steps."""
    half = width // 2
    ratio = (_LONGEST / _SHORTEST) ** (torch.arange(half, device=values.device) / (half - 1))
    phase = values[..., None] * (2 * math.pi * 1000 / _SHORTEST) / ratio
    return torch.cat([phase.sin(), phase.cos()], -1)


class FactsEmbedding(nn.Module):
    """Facts to ``(B, V, D)`` visual tokens."""

    def __init__(self, config: TowerLMConfig) -> None:
        super().__init__()
        hidden = config.text_config.hidden_size
        features = config.dense_width + 4 * config.fpn_width
        self.code_width, self.objects = config.code_width, config.objects
        self.numbers = nn.Linear(NUMBERS * config.code_width, hidden)
        self.told = nn.Linear(config.told, hidden, bias=False)
        self.norm = nn.LayerNorm(features)
        self.features = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.kind = nn.Parameter(torch.zeros(2, hidden))
        self.order = nn.Parameter(torch.zeros(2, hidden))

    def forward(self, found: Facts, order: Tensor) -> Tensor:
        """Tokens; ``order`` ``(B,)`` is 1 for the earlier image of two, 0 for the last or only one."""
        dtype = self.kind.dtype
        numbers = self.numbers(code(found.numbers.float(), self.code_width).flatten(2).to(dtype))
        told = self.told(found.told.to(dtype))
        features = self.features(self.norm(found.features.to(dtype)))
        context = (torch.arange(numbers.shape[1], device=numbers.device) >= self.objects).long()
        tokens: Tensor = numbers + told + features + self.kind[context] + self.order[order][:, None]
        return tokens


def token_boxes(found: Facts, height: int, width: int) -> Tensor:
    """``(B, V, 4)`` boxes, in pixels of a view of that size, that the visual tokens stand for."""
    return found.numbers[..., :4] * found.numbers.new_tensor([width, height, width, height])


def intersections(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Areas ``(..., N, M)`` of intersection and union of upright boxes ``(..., N, 4)`` and ``(..., M, 4)``."""
    low = torch.maximum(one[..., :, None, :2], other[..., None, :, :2])
    high = torch.minimum(one[..., :, None, 2:], other[..., None, :, 2:])
    inner = (high - low).clamp(min=0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).clamp(min=0).prod(-1) for each in (one, other)]
    return inner, areas[0][..., :, None] + areas[1][..., None, :] - inner


def one_object(inner: Tensor, union: Tensor) -> Tensor:
    """Whether tokens whose boxes have such areas of intersection and union show one object."""
    return (inner >= _SAME * union) & (inner > 0)
