"""Stage one: the tower learns what stands where, before any language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.model import BaseModel
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from rsground.models.tower_lm.config import CATEGORIES, DIRECTIONS
from rsground.models.tower_lm.tower import Dense, Tower
from rsground.models.training.dense_targets import DenseTargets, dense_targets
from rsground.models.training.objects import Objects
from rsground.models.training.windows import window_of

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class TurnedImages(TorchDataset[tuple[NDArray[np.uint8], Objects]]):
    """Images and their objects, a random window of each in one of the eight attitudes of a square, at random.

    Args:
        images: ``(N, S, S, 3)`` uint8.
        objects: what stands in them.
        seed: of the chances.
        size: side of what is shown, pixels; None for the images' own.
        least: least side of a window, as a share of the image's; 1 shows whole images.
        often: the share of images up to which a class is rare, and images of it are shown more than once: see
            :func:`shown_often`.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        objects: list[Objects],
        seed: int = 0,
        *,
        size: int | None = None,
        least: float = 1.0,
        often: float = 0.0,
    ) -> None:
        self.images, self.objects, self.least = images, objects, least
        self.size = images.shape[1] if size is None else size
        self.rng = np.random.default_rng(seed)
        self.order = shown_often(objects, often, seed)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, at: int) -> tuple[NDArray[np.uint8], Objects]:
        image, objects = self.images[self.order[at]], self.objects[self.order[at]]
        if self.least < 1 or self.size != image.shape[0]:
            image, objects = window_of(image, objects, self.size, self.least, self.rng)
        return turned(image, objects, int(self.rng.integers(8)))


def shown_often(images: Sequence[Objects], often: float, seed: int = 0) -> NDArray[np.int64]:
    """Indices of all images, those with rare classes several times (LVIS, "repeat factor sampling").

    An image comes ``max(1, sqrt(often / share))`` times, where ``share`` of the images hold the rarest class it holds;
    what is left of a whole number decides by chance. ``often = 0`` names every image once.
    """
    held = [np.unique(objects.categories[objects.categories >= 0]) for objects in images]
    shares = np.bincount(np.concatenate([*held, np.empty(0, np.int64)]), minlength=len(CATEGORIES)) / max(len(held), 1)
    times = np.sqrt([max(1.0, often / shares[each].min()) if len(each) else 1.0 for each in held])
    whole = np.floor(times + np.random.default_rng(seed).random(len(times))).astype(np.int64)
    return np.repeat(np.arange(len(held)), whole)


def turned(image: NDArray[np.uint8], objects: Objects, attitude: int) -> tuple[NDArray[np.uint8], Objects]:
    """The square image and its objects after ``attitude % 4`` quarter turns and, from 4 on, a mirroring."""
    side = image.shape[0]
    corners = np.concatenate([objects.boxes.reshape(-1, 2, 2), objects.quads], 1)
    headings = objects.headings
    if attitude >= 4:
        image, corners = image[:, ::-1], corners * (-1, 1) + (side, 0)
        corners[:, 2:] = corners[:, 2:][:, [1, 0, 3, 2]]  # clockwise again
        headings = np.where(headings >= 0, DIRECTIONS - 1 - headings, -1)
    for _ in range(attitude % 4):  # clockwise: (x, y) -> (side - y, x)
        image = np.rot90(image, -1)
        corners = np.stack([side - corners[..., 1], corners[..., 0]], -1)
    boxes = np.concatenate([corners[:, :2].min(1), corners[:, :2].max(1)], 1).astype(np.float32)
    headings = np.where(headings >= 0, (headings + attitude % 4 * DIRECTIONS // 4) % DIRECTIONS, -1)
    kept = replace(objects, boxes=boxes, quads=corners[:, 2:].astype(np.float32), headings=headings)
    return np.ascontiguousarray(image), kept


def collate(batch: Sequence[tuple[NDArray[np.uint8], Objects]]) -> dict[str, Any]:
    """Normalised pixels and dense targets of a batch."""
    pixels = np.stack([image for image, _ in batch])
    return {"pixels": torch.from_numpy(pixels), "targets": dense_targets([each for _, each in batch], pixels.shape[1])}


def normalised(pixels: Tensor) -> Tensor:
    """``(B, 3, S, S)`` float from ``(B, S, S, 3)`` uint8, with ImageNet's mean and deviation."""
    mean, std = (torch.tensor(each, device=pixels.device) * 255 for each in (MEAN, STD))
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


class DenseModel(BaseModel):  # type: ignore[misc]
    """The tower and its losses, as the runner wants a model."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor, targets: DenseTargets, mode: str = "loss") -> Any:
        """Losses by name."""
        del mode
        return dense_losses(self.tower(normalised(pixels)), targets)


def dense_losses(dense: Dense, targets: DenseTargets) -> dict[str, Tensor]:
    """Penalty-reduced focal loss on the heat, L1 on the logs and IoU on the edges, cross-entropy on the colour."""
    image, row, column = targets.cells.unbind(1)
    edges = dense.edges[image, :, row, column]
    oriented = dense.oriented[image, :, row, column]
    colours = dense.colour[image, :, row, column]
    return {
        "loss_heat": heat_loss(dense.heat, targets.heat),
        "loss_edges": F.smooth_l1_loss(edges, targets.edges, beta=0.1) + 0.5 * iou_loss(edges, targets.edges),
        "loss_oriented": F.smooth_l1_loss(oriented, targets.oriented, beta=0.1),
        "loss_colour": 0.3 * colour_loss(colours, targets.colours),
    }


def colour_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy over the ``(M,)`` cells whose colour is told (not -1); 0 where none is."""
    total = F.cross_entropy(logits, wanted, ignore_index=-1, reduction="sum")
    return total / (wanted >= 0).sum().clamp(min=1)


def heat_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Focal loss of "Objects as Points", equation 1 (alpha 2, beta 4), per object."""
    peak = wanted >= 0.999
    probability = logits.sigmoid()
    found = F.logsigmoid(logits) * (1 - probability) ** 2
    clutter = F.logsigmoid(-logits) * probability**2 * (1 - wanted) ** 4
    return -torch.where(peak, found, clutter).sum() / peak.sum().clamp(min=1)


def iou_loss(edges: Tensor, wanted: Tensor) -> Tensor:
    """One minus the IoU of boxes given as log distances to their edges from one cell."""
    a, b = edges.clamp(max=8).exp(), wanted.exp()
    both = torch.minimum(a, b)
    inner = (both[:, 0] + both[:, 2]) * (both[:, 1] + both[:, 3])
    areas = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3]) + (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    return (1 - inner / (areas - inner)).mean()
