"""The published checkpoint's names and layouts, to ours and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_FUSED = re.compile(r"(?P<stem>.*self_attn\.)query_key_value\.(?P<kind>weight|bias)")
_SPLIT = re.compile(r"(?P<stem>.*self_attn\.)(?P<part>[qkv])_proj\.(?P<kind>weight|bias)")
_MOVED = (
    ("language.lm_head.", "lm_head."),
    ("language.model.", "model."),
    ("vision_tower.", "model.vision_tower."),
    ("mm_projector.", "model.mm_projector."),
)
"""Prefixes of ours, and theirs; everything else has one name."""


def from_published(state: Mapping[str, Tensor], heads: int = 32) -> dict[str, Tensor]:
    """A published state dict under our names.

    Fused attention weights, laid out per head as q, k, v, are split; a checkpoint that is already split passes as
    it is.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        fused = _FUSED.fullmatch(name)
        if fused is None:
            found[_ours(name)] = tensor
            continue
        parts = tensor.reshape(heads, 3, -1, *tensor.shape[1:]).unbind(1)
        for letter, part in zip("qkv", parts, strict=True):
            found[_ours(f"{fused['stem']}{letter}_proj.{fused['kind']}")] = part.flatten(0, 1)
    return found


def to_published(state: Mapping[str, Tensor], heads: int = 32) -> dict[str, Tensor]:
    """Our state dict under the published names, attention weights fused.

    Where queries have more heads than keys they have no fused form, and stay as they are.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        split = _SPLIT.fullmatch(name)
        if split is None or not name.startswith("language."):
            found[_theirs(name)] = tensor
            continue
        parts = [state[f"{split['stem']}{letter}_proj.{split['kind']}"] for letter in "qkv"]
        if len({part.shape for part in parts}) > 1:
            found[_theirs(name)] = tensor
        elif split["part"] == "q":
            fused = torch.stack([part.reshape(heads, -1, *part.shape[1:]) for part in parts], 1).flatten(0, 2)
            found[_theirs(f"{split['stem']}query_key_value.{split['kind']}")] = fused
    return found


def _theirs(name: str) -> str:
    for ours, theirs in _MOVED:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _ours(name: str) -> str:
    for ours, theirs in reversed(_MOVED):
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def head_name(name: str) -> str | None:
    """A published key as the head's, None for what the language model and nobody else has."""
    ours = _ours(name)
    if ours.startswith("language.") or ours == "seg_query":
        return None
    for part, place in (("vision_tower.", "encoder."), ("mm_projector.", "connector.")):
        if ours.startswith(part):
            return place + ours.removeprefix(part)
    return f"branch.{ours}"
