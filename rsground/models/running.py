"""Forward passes of a batch: the prompt at once, then token by token with a key-value cache."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from rsground.models.encoding import Batch


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
    positions, _ = _positions(model, batch)
    return _call(model, keep, {**batch.inputs, "position_ids": positions}, batch.mask, use_cache=False)


class Stepper:
    """A batch under generation: the prompt's pass, then one token a row and step.

    Args:
        model: the model, in evaluation mode.
        batch: the prompts.
    """

    def __init__(self, model: Any, batch: Batch) -> None:
        self.model = model
        self.cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        self.mask = batch.mask
        self._batch = batch
        self._shift = torch.zeros(len(batch.rows), 1, dtype=torch.long, device=batch.mask.device)
        self._planes = 1

    def start(self) -> Pass:
        """Run the prompts; logits ``(B, 1, V)`` of the first token to come."""
        positions, shift = _positions(self.model, self._batch)
        if shift is not None:
            self._shift, self._planes = shift, positions.shape[0]
        inputs = {**self._batch.inputs, "position_ids": positions}
        return _call(self.model, 1, inputs, self.mask, use_cache=True, past_key_values=self.cache)

    def step(self, tokens: Tensor) -> Pass:
        """Feed one token per row, ``(B,)``; their states, and the logits of what follows."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        place = self.mask.sum(dim=1, keepdim=True) - 1 + self._shift
        positions = place if self._planes == 1 else place.expand(self._planes, -1, -1)
        inputs = {"input_ids": tokens[:, None], "position_ids": positions}
        return _call(self.model, 1, inputs, self.mask, use_cache=True, past_key_values=self.cache)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows only (long indices), in that order."""
        self.cache.batch_select_indices(rows)
        self.mask, self._shift = self.mask[rows], self._shift[rows]


def _positions(model: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Positions of all tokens, padding not counted; for models that turn images in three axes (M-RoPE), ``(3, B, L)``
    and what to add to the count of tokens from there on, ``(B, 1)``."""
    index = getattr(model.base_model, "get_rope_index", None)
    if index is None or "mm_token_type_ids" not in batch.inputs:
        return (batch.mask.cumsum(dim=1) - 1).clamp(min=0), None
    positions, shift = index(
        batch.inputs["input_ids"],
        mm_token_type_ids=batch.inputs["mm_token_type_ids"],
        image_grid_thw=batch.inputs.get("image_grid_thw"),
        attention_mask=batch.mask,
    )
    return positions, shift


def _call(model: Any, keep: int, inputs: Mapping[str, Tensor], mask: Tensor, **options: Any) -> Pass:
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        options["logits_to_keep"] = keep
    with _last_states(model) as states:
        found = model(**inputs, attention_mask=mask, **options)
    return Pass(found.logits[:, -keep:], states[-1][:, -keep:])


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
