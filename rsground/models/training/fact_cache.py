"""What a frozen tower tells of every training image, computed once; an epoch then costs only the language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.facts import Facts, intersections
from rsground.models.training.dense import normalised
from rsground.models.training.objects import Objects

LEAST_OVERLAP = 0.4
"""A visual token shows the object that its box overlaps most, from this IoU on."""


@dataclass(frozen=True, slots=True)
class FactCache:
    """Facts of N images in half precision.

    Attributes:
        facts: ``(N, V, ...)`` each.
        shows: ``(N, V)`` which of the image's objects each visual token shows, -1 for none.
    """

    facts: Facts
    shows: Tensor

    def write(self, file: Path) -> None:
        """Keep it in a safetensors file."""
        parts = {"numbers": self.facts.numbers, "told": self.facts.told, "features": self.facts.features}
        save_file({**parts, "shows": self.shows}, file)

    @classmethod
    def read(cls, file: Path) -> FactCache | None:
        """What was kept, None where nothing was."""
        if not file.is_file():
            return None
        kept = load_file(file)
        return cls(Facts(kept["numbers"], kept["told"], kept["features"]), kept["shows"])


@torch.no_grad()
def fact_cache(model: TowerLM, images: NDArray[np.uint8], objects: Sequence[Objects], batch: int = 32) -> FactCache:
    """Run the tower over ``(N, S, S, 3)`` uint8 images."""
    from rich.progress import track

    model.train(False)
    found: list[Facts] = []
    for at in track(range(0, len(images), batch), "looking at the images"):
        pixels = normalised(torch.from_numpy(np.array(images[at : at + batch])))
        seen = model.facts(pixels.to(memory_format=torch.channels_last))
        found.append(seen.to(torch.device("cpu"), torch.float16))
    numbers, told, features = (torch.cat(each) for each in zip(*map(_parts, found), strict=True))
    side = images.shape[1]
    shows = [shown(numbers[at, :, :4].float() * side, each) for at, each in enumerate(objects)]
    for each in shows:
        each[model.config.objects :] = -1
    return FactCache(Facts(numbers, told, features), torch.stack(shows))


def _parts(facts: Facts) -> tuple[Tensor, Tensor, Tensor]:
    return facts.numbers, facts.told, facts.features


def shown(boxes: Tensor, objects: Objects) -> Tensor:
    """``(V,)`` index of the object that each of ``(V, 4)`` boxes overlaps most, -1 below ``LEAST_OVERLAP``."""
    real = torch.from_numpy(objects.boxes)
    if not len(real):
        return torch.full((len(boxes),), -1)
    inner, union = intersections(boxes, real)
    overlap, which = (inner / union.clamp(min=1e-6)).max(1)
    return torch.where(overlap >= LEAST_OVERLAP, which, -1)
