"""Point-sampled mask losses, over every prediction of the decoder (PointRend; Mask2Former, Sec. 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values ``(N, P)`` of maps ``(N, H, W)`` at points ``(N, P, 2)``, (x, y) in [0, 1] over the map."""
    found = functional.grid_sample(maps[:, None], 2 * points[:, :, None] - 1, mode="bilinear", align_corners=False)
    return found[:, 0, :, 0]


@torch.no_grad()
def uncertain_points(
    logits: Tensor,
    count: int,
    *,
    oversample: float = 3.0,
    share: float = 0.75,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Where the loss is taken: of ``oversample * count`` random points the least certain, and random ones.

    Args:
        logits: ``(N, H, W)``.
        count: points per map.
        oversample: random candidates over points.
        share: part of the points chosen for smallest ``|logit|``; the rest is uniform.
        generator: of the random numbers; torch's own by default.

    Returns:
        ``(N, count, 2)`` (x, y) in [0, 1].
    """
    number, device = len(logits), logits.device
    chosen = int(share * count)
    candidates = torch.rand(number, int(oversample * count), 2, device=device, generator=generator)
    doubt = -sample_points(logits, candidates).abs()
    index = doubt.topk(chosen, 1).indices[..., None].expand(-1, -1, 2)
    spread = torch.rand(number, count - chosen, 2, device=device, generator=generator)
    return torch.cat([candidates.gather(1, index), spread], 1)


def point_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy (mean over points) and dice (with +1 smoothing), each ``(N,)``, of ``(N, P)`` logits and labels."""
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1)
    share = logits.sigmoid()
    dice = 1 - (2 * (share * labels).sum(1) + 1) / (share.sum(1) + labels.sum(1) + 1)
    return entropy, dice


def mask_losses(
    predictions: Sequence[Tensor], masks: Tensor, points: int = 12544, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and dice, averaged over masks and *summed* over predictions.

    Args:
        predictions: ``(N, H, W)`` logits each: one per decoder layer and one before the first.
        masks: ``(N, S, S)`` float 0 or 1, over the same frame.
        points: points per mask and prediction.
        generator: of the random points.
    """
    entropies, dices = [], []
    for logits in predictions:
        logits = logits.float()
        places = uncertain_points(logits, points, generator=generator)
        entropy, dice = point_losses(sample_points(logits, places), sample_points(masks, places))
        entropies.append(entropy.mean())
        dices.append(dice.mean())
    return torch.stack(entropies).sum(), torch.stack(dices).sum()
