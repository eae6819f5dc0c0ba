"""The head's weights: in a system's folder, or in the published checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from rsground.assembly import locate
from rsground.errors import CheckpointError
from rsground.models.folder import part_folder
from rsground.models.state import load_state
from rsground_segtoken.segearth.names import head_name


def load_head(head: nn.Module, checkpoint: str | Path) -> None:
    """Fill a head from ``head/model.safetensors`` of a system's folder, or from the published checkpoint's folder.

    Raises:
        CheckpointError: there are no weights, or they do not fit.
    """
    folder = locate(checkpoint)
    if is_published(folder):
        load_state(head, folder, rename=head_name)
    else:
        load_state(head, part_folder(checkpoint, "head", "model.safetensors"))


def width_of(checkpoint: str | Path) -> int:
    """Width of the language model's states, as the checkpoint's configuration says it.

    Raises:
        CheckpointError: it does not say.
    """
    folder = part_folder(checkpoint, "backbone")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found = config.get("text_config", config)["hidden_size"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            "config.json does not say text_config.hidden_size or hidden_size: give the option hidden_size", folder
        ) from error
    return int(found)


def is_published(folder: Path) -> bool:
    """Whether a folder holds SegEarth-R1 as published."""
    file = folder / "config.json"
    return file.is_file() and '"llava_phi"' in file.read_text(encoding="utf-8")
