"""The second look learns: boxes, class, colour, heading, and whether an object is there, from what the tower told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.model import BaseModel
from numpy.typing import NDArray
from torch import Tensor

from rsground.models.tower_lm.facts import Facts
from rsground.models.tower_lm.look import Look, Seen
from rsground.models.training.dense import colour_loss, iou_loss, normalised
from rsground.models.training.dense_targets import oriented_targets
from rsground.models.training.fact_cache import LEAST_OVERLAP, FactCache, most_overlapped
from rsground.models.training.objects import Objects

_NEAR = 0.25
"""IoU from which a peak is taught the box of the object that it overlaps most."""
_LEAST = 1e-3
"""Least distance of an edge from the middle and least side, in shares of the image's side."""


@dataclass(frozen=True, slots=True)
class LookTargets:
    """What is to be seen at B images' K peaks; M of them are near an object.

    Attributes:
        near: ``(B, K)`` bool, which M they are.
        there: ``(B, K)`` float, 1 where an object is, 0 where none is, -1 where that is open.
        boxes: ``(M, 4)``, oriented: ``(M, 6)`` see :class:`rsground.models.tower_lm.look.Seen`; offsets of the oriented
            boxes are from the image's corner.
        categories, colours, headings: ``(M,)`` int64, -1 where it is not told.
    """

    near: Tensor
    there: Tensor
    boxes: Tensor
    oriented: Tensor
    categories: Tensor
    colours: Tensor
    headings: Tensor


def look_targets(peaks: Tensor, images: Sequence[Objects], side: int) -> LookTargets:
    """What is to be seen at peaks with boxes ``(B, K, 4)``, in shares of images of ``side`` pixels."""
    found = [most_overlapped(boxes * side, objects) for boxes, objects in zip(peaks, images, strict=True)]
    overlap, which = (torch.stack(each) for each in zip(*found, strict=True))
    near = overlap >= _NEAR
    there = (overlap >= LEAST_OVERLAP).float().masked_fill(near & (overlap < LEAST_OVERLAP), -1.0)
    taken = [objects for objects, some in zip(images, near, strict=True) for _ in range(int(some.sum()))]
    rows = torch.cat([best[some] for best, some in zip(which, near, strict=True)]).tolist()

    def of(name: str, *shape: int) -> NDArray[Any]:
        found = [getattr(objects, name)[row] for objects, row in zip(taken, rows, strict=True)]
        return np.stack(found) if found else np.zeros((0, *shape), dtype=getattr(images[0], name).dtype)

    oriented = oriented_targets((of("quads", 4, 2) / side).astype(np.float32), np.zeros((len(rows), 2)), _LEAST)
    told = (torch.from_numpy(of(name).astype(np.int64)) for name in ("categories", "colours", "headings"))
    return LookTargets(near, there, torch.from_numpy(of("boxes", 4)) / side, torch.from_numpy(oriented), *told)


class PackLooks:
    """Collates numbers of images into pixels, what the tower told of them, and what stands in them.

    Args:
        cache: what the tower told of all images.
        images: ``(N, S, S, 3)`` uint8.
        objects: what stands in them.
    """

    def __init__(self, cache: FactCache, images: NDArray[np.uint8], objects: Sequence[Objects]) -> None:
        self.cache, self.images, self.objects = cache, images, objects

    def __call__(self, batch: Sequence[int]) -> dict[str, Any]:
        found = self.cache.facts.select(torch.tensor(batch)).to(torch.device("cpu"), torch.float32)
        pixels = torch.from_numpy(np.stack([self.images[at] for at in batch]))
        return {"pixels": pixels, "found": found, "objects": [self.objects[at] for at in batch]}


class LookModel(BaseModel):  # type: ignore[misc]
    """The second look and its losses, as the runner wants a model."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look

    def forward(
        self, pixels: Tensor, found: Facts, objects: Sequence[Objects], mode: str = "loss"
    ) -> dict[str, Tensor]:
        """Losses by name, and the mean IoU of what is near an object; means over all looks."""
        del mode
        shown, side = normalised(pixels), pixels.shape[1]
        each: list[dict[str, Tensor]] = []
        seen: Seen | None = None
        for _ in range(self.look.times):
            if seen is not None:  # a look begins where the one before ended
                with torch.no_grad():
                    found = self.look.after(seen, found)
            seen = self.look.see(shown, found)
            targets = look_targets(found.numbers[:, : self.look.looked, :4], objects, side)
            each.append(look_losses(seen, targets))
        names = dict.fromkeys(name for losses in each for name in losses)
        told = {name: [losses[name] for losses in each if name in losses] for name in names}
        return {name: torch.stack(some).sum() / len(each) for name, some in told.items()}


def look_losses(seen: Seen, targets: LookTargets) -> dict[str, Tensor]:
    """IoU and L1 on the boxes, cross-entropy on class, colour and whether something is there."""
    near, told = targets.near, targets.there >= 0
    middle, edges, oriented = seen.middle[near], seen.edges[near], seen.oriented[near]
    wanted = torch.cat([middle - targets.boxes[:, :2], targets.boxes[:, 2:] - middle], -1).clamp(min=_LEAST).log()
    sides = targets.boxes[:, 2:] - targets.boxes[:, :2]
    offset = (oriented[:, :2] - (targets.oriented[:, :2] - middle)) / sides.clamp(min=_LEAST)
    off = torch.cat([offset, oriented[:, 2:] - targets.oriented[:, 2:]], -1)
    there = F.binary_cross_entropy_with_logits(seen.there[told], targets.there[told])
    if not len(edges):
        return {"loss_there": there, "loss_nothing": 0 * (seen.edges.sum() + seen.colour.sum())}
    overlap = iou_loss(edges, wanted)
    heading = {"loss_heading": 0.5 * colour_loss(seen.heading[near], targets.headings)} if seen.heading.numel() else {}
    return {
        "loss_there": there,
        **heading,
        "loss_iou": overlap,
        "loss_edges": F.smooth_l1_loss(edges, wanted, beta=0.1),
        "loss_oriented": F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.1),
        "loss_category": 0.5 * colour_loss(seen.category[near], targets.categories),
        "loss_colour": 0.5 * colour_loss(seen.colour[near], targets.colours),
        "iou": (1 - overlap).detach(),
    }
