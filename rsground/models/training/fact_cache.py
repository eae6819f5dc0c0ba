"""What a frozen tower tells of every training image, computed once; an epoch then costs only what comes after it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rsground.models.atomic import replacing
from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.facts import Facts, intersections
from rsground.models.tower_lm.look import Look
from rsground.models.training.dense import normalised
from rsground.models.training.objects import Objects
from rsground.models.training.processes import main_first
from rsground.models.training.refer_book import ReferBook
from rsground.models.training.scene_cache import SceneCache

_BATCH = 32

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
        """Keep it in a safetensors file, which appears whole or not at all."""
        parts = {"numbers": self.facts.numbers, "told": self.facts.told, "features": self.facts.features}
        with replacing(file) as fresh:
            save_file({**parts, "shows": self.shows}, fresh)

    @classmethod
    def read(cls, file: Path) -> FactCache | None:
        """What was kept, None where nothing was."""
        if not file.is_file():
            return None
        kept = load_file(file)
        return cls(Facts(kept["numbers"], kept["told"], kept["features"]), kept["shows"])


def cached_facts(
    model: TowerLM, book: SceneCache | ReferBook, data: Mapping[str, Any], cache: Path, *, look: bool = True
) -> FactCache:
    """Facts of the images of a recipe's ``data`` table, kept in the cache under the data's and the weights' digest.

    Args:
        model: whose facts.
        book: those images.
        data: the table.
        cache: folder.
        look: whether a second look is taken, by a model that takes one.
    """
    digest = hashlib.blake2b(json.dumps(dict(data), sort_keys=True).encode(), digest_size=6)
    _add(digest, model.tower)
    first = main_first(lambda: _kept(cache, digest, len(book), lambda: _first(model, book)))
    second = model.look
    if second is None or not look:
        return first
    _add(digest, second)
    digest.update(bytes([second.times]))
    return main_first(lambda: _kept(cache, digest, len(book), lambda: _again(second, first, book)))


def _add(digest: hashlib.blake2b, part: nn.Module) -> None:
    for parameter in part.state_dict().values():
        digest.update(parameter.numpy().tobytes())


def _kept(cache: Path, digest: hashlib.blake2b, count: int, make: Callable[[], FactCache]) -> FactCache:
    file = cache / f"facts-{digest.hexdigest()}.safetensors"
    kept = FactCache.read(file)
    if kept is None or len(kept.shows) != count:
        kept = make()
        kept.write(file)
    return kept


def _first(model: TowerLM, book: SceneCache | ReferBook) -> FactCache:
    """Run the tower over all images."""
    model.train(False)
    return _made(book, "looking at the images", lambda pixels, rows: model.first_facts(pixels), model.config.objects)


def _again(look: Look, first: FactCache, book: SceneCache | ReferBook) -> FactCache:
    """Look at the peaks of all images again."""
    look.train(False)

    def facts(pixels: Tensor, rows: Tensor) -> Facts:
        found: Facts = look(pixels, first.facts.select(rows).to(torch.device("cpu"), torch.float32))
        return found

    return _made(book, "looking at the peaks", facts, look.objects)


@torch.no_grad()
def _made(book: SceneCache | ReferBook, what: str, facts: Callable[[Tensor, Tensor], Facts], objects: int) -> FactCache:
    found: list[Facts] = []
    for at in track(range(0, len(book), _BATCH), what):
        pixels = normalised(torch.from_numpy(np.array(book.images[at : at + _BATCH])))
        seen = facts(pixels.to(memory_format=torch.channels_last), torch.arange(at, at + len(pixels)))
        found.append(seen.to(torch.device("cpu"), torch.float16))
    numbers, told, features = (torch.cat(each) for each in zip(*map(_parts, found), strict=True))
    side = book.images.shape[1]
    shows = [shown(numbers[at, :, :4].float() * side, each) for at, each in enumerate(book.objects)]
    for each in shows:
        each[objects:] = -1
    return FactCache(Facts(numbers, told, features), torch.stack(shows))


def _parts(facts: Facts) -> tuple[Tensor, Tensor, Tensor]:
    return facts.numbers, facts.told, facts.features


def shown(boxes: Tensor, objects: Objects) -> Tensor:
    """``(V,)`` index of the object that each of ``(V, 4)`` boxes overlaps most, -1 below ``LEAST_OVERLAP``."""
    overlap, which = most_overlapped(boxes, objects)
    return torch.where(overlap >= LEAST_OVERLAP, which, -1)


def most_overlapped(boxes: Tensor, objects: Objects) -> tuple[Tensor, Tensor]:
    """IoU ``(V,)`` of each of ``(V, 4)`` boxes with the object it overlaps most, and that object's index."""
    real = torch.from_numpy(objects.boxes)
    if not len(real):
        return boxes.new_zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.long)
    inner, union = intersections(boxes, real)
    overlap, which = (inner / union.clamp(min=1e-6)).max(1)
    return overlap, which
