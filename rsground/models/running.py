"""Forward passes of a whole batch, and the positions of its tokens."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor

from rsground.models.encoding import Batch

Advance = Callable[[dict[str, Any], Tensor], dict[str, Any]]


class Pass(NamedTuple):
    """What a forward pass answers for the last K columns of a batch.

    Attributes:
        logits: ``(B, K, V)``; column k scores the token that follows.
        hidden: ``(B, K, D)`` last-layer states after the final norm.
    """

    logits: Tensor
    hidden: Tensor


def forward(model: Any, batch: Batch, keep: int) -> Pass:
    """One pass over a whole batch, without a cache; logits and states of the last ``keep`` columns."""
    given: dict[str, Any] = {**batch.inputs, "attention_mask": batch.mask, "position_ids": positions(model, batch)[0]}
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        given["logits_to_keep"] = keep
    with _last_states(model) as states:
        found = model(**given, use_cache=False)
    return Pass(found.logits[:, -keep:], states[-1][:, -keep:])


def positions(model: Any, batch: Batch) -> tuple[Tensor, Advance | None]:
    """Positions of a batch's tokens, padding not counted, and how later steps' positions are made from their counts.

    Returns:
        ``(B, L)``, and None: later positions are the counts. For models that place images on three axes (M-RoPE)
        ``(3, B, L)``, and a function of a step's inputs and the numbers of its rows.
    """
    index = getattr(model.base_model, "get_rope_index", None)
    if index is None or "mm_token_type_ids" not in batch.inputs:
        return (batch.mask.cumsum(dim=1) - 1).clamp(min=0), None
    found, shift = index(
        batch.inputs["input_ids"],
        mm_token_type_ids=batch.inputs["mm_token_type_ids"],
        image_grid_thw=batch.inputs.get("image_grid_thw"),
        attention_mask=batch.mask,
    )

    def advance(given: dict[str, Any], rows: Tensor) -> dict[str, Any]:
        place = given["position_ids"] + shift[rows]
        return {**given, "position_ids": place.expand(len(found), *place.shape)}

    return found, advance


@contextmanager
def _last_states(model: Any) -> Iterator[list[Tensor]]:
    """What goes into the output embedding while this lasts: the last layer's states after the final norm."""
    states: list[Tensor] = []
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda module, given: states.append(given[0]))
    try:
        yield states
    finally:
        hook.remove()
