"""A system of a suite, built and at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsground.assembly import assemble
from rsground.pipeline import Images, Pipeline, describe

__all__ = ["Images", "System", "describe"]


class System(Pipeline):
    """Head, backbone, preprocessors and segmenter under one name.

    Args:
        entry: as :meth:`rsground.bench.suite.Entry.to_json` answers it.
        seed: handed to the backbone with every prompt, as ``options["seed"]``.
        images: pixels by uri, shared between systems of one process.

    Raises:
        RsgroundError: a part cannot be built.
    """

    def __init__(self, entry: Mapping[str, Any], seed: int = 0, images: Images | None = None) -> None:
        parts = assemble(entry)
        super().__init__(parts.head, parts.backbone, parts.steps, seed=seed, images=images)
