"""One self-describing folder per system.

::

    rsground.json          the card: parts and their options, tokens, training, scores, licence
    README.md              the same for people
    backbone/              the backbone in the hub's layout
    head/                  model.safetensors of a head with weights
    segmenter/             config.json and model.safetensors
    preprocessors/<name>/  of each preprocessor that has something to keep

A part that has a constructor parameter ``checkpoint`` is given the system's folder and finds its own place with
:func:`part_folder`. One with a method ``save(folder)`` writes its place itself; ``saved_options`` names those of its
options that are in what it wrote, and that the saved card is therefore without. Of others the folder is copied that
they were loaded from.
"""

from __future__ import annotations

from pathlib import Path

from rsground.errors import CheckpointError
from rsground.models.card import CARD, Card, PartCard, read_card, write_card
from rsground.models.state import load_state, read_state, save_state
from rsground.models.weights import INDEX, PICKLES, WEIGHTS, Weights

__all__ = [
    "CARD",
    "INDEX",
    "PICKLES",
    "WEIGHTS",
    "Card",
    "PartCard",
    "Weights",
    "load_state",
    "part_folder",
    "read_card",
    "read_state",
    "save_state",
    "write_card",
]


def part_folder(checkpoint: str | Path, part: str, holds: str = "config.json") -> Path:
    """Where a part lies: its place in a system's folder, or the folder itself where that is the part's own.

    Args:
        checkpoint: a system's folder, a part's folder, or ``package:folder`` as in a system's spec.
        part: ``"backbone"``, ``"head"``, ``"segmenter"`` or ``"preprocessors/<name>"``.
        holds: a file that says *this is the part's own folder* (``"model.safetensors"`` for a head).

    Raises:
        CheckpointError: neither is there; the message lists what is.
    """
    from rsground.assembly import locate

    folder = locate(checkpoint)
    if (folder / part).is_dir():
        return folder / part
    if (folder / holds).is_file():
        return folder
    if not folder.exists():
        raise CheckpointError("there is no such folder; weights are read from disk and never fetched", folder)
    if not folder.is_dir():
        raise CheckpointError("the folder of a system is due here; this is a file", folder)
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    raise CheckpointError(f"has neither {part}/ nor {holds}; it holds {shown or 'nothing'}", folder)
