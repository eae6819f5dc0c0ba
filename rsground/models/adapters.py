"""LoRA adapters on a model, through peft: put on, saved, loaded, merged. Hu et al. 2021, "LoRA", eq. 3."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from rsground.errors import CheckpointError, MissingExtraError
from rsground.models.attending import text_model
from rsground.models.loading import quiet
from rsground.models.state import Weights

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def add(model: Any, lora: Any, rank: int, alpha: float, dropout: float, targets: Sequence[str] | str | None) -> Any:
    """Freeze the model and put fresh adapters on it; peft's wrapper. The update starts at zero.

    Raises:
        CheckpointError: it has adapters already.
        MissingExtraError: peft is not installed.
    """
    peft = _peft()
    _only_one(lora)
    chosen = language_layers(model) if targets is None else targets if isinstance(targets, str) else list(targets)
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=chosen, bias="none")
    with _settled():
        return peft.get_peft_model(model, config)


def language_layers(model: Any) -> list[str]:
    """Full names of the linear layers inside the language model's blocks; vision tower and output table stay out."""
    decoder = text_model(model)
    prefix = next(name for name, module in model.named_modules() if module is decoder)
    return [
        f"{prefix}.{name}" if prefix else name
        for name, module in decoder.named_modules()
        if isinstance(module, nn.Linear)
    ]


def save(lora: Any, folder: Path) -> None:
    """Write the adapter alone.

    Raises:
        CheckpointError: there is no adapter, or the folder cannot be written.
    """
    if lora is None:
        raise CheckpointError("the model has no LoRA adapter to save; add_lora() puts one on", folder)
    try:
        lora.save_pretrained(folder, safe_serialization=True)
    except OSError as error:
        raise CheckpointError(f"the adapter cannot be written: {error}", folder) from error


def load(model: Any, lora: Any, folder: Path) -> Any:
    """Put a saved adapter on the model, in evaluation mode.

    Raises:
        CheckpointError: it is no adapter, a pickle, damaged, or one of another model; or there is one already.
        MissingExtraError: peft is not installed.
    """
    _only_one(lora)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise CheckpointError(f"no {ADAPTER_CONFIG} in this folder: it holds no LoRA adapter", folder)
    path = folder / ADAPTER_WEIGHTS
    with Weights(path if path.is_file() else folder) as weights:
        stored = set(weights.names())
    try:
        with _settled():
            found = _peft().PeftModel.from_pretrained(model, str(folder), local_files_only=True)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        text = " ".join(str(error).split())[:400]
        raise CheckpointError(f"the adapter does not fit the model: {type(error).__name__}: {text}", folder) from error
    wanted = set(_peft().get_peft_model_state_dict(found))
    if stored != wanted:
        found.unload()
        raise CheckpointError(
            f"the adapter is not of this model: {len(wanted - stored)} keys missing, {len(stored - wanted)} unexpected "
            f"({', '.join(sorted(stored ^ wanted)[:5])})",
            folder,
        )
    return found


def merge(lora: Any) -> Any:
    """Fold the adapter into the weights; the plain model.

    Raises:
        CheckpointError: there is no adapter.
    """
    if lora is None:
        raise CheckpointError("the model has no LoRA adapter to merge; add_lora() puts one on")
    return lora.merge_and_unload()


def save_whole(model: Any, lora: Any, processor: Any, folder: Path) -> None:
    """Write a model in hub layout, its adapter merged into what is written; the model itself stays as it is.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    try:
        with quiet():
            model.save_pretrained(folder, state_dict=None if lora is None else merged_state(model))
            processor.save_pretrained(folder)
    except OSError as error:
        raise CheckpointError(f"cannot be written: {error}", folder) from error


def merged_state(model: nn.Module) -> Mapping[str, Tensor]:
    """The state dict that the model would have with its adapter merged, under the plain model's keys."""
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "get_delta_weight")}
    state = {}
    for key, value in model.state_dict().items():
        if ".lora_" in key:
            continue
        owner = key.rpartition(".base_layer.")[0]
        if owner and key.endswith(".base_layer.weight") and owner in layers:
            with torch.no_grad():
                value = value + sum(layers[owner].get_delta_weight(name) for name in layers[owner].active_adapters)
        state[key.replace(".base_layer.", ".")] = value
    return state


def _only_one(lora: Any) -> None:
    if lora is not None:
        raise CheckpointError("the model has a LoRA adapter already; merge_adapter() folds it into the weights first")


@contextmanager
def _settled() -> Iterator[None]:
    """peft asks transformers for an attribute under its old name, which is between the two of them; and it warns of
    missing keys, which are an error here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", "Found missing adapter keys", UserWarning)
        yield


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise MissingExtraError("LoRA", "models", "peft") from None
    return peft
