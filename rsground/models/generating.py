"""Answers of a batch, token by token: the likeliest token, or one drawn by a seed of the prompt's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from rsground.models.encoding import Encoded, join
from rsground.models.running import Stepper


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        temperature: 0 for the likeliest token; else logits are divided by it before one is drawn.
        top_p: only the likeliest tokens that hold this much probability together are drawn from.
    """

    temperature: float = 0.0
    top_p: float = 1.0


@dataclass(slots=True)
class Written:
    """One row's answer.

    Attributes:
        ids: its tokens, without the end token.
        finish: ``"stop"`` or ``"length"``.
        states: where asked for, a ``(D,)`` state per token.
        attentions: where asked for, ``(heads, T, L)``.
    """

    ids: list[int] = field(default_factory=list)
    finish: str = "length"
    states: list[Tensor] = field(default_factory=list)
    attentions: Tensor | None = None


@torch.no_grad()
def write(
    model: Any, rows: Sequence[Encoded], limits: Sequence[int], ends: frozenset[int], pad: int, sampling: Sampling
) -> list[Written]:
    """Generate an answer per prompt; a row that ended leaves the batch.

    Args:
        model: the model, in evaluation mode.
        rows: prompts with equal needs.
        limits: per row, the most tokens of its answer.
        ends: tokens that end an answer.
        pad: the token for padding.
        sampling: how tokens are chosen.
    """
    answers = [Written() for _ in rows]
    dice = [_dice(row) for row in rows]
    stepper = Stepper(model, join(rows, [()] * len(rows), pad, model.device, model.dtype))
    live = list(range(len(rows)))
    found = stepper.start()
    while live:
        chosen = _choose(found.logits[:, -1], [dice[row] for row in live], sampling)
        for row, token in zip(live, chosen, strict=True):
            if token in ends:
                answers[row].finish = "stop"
            else:
                answers[row].ids.append(token)
        going = [at for at, row in enumerate(live) if _goes_on(answers[row], rows[row], limits[row])]
        if len(going) < len(live):
            if not going:
                break
            stepper.select(torch.tensor(going, device=model.device))
            live, chosen = [live[at] for at in going], [chosen[at] for at in going]
        found = stepper.step(torch.tensor(chosen, device=model.device))
        for at, row in enumerate(live):
            if _wants_states(rows[row]):
                answers[row].states.append(found.hidden[at, -1])
        # A row at its limit was fed once more only for the state of its last token.
        done = [row for row in live if len(answers[row].ids) >= limits[row]]
        if done:
            left = [at for at, row in enumerate(live) if row not in done]
            if not left:
                break
            index = torch.tensor(left, device=model.device)
            stepper.select(index)
            found = type(found)(found.logits[index], found.hidden[index])
            live = [live[at] for at in left]
    return answers


def _goes_on(answer: Written, row: Encoded, limit: int) -> bool:
    return answer.finish != "stop" and (len(answer.ids) < limit or _wants_states(row))


def _wants_states(row: Encoded) -> bool:
    return "hidden" in row.prompt.capture


def _dice(row: Encoded) -> torch.Generator:
    """Random numbers of a prompt: of its seed and text, so that neighbours in a batch do not matter."""
    text = f"{row.prompt.options.get('seed', 0)}\n{row.prompt.text}"
    seed = int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=7).digest())
    return torch.Generator().manual_seed(seed)


def _choose(logits: Tensor, dice: Sequence[torch.Generator], sampling: Sampling) -> list[int]:
    """One token per row of ``(B, V)``."""
    if sampling.temperature <= 0:
        found: list[int] = logits.argmax(dim=-1).tolist()
        return found
    chances, order = (logits.float() / sampling.temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    before = chances.cumsum(dim=-1) - chances
    chances = chances.masked_fill(before >= sampling.top_p, 0).cpu()
    picked = [int(torch.multinomial(row, 1, generator=each)) for row, each in zip(chances, dice, strict=True)]
    return [int(order[row, at]) for row, at in enumerate(picked)]
