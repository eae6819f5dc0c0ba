"""Weights in and out of a module: safetensors only, checked key by key before anything is changed.

A pickle can run code when it is read; none is read here. What a file holds is compared with what the module has
first, so that a wrong checkpoint leaves the module as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from rsground.errors import CheckpointError
from rsground.models.atomic import replacing
from rsground.models.weights import PICKLES, WEIGHTS, Weights, few

__all__ = ["Rename", "Weights", "load_state", "read_state", "save_state"]

Rename = Callable[[str], str | None] | Mapping[str, str | None]
"""Key in the file → key in the module; None leaves the tensor out. A mapping keeps the keys that it does not name."""


def read_state(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a file, a sharded set or a part's folder, on the CPU in their stored dtypes.

    Raises:
        CheckpointError: as :class:`Weights`.
    """
    with Weights(path) as weights:
        return {name: weights.tensor(name) for name in weights.names()}


def load_state(
    module: nn.Module,
    path: str | Path,
    *,
    rename: Rename | None = None,
    optional: Callable[[str], bool] | Iterable[str] = (),
    dtype: torch.dtype | Literal["stored"] | None = None,
) -> None:
    """Load a module's weights. All keys and shapes are checked before the first one is changed.

    Args:
        module: on any device, the meta device included (it then gets the file's tensors, on the CPU). Tied weights
            may be stored once. Which parameters need gradients stays as it is.
        path: as :class:`Weights`.
        rename: key in the file → key in the module, None to leave a tensor out.
        optional: keys of the module that the file may lack; they keep their values.
        dtype: of floating-point tensors afterwards: None keeps the module's (values are converted; on the meta
            device the module's declared one), ``"stored"`` takes the file's, else the one given.

    Raises:
        CheckpointError: keys are missing, unexpected or of another shape, two keys are renamed to one, or as
            :class:`Weights`.
    """
    with Weights(path) as weights:
        sources = _renamed(weights, rename)
        slots = module.state_dict(keep_vars=True)
        _check_keys(weights, sources, slots, optional if callable(optional) else frozenset(optional).__contains__)
        with torch.no_grad():
            _fill(module, slots, {key: weights.tensor(source) for key, source in sources.items()}, dtype)


def save_state(module: nn.Module | Mapping[str, Tensor], path: str | Path, *, dtype: torch.dtype | None = None) -> Path:
    """Write a module's weights, or a state dict, as one safetensors file; the file's path.

    The file appears whole or not at all. Tied tensors are stored once, under the first of their names; others keep
    their dtype, or are stored as ``dtype`` where they are floating point.

    Args:
        module: the module, or its state.
        path: a ``.safetensors`` file, or a folder, which then gets ``model.safetensors``; folders are made.
        dtype: what floating-point tensors are stored as, such as ``torch.float16``.

    Raises:
        CheckpointError: a tensor has no values (meta device), or the file cannot be written.
    """
    file = Path(path)
    if file.suffix in PICKLES:
        raise CheckpointError("weights are written as safetensors only; name the file *.safetensors", file)
    if file.suffix != ".safetensors":
        file = file / WEIGHTS
    state = module.state_dict() if isinstance(module, nn.Module) else module
    empty = [name for name, tensor in state.items() if tensor.is_meta]
    if empty:
        raise CheckpointError(f"{len(empty)} tensors are on the meta device, without values: {few(empty)}", file)
    ready = {name: _stored(tensor, dtype) for name, tensor in _untied(state).items()}
    try:
        with replacing(file) as fresh:
            save_file(ready, fresh, metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot be written: {error}", file) from error
    return file


def _renamed(weights: Weights, rename: Rename | None) -> dict[str, str]:
    """Key in the module → key in the file."""
    sources: dict[str, str] = {}
    for source in weights.names():
        key = source if rename is None else rename(source) if callable(rename) else rename.get(source, source)
        if key is None:
            continue
        if key in sources:
            raise CheckpointError(f"{sources[key]!r} and {source!r} are both renamed to {key!r}", weights.path)
        sources[key] = source
    return sources


def _check_keys(
    weights: Weights, sources: Mapping[str, str], slots: Mapping[str, Tensor], optional: Callable[[str], bool]
) -> None:
    given = {id(slots[key]) for key in sources if key in slots}
    missing = [k for k, slot in slots.items() if k not in sources and id(slot) not in given and not optional(k)]
    extra = [key for key in sources if key not in slots]
    misshapen = [
        f"{key} is {_shape(found)}, should be {_shape(slots[key].shape)}"
        for key, source in sources.items()
        if key in slots and (found := weights.shape(source)) != tuple(slots[key].shape)
    ]
    faults = [
        f"{len(keys)} {what}: {few(keys)}"
        for what, keys in (("missing", missing), ("unexpected", extra), ("of another shape", misshapen))
        if keys
    ]
    if faults:
        raise CheckpointError(
            f"these weights do not fit the model of {len(slots)} keys: {'; '.join(faults)}. They belong to another "
            f"model, version or size",
            weights.path,
        )


def _fill(
    module: nn.Module,
    slots: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    dtype: torch.dtype | Literal["stored"] | None,
) -> None:
    """Give every slot its values; slots of one tensor stay one tensor."""
    fresh: dict[int, Tensor] = {}
    for key, values in state.items():
        slot = slots[key]
        wanted = values.dtype if dtype == "stored" else slot.dtype if dtype is None else dtype
        if not (slot.is_floating_point() and values.is_floating_point()):
            wanted = slot.dtype
        if slot.is_meta:
            fresh[id(slot)] = _like(slot, values.to(wanted))
        elif wanted == slot.dtype:
            slot.copy_(values)
        else:
            slot.data = values.to(device=slot.device, dtype=wanted)
    if fresh:
        for key, slot in slots.items():
            if id(slot) in fresh:
                _replace(module, key, fresh[id(slot)])


def _like(slot: Tensor, values: Tensor) -> Tensor:
    return nn.Parameter(values, requires_grad=slot.requires_grad) if isinstance(slot, nn.Parameter) else values


def _replace(module: nn.Module, key: str, tensor: Tensor) -> None:
    owner, _, name = key.rpartition(".")
    setattr(module.get_submodule(owner), name, tensor)


def _untied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that are one in memory, kept once, under the first name."""
    kept: dict[tuple[Any, ...], str] = {}
    for name, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        kept.setdefault(place if tensor.numel() else (name,), name)
    return {name: state[name] for name in kept.values()}


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A contiguous CPU copy that shares no memory with any other tensor that is written."""
    wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", wanted, copy=True).contiguous()


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
