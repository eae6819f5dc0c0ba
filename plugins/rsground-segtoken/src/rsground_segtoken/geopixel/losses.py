"""The two mask losses that LISA introduced and GeoPixel kept, binary cross-entropy and Dice, and a guide of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rsground.errors import ContractError
from rsground.geometry import mask_to_hbb

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def guide(prompts: Tensor, masks: NDArray[np.bool_], segmenter: Any) -> Tensor:
    """Mean squared distance ``(K,)`` of prompts ``(K, C)`` to what the segmenter makes of the masks' boxes.

    A mask decoder that was trained on prompts of one embedding tells a projection what to say without being run.

    Raises:
        ContractError: the segmenter embeds no boxes.
    """
    if not hasattr(segmenter, "box_embeddings"):
        raise ContractError(
            f"guide_weight needs a segmenter with box_embeddings(boxes, size), {type(segmenter).__name__} has none: "
            "leave it at 0"
        )
    boxes = np.nan_to_num(mask_to_hbb(masks))
    wanted: Tensor = segmenter.box_embeddings(boxes, masks.shape[1:]).to(prompts)
    shown = prompts.new_tensor(masks.any(axis=(1, 2)))
    return F.mse_loss(prompts, wanted, reduction="none").mean(dim=1) * shown
