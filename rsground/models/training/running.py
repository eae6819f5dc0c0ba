"""Runs recipes, each in its own folder, the ones it starts from first."""

from __future__ import annotations

import importlib
import json
import time
from dataclasses import replace
from pathlib import Path

from rsground.assembly import locate
from rsground.errors import SuiteError
from rsground.models.training.processes import join, main_only
from rsground.models.training.recipe import Recipe, read_recipe

DONE = "done.json"


def run_recipe(recipe: Recipe, root: Path, *, fresh: bool = False) -> Path:
    """Train as a recipe says, in ``root/<its name>``, and answer the folder of the result.

    A recipe that was done is not run again, one that was broken off goes on; the recipes it starts from (beside it,
    by name) come first.

    Args:
        recipe: what to do.
        root: where the runs and the cached data lie.
        fresh: forget what this recipe did before (not what it starts from).

    Raises:
        SuiteError: a recipe it starts from does not exist.
        CheckpointError: it starts from a folder in a package that is not installed.
        StoreError: the folder holds the run of another recipe.
    """
    join()
    work = root / recipe.name
    done, said = work / DONE, described(recipe)
    if done.is_file() and not fresh and json.loads(done.read_text())["recipe"] == said:
        return work / "out"
    init = None if recipe.init is None else _started(recipe, recipe.init, root)
    if "tower" in recipe.options:
        tower = _started(recipe, str(recipe.options["tower"]), root)
        recipe = replace(recipe, options={**recipe.options, "tower": str(tower)})
    if fresh and work.is_dir():
        import shutil

        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    began = time.time()
    stage = importlib.import_module(f"rsground.models.training.stage_{recipe.stage}")
    out: Path = stage.run(recipe, work, init, root / "cache")
    told = json.dumps({"recipe": said, "seconds": round(time.time() - began)}, indent=1)
    main_only(lambda: done.write_text(told))
    return out


def _started(recipe: Recipe, name: str, root: Path) -> Path:
    beside = None if recipe.path is None else recipe.path.parent / f"{name}.toml"
    if beside is not None and beside.is_file():
        return run_recipe(read_recipe(beside), root)
    folder = locate(name)
    if folder.is_dir():
        return folder
    raise SuiteError(
        f"recipe {recipe.name!r} starts from {name!r}, which is neither a recipe beside it, nor a folder, nor one in a "
        "package ('package:folder')"
    )


def described(recipe: Recipe) -> str:
    """All that a recipe says, as one text."""
    return repr(replace(recipe, path=None))
