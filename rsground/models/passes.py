"""Forward passes over a growing key-value cache: the prompts, then a few tokens a row and step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from rsground.models.lanes import Lane

AT_ONCE = 64
"""Tokens of a row fed in one step; longer queues take several."""
_GAPS = 1.5


class Passes:
    """A model with the cache of one batch.

    Args:
        model: a causal model.
        mask: ``(B, L)`` attention mask of the prompts.
        hidden: whether states are noted in the lanes.
        advance: see :func:`rsground.models.decoding.decode`.

    Attributes:
        width: of a hidden state, 0 before the first pass.
    """

    def __init__(
        self, model: Any, mask: Tensor, hidden: bool, advance: Callable[[dict[str, Any], Tensor], dict[str, Any]] | None
    ) -> None:
        self.model, self.mask, self.hidden, self.advance = model, mask, hidden, advance
        self.width = 0
        self._accepts = inspect.signature(model.forward).parameters
        self._rows = torch.arange(len(mask), device=mask.device)
        self.cache = DynamicCache(config=model.config.get_text_config(decoder=True))

    def start(self, inputs: Mapping[str, Any]) -> Tensor:
        """Run the prompts; logits ``(B, V)`` of the first tokens."""
        given = {**inputs, "attention_mask": self.mask}
        if self.advance is None and "position_ids" not in given and "position_ids" in self._accepts:
            given["position_ids"] = (self.mask.cumsum(dim=1) - 1).clamp(min=0)
        logits, states = self._call(given, 1)
        self.width = 0 if states is None else int(states.shape[-1])
        return logits

    def step(self, lanes: Sequence[Lane]) -> Tensor:
        """Feed what the lanes hold in their queues; logits ``(B, V)`` of what follows their last token fed."""
        self._pack()
        counts = [min(len(lane.queue), AT_ONCE) for lane in lanes]
        if not self._bears_gaps:
            counts = [min(counts)] * len(counts)
        width = max(counts)
        ids, place, real = (torch.zeros(len(lanes), width, dtype=torch.long) for _ in range(3))
        for at, (lane, count) in enumerate(zip(lanes, counts, strict=True)):
            first = width - count
            ids[at, first:] = torch.tensor(lane.queue[:count])
            place[at] = (torch.arange(width) - first).clamp(min=0) + lane.fed
            real[at, first:] = 1
        device = self.mask.device
        self.mask = torch.cat([self.mask, real.to(device, self.mask.dtype)], dim=1)
        given: dict[str, Any] = {"input_ids": ids.to(device), "attention_mask": self.mask}
        if "position_ids" in self._accepts:
            given["position_ids"] = place.to(device)
        logits, states = self._call(given, width if self.hidden else 1)
        for at, (lane, count) in enumerate(zip(lanes, counts, strict=True)):
            del lane.queue[:count]
            if states is not None:
                lane.states.append(states[at, width - count :])
        return logits

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in that order."""
        kept: Any = torch.tensor(rows, device=self.mask.device)
        self.cache.reorder_cache(kept)  # layers with a running state know no batch_select_indices
        self.mask, self._rows = self.mask[kept], self._rows[kept]

    def _call(self, given: dict[str, Any], keep: int) -> tuple[Tensor, Tensor | None]:
        """Logits of the last column, and the states of the last ``keep`` ones."""
        given.update(past_key_values=self.cache, use_cache=True)
        if self.advance is not None and self.cache.get_seq_length() > 0:
            given = self.advance(given, self._rows)
        if "logits_to_keep" in self._accepts:
            given["logits_to_keep"] = keep
        if not self.hidden:
            logits: Tensor = self.model(**given).logits
            return logits[:, -1].float(), None
        states: list[Tensor] = []
        head = self.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda module, fed: states.append(fed[0]))
        try:
            logits = self.model(**given).logits
        finally:
            hook.remove()
        return logits[:, -1].float(), states[-1][:, -keep:].clone()

    def _pack(self) -> None:
        """Drop the cache's masked columns once they are a third of it: every row's own tokens, moved to the right."""
        longest = int(self.mask.sum(dim=1).max())
        if self.mask.shape[1] <= _GAPS * longest or not self._bears_gaps:
            return
        order = self.mask.long().argsort(dim=1, stable=True)[:, -longest:]
        self.mask = self.mask.gather(1, order)
        layers: Any = self.cache.layers
        for layer in layers:
            layer.keys, layer.values = _columns(layer.keys, order), _columns(layer.values, order)

    @property
    def _bears_gaps(self) -> bool:
        """Whether columns between a row's tokens may be masked: not where a layer counts columns (a sliding window) or
        passes a state from one to the next (linear attention, convolution)."""
        return all(type(layer) is DynamicLayer for layer in self.cache.layers)


def _columns(cached: Any, order: Tensor) -> Tensor:
    """Some columns of ``(B, heads, L, D)``, a row's own choice each."""
    index = order[:, None, :, None].expand(-1, cached.shape[1], -1, cached.shape[3])
    found: Tensor = cached.gather(2, index)
    return found
