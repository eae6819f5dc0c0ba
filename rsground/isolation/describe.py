"""What is registered in this interpreter, as plain values: the content of another interpreter's spec cache."""

from __future__ import annotations

import inspect
import platform
import sys
import sysconfig
from collections.abc import Mapping
from typing import Any

import rsground
from rsground.assembly import locate
from rsground.errors import CheckpointError, PluginError
from rsground.registry import Offer, registry, target_of
from rsground.source_key import code_key

KINDS = ("head", "preprocessor", "backbone", "segmenter", "codec")
"""Kinds of parts that a system in an environment may be made of."""
_SYSTEM = ("name", "summary", "head", "backbone", "segmenter")
_OPTIONS = ("head_options", "backbone_options", "segmenter_options")


def here() -> dict[str, Any]:
    """Offers of this interpreter's plugins, the core's included, and where its packages lie."""
    found = registry()
    return {
        "core": rsground.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": sysconfig.get_path("purelib"),
        "broken": dict(found.broken),
        "distributions": dict(found.distributions),
        "offers": [_row(kind, offer) for kind in KINDS for offer in found.offers(kind).values()],
        "systems": [_system(offer) for offer in found.offers("system").values()],
    }


def _row(kind: str, offer: Offer) -> dict[str, Any]:
    spec = offer.spec
    parameters, closed = _parameters(offer)
    return {
        "kind": kind,
        "name": spec.name,
        "summary": spec.summary,
        "tasks": list(spec.tasks),
        "plugin": offer.plugin,
        "distribution": offer.distribution,
        "missing": list(offer.missing),
        "options": dict(spec.options),
        "parameters": parameters if closed else None,
        "code": code_key(spec.target.partition(":")[0]),
    }


def _system(offer: Offer) -> dict[str, Any]:
    """A system by the names its parts have here; its weights by a path, which means the same everywhere."""
    spec = offer.spec
    return {
        **{name: getattr(spec, name) for name in _SYSTEM},
        **{name: _found(getattr(spec, name)) for name in _OPTIONS},
        "preprocessors": [[name, _found(options)] for name, options in spec.preprocessors],
        "checkpoint": _path(spec.checkpoint),
        "plugin": offer.plugin,
        "distribution": offer.distribution,
    }


def _found(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a part, with the path of the weights that they name."""
    return {name: _path(value) if name == "checkpoint" else value for name, value in options.items()}


def _path(checkpoint: str | None) -> str | None:
    if checkpoint is None:
        return None
    try:
        return str(locate(checkpoint).absolute())
    except CheckpointError:
        return checkpoint  # whoever uses it is told what is wrong


def _parameters(offer: Offer) -> tuple[list[str], bool]:
    """Names of the options a part takes, and whether that is all of them."""
    if offer.missing:
        return [], False
    try:
        known = inspect.signature(target_of(offer.spec)).parameters.values()
    except (PluginError, TypeError, ValueError):
        return [], False
    names = [each.name for each in known if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    return names, not any(each.kind is each.VAR_KEYWORD for each in known)
