"""What a frozen tower tells of every training image, computed once; an epoch then costs only what comes after it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rsground.models.atomic import replacing
from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.facts import Facts, intersections
from rsground.models.tower_lm.look import Look
from rsground.models.training.dense import normalised
from rsground.models.training.objects import Objects
from rsground.models.training.processes import everywhere, shares
from rsground.models.training.refer_book import ReferBook
from rsground.models.training.scene_cache import SceneCache
from rsground.models.training.sources import refused

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
    digest.update("".join(each.sample for each in refused(book)).encode())
    _add(digest, model.tower)
    first = _kept(cache / f"facts-{digest.hexdigest()}.safetensors", len(book), partial(_first, model, book))
    second = model.look
    if second is None or not look:
        return first
    _add(digest, second)
    digest.update(bytes([second.times]))
    return _kept(cache / f"facts-{digest.hexdigest()}.safetensors", len(book), partial(_again, second, first, book))


def _add(digest: hashlib.blake2b, part: nn.Module) -> None:
    for parameter in part.state_dict().values():
        digest.update(parameter.numpy().tobytes())


def _kept(file: Path, count: int, make: Callable[[range], FactCache]) -> FactCache:
    """What the file keeps of ``count`` images; where it does not, each process makes its share and the main one joins.

    Processes that share no disk each make all of them.
    """
    kept = FactCache.read(file)
    if everywhere(kept is not None and len(kept.shows) == count) and kept is not None:
        return kept
    rank, ranges = shares(count)
    if 1 < len(ranges) <= count:
        parts = [file.with_suffix(f".{each}.part") for each in range(len(ranges))]
        make(ranges[rank]).write(parts[rank])
        barrier()
        if is_main_process():
            _joined([FactCache.read(part) or make(each) for part, each in zip(parts, ranges, strict=True)]).write(file)
        barrier()
        parts[rank].unlink(missing_ok=True)
        kept = FactCache.read(file)
    if kept is None or len(kept.shows) != count:
        kept = make(range(count))
        kept.write(file)
    return kept


def _joined(parts: Sequence[FactCache]) -> FactCache:
    return FactCache(_all([part.facts for part in parts]), torch.cat([part.shows for part in parts]))


def _all(facts: Sequence[Facts]) -> Facts:
    return Facts(*(torch.cat(each) for each in zip(*map(_parts, facts), strict=True)))


def _parts(facts: Facts) -> tuple[Tensor, Tensor, Tensor]:
    return facts.numbers, facts.told, facts.features


def _first(model: TowerLM, book: SceneCache | ReferBook, which: range) -> FactCache:
    """Run the tower over some of the images."""
    model.train(False)
    objects = model.config.objects
    return _made(book, which, "looking at the images", lambda pixels, rows: model.first_facts(pixels), objects)


def _again(look: Look, first: FactCache, book: SceneCache | ReferBook, which: range) -> FactCache:
    """Look at the peaks of some of the images again."""
    look.train(False)

    def facts(pixels: Tensor, rows: Tensor) -> Facts:
        found: Facts = look(pixels, first.facts.select(rows).to(torch.device("cpu"), torch.float32))
        return found

    return _made(book, which, "looking at the peaks", facts, look.objects)


@torch.no_grad()
def _made(
    book: SceneCache | ReferBook, which: range, what: str, facts: Callable[[Tensor, Tensor], Facts], objects: int
) -> FactCache:
    found: list[Facts] = []
    for at in track(range(which.start, which.stop, _BATCH), what, disable=not is_main_process()):
        rows = range(at, min(at + _BATCH, which.stop))
        pixels = normalised(torch.from_numpy(np.array(book.images[rows.start : rows.stop])))
        seen = facts(pixels.to(memory_format=torch.channels_last), torch.arange(rows.start, rows.stop))
        found.append(seen.to(torch.device("cpu"), torch.float16))
    together, side = _all(found), book.images.shape[1]
    boxes = together.numbers[..., :4]
    shows = [shown(boxes[at - which.start].float() * side, book.objects[at]) for at in which]
    for each in shows:
        each[objects:] = -1
    return FactCache(together, torch.stack(shows))


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
