"""Where the next cell of a mask grid stands, and how what is meant lies from there: told to words of grids.

A grid written as text is a picture in reading order. A model of billions keeps count of its lines and knows where in a
picture it is; a small one is told line and column of the next cell, and how far from it the corners are of the object
meant that a reader meets next. A grid before which its answer wrote four numbers lies in the box that they make, in
thousandths of the view (``box-mask``); there it is the object of that box. Both come in the code that places are
written in (positions of two axes added to queries: DETR, Carion et al., 2020, https://arxiv.org/abs/2005.12872,
section 3.2; relative ones: Shaw et al., 2018, https://arxiv.org/abs/1803.02155). What the line holds, the model still
has to say run by run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.facts import code, intersections, one_object

_SCALE = 32
"""Cells that a coordinate of 1 stands for in the code of places, and of how far something is."""
_POINTS = 12
"""Numbers of an object that are told from the cell: x1, y1, x2, y2 and its four corners."""
_PLACED, _LYING = 0.5, 0.01
"""How large the weights begin that tell places and what lies there."""
_PASSED, _LOWER = 1e4, 64.0
_RUN = re.compile(r"[01] \*(\d+)$")
_BOX = 4
"""Numbers of a box."""
_THINNEST = 1e-3
"""Least side that a box is taken for, in shares of the view."""
PLACE = 2 + _BOX
"""Numbers that say where a word is, see :meth:`Cursor.follow`."""

GridTokens = Mapping[str, Any]
"""Token ids that open, close and break lines of a grid (``opens``, ``closes``, ``breaks``), and ``cells``: (id, cells
written) of runs; cells a side of grids over the ``whole`` view, and of those ``inside`` a box."""


def grid_tokens(tokenizer: Any, whole: int = 32, inside: int = 12) -> dict[str, Any]:
    """What the tokens of a small model's tokenizer write of grids: see ``GridTokens``.

    Args:
        tokenizer: of the model.
        whole, inside: cells a side, as ``geoground`` and ``box-mask`` write them where nothing else is said.

    Raises:
        ValueError: no token opens a grid.
    """
    found: dict[str, Any] = {"opens": [], "closes": [], "breaks": [], "cells": [], "whole": whole, "inside": inside}
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

    Args:
        hidden: D.
        code_width: width of the code of a coordinate.
        tokens: what the model's tokens write of grids.
        numbers: token ids of the numbers 0 to 1000.
    """

    def __init__(self, hidden: int, code_width: int, tokens: GridTokens, numbers: Sequence[int] = ()) -> None:
        super().__init__()
        self.code_width, self.tokens, self.numbers = code_width, tokens, numbers
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

    def forward(self, cursors: Tensor, numbers: Tensor, meant: Tensor) -> Tensor:
        """What ``(B, T, D)`` is added to embeddings of words; nothing outside grids.

        Args:
            cursors: ``(B, T, 6)``, see :meth:`follow`.
            numbers: ``(B, L, 17)`` of visual tokens, among other columns.
            meant: ``(B, T or 1, L)`` bool, which columns show what the question means.
        """
        dtype = self.line.weight.dtype
        cells, boxes = cursors[..., :2].float(), numbers[..., :4].float()
        frames, boxed = self._frames(cursors)
        within = nearest(frames, boxes)
        side = torch.where(boxed, float(self.tokens["inside"]), float(self.tokens["whole"]))[..., None]
        reached = torch.where(boxed, within[0], next_met(cells, boxes * self.tokens["whole"], meant))
        object_ = numbers.float()[torch.arange(len(numbers), device=numbers.device)[:, None], reached]
        points = torch.cat([object_[..., :4], object_[..., 8:16]], -1)  # x, y, x, y ...
        cell = (frames[..., 2:] - frames[..., :2]).clamp(min=_THINNEST) / side  # its width and height
        pairs = (points.view(*points.shape[:-1], -1, 2) - frames[..., None, :2]) / cell[..., None, :]
        middle = cells - cells.new_tensor([0.5, -0.5])  # y, x of the cell
        codes = code((middle / _SCALE).clamp(0, 1), self.code_width).to(dtype)
        place = self.line(codes[..., 0, :]) + self.column(codes[..., 1, :])
        away = (pairs - middle.flip(-1)[..., None, :]).flatten(-2)
        far = code((away / _SCALE + 1) / 2, self.code_width).flatten(-2)
        lies = self.lies(torch.cat([far, away.clamp(-1, 1)], -1).to(dtype))
        known = torch.where(boxed, within[1], meant.any(-1))[..., None]
        told: Tensor = (place + lies * known) * (cells[..., :1] > 0)
        return told

    def _frames(self, cursors: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, 4)`` what grids cover, in shares of the view, and ``(B, T)`` whether that is a box."""
        written = cursors[..., 2:].float()
        boxed = (written > 0).all(-1)
        return torch.where(boxed[..., None], (written - 1) / 1000, written.new_tensor([0.0, 0.0, 1.0, 1.0])), boxed

    def follow(self, ids: Tensor, answering: Tensor, before: Tensor | None = None) -> Tensor:
        """Where in a grid the cell stands that comes after each word, and what box was written before.

        Args:
            ids: ``(B, T)`` the words.
            answering: ``(B, T)`` bool, which of them belong to answers; others end a grid.
            before: ``(B, 6)`` the same of the word before the first; None before a text begins.

        Returns:
            ``(B, T, 6)`` float: line from 1, and column from 0, both zero outside grids; the last four numbers of the
            answer, in the order they were written and each plus one, zero where there were none.
        """
        before = torch.zeros(len(ids), PLACE, device=ids.device) if before is None else before.float()
        table = self._table.to(ids.device)
        opens, closes, breaks, cells, numbers = table[ids.clamp(max=len(table) - 1)].unbind(-1)
        opens, closes = opens.bool() & answering, closes.bool() | ~answering
        at = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        opened, closed, fresh = (
            torch.where(here, at, -1).cummax(1).values for here in (opens, closes, opens | breaks.bool())
        )
        within = torch.where((opened < 0) & (closed < 0), before[:, :1] > 0, opened > closed)
        line = _since(breaks, opened, before[:, :1]) + (opened >= 0)
        column = _since(cells, fresh, before[:, 1:2])
        return torch.cat(
            [torch.stack([line, column], -1) * within[..., None], _latest(numbers, answering, before[:, 2:])], -1
        )

    @cached_property
    def _table(self) -> Tensor:
        """By token, a row for all others last: whether it opens, closes, breaks a line; its cells; its number + 1."""
        known = [*self.tokens["opens"], *self.tokens["closes"], *self.tokens["breaks"], *self.numbers]
        known += [ident for ident, _ in self.tokens["cells"]]
        rows = torch.zeros(2 + max(known, default=-1), 5, dtype=torch.long)
        for place, name in enumerate(("opens", "closes", "breaks")):
            rows[self.tokens[name], place] = 1
        for ident, written in self.tokens["cells"]:
            rows[ident, 3] = written
        for number, ident in enumerate(self.numbers):
            rows[ident, 4] = number + 1
        return rows


def _since(amounts: Tensor, begun: Tensor, before: Tensor) -> Tensor:
    """Sums ``(B, T)`` of the amounts after the places ``begun``; where that is -1, of all and what was ``before``."""
    total = amounts.cumsum(1)
    return torch.where(begun < 0, before + total, total - total.gather(1, begun.clamp(min=0)))


def _latest(numbers: Tensor, answering: Tensor, before: Tensor) -> Tensor:
    """The last four ``(B, T, 4)`` of the numbers ``(B, T)``, zero for none, since the answer or ``before`` it began."""
    said = torch.cat([before, numbers * answering], 1)
    at = torch.arange(said.shape[1], device=said.device).expand_as(said)
    last = torch.where(said > 0, at, -1).cummax(1).values
    begun = torch.where(~answering, at[:, _BOX:], -1).cummax(1).values
    former = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], 1)
    place, found = last[:, _BOX:], []
    for _ in range(_BOX):
        found.append(said.gather(1, place.clamp(min=0)) * (place > begun))
        place = former.gather(1, place.clamp(min=0))
    return torch.stack(found[::-1], -1)


def nearest(frames: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Which ``(B, T)`` of the ``(B, L, 4)`` boxes the ``(B, T, 4)`` frames are nearest to, and if they show one."""
    inner, union = intersections(frames, boxes)
    best = (inner / union.clamp(min=1e-12)).argmax(-1, keepdim=True)
    return best[..., 0], one_object(inner.gather(-1, best), union.gather(-1, best))[..., 0]


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
