"""The two mask losses that LISA introduced and GeoPixel kept: binary cross-entropy and Dice, no point sampling."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

_DICE_SCALE = 1000.0
"""Sums of pixels are divided by it before they are compared; it sets how much the epsilon weighs."""
_DICE_EPSILON = 1e-6


def mask_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy per mask ``(K,)``: mean over the pixels of ``(K, H, W)`` logits against targets in [0, 1]."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).mean(dim=1)


def mask_dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice loss per mask ``(K,)``: 1 - (2 sum(p t / s) + e) / (sum(p / s) + sum(t / s) + e), s 1000, e 1e-6.

    An empty target is matched by an empty prediction only in the limit: the loss is then close to 1 unless the
    probabilities sum to much less than a thousandth of a pixel.
    """
    chance, wanted = logits.sigmoid().flatten(1), targets.flatten(1)
    overlap = 2.0 * (chance / _DICE_SCALE * wanted).sum(dim=1)
    total = (chance / _DICE_SCALE).sum(dim=1) + (wanted / _DICE_SCALE).sum(dim=1)
    return 1.0 - (overlap + _DICE_EPSILON) / (total + _DICE_EPSILON)
