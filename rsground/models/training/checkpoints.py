"""A run's checkpoints: which is the newest, what is read back of one, and how it fits the model."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from rsground.errors import CheckpointError

_NAMED = 5


def latest_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint in a run's folder that was written to its end."""
    found = sorted(work.glob("iter_*.pth"), key=lambda file: int(file.stem[5:]), reverse=True)
    return next((file for file in found if zipfile.is_zipfile(file)), None)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU; nothing of it is run."""
    trust_history()
    kept: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return kept


def put_back(model: nn.Module, state: dict[str, Any], file: Path) -> str:
    """Give a model the weights of a checkpoint, which holds those that its ``state_dict`` names.

    Args:
        model: the model.
        state: its weights.
        file: where they were read.

    Returns:
        What the checkpoint lacks, and what it holds besides; empty where it fits.

    Raises:
        CheckpointError: weights have other shapes.
    """
    wanted = set(model.state_dict())
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        text = " ".join(str(error).split())[:300]
        raise CheckpointError(f"these weights are of another model: {text}", file) from error
    told = (("lacks", sorted(wanted - set(state))), ("holds besides", sorted(set(state) - wanted)))
    return "; ".join(
        f"{what} {len(names)} weights: {', '.join(names[:_NAMED])}{' ...' * (len(names) > _NAMED)}"
        for what, names in told
        if names
    )


def trust_history() -> None:
    """Let what mmengine writes itself be read back: torch loads nothing but named classes, and no pickle beyond."""
    core: Any = np._core if hasattr(np, "_core") else np.core  # its name before numpy 2
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")]
    array = core.multiarray
    known: list[Any] = [HistoryBuffer, np.dtype, np.ndarray, *kinds, array._reconstruct, array.scalar]
    torch.serialization.add_safe_globals([*known, (_history_method, "builtins.getattr")])


def _history_method(owner: Any, name: str) -> Any:
    """In the place of ``getattr`` while a checkpoint is read: the four summaries of a history, nothing else."""
    if owner is not HistoryBuffer or name not in ("min", "max", "current", "mean"):
        raise pickle.UnpicklingError(f"a checkpoint must not ask for {name!r} of {owner!r}")
    return getattr(owner, name)
