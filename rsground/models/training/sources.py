"""What the small models are trained on, by the recipe's ``data`` table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsground.errors import SuiteError
from rsground.models.training.processes import main_first
from rsground.models.training.refer_book import ReferBook, refer_book
from rsground.models.training.refusal import Refusal
from rsground.models.training.scene_cache import SceneCache, scene_cache

_SCENES = {"count", "first", "seed", "size", "workers"}


def picture_book(data: Mapping[str, Any], cache: Path) -> SceneCache | ReferBook:
    """The images of a recipe with their objects and expressions, from the cache where they are in it.

    Raises:
        SuiteError: the table asks for what is not there.
    """
    wanted = dict(data)
    kind = wanted.pop("kind", "scenes")
    if kind == "refer":
        return refer_book(**wanted)
    if kind != "scenes":
        raise SuiteError(f"data.kind must be 'scenes' or 'refer', got {kind!r}")
    unknown = set(wanted) - _SCENES
    if unknown or "count" not in wanted:
        raise SuiteError(f"data of kind 'scenes' has count, and {', '.join(sorted(_SCENES))}; got {sorted(wanted)}")
    identity = json.dumps({key: value for key, value in wanted.items() if key != "workers"}, sort_keys=True)
    name = hashlib.blake2b(identity.encode(), digest_size=4).hexdigest()
    return main_first(lambda: scene_cache(cache / f"scenes-{name}", **wanted))


def refused(book: SceneCache | ReferBook) -> Sequence[Refusal]:
    """The images that cannot be read; drawn ones always can."""
    return book.refused if isinstance(book, ReferBook) else ()


def unseen(data: Mapping[str, Any]) -> dict[str, Any]:
    """The table of what is looked at for checks while training: a few scenes of the validation split, or that split."""
    if data.get("kind") == "refer":
        return {**data, "split": "val"}
    return {
        **{key: value for key, value in data.items() if key in ("kind", "seed", "size")},
        "first": 1 << 30,
        "count": 320,
    }
