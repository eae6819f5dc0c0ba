"""Weights in and out of a module: safetensors only, checked key by key before anything is changed.

A pickle can run code when it is read; none is read here. What a file holds is compared with what the module has
first, so that a wrong checkpoint leaves the module as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rsground.errors import CheckpointError
from rsground.models.atomic import replacing

WEIGHTS = "model.safetensors"
"""Name of the one weight file of a part."""
INDEX = "model.safetensors.index.json"
"""Name of the index of a part whose weights are sharded, as transformers writes it."""
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
"""Endings of files that are pickles as a rule."""

Rename = Callable[[str], str | None] | Mapping[str, str | None]
"""Key in the file → key in the module; None leaves the tensor out. A mapping keeps the keys that it does not name."""

_SHOWN = 5


class Weights:
    """Tensors by name in one safetensors file or a sharded set, read when asked for. Use as a context manager.

    Args:
        path: a ``.safetensors`` file, an ``.index.json``, or a folder that holds ``model.safetensors`` or its index.

    Raises:
        CheckpointError: there is no such file, it is a pickle, corrupt or cut off, or shards are missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = _weight_file(Path(path))
        self._stack = ExitStack()
        self._homes: dict[str, Any] = {}
        try:
            if self.path.name.endswith(".json"):
                self._open_shards()
            else:
                opened = self._open(self.path)
                self._homes = dict.fromkeys(opened.keys(), opened)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Weights:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        self._stack.close()

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""
        return sorted(self._homes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, from the header alone."""
        return tuple(self._homes[name].get_slice(name).get_shape())

    def tensor(self, name: str) -> Tensor:
        """A tensor, on the CPU, in the stored dtype.

        Raises:
            CheckpointError: its bytes cannot be read.
        """
        try:
            found: Tensor = self._homes[name].get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"tensor {name!r} cannot be read: {error}", self.path) from error
        return found

    def _open(self, file: Path) -> Any:
        _refuse_pickle(file)
        try:
            return self._stack.enter_context(safe_open(file, framework="pt"))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(_diagnosis(file, error), file) from error

    def _open_shards(self) -> None:
        homes = _weight_map(self.path)
        files = sorted(set(homes.values()))
        absent = [name for name in files if not (self.path.parent / name).is_file()]
        if absent:
            raise CheckpointError(
                f"{len(absent)} of {len(files)} shards are not there: {_few(absent)}; fetch the whole set", self.path
            )
        opened = {name: self._open(self.path.parent / name) for name in files}
        held = {(key, name) for name, shard in opened.items() for key in shard.keys()}  # noqa: SIM118 - no mapping
        astray = sorted(key for key, name in held.symmetric_difference(homes.items()))
        if astray:
            raise CheckpointError(
                f"the index and its shards disagree about {len(astray)} keys: {_few(astray)}; they are of two versions",
                self.path,
            )
        self._homes = {key: opened[name] for key, name in homes.items()}


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
        raise CheckpointError(f"{len(empty)} tensors are on the meta device, without values: {_few(empty)}", file)
    ready = {name: _stored(tensor, dtype) for name, tensor in _untied(state).items()}
    try:
        with replacing(file) as fresh:
            save_file(ready, fresh, metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot be written: {error}", file) from error
    return file


def _weight_file(path: Path) -> Path:
    """The file to open: the path itself, or what a folder holds."""
    if path.is_file():
        return path
    if path.is_dir():
        for name in (WEIGHTS, INDEX):
            if (path / name).is_file():
                return path / name
        single = sorted(path.glob("*.safetensors"))
        if len(single) == 1:
            return single[0]
        for file in sorted(path.iterdir()):
            if file.suffix in PICKLES:
                _refuse_pickle(file)
        raise CheckpointError(f"the folder holds neither {WEIGHTS} nor {INDEX}", path)
    raise CheckpointError("there is no such weight file", path)


def _refuse_pickle(file: Path) -> None:
    with file.open("rb") as stream:
        head = stream.read(9)
    if head[8:9] == b"{" and file.suffix not in PICKLES:
        return  # a safetensors header may begin with 0x80 too: that is its length
    if file.suffix in PICKLES or head.startswith(b"PK\x03\x04") or (head[:1] == b"\x80" and head[1:2] <= b"\x08"):
        raise CheckpointError(
            "this is a pickle, which can run code when it is read; weights are read from safetensors only. Fetch the "
            "safetensors version where there is one, or convert it once, with save_file from safetensors.torch: "
            'save_file({k: v.clone() for k, v in torch.load(FILE, weights_only=True).items()}, "model.safetensors")',
            file,
        )


def _diagnosis(file: Path, error: BaseException) -> str:
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(64)
    if head.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the weights: run 'git lfs pull' in that repository"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "this is a web page, not weights: the download answered an error page"
    return f"no safetensors file, or cut off or damaged ({size:,} bytes; {error}); fetch it again"


def _weight_map(index: Path) -> dict[str, str]:
    try:
        found = json.loads(index.read_text(encoding="utf-8"))
        homes = found["weight_map"]
        pairs = [(str(key), str(name)) for key, name in homes.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f'an index of shards must be a JSON object with "weight_map": {{key: file}} ({what})', index
        ) from error
    outside = [name for _, name in pairs if Path(name).name != name]
    if outside:
        raise CheckpointError(f"shards must lie beside their index, got {_few(outside)}", index)
    return dict(pairs)


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
        f"{len(keys)} {what}: {_few(keys)}"
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


def _few(names: Iterable[str]) -> str:
    every = [str(name) for name in names]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
