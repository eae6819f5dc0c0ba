"""Weights of an image model: SAM 2's published ``.pt`` files, or a folder with ``config.json`` and safetensors."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rsground.errors import CheckpointError
from rsground.models.folder import WEIGHTS, load_state, part_folder, save_state
from rsground_sam2.config import ImageModelConfig, read_config, released, released_names, write_config
from rsground_sam2.image_model import ImageModel

VIDEO = (
    "memory_attention.",
    "memory_encoder.",
    "mask_downsample.",
    "obj_ptr_proj.",
    "obj_ptr_tpos_proj.",
    "maskmem_tpos_enc",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
)
"""Keys of SAM 2's video memory (prefix, or the whole name): a single image needs none of them."""
GEOPIXEL_PREFIX = "model.visual_model."
_SHOWN = 4


def is_video_key(key: str) -> bool:
    """Whether a stock key belongs to the video memory."""
    return any(key.startswith(name) if name.endswith(".") else key == name for name in VIDEO)


def image_key(key: str, prefix: str = "") -> str | None:
    """The image model's key for a stored one, None where it is another part's (prefix) or the video memory's.

    With :data:`GEOPIXEL_PREFIX`, SAM 2 inside a GeoPixel checkpoint is read. There ``memory_encoder.fuser.layers.N``
    calls ``weight`` what the stock model calls ``gamma``; both are video memory and are left out.
    """
    if not key.startswith(prefix):
        return None
    key = key[len(prefix) :]
    return None if is_video_key(key) else key


class _RealNumbers(TorchFunctionMode):
    """Keeps ``linspace`` on the CPU: Hiera reads numbers out of it while it is built."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        changed = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**(kwargs or {}), **changed})


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build SAM 2 modules inside this on the meta device: shapes only, no values."""
    with torch.device("meta"), _RealNumbers():
        yield


def load_model(
    checkpoint: str | Path | None, config: str | ImageModelConfig | None, *, stability: bool | None = None
) -> ImageModel:
    """An image model with the weights of a checkpoint, or random ones where ``checkpoint`` is None.

    Args:
        checkpoint: a published ``.pt`` file; a system's folder or the segmenter's own; None.
        config: a released configuration's name or a configuration; None reads it from the folder, or from the name of
            the ``.pt`` file.
        stability: overrides the configuration's.

    Raises:
        CheckpointError: no such file, another kind of file, or keys that do not fit.
        UnknownNameError: no released configuration has that name.
    """
    chosen = released(config) if isinstance(config, str) else config
    if checkpoint is None:
        if chosen is None:
            raise CheckpointError(
                f"the segmenter sam2 needs a checkpoint (a folder with config.json and {WEIGHTS}, or a published .pt "
                f"file), or config= one of {', '.join(released_names())} for random weights"
            )
        return ImageModel(chosen, stability=stability)
    path = Path(checkpoint)
    if path.is_file():
        return _from_file(path, chosen, stability)
    folder = part_folder(checkpoint, "segmenter")
    with shapes_only():
        model = ImageModel(chosen or read_config(folder / "config.json"), stability=stability)
    load_state(model, folder, rename=image_key)
    return model


def save_model(model: ImageModel, folder: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write ``config.json`` and ``model.safetensors``; ``dtype`` is that of the stored values."""
    folder.mkdir(parents=True, exist_ok=True)
    save_state(model, folder, dtype=dtype)
    write_config(model.config, folder / "config.json")


def load_published(model: nn.Module, path: Path) -> None:
    """Load a published SAM 2 ``.pt`` file: ``{"model": state}``, read with ``weights_only=True``.

    Keys of the video memory are left out by name; any other key that is missing, unexpected or of another shape is an
    error, and then nothing is changed. The model may be on the meta device.

    Raises:
        CheckpointError: as said.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first = str(error).strip().split("\n", 1)[0]
        raise CheckpointError(f"is no checkpoint of plain tensors, or is damaged: {first}", path) from error
    state = found.get("model") if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping):
        raise CheckpointError('a published SAM 2 checkpoint is {"model": {key: tensor}}; this file is not', path)
    kept = {str(key): value for key, value in state.items() if not is_video_key(str(key))}
    _check(model.state_dict(), kept, path)
    model.load_state_dict(kept, assign=True)


def _from_file(path: Path, config: ImageModelConfig | None, stability: bool | None) -> ImageModel:
    if path.suffix != ".pt":
        raise CheckpointError(
            f"of single files the segmenter sam2 reads SAM 2's published .pt only; otherwise give the folder that "
            f"holds config.json and {WEIGHTS}",
            path,
        )
    if config is None:
        if path.stem not in released_names():
            raise CheckpointError(
                f"the file's name does not say which model it is; give config= one of {', '.join(released_names())}",
                path,
            )
        config = released(path.stem)
    with shapes_only():
        model = ImageModel(config, stability=stability)
    load_published(model, path)
    return model


def _check(wanted: Mapping[str, Tensor], found: Mapping[str, Any], path: Path) -> None:
    """Compare keys and shapes before anything is loaded."""
    misshapen = [
        f"{key} is {tuple(found[key].shape)}, should be {tuple(slot.shape)}"
        for key, slot in wanted.items()
        if isinstance(found.get(key), Tensor) and found[key].shape != slot.shape
    ]
    missing = [key for key in wanted if not isinstance(found.get(key), Tensor)]
    extra = [key for key in found if key not in wanted]
    faults = [
        f"{len(keys)} {what}: {_few(keys)}"
        for what, keys in (("missing", missing), ("unexpected", extra), ("of another shape", misshapen))
        if keys
    ]
    if faults:
        raise CheckpointError(f"does not fit the configuration: {'; '.join(faults)}", path)


def _few(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")
