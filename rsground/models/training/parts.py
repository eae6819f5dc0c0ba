"""Registered parts, built where this process computes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from rsground.models.training.processes import own_device
from rsground.registry import load, registry, target_of


def part(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """A registered part; one that takes a device is given this process's, unless the options name another.

    Raises:
        RsgroundError: nobody offers it, or what it says of its options.
    """
    here = {"device": str(own_device())} if "device" in parameters_of(kind, name) else {}
    return load(kind, name, **{**here, **options})


def parameters_of(kind: str, name: str) -> list[str]:
    """Names of what a part is built with."""
    return list(inspect.signature(target_of(registry().find(kind, name))).parameters)
