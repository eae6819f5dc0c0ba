"""The next token of each row: the likeliest of those allowed, or one drawn by the row's own dice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rsground.models.constrain import Ids
from rsground.models.lanes import Lane


def choose(logits: Tensor, places: Sequence[int], lanes: Sequence[Lane]) -> list[int]:
    """One token id per place.

    Args:
        logits: ``(B, V)`` of all lanes.
        places: the lanes to choose for.
        lanes: all of them.
    """
    found: dict[int, int] = {}
    bound = {at: ids for at in places if (ids := lanes[at].choices()) is not None}
    free = [at for at in places if at not in bound]
    if free:
        found.update(zip(free, _pick(logits[free], [lanes[at] for at in free]), strict=True))
    if bound:
        table, is_there = _table(list(bound.values()))
        allowed = torch.from_numpy(table).to(logits.device)
        scores = logits[list(bound)].gather(1, allowed)
        scores = scores.masked_fill(~torch.from_numpy(is_there).to(logits.device), float("-inf"))
        picked = _pick(scores, [lanes[at] for at in bound])
        found.update({at: int(table[row, picked[row]]) for row, at in enumerate(bound)})
    return [found[at] for at in places]


def _table(choices: Sequence[Ids]) -> tuple[Ids, np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """Choices as a matrix, rows filled up with id 0, and where its entries are real."""
    width = max(map(len, choices))
    table, is_there = np.zeros((len(choices), width), np.int64), np.zeros((len(choices), width), np.bool_)
    for row, ids in enumerate(choices):
        table[row, : len(ids)], is_there[row, : len(ids)] = ids, True
    return table, is_there


def _pick(scores: Tensor, lanes: Sequence[Lane]) -> list[int]:
    """The column chosen in each row of ``(B, K)`` scores."""
    likeliest: list[int] = scores.argmax(dim=-1).tolist()
    return [
        at if lane.row.temperature <= 0 else _draw(row, lane)
        for at, row, lane in zip(likeliest, scores, lanes, strict=True)
    ]


def _draw(scores: Tensor, lane: Lane) -> int:
    """A column by chance; one number of the dice a draw, so that neighbours do not matter."""
    chances = (scores.double() / lane.row.temperature).softmax(dim=-1).cpu()
    chances, order = chances.sort(descending=True, stable=True)
    if lane.row.top_p < 1:
        chances = chances * (chances.cumsum(0) - chances < lane.row.top_p)
    summed = chances.cumsum(0)
    drawn = torch.rand(1, generator=lane.dice, dtype=torch.float64) * summed[-1]
    at = int(torch.searchsorted(summed, drawn, right=True))
    last = int((chances > 0).sum()) - 1
    return int(order[max(min(at, last), 0)])
