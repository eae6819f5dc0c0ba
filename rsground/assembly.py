"""From names to parts: where a checkpoint lies, and registered things built and joined. Needs no torch."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rsground.contracts import Backbone, Head, Preprocessor
from rsground.errors import CheckpointError, PluginError, UnknownNameError
from rsground.registry import construct, registry, target_of

_RESOURCE = re.compile(r"([A-Za-z_]\w+):(.+)")


class Parts(NamedTuple):
    """What a system is made of; the head has its segmenter and is bound to the backbone."""

    head: Head
    backbone: Backbone
    steps: tuple[Preprocessor, ...]


def locate(checkpoint: str | Path) -> Path:
    """The path of a checkpoint: a path as it is, or ``package:folder`` inside an installed package.

    A path need not exist; the package is found without being imported.

    Raises:
        CheckpointError: the package is not installed, or has no such folder.
    """
    text = str(checkpoint)
    resource = _RESOURCE.fullmatch(text)
    if resource is None or Path(text).exists():
        return Path(checkpoint).expanduser()
    package, inside = resource.groups()
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        name = package.replace("_", "-")
        raise CheckpointError(f"{text}: the package {package!r} is not installed; it may come with: pip install {name}")
    place = Path(found.submodule_search_locations[0]) / inside
    if not place.exists():
        raise CheckpointError(f"the package {package!r} has no {inside!r}; reinstall it", place)
    return place


def assemble(description: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> Parts:
    """Build and join the parts of a system.

    A part whose constructor has a parameter ``checkpoint`` is given the system's. The segmenter is set on the head
    first; then ``head.bind(backbone)`` is called, where the head has it, and ``step.listen(head)`` of
    preprocessors that have that. Last, parts that are torch modules are put in evaluation mode.

    Args:
        description: ``head``, ``backbone``, ``segmenter`` (or None) and ``preprocess`` (a list), each
            ``{"name": ..., "options": {...}}``, with ``"from"`` (the distribution that offers it) where it is known;
            and ``checkpoint``, a path, ``package:folder`` or None.
        offered: further options, given to every part whose constructor names them; they win over the description's.

    Raises:
        UnknownNameError: a part is not registered; the message says what to install where that is known. Or an
            offered option is none of any part.
        PluginError: a part cannot be loaded, or does not take its options.
        CheckpointError: as :func:`locate`, or what parts say of their weights.
    """
    if "@" in description["head"]["name"]:
        raise PluginError(
            f"head {description['head']['name']!r} lives in an isolated environment and is not built here; "
            "name it in a suite and run 'rsground bench'"
        )
    checkpoint = description["checkpoint"]
    place = None if checkpoint is None else str(locate(checkpoint))
    kinds = [("head", description["head"]), ("backbone", description["backbone"])]
    kinds += [("preprocessor", part) for part in description["preprocess"]]
    if description["segmenter"] is not None:
        kinds.append(("segmenter", description["segmenter"]))
    known = [_options_of(kind, part) for kind, part in kinds]  # all names are looked up before anything is built
    _check_offered(offered or {}, known)
    built = [_build(kind, part, place, offered or {}) for kind, part in kinds]
    head: Head = built[0]
    backbone: Backbone = built[1]
    steps = tuple(built[2 : 2 + len(description["preprocess"])])
    if description["segmenter"] is not None:
        head.segmenter = built[-1]
    bind = getattr(head, "bind", None)
    if bind is not None:
        bind(backbone)
    for step in steps:
        if hasattr(step, "listen"):  # a step that asks the model about the image uses the head's own words
            step.listen(head)
    for part in built:
        if hasattr(part, "eval") and hasattr(part, "train"):  # a torch module; those are born in training mode
            part.eval()
    return Parts(head, backbone, steps)


def _build(kind: str, part: Mapping[str, Any], place: str | None, offered: Mapping[str, Any]) -> Any:
    known = _options_of(kind, part)
    options = {} if place is None or "checkpoint" not in known else {"checkpoint": place}
    wanted = {name: value for name, value in offered.items() if name in known}
    return construct(_spec(kind, part), **{**options, **part["options"], **wanted})


def _options_of(kind: str, part: Mapping[str, Any]) -> list[str]:
    """Names of the parameters of a part's constructor."""
    return list(inspect.signature(target_of(_spec(kind, part))).parameters)


def _spec(kind: str, part: Mapping[str, Any]) -> Any:
    found = registry()
    try:
        return found.find(kind, part["name"])
    except UnknownNameError as error:
        name = str(part.get("from", "")).partition(" ")[0]
        if not name or any(name == installed.partition(" ")[0] for installed in found.distributions.values()):
            raise
        note = f"It comes with {part['from']}: pip install {name}. {error.note}".rstrip()
        raise UnknownNameError(kind, part["name"], error.known, note) from error


def _check_offered(offered: Mapping[str, Any], known: list[list[str]]) -> None:
    names = {name for options in known for name in options}
    for name in offered:
        if name not in names:
            raise UnknownNameError("option of this system", name, names - {"checkpoint", "options"})
