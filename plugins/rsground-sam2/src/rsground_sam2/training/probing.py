"""What the decoder's modules are given about prompts whose places are known: its beginning is solved on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from rsground_sam2.image_model import ImageModel
from rsground_sam2.training.asking import answer
from rsground_sam2.training.pool import FeaturePool
from rsground_sam2.training.sampling import Ask

OUT, FIRST, SECOND, INSIDE, OUTSIDE, NONE = range(6)
"""Kinds of tokens: the decoder's own, a box's corners, points by sign, "not a point"."""
CELLS = 128
"""Cells of the image to solve on, per prompt."""

Probe = tuple[Ask, list[Tensor]]
"""A whole scene's prompts and its features."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one attention between image and tokens was given about all probes, with what is known of it.

    Attributes:
        cells, tokens: ``(n, C)`` and ``(m, C)`` inputs of the projections of the image's side and of the prompts' side.
        places: ``(n, C)`` positional codes of the cells.
        inside: ``(n,)`` whether a cell touches the prompt's box.
        marks: ``(m, C)`` positional codes of the tokens, zero where they have none.
        kinds: ``(m,)`` kinds of the tokens.
        values: ``(m, C)`` what the value projection reads where tokens are the keys.
    """

    cells: Tensor
    tokens: Tensor
    places: Tensor
    inside: Tensor
    marks: Tensor
    kinds: Tensor
    values: Tensor


def probes(pool: FeaturePool, count: int) -> list[Probe]:
    """Whole scenes with a few boxes and points each."""
    kinds = ("box", "box+points", "points", "point")
    return [pool.draw(pool.cache.size, 6, kinds[index % len(kinds)]) for index in range(count)]


def see(model: ImageModel, asked: list[Probe], attention: nn.Module, queries_are_tokens: bool) -> Seen:
    """Run the probes and note what an attention is given."""
    noted: list[tuple[Tensor, ...]] = []
    grid = model.config.grid
    for ask, levels in asked:
        query, key, value = given(model, ask, levels, attention)
        cells, tokens = (key, query) if queries_are_tokens else (query, key)
        marks, kinds = _tokens(model, ask, tokens.shape[1])
        pick = chosen_cells(ask, grid)
        places = model.positions()[0].flatten(1).T[pick[1]]
        inside = _inside(ask, grid).flatten(1)[pick]
        parts = (cells[pick], tokens, places, inside, marks, kinds, tokens if queries_are_tokens else value)
        noted.append(tuple(part.reshape(-1, *part.shape[2:]) for part in parts))
    return Seen(*(torch.cat(parts) for parts in zip(*noted, strict=True)))


def given(model: ImageModel, ask: Ask, levels: list[Tensor], module: nn.Module) -> tuple[Tensor, ...]:
    """What a module of the decoder is given when a probe is answered."""
    with _inputs(module) as calls:
        answer(model, model.read(levels), ask, model.config.image_size // len(ask.labels))
    return calls[0]


def chosen_cells(ask: Ask, grid: int) -> tuple[Tensor, Tensor]:
    """Index of random cells ``(N, CELLS)``, most of them at the prompt's object, where errors cost most."""
    here = F.max_pool2d(torch.from_numpy(ask.targets).float()[:, None], len(ask.labels) // grid)
    around = F.max_pool2d(here, 5, 1, 2)
    return torch.arange(len(here))[:, None], torch.multinomial((0.03 + around + 3 * here).flatten(1), CELLS)


@contextmanager
def _inputs(module: nn.Module) -> Iterator[list[tuple[Tensor, ...]]]:
    """Arguments of the calls of a module, in order, however they were named."""
    calls: list[tuple[Tensor, ...]] = []

    def note(_: nn.Module, placed: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        calls.append((*placed, *named.values()))

    handle = module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


def _tokens(model: ImageModel, ask: Ask, count: int) -> tuple[Tensor, Tensor]:
    """Positional codes ``(N, T, C)`` and kinds ``(N, T)`` of the tokens of an ask."""
    prompts, size = len(ask.targets), model.config.image_size
    spots: list[Tensor] = []
    kinds: list[Tensor] = []
    if ask.boxes is not None:
        spots.append(torch.from_numpy(ask.boxes).reshape(prompts, 2, 2))
        kinds.append(torch.tensor([[FIRST, SECOND]]).expand(prompts, 2))
    if ask.points is not None and ask.signs is not None:
        spots.append(torch.from_numpy(ask.points))
        kinds.append(torch.where(torch.from_numpy(ask.signs) > 0, INSIDE, OUTSIDE))
    where = torch.cat(spots, 1) * (size // len(ask.labels)) + 0.5
    code = model.sam_prompt_encoder.pe_layer.forward_with_coords(where, (size, size))
    before = count - where.shape[1] - 1
    named = F.pad(torch.cat(kinds, 1), (before, 0), value=OUT)
    return F.pad(code, (0, 0, before, 1)), F.pad(named, (0, 1), value=NONE)


def _inside(ask: Ask, grid: int) -> Tensor:
    """``(N, g, g)`` whether cells touch the box, 0 without one."""
    if ask.boxes is None:
        return torch.zeros(len(ask.targets), grid, grid)
    low, high = (torch.from_numpy(ask.boxes) * (grid / len(ask.labels))).reshape(-1, 2, 2).unbind(1)
    at = torch.arange(grid)[None]
    along = [(at + 1 > low[:, axis : axis + 1]) & (at < high[:, axis : axis + 1]) for axis in (0, 1)]
    return (along[1][:, :, None] & along[0][:, None, :]).float()
