"""Runs recipes, each in its own folder, the ones it starts from first."""

from __future__ import annotations

import importlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size

from rsground.assembly import locate
from rsground.errors import SuiteError
from rsground.models.training.processes import everywhere, join, main_only
from rsground.models.training.recipe import Recipe, read_recipe
from rsground.models.training.run_folder import RunFolder


def run_recipe(recipe: Recipe, root: Path, *, fresh: bool = False, changes: Mapping[str, Any] | None = None) -> Path:
    """Train as a recipe says, in ``root/<its name>``, and answer the folder of the result.

    A recipe that was done is not run again, one that was broken off goes on; the recipes it starts from (beside it,
    by name) come first. The folder keeps what the recipe said, and takes no other one's run.

    Args:
        recipe: what to do.
        root: where the runs and the cached data lie.
        fresh: forget what this recipe did before (not what it starts from).
        changes: to the recipes it starts from, see :func:`.recipe.read_recipe`.

    Raises:
        SuiteError: a recipe it starts from does not exist, recipes start from each other, or the images of a step
            cannot be shared out.
        CheckpointError: it starts from a folder in a package that is not installed.
        StoreError: the folder holds the run of another recipe, of other recipes before it, or of other processes.
    """
    _check_circle((recipe,), changes or {})
    join()
    run = RunFolder(root / recipe.name)
    before = _before(recipe, changes or {})
    if not fresh:
        run.check(recipe)
        if everywhere(run.is_done(recipe)):
            _check_before(before, root, changes or {})
            run.check_starts(root, recipe)
            return run.path / "out"
    images = recipe.schedule.step_images(get_world_size())
    if not fresh:
        run.check_images(images, recipe)
    folders = {name: run_recipe(each, root, changes=changes) for name, each in before.items()}
    asked, init = _placed(recipe, folders)
    if fresh and run.path.is_dir():
        shutil.rmtree(run.path)
    run.check_starts(root, recipe)
    starts = {each.name: RunFolder(root / each.name).result() for each in before.values()}
    main_only(lambda: run.begin(recipe, images, {name: result for name, result in starts.items() if result}))
    run.path.mkdir(parents=True, exist_ok=True)
    began = time.time()
    stage = importlib.import_module(f"rsground.models.training.stage_{recipe.stage}")
    out: Path = stage.run(asked, run.path, init, root / "cache")
    main_only(lambda: run.finish(recipe, time.time() - began))
    return out


def _before(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes beside it that it starts from, by the name it calls them by."""
    named = [recipe.init, recipe.options.get("tower")]
    files = {str(name): recipe.path.parent / f"{name}.toml" for name in named if name is not None and recipe.path}
    return {name: read_recipe(file, changes) for name, file in files.items() if file.is_file()}


def _check_circle(way: tuple[Recipe, ...], changes: Mapping[str, Any]) -> None:
    """See that no recipe comes before itself, at the end of ``way``: recipes, each of which starts from the next."""
    files = [each.path.resolve() for each in way if each.path is not None]
    if files and files[-1] in files[:-1]:
        names = " -> ".join(file.name for file in files[files.index(files[-1]) :])
        raise SuiteError(
            f"recipes start from each other in a circle: {names}; none of them can be trained first. Take 'init' or "
            "'options.tower' out of one of them, or name a folder of a result there"
        )
    for each in _before(way[-1], changes).values():
        _check_circle((*way, each), changes)


def _check_before(before: Mapping[str, Recipe], root: Path, changes: Mapping[str, Any]) -> None:
    """See that the runs of recipes, and of those before them, are theirs still."""
    for each in before.values():
        RunFolder(root / each.name).check(each)
        _check_before(_before(each, changes), root, changes)


def _placed(recipe: Recipe, folders: Mapping[str, Path]) -> tuple[Recipe, Path | None]:
    """The recipe with the folder of the tower it names, and the folder it starts from."""

    def place(name: str) -> Path:
        return folders[name] if name in folders else _folder(recipe, name)

    init = None if recipe.init is None else place(recipe.init)
    if "tower" not in recipe.options:
        return recipe, init
    tower = place(str(recipe.options["tower"]))
    return replace(recipe, options={**recipe.options, "tower": str(tower)}), init


def _folder(recipe: Recipe, name: str) -> Path:
    folder = locate(name)
    if folder.is_dir():
        return folder
    raise SuiteError(
        f"recipe {recipe.name!r} starts from {name!r}, which is neither a recipe beside it, nor a folder, nor one in a "
        "package ('package:folder')"
    )
