"""SegEarth-R1 at full size: Swin-B, connector, Phi-1.5 and mask branch, with the published checkpoint's names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsground.errors import MissingExtraError
from rsground_segtoken.segearth.branch import BranchConfig, MaskBranch
from rsground_segtoken.segearth.connector import CompressionConnector
from rsground_segtoken.segearth.description import pool_rows
from rsground_segtoken.segearth.packing import IGNORED, Packed
from rsground_segtoken.segearth.swin import Swin, SwinConfig

if TYPE_CHECKING:
    from transformers import PhiConfig, PhiForCausalLM

VOCABULARY = 50297
"""Rows of the published embedding: 50295 of the tokenizer, [PAD] and [SEG]."""
PAD_ID, SEG_ID = 50295, 50296


def phi_config(**changes: Any) -> PhiConfig:
    """Phi-1.5's configuration with the published vocabulary; ``changes`` override fields."""
    try:
        from transformers import PhiConfig
    except ImportError as error:
        raise MissingExtraError("SegEarth-R1 at full size", "models", "transformers") from error
    fields: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-5,
        "partial_rotary_factor": 0.5,
        "max_position_embeddings": 2048,
        "bos_token_id": 50256,
        "eos_token_id": 50256,
        "pad_token_id": None,
    }
    return PhiConfig(**{**fields, **changes})


def read_phi(folder: Path) -> PhiConfig:
    """The configuration in a folder of plain Phi."""
    from transformers import PhiConfig

    return PhiConfig.from_pretrained(folder, local_files_only=True)


def language_model(config: PhiConfig) -> PhiForCausalLM:
    """Phi with the published output layer, which has no bias."""
    from transformers import PhiForCausalLM

    model = PhiForCausalLM(config)
    model.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
    return model


def last_states(language: PhiForCausalLM, packed: Packed) -> Tensor:
    """States ``(B, L, D)`` of a batch after the final norm."""
    found = language.model(inputs_embeds=packed.embeddings, attention_mask=packed.attention, use_cache=False)
    states: Tensor = found.last_hidden_state
    return states


def description_rows(states: Tensor, packed: Packed) -> list[Tensor]:
    """States ``(n_i, D)`` of each description, its trailing [SEG] included."""
    return [rows[mask] for rows, mask in zip(states, packed.refer, strict=True)]


def text_loss(language: PhiForCausalLM, states: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the next token over all labels ``(B, L)`` that are not ignored; 0 without any."""
    wanted = labels[:, 1:]
    trained = wanted != IGNORED
    if not trained.any():
        return states.new_zeros(())
    logits: Tensor = language.lm_head(states[:, :-1][trained])
    return functional.cross_entropy(logits.float(), wanted[trained])


class SegEarthR1(MaskBranch):
    """The whole model. Built on the meta device it costs nothing; :mod:`.checkpoint` fills it.

    Args:
        language: configuration of the language model; Phi-1.5 by default.
        vision: sizes of the tower; Swin-B by default.
        branch: sizes of the mask branch; the published ones by default.
        size: side of the square frame images are brought to, a multiple of 128.
    """

    def __init__(
        self,
        language: PhiConfig | None = None,
        vision: SwinConfig | None = None,
        branch: BranchConfig | None = None,
        size: int = 1024,
    ) -> None:
        language, vision = language or phi_config(), vision or SwinConfig()
        super().__init__(language.hidden_size, branch or BranchConfig(channels=vision.channels, stored_unused=True))
        self.size = size
        self.language = language_model(language)
        self.vision_tower = Swin(vision)
        self.mm_projector = CompressionConnector(vision.channels[-1], language.hidden_size, size // 32)
        self.seg_query = nn.Parameter(torch.zeros(100, language.hidden_size))

    def see(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """Normalised pixels ``(B, 3, size, size)`` to the tower's maps and the visual tokens ``(B, V, D)``."""
        maps = self.vision_tower(pixels)
        return maps, self.mm_projector(maps[-1])

    def forward(self, maps: list[Tensor], packed: Packed) -> Tensor:
        """Mask logits ``(B, size, size)`` in the frame; above 0 is foreground."""
        pooled = pool_rows(description_rows(last_states(self.language, packed), packed))
        logits = self.masks(pooled, maps[-1], self.pixels(maps)).logits[-1]
        full = functional.interpolate(logits.float(), size=(self.size, self.size), mode="bilinear", align_corners=False)
        return full[:, 0]
