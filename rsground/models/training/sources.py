"""What the small models are trained on, by the recipe's ``data`` table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsground.errors import SuiteError
from rsground.models.training.scene_cache import SceneCache, scene_cache

_SCENES = {"count", "first", "seed", "size", "workers"}


def picture_book(data: Mapping[str, Any], cache: Path) -> SceneCache:
    """The images of a recipe with their objects and expressions, from the cache where they are in it.

    Raises:
        SuiteError: the table asks for what is not there.
    """
    wanted = dict(data)
    kind = wanted.pop("kind", "scenes")
    if kind != "scenes":
        raise SuiteError(f"data.kind must be 'scenes', got {kind!r}")
    unknown = set(wanted) - _SCENES
    if unknown or "count" not in wanted:
        raise SuiteError(f"data of kind 'scenes' has count, and {', '.join(sorted(_SCENES))}; got {sorted(wanted)}")
    identity = json.dumps({key: value for key, value in wanted.items() if key != "workers"}, sort_keys=True)
    name = hashlib.blake2b(identity.encode(), digest_size=4).hexdigest()
    return scene_cache(cache / f"scenes-{name}", **wanted)


def unseen(data: Mapping[str, Any]) -> dict[str, Any]:
    """The table of a few scenes of the validation split, for checks while training."""
    return {**{key: value for key, value in data.items() if key in ("kind", "seed", "size")}, "first": 1 << 30, "count": 320}
