"""Teacher forcing: the right answer after the prompt, in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rsground.models.encoding import Encoded, grouped, join
from rsground.models.running import forward


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A training pass.

    Attributes:
        loss: scalar, mean cross-entropy in nats over all answer tokens of all prompts, end tokens included.
        hidden: per prompt ``(T_i, D)``, last-layer states after the final norm where answer token t was fed.
        token_ids: per prompt ``(T_i,)`` ids of the answer's tokens, without the end token.
    """

    loss: Tensor
    hidden: tuple[Tensor, ...]
    token_ids: tuple[Tensor, ...]


def teach(model: Any, rows: Sequence[Encoded], end: int, pad: int) -> Taught:
    """Run prompts with an answer each; gradients as the caller's mode has them. One forward pass for all prompts
    with equal needs (with images, without).

    Args:
        model: the model.
        rows: the prompts.
        end: the token that ends an answer.
        pad: the token for padding.
    """
    hidden: dict[int, Tensor] = {}
    total = torch.zeros((), device=model.device)
    for group in grouped(rows):
        part = [rows[index] for index in group]
        loss, states = _teach_part(model, part, end, pad)
        total = total + loss
        hidden.update(zip(group, states, strict=True))
    answers = [row.answer or () for row in rows]
    return Taught(
        total / sum(len(answer) + 1 for answer in answers),
        tuple(hidden[index] for index in range(len(rows))),
        tuple(torch.tensor(answer, dtype=torch.long, device=model.device) for answer in answers),
    )


def _teach_part(model: Any, rows: Sequence[Encoded], end: int, pad: int) -> tuple[Tensor, list[Tensor]]:
    """Summed cross-entropy and the answers' states."""
    answers = [row.answer or () for row in rows]
    batch = join(rows, [(*answer, end) for answer in answers], pad, model.device, model.dtype)
    most = max(map(len, answers)) + 1
    found = forward(model, batch, most + 1)
    targets = _targets(answers, end, most).to(found.logits.device)
    logits = found.logits[:, :-1].float()
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")
    return loss, [fed(found.hidden, index, len(answer), after=1) for index, answer in enumerate(answers)]


def force(model: Any, rows: Sequence[Encoded], pad: int) -> list[Tensor]:
    """States ``(T_i, D)`` of the answers' tokens, without gradients."""
    answers = [row.answer or () for row in rows]
    batch = join(rows, answers, pad, model.device, model.dtype)
    found = forward(model, batch, max(1, *map(len, answers)))
    return [fed(found.hidden, index, len(answer)) for index, answer in enumerate(answers)]


def fed(hidden: Tensor, row: int, count: int, after: int = 0) -> Tensor:
    """The last ``count`` columns of a row, before ``after`` more."""
    last = hidden.shape[1] - after
    return hidden[row, last - count : last]


def _targets(answers: Sequence[Sequence[int]], end: int, most: int) -> Tensor:
    """``(B, most)`` ids, the answer and its end in the last columns, -100 (not counted) before."""
    made = torch.full((len(answers), most), -100)
    for index, answer in enumerate(answers):
        made[index, most - len(answer) - 1 :] = torch.tensor([*answer, end])
    return made
