"""Weights of detectors: ``safetensors``, or a ``.pth`` file of which only tensors and plain values are read."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rsground.errors import CheckpointError

CONFIG, WEIGHTS = "config.py", "model.safetensors"
"""Files of a detector's folder."""
_CLASSES = "classes"
_TENSOR_PARTS = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}
_SHOWN = 3


class Left:
    """Stands where a checkpoint holds an object that nobody needs; takes whatever is done to it while reading."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Left:
        """Whatever the object's constructor was given."""
        del args, kwargs
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        del state

    def __setitem__(self, key: Any, value: Any) -> None:
        del key, value

    def append(self, value: Any) -> None:
        """An element of a list that is not kept."""

    def extend(self, values: Any) -> None:
        """Elements of a list that is not kept."""


class _Reader(pickle.Unpickler):
    """Builds tensors and containers only; nothing that a file names is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        import torch

        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in _TENSOR_PARTS:
            return getattr(torch._utils, name)
        if module == "torch" and (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)):
            return getattr(torch, name, Left)
        return Left


def read_weights(path: Path) -> tuple[dict[str, Any], list[str] | None]:
    """State and, where the file tells, the categories.

    Objects in a ``.pth`` that are no tensors, numbers or strings (MMEngine keeps its logs there) are left out;
    nothing of them is run.

    Args:
        path: ``*.safetensors``, or a file that ``torch.save`` wrote.

    Raises:
        CheckpointError: the file cannot be read or holds no weights.
    """
    if not path.is_file():
        raise CheckpointError("there is no such file", path)
    try:
        found, classes = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except CheckpointError:
        raise
    except Exception as error:  # damaged files fail in many ways, in several libraries
        raise CheckpointError(f"cannot be read as weights: {type(error).__name__}: {error}", path) from error
    return {name.removeprefix("module."): value for name, value in found.items()}, classes


def load_into(model: Any, state: Mapping[str, Any], path: Path) -> None:
    """Put the weights into the model, every one and no more.

    Raises:
        CheckpointError: names or shapes differ; nothing was changed.
    """
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    other = [name for name in wanted if name in state and wanted[name].shape != state[name].shape]
    told = [
        f"{what}: {', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
        for what, names in (("missing", missing), ("not of this model", extra), ("of another shape", other))
        if names
    ]
    if told:
        raise CheckpointError(f"these weights do not belong to the config: {'; '.join(told)}", path)
    model.load_state_dict(dict(state))


def save_detector(folder: Path, config: Any, checkpoint: Path, *, half: bool = False) -> None:
    """Write a detector's folder: the config in one file, the weights without pickle.

    Args:
        folder: made where it is not there.
        config: ``mmengine.Config`` with ``metainfo.classes``.
        checkpoint: what training wrote.
        half: matrices and kernels in 16 bits; what normalises stays as it is. Loading makes 32 bits of them.
    """
    from safetensors.torch import save_file

    state, _ = read_weights(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in config.to_dict().items() if name in ("default_scope", "metainfo", "model")}
    lines = [f"{name} = {kept[name]!r}" for name in sorted(kept)]
    lines.append(f"test_pipeline = {config.to_dict()['test_pipeline']!r}")
    (folder / CONFIG).write_text("\n".join(lines) + "\n", "utf-8")
    tensors = {name: (value.half() if half and value.ndim > 1 else value).contiguous() for name, value in state.items()}
    save_file(tensors, folder / WEIGHTS, metadata={_CLASSES: json.dumps(list(config.metainfo["classes"]))})


def _read_safetensors(path: Path) -> tuple[dict[str, Any], list[str] | None]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        told, names = (file.metadata() or {}).get(_CLASSES), list(file.keys())
        return {name: file.get_tensor(name) for name in names}, None if told is None else json.loads(told)


def _read_torch(path: Path) -> tuple[dict[str, Any], list[str] | None]:
    import torch

    module = SimpleNamespace(
        Unpickler=_Reader, load=lambda file, **options: _Reader(file, **options).load(), __name__="rsground_reader"
    )
    found = torch.load(path, map_location="cpu", pickle_module=module)
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise CheckpointError("holds no weights: expected a state_dict of tensors", path)
    return state, _classes_of(found)


def _classes_of(found: Any) -> list[str] | None:
    meta = found.get("meta", {}) if isinstance(found, dict) else {}
    known = meta.get("dataset_meta", meta) if isinstance(meta, dict) else {}
    classes = next((known[key] for key in ("classes", "CLASSES") if key in known), None) if known else None
    if isinstance(classes, list | tuple) and classes and all(isinstance(name, str) for name in classes):
        return list(classes)
    return None
