"""Features of whole scenes from a trunk that is not trained, kept for many prompts before others take their place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsground_sam2.image_model import ImageModel
from rsground_sam2.training.asking import crops_to_pixels
from rsground_sam2.training.cache import Pictures
from rsground_sam2.training.sampling import Ask, crop, turned


class FeaturePool:
    """Scenes with the pyramid's levels of them.

    A crop of whole scenes' features costs nothing, knows what lies around it, and has no edges of its own: it is what
    the decoder will see of whole scenes.

    Args:
        model: whose image encoder is not trained.
        cache: scenes.
        rng: draws scenes and their turns.
        size: scenes to keep.
    """

    def __init__(self, model: ImageModel, cache: Pictures, rng: np.random.Generator, size: int = 48) -> None:
        self.model, self.cache, self.rng = model, cache, rng
        self.zoom = model.config.image_size // cache.size
        self.scenes = [self._scene() for _ in range(size)]
        self._next: Iterator[int] = cycle(range(size))

    def renew(self) -> None:
        """Put another scene in the place of the oldest."""
        self.scenes[next(self._next)] = self._scene()

    def draw(self, side: int, count: int, kind: str | None = None) -> tuple[Ask, list[Tensor]]:
        """Prompts about a random crop of a random scene, and the three levels of the crop, each ``(1, C, h, w)``."""
        while True:
            pixels, labels, levels = self.scenes[int(self.rng.integers(len(self.scenes)))]
            ask = crop(pixels, labels, side, count, self.rng, kind)
            if ask is not None:
                return ask, [_part(level, ask, len(labels)) for level in levels]

    def _scene(self) -> tuple[NDArray[np.uint8], NDArray[np.uint16], list[Tensor]]:
        position = int(self.rng.choice(self.cache.ready()))
        pixels, labels = turned(self.cache.images[position], self.cache.labels[position], int(self.rng.integers(8)))
        whole = Ask("", pixels, labels, (0, 0), np.zeros((0, 1, 1), np.bool_))
        with torch.no_grad():
            levels = self.model.image_encoder(crops_to_pixels([whole], self.zoom))["backbone_fpn"]
        return pixels, labels, levels[-3:]


def _part(level: Tensor, ask: Ask, size: int) -> Tensor:
    """What a crop shows of a level of its scene."""
    step = size // level.shape[-1]
    (x, y), side = (each // step for each in ask.corner), len(ask.labels) // step
    return level[:, :, y : y + side, x : x + side]
