"""What the tower should predict under each cell, from the objects of an image.

Heat maps after Zhou et al., "Objects as Points", arXiv 1904.07850, with a Gaussian as wide and high as the object (Liu
et al., "Training-Time-Friendly Network", arXiv 1909.00700, section 3.3, alpha 0.54). Everything else is taught at the
object's centre cell and the cells beside it that still lie on the object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsground.models.tower_lm.config import CATEGORIES
from rsground.models.tower_lm.tower import STRIDE
from rsground.models.training.objects import Objects

_ALPHA = 0.54 / 6
_NARROWEST = 0.45
_LEAST = 0.2
"""Least distance of an edge and least side, in cells."""
_BESIDE = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)])


@dataclass(frozen=True, slots=True)
class DenseTargets:
    """Targets for B images.

    Attributes:
        heat: ``(B, categories, s, s)`` in [0, 1].
        cells: ``(M, 3)`` int64 (image, row, column) of the taught cells; the first ``centres`` are the centres.
        edges: ``(M, 4)``, oriented: ``(M, 6)`` as :class:`rsground.models.tower_lm.tower.Dense` predicts them.
        colours: ``(M,)`` int64, -1 where none is told.
    """

    heat: Tensor
    cells: Tensor
    edges: Tensor
    oriented: Tensor
    colours: Tensor


def dense_targets(images: list[Objects], side: int) -> DenseTargets:
    """Targets of images of ``side`` pixels."""
    s = side // STRIDE
    heat = np.zeros((len(images), len(CATEGORIES), s, s), dtype=np.float32)
    parts = [_image_targets(objects, heat[at], at) for at, objects in enumerate(images)]
    cells, edges, oriented, colours = (np.concatenate(each) for each in zip(*parts, strict=True))
    return DenseTargets(
        torch.from_numpy(heat),
        torch.from_numpy(cells),
        torch.from_numpy(edges),
        torch.from_numpy(oriented),
        torch.from_numpy(colours),
    )


def _image_targets(objects: Objects, heat: NDArray[np.float32], at: int) -> tuple[NDArray[np.generic], ...]:
    s = heat.shape[-1]
    boxes = objects.boxes / STRIDE
    centres = np.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], 1) / 2
    sizes = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], 1)
    for category, centre, size in zip(objects.categories.tolist(), centres, sizes, strict=True):
        if category >= 0:
            _peak(heat[category], centre, size)
    which = np.repeat(np.arange(len(objects)), len(_BESIDE))
    cells = np.floor(np.repeat(centres, len(_BESIDE), 0)).astype(np.int64) + np.tile(_BESIDE, (len(objects), 1))
    middle = cells + 0.5
    edges = np.concatenate([middle - boxes[which, :2], boxes[which, 2:] - middle], 1)
    beside = np.tile((_BESIDE != 0).any(1), len(objects))
    on_it = ~beside | (edges > 0.6).all(1)
    kept = on_it & (cells >= 0).all(1) & (cells < s).all(1)
    which, cells, middle, edges = which[kept], cells[kept], middle[kept], edges[kept]
    oriented = oriented_targets(objects.quads[which] / STRIDE, middle, _LEAST)
    places = np.concatenate([np.full((len(which), 1), at), cells[:, ::-1]], 1)
    edges = np.log(np.maximum(edges, _LEAST)).astype(np.float32)
    return places, edges, oriented, objects.colours[which]


def _peak(heat: NDArray[np.float32], centre: NDArray[np.float32], size: NDArray[np.float32]) -> None:
    s = heat.shape[-1]
    sigma = np.maximum(size * _ALPHA, _NARROWEST)
    cell = np.clip(np.floor(centre).astype(int), 0, s - 1)
    reach = np.ceil(3 * sigma).astype(int)
    (x1, y1), (x2, y2) = np.maximum(cell - reach, 0), np.minimum(cell + reach + 1, s)
    across = np.exp(-(((np.arange(x1, x2) - cell[0]) / sigma[0]) ** 2) / 2)
    down = np.exp(-(((np.arange(y1, y2) - cell[1]) / sigma[1]) ** 2) / 2)
    window = heat[y1:y2, x1:x2]
    np.maximum(window, down[:, None] * across, out=window)


def oriented_targets(quads: NDArray[np.float32], middle: NDArray[np.float64], least: float) -> NDArray[np.float32]:
    """Offset of the centre from ``middle``, log sides (long first), sine and cosine of the long side's doubled angle.

    Args:
        quads: ``(M, 4, 2)`` corners, clockwise on screen.
        middle: ``(M, 2)``, in the same unit.
        least: side in that unit; shorter ones are taken for as long.

    Returns:
        ``(M, 6)``.
    """
    along, down = quads[:, 1] - quads[:, 0], quads[:, 2] - quads[:, 1]
    lengths = np.stack([np.hypot(*along.T), np.hypot(*down.T)], 1)
    first = lengths[:, 0] >= lengths[:, 1]
    side = np.where(first[:, None], along, down)
    twice = 2 * np.arctan2(side[:, 1], side[:, 0])
    sides = np.log(np.maximum(np.sort(lengths, 1)[:, ::-1], least))
    offset = quads.mean(1) - middle
    parts = [offset, sides, np.sin(twice)[:, None], np.cos(twice)[:, None]]
    made: NDArray[np.float32] = np.concatenate(parts, 1).astype(np.float32)
    return made
