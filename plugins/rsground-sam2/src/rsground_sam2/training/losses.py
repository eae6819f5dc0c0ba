"""Losses: masks by cross-entropy and overlap, quality by its error, and a dense task that teaches the trunk alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

OBJECT_SCALE = 16.0
"""Pixels that one unit of a predicted offset stands for."""


def mask_losses(logits: Tensor, targets: Tensor, area: float = 1.0) -> Tensor:
    """``(N, M)`` losses of ``(N, M, h, w)`` logits about ``(N, h, w)`` float targets, each of ``area`` pixels.

    Cross-entropy is summed and divided by the object's size, so that small objects count as much as large ones, with
    64 pixels added, so that a few wrong pixels of the smallest do not outweigh the rest; the overlap term is Dice's.
    """
    wanted = targets[:, None].expand_as(logits)
    size = area * targets.sum((1, 2))[:, None]
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum((2, 3))
    chance = logits.sigmoid()
    shared = area * (chance * wanted).sum((2, 3))
    dice = 1 - (2 * shared + 1) / (area * chance.sum((2, 3)) + size + 1)
    return area * entropy / (2 * size + 64) + dice


def overlap(logits: Tensor, targets: Tensor) -> Tensor:
    """``(N, M)`` intersection over union of thresholded masks."""
    found, wanted = logits > 0, targets[:, None] > 0.5
    union = (found | wanted).sum((2, 3))
    return (found & wanted).sum((2, 3)) / union.clamp(min=1)


def prompt_loss(logits: Tensor, quality: Tensor, targets: Tensor) -> Tensor:
    """Loss of the single mask and the best of the three alternatives, as SAM trains them, and of all qualities.

    Args:
        logits: ``(N, 4, h, w)``; the first is the single mask.
        quality: ``(N, 4)``.
        targets: ``(N, H, W)`` float, of the logits' size or several times it; then losses see their means.
    """
    wanted = F.adaptive_avg_pool2d(targets, (logits.shape[-2], logits.shape[-1]))
    losses = mask_losses(logits, wanted, targets[0].numel() / wanted[0].numel())
    masks = losses[:, 0].mean() + 0.5 * losses[:, 1:].min(1).values.mean()
    return masks + F.mse_loss(quality, overlap(logits.detach(), wanted))


class DenseTask(nn.Module):
    """What every pixel can tell of its object: that it is one, where it ends, and how far its box's edges are.

    Args:
        width: channels of the pyramid's finest level.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(width, 6, 1)

    def forward(self, level: Tensor, labels: Tensor) -> Tensor:
        """Loss of ``(B, C, h, w)`` features about ``(B, H, W)`` integer object labels; 0 is background."""
        height, width = level.shape[-2:]
        seen = labels[:, :: labels.shape[1] // height, :: labels.shape[2] // width].long()
        found = self.read(level)
        object_here = (seen > 0).float()
        loss = F.binary_cross_entropy_with_logits(found[:, 0], object_here)
        loss = loss + F.binary_cross_entropy_with_logits(found[:, 1], borders(seen))
        distances = edge_distances(seen) * (labels.shape[1] / height / OBJECT_SCALE)
        wrong = F.smooth_l1_loss(found[:, 2:], distances, reduction="none", beta=0.1).mean(1)
        return loss + (wrong * object_here).sum() / object_here.sum().clamp(min=1)


def borders(labels: Tensor) -> Tensor:
    """Pixels of an object whose right or lower neighbour, or left or upper one, is of another."""
    wide = F.pad(labels[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0]
    here = wide[:, 1:-1, 1:-1]
    neighbours = (wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:])
    return (torch.stack([each != here for each in neighbours]).any(0) & (here > 0)).float()


def edge_distances(labels: Tensor) -> Tensor:
    """``(B, 4, h, w)`` distances from each pixel to the left, upper, right and lower edge of its object's box."""
    batch, height, width = labels.shape
    most = int(labels.max()) + 1
    flat = (labels + most * torch.arange(batch)[:, None, None]).reshape(-1)
    ys = torch.arange(height).reshape(1, -1, 1).expand_as(labels).reshape(-1)
    xs = torch.arange(width).reshape(1, 1, -1).expand_as(labels).reshape(-1)
    far = max(height, width)
    first_x, first_y = (torch.full((batch * most,), far).scatter_reduce(0, flat, v, "amin") for v in (xs, ys))
    last_x, last_y = (torch.zeros(batch * most, dtype=torch.long).scatter_reduce(0, flat, v, "amax") for v in (xs, ys))
    sides = torch.stack([xs - first_x[flat], ys - first_y[flat], last_x[flat] - xs, last_y[flat] - ys])
    return sides.reshape(4, batch, height, width).transpose(0, 1).float()
