"""The two-layer projection from a language model's state to a prompt embedding, and where its weights are."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from rsground.errors import CheckpointError
from rsground.models.folder import WEIGHTS, Weights, load_state, part_folder

_PUBLISHED = "model."
"""Prefix of the projection's keys in a published GeoPixel checkpoint."""
_KEY = "text_hidden_fcs."


class Projection(nn.ModuleList):
    """Linear, ReLU, Linear, dropout of 0: keys ``0.0.*`` and ``0.2.*``, as published.

    Args:
        hidden_size: width of a state.
        embed_dim: width of a prompt embedding.
    """

    def __init__(self, hidden_size: int, embed_dim: int) -> None:
        layers = nn.Sequential(
            nn.Linear(hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, embed_dim), nn.Dropout(0.0)
        )
        super().__init__([layers])


def stored_widths(checkpoint: str | Path) -> tuple[int, int]:
    """(hidden_size, embed_dim) of a stored projection, from the header of its file.

    Raises:
        CheckpointError: there is no projection.
    """
    place = _place(checkpoint)
    with Weights(place) as weights:
        for prefix in ("", _PUBLISHED):
            first, last = (f"{prefix}{_KEY}0.{layer}.weight" for layer in (0, 2))
            if first in weights.names() and last in weights.names():
                return weights.shape(first)[1], weights.shape(last)[0]
    raise CheckpointError(f"holds no {_KEY}0.0.weight, so it is no checkpoint of head 'geopixel'", place)


def load_projection(head: nn.Module, checkpoint: str | Path) -> None:
    """Load ``head.text_hidden_fcs``.

    Raises:
        CheckpointError: keys are missing or misshapen.
    """
    load_state(head, _place(checkpoint), rename=_rename)


def _rename(key: str) -> str | None:
    """The projection's own keys; of a published checkpoint, all others are left out."""
    bare = key.removeprefix(_PUBLISHED)
    return bare if bare.startswith(_KEY) else None


def _place(checkpoint: str | Path) -> Path:
    folder = Path(checkpoint)
    if folder.is_file() or (folder.is_dir() and list(folder.glob("*.safetensors.index.json"))):
        return folder
    return part_folder(checkpoint, "head", WEIGHTS)
