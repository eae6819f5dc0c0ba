"""Multi-scale deformable attention in plain PyTorch (Zhu et al., "Deformable DETR", ICLR 2021, Eq. 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional

Shapes = Sequence[tuple[int, int]]
"""(height, width) of each level."""


def sample_levels(value: Tensor, shapes: Shapes, places: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples over levels and points.

    Args:
        value: ``(B, S, heads, C)``, the levels' cells row by row, one level after the other; S = sum of H*W.
        shapes: the levels' sizes.
        places: ``(B, Q, heads, levels, points, 2)``, (x, y) with [0, 1] spanning the map's edges; zeros outside.
        weights: ``(B, Q, heads, levels, points)``.

    Returns:
        ``(B, Q, heads * C)``.
    """
    batch, queries, heads, _, points, _ = places.shape
    grids = (2 * places - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # levels, B*heads, Q, points, 2
    shares = weights.permute(3, 0, 2, 1, 4).flatten(1, 2)  # levels, B*heads, Q, points
    total = value.new_zeros(batch * heads, value.shape[-1], queries)
    levels = split_levels(value, shapes)
    for level, (height, width), grid, share in zip(levels, shapes, grids, shares, strict=True):
        plane = level.permute(0, 2, 3, 1).reshape(batch * heads, -1, height, width)
        found = functional.grid_sample(plane, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        total = total + (found * share[:, None]).sum(-1) if points > 1 else total + found[..., 0] * share[:, None, :, 0]
    return total.reshape(batch, -1, queries).transpose(1, 2)


class MSDeformAttn(nn.Module):
    """Each query looks at a few learned places of every level.

    Args:
        width: channels.
        heads, levels, points: attention heads, maps, and places per head and map.
    """

    def __init__(self, width: int = 256, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        self._start()

    def _start(self) -> None:
        """Start as Deformable DETR does: each head looks its own way, further out with every point."""
        if self.sampling_offsets.weight.is_meta:
            return
        angles = torch.arange(self.heads) * (2.0 * math.pi / self.heads)
        rays = torch.stack([angles.cos(), angles.sin()], -1)
        rays = rays / rays.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1).view(1, 1, -1, 1)
        ways = rays.view(self.heads, 1, 1, 2) * steps.expand(1, self.levels, -1, -1)
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(ways.flatten())
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, query: Tensor, references: Tensor, memory: Tensor, shapes: Shapes) -> Tensor:
        """Queries ``(B, Q, C)`` at references ``(Q, 2)`` over memory ``(B, S, C)``, to ``(B, Q, C)``.

        References are (x, y) with [0, 1] spanning the image; offsets are counted in cells of each level.
        """
        batch, queries, _ = query.shape
        split = (batch, queries, self.heads, self.levels, self.points)
        sizes = query.new_tensor([[width, height] for height, width in shapes])
        offsets = self.sampling_offsets(query).view(*split, 2) / sizes[:, None]
        weights = self.attention_weights(query).view(*split[:3], -1).softmax(-1).view(split)
        value = self.value_proj(memory).reshape(batch, memory.shape[1], self.heads, -1)
        places = references[None, :, None, None, None] + offsets
        mixed: Tensor = self.output_proj(sample_levels(value, shapes, places, weights))
        return mixed


def split_levels(cells: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
    """``(B, S, ...)`` cells of all levels, one after the other, as one tensor per level."""
    ends = list(accumulate(height * width for height, width in shapes))
    return torch.tensor_split(cells, ends[:-1], 1)


def sine_positions(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sine position embedding ``(channels, height, width)``: half for y, half for x, normalised to 2 pi."""
    half = channels // 2
    step = torch.arange(half, device=like.device, dtype=torch.float32)
    period = 10000.0 ** (2 * torch.div(step, 2, rounding_mode="floor") / half)
    waves = []
    for size in (height, width):
        place = torch.arange(1, size + 1, device=like.device, dtype=torch.float32)
        phase = (place / (size + 1e-6) * 2 * math.pi)[:, None] / period
        waves.append(torch.stack([phase[:, 0::2].sin(), phase[:, 1::2].cos()], -1).flatten(1))
    rows = waves[0][:, None].expand(height, width, half)
    columns = waves[1][None].expand(height, width, half)
    return torch.cat([rows, columns], -1).permute(2, 0, 1).to(like.dtype)


def cell_centres(shapes: Shapes, like: Tensor) -> Tensor:
    """``(S, 2)``: the centre (x, y) of every cell of every level, with [0, 1] spanning the map's edges."""
    centres = []
    for height, width in shapes:
        rows = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
        columns = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres.append(torch.stack([x, y], -1).flatten(0, 1))
    return torch.cat(centres)
