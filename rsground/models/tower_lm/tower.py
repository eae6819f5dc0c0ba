"""The tower: a small ResNet with a feature pyramid, and dense predictions of what stands where.

It is taught densely before any language (class, colour, upright and oriented box of the object under each cell), after
Zhou et al., "Objects as Points", arXiv 1904.07850: an object is the peak of a heat map, and the cell of the peak
predicts everything else about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import ResNetModel

from rsground.models.tower_lm.config import TowerLMConfig

STRIDE = 2
"""Pixels of the resized view per cell of the dense maps."""


@dataclass(frozen=True, slots=True)
class Dense:
    """Dense predictions, stride 2, for B views of side S; ``s = S / 2``.

    Attributes:
        heat: ``(B, categories, s, s)`` logits of "the centre of such an object is here".
        colour: ``(B, colours, s, s)`` logits.
        edges: ``(B, 4, s, s)`` log distances from the cell's centre to the left, top, right and bottom edge, in cells.
        oriented: ``(B, 6, s, s)``: centre offset x, y and log long side, log short side in cells, sine and cosine of
            twice the long side's angle (clockwise on screen from +x).
        features: ``(B, dense_width, s, s)`` what they were made from.
        pyramid: merged maps at strides 4, 8, 16, 32, each ``(B, fpn_width, S/stride, S/stride)``.
    """

    heat: Tensor
    colour: Tensor
    edges: Tensor
    oriented: Tensor
    features: Tensor
    pyramid: tuple[Tensor, ...]


class Tower(nn.Module):
    """Views in, :class:`Dense` out."""

    def __init__(self, config: TowerLMConfig) -> None:
        super().__init__()
        width, dense = config.fpn_width, config.dense_width
        vision: Any = config.vision_config
        self.backbone = ResNetModel(vision)
        self.lateral = nn.ModuleList(nn.Conv2d(size, width, 1) for size in config.vision_config.hidden_sizes)
        self.merge = _conv(width, width)
        self.rise = nn.Conv2d(width, dense, 1)
        self.fine = _conv(3, dense, stride=2)
        self.trunk = _conv(dense, dense)
        self.parts = (len(config.categories), len(config.colours), 4, 6)
        self.predict = nn.Conv2d(dense, _rounded(sum(self.parts)), 1)
        first = torch.zeros(self.predict.out_channels)
        first[: self.parts[0]] = -5.0
        with torch.no_grad():
            self.predict.weight.mul_(0.1)
            self.predict.bias = nn.Parameter(first)

    def forward(self, pixels: Tensor) -> Dense:
        """Dense predictions of ``(B, 3, S, S)`` float pixels, normalised; S a multiple of 32."""
        states = self.backbone(pixels, output_hidden_states=True).hidden_states[1:]
        maps = [lateral(state) for lateral, state in zip(self.lateral, states, strict=True)]
        for finer in range(len(maps) - 2, -1, -1):
            maps[finer] = maps[finer] + F.interpolate(maps[finer + 1], scale_factor=2.0, mode="nearest")
        maps[0] = self.merge(maps[0])
        raised = F.interpolate(self.rise(maps[0]), scale_factor=2.0, mode="nearest")
        features = self.trunk(raised + self.fine(pixels))
        predicted = self.predict(features)[:, : sum(self.parts)]
        heat, colour, edges, oriented = predicted.split(self.parts, 1)
        return Dense(heat, colour, edges, oriented, features, tuple(maps))


def _conv(width_in: int, width_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width_out),
        nn.ReLU(inplace=True),
    )


def _rounded(width: int) -> int:
    """The next multiple of 16: a width that processors like."""
    return -(-width // 16) * 16
