"""Mask2Former's pixel decoder: deformable attention over three coarse maps, then one step of a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsground_segtoken.segearth.deformable import MSDeformAttn, Shapes, cell_centres, sine_positions, split_levels


class PixelFeatures(NamedTuple):
    """What the mask decoder looks at.

    Attributes:
        mask_features: ``(B, C, H, W)`` at the finest stride; a mask is a query's product with it.
        levels: three maps ``(B, C, h, w)`` at strides 32, 16 and 8, coarsest first.
    """

    mask_features: Tensor
    levels: tuple[Tensor, ...]


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward part, post-normed."""

    def __init__(self, width: int, heads: int, points: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = MSDeformAttn(width, heads, 3, points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, positions: Tensor, references: Tensor, shapes: Shapes) -> Tensor:
        """Tokens ``(B, S, C)`` with positions ``(S, C)`` to ``(B, S, C)``."""
        tokens = self.norm1(tokens + self.self_attn(tokens + positions, references, tokens, shapes))
        mixed: Tensor = self.norm2(tokens + self.linear2(functional.relu(self.linear1(tokens))))
        return mixed


class _Encoder(nn.Module):
    def __init__(self, width: int, heads: int, points: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, points, hidden) for _ in range(layers))


class LevelEncoder(nn.Module):
    """All levels as one sequence through the encoder layers."""

    def __init__(self, width: int, heads: int, points: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.level_embed = nn.Parameter(torch.randn(3, width))
        self.encoder = _Encoder(width, heads, points, hidden, layers)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Three maps ``(B, C, h, w)`` to three of the same shapes."""
        shapes = [(each.shape[-2], each.shape[-1]) for each in maps]
        tokens = torch.cat([each.flatten(2).transpose(1, 2) for each in maps], 1)
        waves = [sine_positions(*shape, tokens.shape[-1], tokens).flatten(1).T for shape in shapes]
        positions = torch.cat([wave + level for wave, level in zip(waves, self.level_embed, strict=True)])
        references = cell_centres(shapes, tokens)
        for layer in self.encoder.layers:
            tokens = layer(tokens, positions, references, shapes)
        parts = split_levels(tokens, shapes)
        return [
            part.transpose(1, 2).reshape(*part.shape[::2], *shape) for part, shape in zip(parts, shapes, strict=True)
        ]


class PixelDecoder(nn.Module):
    """The released decoder, whose two pyramid convolutions have biases (other Mask2Formers' have none).

    Args:
        channels: of the four input maps, stride 4 first.
        width: channels inside and of every output; a multiple of 32.
        layers: encoder layers; 0 leaves the projected maps as they are.
        heads, points, hidden: of the encoder layers.
        groups: of the group norms.
        detail: channels of a lateral map for mask features at stride 2: 3 for the pixels themselves, which a strided
            convolution brings there, else of a map at stride 2; 0 for none, as in the released model.
    """

    def __init__(
        self,
        channels: Sequence[int] = (128, 256, 512, 1024),
        width: int = 256,
        layers: int = 6,
        heads: int = 8,
        points: int = 4,
        hidden: int = 1024,
        groups: int = 32,
        detail: int = 0,
    ) -> None:
        super().__init__()
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(each, width, 1), nn.GroupNorm(groups, width)) for each in reversed(channels[1:])
        )
        self.transformer = LevelEncoder(width, heads, points, hidden, layers)
        self.adapter_1 = _convolved(channels[0], width, 1, groups)
        self.layer_1 = _convolved(width, width, 3, groups)
        self.mask_features = nn.Conv2d(width, width, 1)
        self.detail = Detail(detail, width, groups) if detail else None

    def forward(self, maps: Sequence[Tensor], lateral: Tensor | None = None) -> PixelFeatures:
        """Four maps, stride 4 first, to :class:`PixelFeatures`; ``lateral`` is needed with ``detail``."""
        coarse = [project(each) for project, each in zip(self.input_proj, reversed(maps[1:]), strict=True)]
        levels = self.transformer(coarse)
        fine = self.layer_1(_added(self.adapter_1(maps[0]), levels[-1]))
        if self.detail is not None:
            assert lateral is not None, "mask features at stride 2 need their lateral map"
            fine = self.detail(lateral, fine)
        return PixelFeatures(self.mask_features(fine), tuple(levels))


class Detail(nn.Module):
    """One more pyramid step, down to stride 2, its lateral map given or taken from the pixels."""

    def __init__(self, channels: int, width: int, groups: int) -> None:
        super().__init__()
        narrow = max(width // 4, 8)
        sight = nn.Conv2d(3, narrow, 3, 2, 1) if channels == 3 else nn.Conv2d(channels, narrow, 1)
        self.stem = nn.Sequential(sight, nn.ReLU(), nn.Conv2d(narrow, width, 1))
        self.layer = _convolved(width, width, 3, groups)

    def forward(self, lateral: Tensor, fine: Tensor) -> Tensor:
        """Pixels ``(B, 3, H, W)``, or a map at stride 2, and the stride-4 map to ``(B, C, H/2, W/2)``."""
        mixed: Tensor = self.layer(_added(self.stem(lateral), fine))
        return mixed


def _convolved(width: int, out: int, kernel: int, groups: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, kernel, padding=kernel // 2), nn.GroupNorm(groups, out), nn.ReLU())


def _added(fine: Tensor, coarse: Tensor) -> Tensor:
    up = functional.interpolate(coarse.float(), size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return fine + up.to(fine.dtype)
