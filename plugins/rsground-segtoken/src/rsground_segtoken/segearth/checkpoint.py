"""Reading a published SegEarth-R1 folder: safetensors, whole or in shards, checked key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rsground.errors import CheckpointError
from rsground.models.state import read_state, save_state
from rsground_segtoken.segearth.model import SegEarthR1, language_model, phi_config, read_phi
from rsground_segtoken.segearth.names import from_published, to_published

if TYPE_CHECKING:
    from transformers import PhiConfig, PhiForCausalLM

_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "layer_norm_eps",
    "qk_layernorm",
    "max_position_embeddings",
    "rope_parameters",
    "resid_pdrop",
    "embd_pdrop",
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
)
"""What is read and written of a language model's configuration."""
_ROTARY = "partial_rotary_factor"
_KIND, _PLAIN = "llava_phi", "phi"
_EMBEDDING, _OUTPUT = "language.model.embed_tokens.weight", "language.lm_head.weight"
_SHOWN = 3


def load_published(folder: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> SegEarthR1:
    """SegEarth-R1 from the published layout: ``config.json`` beside safetensors weights, whole or in shards.

    Attention weights may be fused, as published, or split. The language model's sizes come from ``config.json``;
    those of the tower and the decoders are the published ones, which no file of the checkpoint records.

    Args:
        folder: the checkpoint.
        device, dtype: where the model is put. Reading bf16 weights as float16 would change values.

    Raises:
        CheckpointError: nothing to read there, a pickle, or keys missing, unexpected or misshapen.
    """
    root = Path(folder)
    config = phi_of(root, read_config(root))
    with torch.device("meta"):
        model = SegEarthR1(config)
    fill(model, from_published(read_state(root), config.num_attention_heads), root)
    settle(model.language)
    return model.to(device=device, dtype=dtype).eval()


def load_language(
    folder: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> PhiForCausalLM:
    """The language model alone, from the same folder; other parts of the checkpoint are left where they are.

    A folder of plain Phi will do, to train from; the bias of its output layer, which SegEarth-R1 has not, is left, and
    an output layer tied to the embedding begins as a copy of it.

    Raises:
        CheckpointError: as :func:`load_published`.
    """
    root = Path(folder)
    config = phi_of(root, read_config(root, _PLAIN))
    with torch.device("meta"):
        model = language_model(config)
    state = from_published(read_state(root), config.num_attention_heads)
    state.pop("language.lm_head.bias", None)
    if config.tie_word_embeddings and _EMBEDDING in state:
        state.setdefault(_OUTPUT, state[_EMBEDDING].clone())
    prefix = "language."
    fill(model, {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}, root)
    settle(model)
    module: nn.Module = model
    module.to(device=device, dtype=dtype).eval()
    return model


def save_language(config: PhiConfig, state: Mapping[str, Tensor], tokenizer: Any, folder: Path) -> None:
    """Write the language model as :func:`load_language` reads it: published names, attention weights fused
    where keys and queries have as many heads.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    said = {name: getattr(config, name) for name in _FIELDS}
    file = folder / "config.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"model_type": _KIND, **said, _ROTARY: said["rope_parameters"][_ROTARY]}, indent=2)
        file.write_text(text, encoding="utf-8")
        tokenizer.save_pretrained(folder)
    except OSError as error:
        raise CheckpointError(f"cannot be written: {error}", path=folder) from error
    ours = {f"language.{name}": tensor for name, tensor in state.items()}
    save_state(to_published(ours, config.num_attention_heads), folder)


def phi_of(root: Path, config: Mapping[str, Any]) -> PhiConfig:
    """The language model's configuration, as far as ``config.json`` tells it."""
    if config["model_type"] == _PLAIN:
        return read_phi(root)
    return phi_config(**{name: config[name] for name in (*_FIELDS, _ROTARY) if name in config})


def read_config(root: Path, *others: str) -> dict[str, Any]:
    """The published ``config.json``, or that of one of the ``others``, by their ``model_type``.

    Raises:
        CheckpointError: it is not there, or another model's.
    """
    file = root / "config.json"
    if not file.is_file():
        raise CheckpointError("no config.json there; give the folder that holds it beside the weights", path=root)
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read as JSON: {error}", path=file) from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in (_KIND, *others):
        known = " or ".join(repr(each) for each in (_KIND, *others))
        raise CheckpointError(f"model_type must be {known} (SegEarth-R1), got {kind!r}", path=file)
    return dict(config)


def fill(model: nn.Module, state: Mapping[str, Tensor], source: object = None) -> None:
    """Put ``state`` into ``model``, whose parameters may be on the meta device; all keys are checked first.

    Raises:
        CheckpointError: a key is missing, unexpected or misshapen.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    changed = [name for name in wanted if shapes.get(name, wanted[name]) != wanted[name]]
    faults = (
        ("missing", [name for name in wanted if name not in shapes]),
        ("unexpected", [name for name in shapes if name not in wanted]),
        ("of another shape", [f"{name} is {shapes[name]}, should be {wanted[name]}" for name in changed]),
    )
    if any(names for _, names in faults):
        told = "; ".join(f"{len(names)} {what}: {_few(names)}" for what, names in faults if names)
        raise CheckpointError(
            f"these weights do not fit {type(model).__name__}: {told}. They belong to another model, version or size",
            path=source,
        )
    model.load_state_dict(dict(state), strict=True, assign=True)


def settle(language: PhiForCausalLM) -> None:
    """Make the rotary frequencies, which no checkpoint holds, on a real device."""
    inner = language.model
    inner.rotary_emb = type(inner.rotary_emb)(config=language.config)


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
