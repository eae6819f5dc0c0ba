"""Where the next cell of a mask grid stands, and how what is meant lies from there: told to words of grids.

A grid written as text is a picture in reading order. A model of billions keeps count of its lines and knows where in a
picture it is; a small one is told line and column of the next cell, and how far from it the corners are of the object
meant that a reader meets next. Both come in the code that places are written in (positions of two axes added to
queries: DETR, Carion et al., 2020, https://arxiv.org/abs/2005.12872, section 3.2; relative ones: Shaw et al., 2018,
https://arxiv.org/abs/1803.02155). What the line holds, the model still has to say run by run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.facts import code

_SIDE = 32
"""Lines and columns that a grid over the whole view has."""
_POINTS = 12
"""Numbers of an object that are told from the cell: x1, y1, x2, y2 and its four corners."""
_PLACED, _LYING = 0.5, 0.01
"""How large the weights begin that tell places and what lies there."""
_PASSED, _LOWER = 1e4, 2.0 * _SIDE
_RUN = re.compile(r"[01] \*(\d+)$")

GridTokens = Mapping[str, Sequence[Any]]
"""Token ids that open, close and break lines of a grid (``opens``, ``closes``, ``breaks``), and ``cells``: (id, cells
written) of runs."""


def grid_tokens(tokenizer: Any) -> dict[str, list[Any]]:
    """What the tokens of a small model's tokenizer write of grids: see ``GridTokens``.

    Raises:
        ValueError: no token opens a grid.
    """
    found: dict[str, list[Any]] = {"opens": [], "closes": [], "breaks": [], "cells": []}
    for ident in range(len(tokenizer)):
        text = tokenizer.decode([ident], clean_up_tokenization_spaces=False)
        run = _RUN.search(text)
        for name, holds in (("opens", "<seg>" in text), ("closes", "</seg>" in text), ("breaks", "\n" in text)):
            if holds:
                found[name].append(ident)
        if run is not None:
            found["cells"].append([ident, int(run[1])])
    if not found["opens"]:
        raise ValueError(
            "a cursor follows mask grids, and no token of this vocabulary opens one (<seg>): "
            "learn the vocabulary from a head that writes them, or leave model.cursor out"
        )
    return found


class Cursor(nn.Module):
    """Tells words of mask grids where the next cell stands and what is meant there.

    A grid is taken for one of 32 x 32 cells over the whole view, as ``geoground`` writes it; of one inside a box
    (``box-mask``) lines and columns are counted as well, and tell no more than how much is written.

    Args:
        hidden: D.
        code_width: width of the code of a coordinate.
        tokens: what the model's tokens write of grids.
    """

    def __init__(self, hidden: int, code_width: int, tokens: GridTokens) -> None:
        super().__init__()
        self.code_width, self.tokens = code_width, tokens
        self.line = nn.Linear(code_width, hidden, bias=False)
        self.column = nn.Linear(code_width, hidden, bias=False)
        self.lies = nn.Linear(_POINTS * (code_width + 1), hidden, bias=False)

    @torch.no_grad()
    def begin(self, numbers: Tensor) -> None:
        """Begin with lines where visual tokens have the y of their boxes, columns where they have the x.

        Args:
            numbers: ``(D, 17 * code_width)`` how visual tokens hold their numbers.
        """
        width = self.code_width
        x1, y1, x2, y2 = (numbers[:, at * width : (at + 1) * width] for at in range(4))
        self.line.weight.copy_(_PLACED * (y1 + y2) / 2)
        self.column.weight.copy_(_PLACED * (x1 + x2) / 2)
        nn.init.normal_(self.lies.weight, std=_LYING)

    def forward(self, cells: Tensor, numbers: Tensor, meant: Tensor) -> Tensor:
        """What ``(B, T, D)`` is added to embeddings of words; nothing outside grids.

        Args:
            cells: ``(B, T, 2)``, see :meth:`follow`.
            numbers: ``(B, L, 17)`` of visual tokens, among other columns.
            meant: ``(B, T or 1, L)`` bool, which columns show what the question means.
        """
        dtype = self.line.weight.dtype
        middle = cells.float() - cells.new_tensor([0.5, -0.5]).float()  # y, x of the cell
        codes = code((middle / _SIDE).clamp(0, 1), self.code_width).to(dtype)
        place = self.line(codes[..., 0, :]) + self.column(codes[..., 1, :])
        reached = next_met(cells, numbers[..., :4] * _SIDE, meant)
        object_ = numbers.float()[torch.arange(len(numbers), device=numbers.device)[:, None], reached] * _SIDE
        points = torch.cat([object_[..., :4], object_[..., 8:16]], -1)  # x, y, x, y ...
        away = points - middle.flip(-1).repeat(1, 1, _POINTS // 2)
        far = code((away / _SIDE + 1) / 2, self.code_width).flatten(-2)
        lies = self.lies(torch.cat([far, away.clamp(-1, 1)], -1).to(dtype))
        told: Tensor = (place + lies * meant.any(-1, keepdim=True)) * (cells[..., :1] > 0)
        return told

    def follow(self, ids: Tensor, answering: Tensor, before: Tensor | None = None) -> Tensor:
        """Where in a grid the cell stands that comes after each word.

        Args:
            ids: ``(B, T)`` the words.
            answering: ``(B, T)`` bool, which of them belong to answers; others end a grid.
            before: ``(B, 2)`` the same of the word before the first; None before a text begins.

        Returns:
            ``(B, T, 2)`` float: line from 1, and column from 0; both zero outside grids.
        """
        before = torch.zeros(len(ids), 2, device=ids.device) if before is None else before.float()
        table = self._table.to(ids.device)
        opens, closes, breaks, cells = table[ids.clamp(max=len(table) - 1)].unbind(-1)
        opens, closes = opens.bool() & answering, closes.bool() | ~answering
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        opened, closed, fresh = (
            torch.where(here, places, -1).cummax(1).values for here in (opens, closes, opens | breaks.bool())
        )
        within = torch.where((opened < 0) & (closed < 0), before[:, :1] > 0, opened > closed)
        line = _since(breaks, opened, before[:, :1]) + (opened >= 0)
        column = _since(cells, fresh, before[:, 1:])
        return torch.stack([line, column], -1) * within[..., None]

    @cached_property
    def _table(self) -> Tensor:
        """Whether a token opens, closes, breaks a line, and how many cells it writes; the last row for all others."""
        known = [*self.tokens["opens"], *self.tokens["closes"], *self.tokens["breaks"]]
        known += [ident for ident, _ in self.tokens["cells"]]
        rows = torch.zeros(2 + max(known, default=-1), 4, dtype=torch.long)
        for place, name in enumerate(("opens", "closes", "breaks")):
            rows[self.tokens[name], place] = 1
        for ident, written in self.tokens["cells"]:
            rows[ident, 3] = written
        return rows


def _since(amounts: Tensor, begun: Tensor, before: Tensor) -> Tensor:
    """Sums ``(B, T)`` of the amounts after the places ``begun``; where that is -1, of all and what was ``before``."""
    total = amounts.cumsum(1)
    return torch.where(begun < 0, before + total, total - total.gather(1, begun.clamp(min=0)))


def next_met(cells: Tensor, boxes: Tensor, meant: Tensor) -> Tensor:
    """Which ``(B, T)`` of the boxes that are meant a reader of a grid meets next.

    The leftmost one of those that the line runs through and that do not end before the cell; without any, the one that
    begins highest below; without any, any.

    Args:
        cells: ``(B, T, 2)`` line from 1 and column from 0 of the next cell.
        boxes: ``(B, L, 4)`` x1, y1, x2, y2 in cells.
        meant: ``(B, T or 1, L)`` bool.
    """
    x1, y1, x2, y2 = boxes.float()[:, None].unbind(-1)
    top, left = cells.float()[..., :1] - 1, cells.float()[..., 1:]
    here = (y1 < top + 1) & (y2 > top)
    ended = here & (x2 <= left)
    below = torch.where(ended, torch.ones_like(top), (y1 - top).clamp(min=0))
    below = torch.where(here & ~ended, torch.zeros_like(top), below)
    passed = (y2 <= top) | (ended & (y2 <= top + 1))
    cost = _LOWER * below + x1 + _PASSED * passed
    return cost.masked_fill(~meant, torch.inf).argmin(-1)
