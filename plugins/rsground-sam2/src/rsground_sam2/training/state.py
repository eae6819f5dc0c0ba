"""What a training needs to go on where it stopped: weights, the optimiser's averages, how far it got."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rsground.errors import CheckpointError
from rsground.models.folder import load_state, read_state, save_state

TRUNK = ("model.image_encoder.", "dense.")
"""Where a trainer keeps what the dense task teaches."""
AVERAGES = ("exp_avg", "exp_avg_sq")


@dataclass(slots=True)
class Record:
    """How a model came about; written as ``training.json``.

    Attributes:
        recipe, data, device: what was done, with what, where.
        seed: of all chances.
        steps, prompts, seconds: over all runs.
        runs: options of each run, in order.
        scores: of the last evaluation.
    """

    recipe: str
    data: dict[str, Any]
    device: str
    seed: int
    steps: int = 0
    prompts: int = 0
    seconds: float = 0.0
    runs: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)


def save_training(folder: Path, model: nn.Module, optimiser: torch.optim.AdamW, record: Record) -> None:
    """Write everything; each file appears whole or not at all."""
    save_state(model, folder / "model.safetensors")
    averages = {
        f"{name}.{kind}": optimiser.state[parameter][kind]
        for name, parameter in model.named_parameters()
        if parameter in optimiser.state
        for kind in AVERAGES
    }
    if averages:
        save_state(averages, folder / "optimiser.safetensors")
    write_record(record, folder / "training.json")


def load_training(folder: Path, model: nn.Module, optimiser: torch.optim.AdamW) -> Record:
    """Read what :func:`save_training` wrote.

    Raises:
        CheckpointError: the folder holds no training, or one of another model.
    """
    record = _record(folder, "leave --resume out")
    load_state(model, folder / "model.safetensors")
    averages = read_state(folder / "optimiser.safetensors")
    for name, parameter in model.named_parameters():
        if f"{name}.{AVERAGES[0]}" in averages:
            known = {kind: averages[f"{name}.{kind}"] for kind in AVERAGES}
            optimiser.state[parameter] = {"step": torch.tensor(float(record.steps)), **known}
    return record


def load_weights(folder: Path, model: nn.Module) -> Record:
    """Take a saved model's weights over, and the record beside them; the optimiser's averages begin anew.

    Raises:
        CheckpointError: the folder holds no such model, or no record of how it came about.
    """
    record = _record(folder, "--model names a folder that --out, or a system's segmenter, was")
    load_state(model, folder / "model.safetensors")
    return record


def _record(folder: Path, way_out: str) -> Record:
    try:
        return Record(**json.loads((folder / "training.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"holds no training to go on with ({error}); {way_out}", folder) from error


def load_trunk(folder: Path, trainer: nn.Module) -> None:
    """Take the image encoder and the dense task over from another training; all else stays.

    Raises:
        CheckpointError: the folder holds no weights, or of other sizes.
    """
    others = {key for key in trainer.state_dict() if not key.startswith(TRUNK)}
    load_state(
        trainer,
        folder / "model.safetensors",
        rename=lambda key: key if key.startswith(TRUNK) else None,
        optional=others,
    )


def write_record(record: Record, file: Path) -> None:
    """Write ``training.json``."""
    file.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
