"""Where the decoder begins: attention that reads places, solved for by least squares instead of learnt.

In the sums that attention projects (features + positional code, token + token) places are hard to see: the features of
an image vary up to ten times as much as the code. A decoder with random projections takes long to find out that a cell
lies beyond a box's edge or near a point. Both are linear readings of those sums, followed by a softmax:

* ``sin f(t - x) = sin ft cos fx - cos ft sin fx``: an inner product of two readings. Summed over odd harmonics with
  weights 1/k it is a square wave, the sign of ``t - x``: a head whose image cells read ``(cos, sin)`` and whose tokens
  read ``(sin, -cos)`` attends to a corner from the cells beyond it, and from nowhere else.
* ``cos f(t - x)`` likewise: a head that attends to a point from the cells near it.

The readings are solved for, layer by layer, on features of a trained trunk and prompts as the training draws them. What
such a head brings is written where the image's features vary least, and the first upscaling is solved for, too, so that
masks begin as the box itself, less what the dense task takes for background. Everything stays ordinary weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from rsground_sam2.image_model import ImageModel
from rsground_sam2.training.losses import DenseTask
from rsground_sam2.training.pool import FeaturePool
from rsground_sam2.training.probing import (
    FIRST,
    INSIDE,
    NONE,
    OUT,
    OUTSIDE,
    SECOND,
    Probe,
    Seen,
    chosen_cells,
    given,
    probes,
    see,
)
from rsground_sam2.training.sampling import Ask
from rsground_sam2.training.small import TURNS

HEADS = 4
HARMONICS = (0.25, 0.75, 1.25)
"""Turns per half image of the square wave: 1, 3 and 5 times one turn over two images, so nothing repeats in one."""
NEARBY = ((0.5, 2.5), (0.75, 3.5), (1.25, 5.0), (1.75, 7.0))
"""Turns per half image that each head of tokens compares with the cells."""
EDGE_GAIN, WIDE_GAIN, STRENGTH = 12.0, 4.0, 4.0
NEVER = -25.0
"""Score of tokens that a head leaves alone."""
EVEN = math.log(6)
"""A score that the decoder's own tokens together reach, at scores of about zero."""
NEAR = 0.5
"""Turns per half image of the nearness of points."""
RAMP = 8.0
"""Pixels of the scene over which an edge goes from inside to outside."""
LONE = 16.0
"""Pixels around a point that begin as its mask."""


def begin(model: ImageModel, dense: DenseTask, pool: FeaturePool, count: int = 48) -> None:
    """Set the attention between prompts and image and the upscaling, given a trained trunk.

    Args:
        model: :func:`rsground_sam2.training.small.small_model`.
        dense: trained with the trunk.
        pool: scenes to solve on.
        count: whole scenes to ask about, a few prompts each.
    """
    asked = probes(pool, count)
    transformer = model.sam_mask_decoder.transformer
    first, second = transformer.layers
    last = transformer.final_attn_token_to_image
    was = model.training
    model.eval()
    with torch.no_grad():
        _keep_tokens(first.self_attn)
        quiet = _quietest(torch.cat([levels[-1][0].flatten(1).T for _, levels in asked]))
        _near(first.cross_attn_token_to_image, see(model, asked, first.cross_attn_token_to_image, True))
        _beyond(first.cross_attn_image_to_token, see(model, asked, first.cross_attn_image_to_token, False), quiet)
        _near(second.cross_attn_token_to_image, see(model, asked, second.cross_attn_token_to_image, True), box=True)
        seen = see(model, asked, second.cross_attn_image_to_token, False)
        _around(second.cross_attn_image_to_token, seen, quiet[:, HEADS:])
        _near(last, see(model, asked, last, True), box=True)
        _cut(model, dense, asked)
    model.train(was)


def _keep_tokens(attention: Any) -> None:
    """The first self-attention has no residual around it: let every token attend to itself."""
    for linear in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj):
        nn.init.eye_(linear.weight)


def _quietest(features: Tensor) -> Tensor:
    """``(C, C)`` orthogonal directions in columns, that of the least variance first."""
    directions: Tensor = torch.linalg.eigh(torch.cov(features.T)).eigenvectors
    return directions


def _near(attention: Any, seen: Seen, box: bool = False, gain: float = 2.0) -> None:
    """Tokens attend to the cells at their place; with ``box``, one head of all tokens to the cells of the box."""
    width = attention.internal_dim // HEADS
    scale = (gain * width**0.5) ** 0.5
    for head, pair in enumerate(NEARBY):
        rows = slice(head * width, (head + 1) * width)
        if box and head == 0:
            inside = seen.inside[:, None].expand(-1, width)
            _solve(attention.k_proj, rows, seen.cells, inside * 8.0 / width**0.5)
            attention.q_proj.weight[rows] *= 0.1
            attention.q_proj.bias[rows] = 1.0
            continue
        _solve(attention.k_proj, rows, seen.cells, scale * _columns(seen.places, pair, (0, 1)))
        _solve(attention.q_proj, rows, seen.tokens, scale * _columns(seen.marks, pair, (0, 1)))


