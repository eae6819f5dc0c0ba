"""A published GeoPixel folder into the module, key by key."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from rsground.models.folder import load_state
from rsground_segtoken.geopixel.full.config import read_config
from rsground_segtoken.geopixel.full.model import GeoPixel

_LEFT_OUT = re.compile(r"\.lora_(sft|dpo|web)_[AB]\.weight$|\.position_ids$|\.rotary_emb\.inv_freq$")
_SCALE = re.compile(r"(memory_encoder\.fuser\.layers\.\d+\.)weight$")
_FLAT = "vit.vision_tower.vision_model."


def published_key(key: str) -> str | None:
    """The module's key for a checkpoint's key; None for what GeoPixel never uses.

    The layer scale of the memory encoder is stored as ``weight`` and called ``gamma`` by the ``sam2`` package; newer
    writers store CLIP without ``vision_model``.
    """
    if _LEFT_OUT.search(key):
        return None
    key = _SCALE.sub(r"\1gamma", key)
    bare = key.removeprefix("vit.vision_tower.")
    if bare != key and not key.startswith(_FLAT):
        return _FLAT + bare
    return key


def load_geopixel(
    folder: str | Path, *, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> GeoPixel:
    """The model with its weights, in evaluation mode.

    Args:
        folder: ``config.json`` with one ``model.safetensors`` or shards and ``model.safetensors.index.json``.
        dtype: of all weights afterwards; None as stored (published: bfloat16).
        device: where it is put once loaded.

    Raises:
        CheckpointError: the folder is no GeoPixel, its weights are pickles (the message has the conversion), or keys
            are missing, unexpected or misshapen.
    """
    model = GeoPixel(read_config(folder), empty_language=True)
    load_state(model, folder, rename=published_key, dtype="stored" if dtype is None else dtype)
    return model.to(device).eval().requires_grad_(False)
