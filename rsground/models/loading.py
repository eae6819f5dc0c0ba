"""A model and its processor out of a folder in hub layout: offline, safetensors only, no code of the folder's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from rsground.assembly import locate
from rsground.errors import CheckpointError, DeviceError
from rsground.models.devices import pick_dtype
from rsground.models.folder import CARD, part_folder, read_card
from rsground.models.state import Weights

hf: Any = transformers  # partly untyped

_SHOWN = 5
_OURS = {"rsground_tower_lm": "rsground.models.tower_lm"}


def hub_folder(checkpoint: str | Path) -> Path:
    """Where the backbone lies, in hub layout: in the folder, or where a system's card says, of those that share one.

    Raises:
        CheckpointError: as :func:`rsground.models.folder.part_folder`.
    """
    folder = locate(checkpoint)
    if (folder / CARD).is_file() and not (folder / "backbone").is_dir():
        checkpoint = read_card(folder).backbone.options.get("checkpoint", checkpoint)
    return part_folder(checkpoint, "backbone")


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a hub folder.

    Raises:
        CheckpointError: it is no JSON object, or asks for code from the folder.
    """
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read as JSON: {error}", path) from error
    if not isinstance(found, dict) or "model_type" not in found:
        raise CheckpointError('must be a JSON object with "model_type"', path)
    if found["model_type"] in _OURS:
        import_module(_OURS[found["model_type"]])  # makes itself known to transformers
    if "auto_map" in found and found["model_type"] not in hf.CONFIG_MAPPING:
        raise CheckpointError(
            f"model type {found['model_type']!r} needs Python code that lies in the folder, and none is run; use the "
            f"version of this model that transformers has itself, or a plugin that brings its class",
            path,
        )
    return found


def fitting_dtype(folder: Path, name: str, device: torch.device) -> torch.dtype:
    """The precision of that name for the model of a hub folder; ``"auto"`` of the project's own model is float32.

    Raises:
        DeviceError: there is no such precision, or the model is not made for it.
        CheckpointError: as :func:`read_config`.
    """
    found = pick_dtype(name, device)
    kind = read_config(folder)["model_type"]
    if kind not in _OURS or found == torch.float32:
        return found
    if name != "auto":
        raise DeviceError(
            f"a model of type {kind!r} computes in float32 only: fewer bits do not hold its coordinates, got {name!r}; "
            f"use dtype='float32' or 'auto'"
        )
    return torch.float32


def load_processor(folder: Path) -> Any:
    """The processor of a hub folder: tokenizer, image processor and chat template.

    Raises:
        CheckpointError: files are missing or cannot be read.
    """
    read_config(folder)
    with quiet():
        try:
            found = hf.AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # the library raises many kinds for a file that is missing or broken
            raise CheckpointError(f"its processor or tokenizer cannot be loaded: {_line(error)}", folder) from error
    missing = [name for name in ("tokenizer", "image_processor") if getattr(found, name, None) is None]
    if missing:
        raise CheckpointError(
            f"its processor has no {' and no '.join(missing)}; a vision-language folder holds tokenizer.json and "
            f"processor_config.json or preprocessor_config.json",
            folder,
        )
    return found


def load_model(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The model of a hub folder on a device, in evaluation mode.

    Raises:
        CheckpointError: the weights are a pickle, damaged, or not those of the configured model.
    """
    read_config(folder)
    with Weights(folder):  # refuses pickles, damaged files and sets of shards that are not whole
        pass
    with quiet():
        try:
            model, report = hf.AutoModelForImageTextToText.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # so that the report names them all; refused below
                output_loading_info=True,
                dtype=dtype,
            )
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the model cannot be loaded: {_line(error)}", folder) from error
    _check(report, folder)
    return model.to(device).eval()


def _check(report: dict[str, Any], folder: Path) -> None:
    """Refuse weights that are not exactly those of the configured model."""
    misshapen = [_mismatch(each) for each in sorted(report["mismatched_keys"], key=str)]
    named = {each.split(" ")[0] for each in misshapen}
    missing = sorted(set(report["missing_keys"]) - named)
    faults = [
        f"{len(keys)} {what}: {', '.join(keys[:_SHOWN])}{' ...' if len(keys) > _SHOWN else ''}"
        for what, keys in (
            ("missing", missing),
            ("unexpected", sorted(report["unexpected_keys"])),
            ("of another shape", misshapen),
            ("unreadable", list(map(str, report.get("error_msgs", ())))),
        )
        if keys
    ]
    if faults:
        raise CheckpointError(
            f"the weights are not those of the model in config.json: {'; '.join(faults)}. They belong to another "
            f"model, version or size",
            folder,
        )


def _mismatch(each: Any) -> str:
    if isinstance(each, tuple) and len(each) == 3:
        return f"{each[0]} ({tuple(each[1])} in the file, {tuple(each[2])} in the model)"
    return str(each)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no reports in the log: what is wrong is raised."""
    logger = logging.getLogger("transformers")
    level, bars = logger.level, hf.utils.logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR + 1)
    hf.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            hf.utils.logging.enable_progress_bar()
