"""A very small model of our own and its tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rsground.models.tower_lm import TowerLM, TowerLMConfig
from rsground.models.tower_lm.cursor import grid_tokens
from rsground.models.tower_lm.tokenizer import make_tokenizer, number_ids
from rsground.models.training.language_setup import processor_of

TOWER: dict[str, Any] = {
    "vision_config": {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    "image_size": 64,
    "fpn_width": 8,
    "dense_width": 8,
    "objects": 6,
    "grid": 2,
}
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
}
WORDS = ["the large white ship left of the pier", "a small red car", "all storage tanks", "where is it"] * 4


def tokenizer() -> Any:
    """A tokenizer of a few words."""
    return make_tokenizer(WORDS, ["Where is ", "[SEG]"], size=320)


def model(
    words: Any,
    seed: int = 0,
    judge_layers: int = 2,
    ledger: bool = False,
    compares: bool = False,
    measures: bool = False,
    starts: int = 0,
    cursor: bool = False,
) -> TowerLM:
    """Random weights, large enough that everything matters."""
    torch.manual_seed(seed)
    text = {
        **TEXT,
        "vocab_size": -(-len(words) // 16) * 16,
        "tie_word_embeddings": True,
        "pad_token_id": words.pad_token_id,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
    }
    own: dict[str, Any] = {"judge_width": 16, "judge_layers": judge_layers, "ledger": ledger}
    own |= {"judge_compares": compares, "judge_measures": measures, "judge_starts": starts}
    own |= {"cursor": grid_tokens(words)} if cursor else {}
    own["numbers"] = list(number_ids(words).values())
    made = TowerLM(TowerLMConfig(**TOWER, **own, text_config=text)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() > 1:
                weight.normal_(std=1.0 / weight[0].numel() ** 0.5)
    return made


def inputs(small: TowerLM, words: Any, text: str) -> Any:
    """Of one noisy image and a text."""
    image = np.random.default_rng(2).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)[0]
    return processor_of(small, words)(text=text, images=[image], return_tensors="pt")


@torch.no_grad()
def piece_by_piece(small: TowerLM, given: Any, mark: int, pieces: int) -> torch.Tensor:
    """``(T, vocabulary)`` logits from column ``mark`` on, where what comes after it is fed so many words at a time."""
    step = small(
        input_ids=given["input_ids"][:, : mark + 1],
        pixel_values=given["pixel_values"],
        attention_mask=given["attention_mask"][:, : mark + 1],
        use_cache=True,
    )
    said = [step.logits[0, -1:]]
    for at in range(mark + 1, given["input_ids"].shape[1], pieces):
        step = small(
            input_ids=given["input_ids"][:, at : at + pieces],
            attention_mask=given["attention_mask"][:, : at + pieces],
            past_key_values=step.past_key_values,
            use_cache=True,
        )
        said.append(step.logits[0])
    return torch.cat(said)