def _beyond(attention: Any, seen: Seen, quiet: Tensor) -> None:
    """A head for each edge of a box: the cells beyond the edge attend to the corner that gives it."""
    edges = ((FIRST, 0, 1.0), (FIRST, 1, 1.0), (SECOND, 0, -1.0), (SECOND, 1, -1.0))
    for head, (kind, axis, sign) in enumerate(edges):
        _wave(attention, head, seen, axis, sign * EDGE_GAIN, kind)
        _bring(attention, head, 0, seen, kind, quiet[:, head])


def _around(attention: Any, seen: Seen, quiet: Tensor) -> None:
    """Heads for points: close by, in the neighbourhood, to the left of one, above one.

    In the second, boxes outbid everything, so that cells far from a point can be told from those of a box's prompt.
    """
    for head, (gain, reach, corner) in enumerate(((60.0, 0.1, -4.0), (30.0, 0.15, 4.0))):
        _hill(attention, head, seen, gain, reach, corner * gain)
        _bring(attention, head, 0, seen, INSIDE, quiet[:, 2 * head])
        _bring(attention, head, 1, seen, OUTSIDE, quiet[:, 2 * head + 1])
    _bring(attention, 1, 2, seen, FIRST, quiet[:, 6])
    for axis in (0, 1):
        _wave(attention, 2 + axis, seen, axis, WIDE_GAIN, INSIDE)
        _bring(attention, 2 + axis, 0, seen, INSIDE, quiet[:, 4 + axis])


def _wave(attention: Any, head: int, seen: Seen, axis: int, gain: float, kind: int) -> None:
    """Scores of a head: a square wave of the token's place less the cell's, for one kind of tokens."""
    width = attention.internal_dim // HEADS
    strength = torch.tensor([HARMONICS[0] / turn for turn in HARMONICS]).repeat_interleave(2)
    scale = (abs(gain) * width**0.5 * strength) ** 0.5
    cells, marks = (_columns(code, HARMONICS, (axis,)) for code in (seen.places, seen.marks))
    turned = torch.stack([marks[:, 0::2], -marks[:, 1::2]], 2).flatten(1)  # (sin, -cos)
    swapped = torch.stack([cells[:, 1::2], cells[:, 0::2]], 2).flatten(1)  # (cos, sin)
    _scores(attention, head, seen, swapped * scale * math.copysign(1, gain), turned * scale, {kind: EVEN})


