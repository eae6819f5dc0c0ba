"""The small model itself, shaped like any image-and-text model of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import GenerationMixin, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from rsground.models.tower_lm.config import TowerLMConfig
from rsground.models.tower_lm.facts import Facts, FactsEmbedding, code, facts, token_boxes
from rsground.models.tower_lm.tower import Tower


class TowerLM(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """Tower, visual tokens, Llama. The visual tokens of a prompt see each other; words see what stands before them."""

    config_class = TowerLMConfig
    main_input_name = "input_ids"
    _supports_sdpa = True
    _supports_attention_backend = True
    _tied_weights_keys = {"language_model.lm_head.weight": "language_model.model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: TowerLMConfig) -> None:
        super().__init__(config)
        self.tower = Tower(config)
        self.visual = FactsEmbedding(config)
        text: Any = config.text_config
        self.language_model: Any = LlamaForCausalLM(text)
        self.pointer = Pointer(config.text_config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        """The token table."""
        found: nn.Module = self.language_model.get_input_embeddings()
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another token table."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """What scores the tokens."""
        found: nn.Module = self.language_model.get_output_embeddings()
        return found

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Another scorer."""
        self.language_model.set_output_embeddings(value)

    def facts(self, pixel_values: Tensor) -> Facts:
        """What the tower tells of ``(B, 3, S, S)`` normalised pixels."""
        return facts(self.tower(pixel_values), self.config.objects, self.config.grid)

    def pyramid(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16 and 32: ``dense_width`` channels, then four times ``fpn_width``."""
        dense = self.tower(pixel_values)
        return (dense.features, *dense.pyramid)

    def visual_boxes(self, size: tuple[int, int], pixel_values: Tensor) -> NDArray[np.float32]:
        """``(V, 4)`` boxes, in pixels of a view of that (height, width), of the visual tokens of one image."""
        with torch.no_grad():
            found = token_boxes(self.facts(pixel_values), *size)
        boxes: NDArray[np.float32] = found[0].float().cpu().numpy()
        return boxes

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """As other image-and-text models of transformers; ``pixel_values`` ``(images, 3, S, S)`` row by row."""
        if pixel_values is not None and input_ids is not None:
            found = self.facts(pixel_values)
            inputs_embeds, attention_mask, position_ids = self._begun(input_ids, found, attention_mask, position_ids)
            input_ids = None
        output: CausalLMOutputWithPast = self.language_model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        return output

    def _begun(
        self, ids: Tensor, found: Facts, mask: Tensor | None, places: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings, 4-D mask and positions of prompts with images."""
        mask = torch.ones_like(ids) if mask is None else mask
        places = (mask.cumsum(1) - 1).clamp(min=0) if places is None else places
        shown = ids == self.config.image_token_index
        per_row = shown.sum(1) // self.config.visual_tokens
        order = torch.cat([torch.arange(int(count) - 1, -1, -1) for count in per_row]).clamp(max=1)
        tokens = self.visual(found, order.to(ids.device))
        embeds = self.get_input_embeddings()(ids.masked_fill(shown, 0))
        embeds = embeds.masked_scatter(shown[..., None], tokens.to(embeds.dtype).flatten(0, 1))
        last = places.masked_fill(~shown, 0).amax(1, keepdim=True)
        return embeds, seen(shown, mask.bool(), embeds.dtype), torch.where(shown, last, places)


class Pointer(nn.Module):
    """Scores every visual token as what a prompt means: an aid in training, never asked for an answer."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.asks = nn.Linear(hidden, hidden)
        self.offers = nn.Linear(hidden, hidden)
        self.bias = nn.Parameter(torch.tensor(-3.0))

    def forward(self, prompts: Tensor, tokens: Tensor) -> Tensor:
        """Logits ``(N, V)`` for ``(N, D)`` states of prompts' last tokens and ``(N, V, D)`` of visual ones."""
        asked = self.asks(prompts)[:, None]
        scores: Tensor = (asked * self.offers(tokens)).sum(-1) / prompts.shape[-1] ** 0.5 + self.bias
        return scores


def seen(shown: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask ``(B, 1, L, L)``: words see backwards, visual tokens see all visual ones, nobody sees padding."""
    length = shown.shape[1]
    backwards = torch.ones(length, length, dtype=torch.bool, device=shown.device).tril()
    allowed = (backwards | (shown[:, :, None] & shown[:, None, :])) & real[:, None, :]
    allowed = allowed | torch.eye(length, dtype=torch.bool, device=shown.device)
    return torch.zeros(allowed.shape, dtype=dtype, device=shown.device).masked_fill(~allowed, torch.finfo(dtype).min)[
        :, None
    ]


@torch.no_grad()
def begin_numbers(model: TowerLM, ids: dict[int, int]) -> None:
    """Start the tokens of the numbers 0 to 1000 (number → token id) from the code that boxes are written in."""
    table: Any = model.get_input_embeddings().weight
    width = model.config.code_width
    numbers = torch.tensor(list(ids), dtype=torch.float32) / 1000
    scale = table.std() * 2
    table[list(ids.values()), :width] = (code(numbers, width) * scale).to(table.dtype)
