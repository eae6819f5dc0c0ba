"""Fewer visual tokens for a cheaper look: neighbours averaged before the language model, wherever a model puts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsground.errors import ContractError
from rsground.models.encoding import Batch
from rsground.models.tiles import Boxes

Groups = NDArray[np.int64]
_WIDEST = 64


def neighbours(boxes: Boxes, most: int | None) -> Groups:
    """``(V,)``: per visual token the one that stands for it, its own index where nothing is averaged.

    Tokens that show a place are averaged in squares of n x n neighbours of about one size (a thumbnail of twice the
    scale apart), n the smallest that leaves at most ``most`` of them, and 64 at most; the middle one stands for a
    square. Others (line ends, padding, earlier images) stay, and are not counted.

    Args:
        boxes: ``(V, 4)`` part of the image that a token shows, NaN for none.
        most: None for all.
    """
    found = np.arange(len(boxes))
    shown = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    if most is None or len(shown) <= most:
        return found
    sides = boxes[shown, 2:] - boxes[shown, :2]
    kinds = np.unique(np.rint(np.log2(sides)), axis=0, return_inverse=True)[1].ravel()
    places = np.zeros((len(shown), 2))
    for kind in np.unique(kinds):
        mine = kinds == kind
        corners = boxes[shown[mine], :2]
        places[mine] = (corners - corners.min(axis=0)) / np.median(sides[mine], axis=0)
    members = np.zeros(len(shown), np.int64)
    for side in range(2, _WIDEST + 1):
        squares = np.column_stack([kinds, np.floor((places + 0.5) / side)])
        members = np.unique(squares, axis=0, return_inverse=True)[1].ravel()
        if members.max() < most:
            break
    order = np.argsort(members, kind="stable")
    for square in np.split(order, np.flatnonzero(np.diff(members[order])) + 1):
        found[shown[square]] = shown[square[(len(square) - 1) // 2]]
    return found


def merged(boxes: Boxes, groups: Groups) -> Boxes:
    """The boxes around those of every group, in the order of the tokens that are left."""
    left, place = np.unique(groups, return_inverse=True)
    made = boxes[left]
    np.minimum.at(made[:, :2], place, boxes[:, :2])
    np.maximum.at(made[:, 2:], place, boxes[:, 2:])
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Columns of a batch after averaging, padded on the left again.

    Attributes:
        weights: ``(B, M, L)``, what a column that is left takes of the columns before.
        columns: ``(B, M)``, the column that gives it its position.
        mask: ``(B, M)`` long, 1 where a token stands.
        visual: per row, the columns where the visual tokens stand.
    """

    weights: Tensor
    columns: Tensor
    mask: Tensor
    visual: tuple[Tensor, ...]


def pooled(batch: Batch, groups: Sequence[Groups], width: int) -> Pooled | None:
    """How the first ``width`` columns are averaged; None where every token stays."""
    if all((each == np.arange(len(each))).all() for each in groups):
        return None
    owners = []
    for row, each, pad in zip(batch.rows, groups, batch.pads, strict=True):
        owner = torch.arange(width)
        visual = row.visual.nonzero()[:, 0] + pad
        owner[visual] = visual[torch.from_numpy(each)]
        owners.append(owner)
    left = [torch.from_numpy(np.unique(owner[pad:].numpy())) for owner, pad in zip(owners, batch.pads, strict=True)]
    most = max(len(kept) for kept in left)
    weights, columns = torch.zeros(len(left), most, width), torch.zeros(len(left), most, dtype=torch.long)
    mask = torch.zeros(len(left), most, dtype=torch.long)
    visual_columns = []
    for at, (kept, owner, pad) in enumerate(zip(left, owners, batch.pads, strict=True)):
        first = most - len(kept)
        weights[at, first:, pad:] = (owner[pad:] == kept[:, None]).float()
        columns[at, first:], mask[at, first:] = kept, 1
        visual = batch.rows[at].visual.nonzero()[:, 0] + pad
        visual_columns.append(first + torch.isin(kept, visual).nonzero()[:, 0])
    weights /= weights.sum(dim=-1, keepdim=True).clamp(min=1)
    place = batch.mask.device
    columns_of = tuple(each.to(place) for each in visual_columns)
    return Pooled(weights.to(place), columns.to(place), mask.to(place), columns_of)


@contextmanager
def averaged(stack: Any, pool: Pooled | None) -> Iterator[None]:
    """While this lasts, ``stack`` (a language model's blocks) is given the averaged columns; as it is with None.

    Raises:
        ContractError: the model gives its blocks no embeddings or positions, or an attention mask of its own making,
            which says nothing about averaged columns.
    """
    if pool is None:
        yield
        return

    def enter(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        mask = named.get("attention_mask")
        known = all(isinstance(named.get(name), Tensor) for name in ("inputs_embeds", "position_ids"))
        if not known or not (mask is None or (isinstance(mask, Tensor) and mask.dim() == 2)):
            raise ContractError(
                f"the visual tokens of this model cannot be averaged: its {type(module).__name__} is not given "
                "embeddings, positions and a mask of two axes; look with visual_tokens=None (magcrop: "
                "query_tokens=None)"
            )
        return given, {**named, **_fewer(named, pool)}

    hook = stack.register_forward_pre_hook(enter, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _fewer(named: dict[str, Any], pool: Pooled) -> dict[str, Any]:
    embeds, places = named["inputs_embeds"], named["position_ids"]
    weights = pool.weights.to(embeds.dtype)
    found = {
        "inputs_embeds": weights @ embeds,
        "attention_mask": pool.mask,
        "position_ids": places.gather(-1, pool.columns.expand(*places.shape[:-1], -1)),
    }
    if named.get("cache_position") is not None:
        found["cache_position"] = torch.arange(pool.mask.shape[1], device=embeds.device)
    shown = named.get("visual_pos_masks")
    if shown is not None:  # Qwen3-VL adds features of the vision tower to the first blocks' states, too
        kept = torch.zeros_like(pool.mask, dtype=torch.bool)
        for row, columns in enumerate(pool.visual):
            kept[row, columns] = True
        found["visual_pos_masks"] = kept
        found["deepstack_visual_embeds"] = [
            (weights @ embeds.new_zeros(embeds.shape).masked_scatter(shown[..., None], each.to(embeds.dtype)))[kept]
            for each in named["deepstack_visual_embeds"]
        ]
    return found