def _hill(attention: Any, head: int, seen: Seen, gain: float, reach: float, corner: float) -> None:
    """Scores of a head: high where a point is nearer than ``reach`` half images."""
    scale = (gain * (attention.internal_dim // HEADS) ** 0.5) ** 0.5
    cells, marks = (_columns(code, (NEAR,), (0, 1)) * scale for code in (seen.places, seen.marks))
    level = EVEN - gain * (math.cos(2 * math.pi * NEAR * reach) + 1)
    _scores(attention, head, seen, cells, marks, {INSIDE: level, OUTSIDE: level, FIRST: corner, SECOND: corner})


def _scores(attention: Any, head: int, seen: Seen, cells: Tensor, marks: Tensor, levels: dict[int, float]) -> None:
    """Solve one head's queries of cells and keys of tokens; one dimension more adds a level to each kind of token."""
    width = attention.internal_dim // HEADS
    start, end = head * width, (head + 1) * width
    spare = start + cells.shape[1]
    _solve(attention.q_proj, slice(start, spare), seen.cells, cells)
    _solve(attention.k_proj, slice(start, spare), seen.tokens, marks)
    added = torch.tensor([levels.get(kind, 0.0 if kind in (OUT, NONE) else NEVER) for kind in range(6)])
    _solve(attention.k_proj, slice(spare, spare + 1), seen.tokens, added[seen.kinds][:, None])
    attention.q_proj.weight[spare:end] = 0.0
    attention.q_proj.bias[spare:end] = 0.0
    attention.q_proj.bias[spare] = width**0.5


def _bring(attention: Any, head: int, dimension: int, seen: Seen, kind: int, direction: Tensor) -> None:
    """Let cells that attend to tokens of a kind get ``STRENGTH`` along a direction."""
    row = head * (attention.internal_dim // HEADS) + dimension
    _solve(attention.v_proj, slice(row, row + 1), seen.values, (seen.kinds == kind).float()[:, None])
    attention.out_proj.weight[:, row] = STRENGTH * direction


def _columns(code: Tensor, turns: tuple[float, ...], axes: tuple[int, ...]) -> Tensor:
    """``sin, cos`` of each number of turns along the axes, of positional codes ``(n, C)``."""
    half = code.shape[1] // 2
    columns = [TURNS.index(turn) + len(TURNS) * axis for axis in axes for turn in turns]
    return torch.stack([code[:, columns], code[:, [half + column for column in columns]]], 2).flatten(1)


def _solve(linear: nn.Linear, rows: slice, seen: Tensor, wanted: Tensor) -> None:
    """Rows of a linear layer that give what is wanted, in the sense of least squares."""
    mean, target = seen.mean(0), wanted.mean(0)
    weight = _least_squares(seen - mean, wanted - target)
    linear.weight[rows] = weight
    linear.bias[rows] = target - weight @ mean


def _least_squares(seen: Tensor, wanted: Tensor, ridge: float = 1e-3) -> Tensor:
    """``(M, C)`` matrix from ``(n, C)`` to ``(n, M)``."""
    seen, wanted = seen.double(), wanted.double()
    square = seen.T @ seen / len(seen) + ridge * torch.eye(seen.shape[1], dtype=torch.float64)
    found: Tensor = torch.linalg.solve(square, seen.T @ wanted / len(seen)).T.float()
    return found


def _cut(model: ImageModel, dense: DenseTask, asked: list[Probe]) -> None:
    """Masks begin as the box, or the neighbourhood of a point, where the dense task sees an object.

    Channels of the last upscaling: how far beyond each edge and from a lone point, background, one left to chance, and
    a constant.
    """
    decoder = model.sam_mask_decoder
    coarse, fine = decoder.output_upscaling[0], decoder.output_upscaling[3]
    weight = _excess_reader(model, asked, coarse).reshape(5, 2, 2, -1).permute(3, 0, 1, 2)
    coarse.weight[:, 0:10:2], coarse.weight[:, 1:10:2] = 2 * weight, -2 * weight  # GELU(z) - GELU(-z) = z
    for part in (coarse.bias, decoder.conv_s1.weight, decoder.conv_s1.bias):
        part[:10] = 0.0
    fine.weight[:, [*range(5), 7]] = 0.0
    fine.bias[[*range(5), 7]] = 2.0
    for each in range(5):
        fine.weight[2 * each, each], fine.weight[2 * each + 1, each] = 6.0, -6.0
    for part in (decoder.conv_s0.weight, decoder.conv_s0.bias):
        part[[*range(5), 7]] = 0.0
    decoder.conv_s0.weight[5], decoder.conv_s0.bias[5] = -dense.read.weight[0], -dense.read.bias[0]  # type: ignore[index]
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight *= 0.2
        mlp.layers[-1].bias.copy_(torch.tensor([-1.0] * 5 + [-0.5, 0.0, 1.0]))


def _excess_reader(model: ImageModel, asked: list[Probe], module: nn.Module) -> Tensor:
    """``(5 * 4, C)`` reading of :func:`_excess` at the four parts of a cell, from what the upscaling is given."""
    rows, wanted = [], []
    for ask, levels in asked:
        cells = given(model, ask, levels, module)[0]  # (N, C, g, g)
        pick = chosen_cells(ask, cells.shape[-1])
        rows.append(cells.flatten(2).transpose(1, 2)[pick].flatten(0, 1))
        parts = F.pixel_unshuffle(_excess(ask, 2 * cells.shape[-1]), 2)
        wanted.append(parts.flatten(2).transpose(1, 2)[pick].flatten(0, 1))
    return _least_squares(torch.cat(rows), torch.cat(wanted))


def _excess(ask: Ask, grid: int) -> Tensor:
    """``(N, 5, grid, grid)`` in -1..1: how far places are beyond each edge of the box, and away from lone points."""
    at = (torch.arange(grid) + 0.5) * len(ask.labels) / grid
    x, y = at[None, None, :], at[None, :, None]
    within = -torch.ones(len(ask.targets), grid, grid)
    if ask.boxes is not None:
        x1, y1, x2, y2 = (each[:, None, None] for each in torch.from_numpy(ask.boxes).unbind(1))
        sides = [within * 0 + side for side in (x1 - x, y1 - y, x - x2, y - y2)]
        return torch.stack([*[(side / RAMP).clamp(-1, 1) for side in sides], within], 1)
    if ask.points is None:
        return torch.stack([within] * 5, 1)
    across, down = (torch.from_numpy(ask.points)[:, :, axis, None, None] for axis in (0, 1))
    away = ((x - across) ** 2 + (y - down) ** 2).sqrt().amin(1)
    return torch.stack([*[within] * 4, ((away - LONE) / LONE).clamp(-1, 1)], 1)
