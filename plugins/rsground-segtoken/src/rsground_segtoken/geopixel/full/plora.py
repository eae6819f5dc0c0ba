"""Partial LoRA: a low-rank update that applies where the input is an image token, and nowhere else.

Dong et al., "InternLM-XComposer2", arXiv 2401.16420; GeoPixel keeps it as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

RANK_SCALE = 1.0
"""alpha / rank = 256 / 256."""
_DROPOUT = 0.05
UNUSED = {"lora_sft": 256, "lora_dpo": 256, "lora_web": 512}
"""Branches of the base model's other modes and their ranks at full size: stored in checkpoints, never used here."""


class PLoRALinear(nn.Linear):
    """y = W x + B A x on image rows, y = W x on all others; no bias.

    Args:
        in_features, out_features: of W.
        rank: of the update.
        unused: also hold the branches that GeoPixel never uses, for a checkpoint key by key.
    """

    def __init__(self, in_features: int, out_features: int, rank: int, *, unused: bool = False) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.Plora_A = nn.Linear(in_features, rank, bias=False)
        self.Plora_B = nn.Linear(rank, out_features, bias=False)
        self.plora_dropout = nn.Dropout(_DROPOUT)
        for name, size in UNUSED.items() if unused else ():
            self.add_module(f"{name}_A", nn.Linear(in_features, size, bias=False))
            self.add_module(f"{name}_B", nn.Linear(size, out_features, bias=False))

    def forward(self, states: Tensor, image: Tensor | None = None) -> Tensor:
        """States ``(B, L, in)`` to ``(B, L, out)``; ``image`` ``(B, L)`` bool marks image rows, None for none."""
        result = super().forward(states)
        if image is None or not bool(image.any()):
            return result
        update: Tensor = self.Plora_B(self.Plora_A(self.plora_dropout(states[image]))) * RANK_SCALE
        changed = torch.zeros_like(result)
        changed[image] = update.to(result.dtype)
        return result + changed
