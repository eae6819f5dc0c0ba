"""Recipes: read, changed from outside, and refused with the reason."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from rsground.errors import SuiteError
from rsground.models.training.recipe import STAGES, Recipe, read_recipe
from rsground.models.training.schedule import Schedule

HERE = Path(__file__).parents[3]
RECIPES = sorted((HERE / "benchmarks" / "recipes").glob("*.toml"))


def test_every_recipe_of_the_repository_reads() -> None:
    assert RECIPES
    for file in RECIPES:
        recipe = read_recipe(file)
        assert recipe.name == file.stem
        ships = recipe.init == "rsground_zoo_tiny:systems"
        assert recipe.init is None or ships or (file.with_name(f"{recipe.init}.toml")).is_file()


def test_changes_take_the_files_place(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('stage = "dense"\nsummary = "s"\n[schedule]\nsteps = 5\n')
    recipe = read_recipe(file, {"schedule.batch": 3, "model.vision_config.depths": [1], "seed": 7})
    assert (recipe.schedule.steps, recipe.schedule.batch, recipe.seed) == (5, 3, 7)
    assert recipe.model == {"vision_config": {"depths": [1]}}
    assert read_recipe(file, {"schedule.images": 8}).schedule.step_images(2) == 8
    with pytest.raises(SuiteError, match="summary"):
        read_recipe(file, {"summary.x": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = ", "cannot be read"),
        ("steps = 3", "'steps'"),
        ('stage = "desne"\n[schedule]\nsteps = 1', "'desne'"),
        ('stage = "dense"', "steps"),
        ('stage = "dense"\n[schedule]\nsteps = 0', "at least 1"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nbatch = "2"', "batch"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nbatch = true', "batch"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nrate = -1.0', "rate"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nprecision = "int8"', "precision"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nstep = 1', "'step'"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nbatch = 2.5', "batch must be a whole number"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nbatch = 0', "batch must say how many, at least 1"),
        ('stage = "dense"\n[schedule]\nsteps = 1\naccumulate = 0', "accumulate must say how many, at least 1"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nimages = 0', "images must say how many, at least 1"),
        ('stage = "dense"\n[schedule]\nsteps = 1\nimages = 8\nbatch = 8', "schedule says batch and images"),
        ('stage = "dense"\ndata = 3\n[schedule]\nsteps = 1', "'data' must be a table"),
        ('stage = "dense"\n[summary]\nx = 1\n[schedule]\nsteps = 1', "'summary' must be a value"),
    ],
)
def test_refusals_say_why(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)
    with pytest.raises(SuiteError, match=re.escape(message)):
        read_recipe(file)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"nothing\.toml"):
        read_recipe(tmp_path / "nothing.toml")


def test_reference_page_names_every_key() -> None:
    page = (HERE / "docs" / "reference" / "recipes.md").read_text(encoding="utf-8")
    keys = [each.name for record in (Recipe, Schedule) for each in fields(record) if each.name != "path"]
    assert [key for key in (*keys, *STAGES) if f"`{key}`" not in page] == []
    for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
        said: dict[str, Any] = tomllib.loads(text)
        assert said
