"""Recipes: how a system is trained, as a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rsground.errors import SuiteError
from rsground.models.training.schedule import PRECISIONS, Schedule

STAGES = ("dense", "look", "refer", "answer", "system")
_TABLES = {"data", "model", "schedule", "head", "segmenter", "options"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A stage of training.

    Attributes:
        name: of the run's folder.
        stage: ``"dense"`` (a small model's tower), ``"look"`` (its second look), ``"refer"`` (its language side learns
            what is meant), ``"answer"`` (one paradigm's answers), or ``"system"`` (any backbone and head).
        init: recipe (by name), folder or ``package:folder`` whose result this one starts from; None to start from
            nothing.
        seed: of weights, data order and chances.
        summary: one line.
        data, model, head, segmenter, options: as the stage reads them.
        schedule: how long and how fast.
        path: of the file.
    """

    name: str
    stage: str
    schedule: Schedule
    init: str | None = None
    seed: int = 0
    summary: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    segmenter: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None


def read_recipe(path: str | Path, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: of the TOML file.
        changes: values by dotted name that take the place of the file's, ``{"schedule.steps": 100}``.

    Raises:
        SuiteError: the file cannot be read, or says something no recipe says.
    """
    file = Path(path)
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SuiteError(f"recipe {str(file)!r} cannot be read: {error}") from error
    for name, value in (changes or {}).items():
        _put(said, name.split("."), value, file)
    return _recipe(said, file)


def _put(said: dict[str, Any], path: list[str], value: Any, file: Path) -> None:
    for part in path[:-1]:
        said = said.setdefault(part, {})
        if not isinstance(said, dict):
            raise SuiteError(f"recipe {file.name}: {'.'.join(path)!r} cannot be set, {part!r} is a value")
    said[path[-1]] = value


def _recipe(said: dict[str, Any], file: Path) -> Recipe:
    known = {each.name for each in fields(Recipe)} - {"path"}
    for name, value in said.items():
        if name not in known:
            raise SuiteError(f"recipe {file.name} says {name!r}; a recipe has {', '.join(sorted(known))}")
        if (name in _TABLES) != isinstance(value, dict):
            raise SuiteError(f"recipe {file.name}: {name!r} must be {'a table' if name in _TABLES else 'a value'}")
    if said.get("stage") not in STAGES:
        raise SuiteError(f"recipe {file.name}: stage must be one of {', '.join(STAGES)}, got {said.get('stage')!r}")
    schedule = _schedule(said.pop("schedule", {}), file)
    return Recipe(**{"name": file.stem, **said}, schedule=schedule, path=file)


def _schedule(said: dict[str, Any], file: Path) -> Schedule:
    known = {each.name: each.type for each in fields(Schedule)}
    for name, value in said.items():
        if name not in known:
            raise SuiteError(f"recipe {file.name}: schedule has {', '.join(sorted(known))}, not {name!r}")
        whole = known[name] == "int"
        if name != "precision" and (
            not isinstance(value, int if whole else int | float) or isinstance(value, bool) or value < 0
        ):
            raise SuiteError(
                f"recipe {file.name}: schedule.{name} must be a {'whole ' * whole}number from 0 on, got {value!r}"
            )
    for name in ("steps", "batch", "images", "accumulate"):
        if said.get(name, int(name != "steps")) < 1:
            raise SuiteError(f"recipe {file.name}: schedule.{name} must say how many, at least 1")
    if "batch" in said and "images" in said:
        raise SuiteError(
            f"recipe {file.name}: schedule says batch and images; say one of them: images are those of a step, of all "
            "processes together, batch is what one process has at once"
        )
    if said.get("precision", "float32") not in PRECISIONS:
        raise SuiteError(f"recipe {file.name}: schedule.precision must be one of {', '.join(PRECISIONS)}")
    return Schedule(**said)
