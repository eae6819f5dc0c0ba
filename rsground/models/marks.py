"""Tokens with a meaning of their own: ends, padding, images, and those that a head adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from rsground.errors import CheckpointError


class Marks(NamedTuple):
    """Token ids of a model.

    Attributes:
        ends: any of them ends an answer.
        end: the one that ends an answer in training.
        pad: for padding; masked wherever it stands.
        image: stands for a piece of an image.
    """

    ends: frozenset[int]
    end: int
    pad: int
    image: int


def marks_of(model: Any, tokenizer: Any) -> Marks:
    """The marks of a model and its tokenizer.

    Raises:
        CheckpointError: no token ends an answer, or none stands for images.
    """
    named = model.generation_config.eos_token_id
    many = [*(named if isinstance(named, list) else [named]), tokenizer.eos_token_id]
    ends = frozenset(int(each) for each in many if each is not None)
    if not ends:
        raise CheckpointError("neither generation_config.json nor the tokenizer names a token that ends an answer")
    config = model.config
    images = (getattr(config, name, None) for name in ("image_token_id", "image_token_index"))
    image = next((int(each) for each in images if each is not None), None)
    if image is None:
        raise CheckpointError(f"config.json of this {config.model_type} names no token for images (image_token_id)")
    end = min(ends) if tokenizer.eos_token_id is None else int(tokenizer.eos_token_id)
    pad = end if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    return Marks(ends, end, pad, image)


def add_tokens(model: Any, tokenizer: Any, tokens: Sequence[str]) -> None:
    """Add special tokens; those that are known stay as they are. A new token's rows, going in and coming out, are the
    mean of the old ones, so that it is neither likely nor impossible from the start."""
    known = tokenizer.get_vocab()
    fresh = [token for token in dict.fromkeys(tokens) if token not in known]
    if not fresh:
        return
    tokenizer.add_tokens(fresh, special_tokens=True)
    ids = tokenizer.convert_tokens_to_ids(fresh)
    if max(ids) >= model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tables = {id(part.weight): part.weight for part in (model.get_input_embeddings(), model.get_output_embeddings())}
    with torch.no_grad():
        for weight in tables.values():
            weight[ids] = weight[: min(ids)].mean(dim=0)
