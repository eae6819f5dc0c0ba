"""A run's folder belongs to one recipe: no other goes on in it unnoticed, and what was done before counts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import TOWER

from rsground.errors import StoreError, SuiteError
from rsground.models.state import read_state
from rsground.models.training.recipe import Recipe, read_recipe
from rsground.models.training.run_folder import RunFolder, said_by
from rsground.models.training.running import run_recipe
from rsground.models.training.schedule import Schedule
from rsground.models.training.ways import Ways, training_in

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

EARLIER = (
    "Recipe(name='tower', stage='dense', schedule=Schedule(steps=3, batch=2, accumulate=1, rate=0.001, warmup=100, "
    "end=0.02, decay=0.02, clip=1.0, precision='float32', save_every=200, check_every=0, workers=0), init=None, "
    "seed=0, summary=\"it's done\", data={'kind': 'scenes', 'count': 4, 'size': 64, 'workers': 1}, "
    "model={'depths': [1, 2], 'lora': {}}, head={}, segmenter={}, options={'window': 0.5}, path=None)"
)
"""As releases noted a recipe that they had run to its end."""
EARLIER_RECIPE = Recipe(
    "tower",
    "dense",
    Schedule(3, batch=2),
    summary="it's done",
    data={"kind": "scenes", "count": 4, "size": 64, "workers": 1},
    model={"depths": [1, 2], "lora": {}},
    options={"window": 0.5},
)
SCHEDULE = "[schedule]\nsteps = 3\nbatch = 2\nwarmup = 1\nsave_every = 2\n"
DATA = '[data]\nkind = "scenes"\ncount = 4\nsize = 64\nworkers = 1\n'


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def tower(folder: Path, name: str = "tower", init: str = "", **changes: Any) -> Recipe:
    """A recipe for a tower of a few weights, beside others."""
    file = folder / f"{name}.toml"
    model = "" if init else f"[model]\n{''.join(f'{key} = {_toml(value)}{chr(10)}' for key, value in TOWER.items())}"
    if not file.is_file():
        file.write_text(f'stage = "dense"\n{f"init = {init!r}" if init else ""}\n{SCHEDULE}{DATA}{model}')
    return read_recipe(file, changes)


def run(recipe: Recipe, root: Path, **more: Any) -> Path:
    with training_in(Ways("cpu", quiet=True)):
        return run_recipe(recipe, root, **more)


def weights(out: Path) -> dict[str, Any]:
    return dict(read_state(out / "model.safetensors"))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_changed_recipe_does_not_take_the_old_weights(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    out = run(tower(tmp_path), root)
    first = weights(out)
    message = re.escape("schedule.rate was 0.001 and is 0.1")
    with pytest.raises(StoreError, match=message + r".*another --root.*tower\.toml --fresh"):
        run(tower(tmp_path, **{"schedule.rate": 0.1}), root)
    with pytest.raises(
        StoreError, match=r"seed was 0 and is 1, data\.count was 4 and is 5, data\.first was not said and is 7"
    ):
        run(tower(tmp_path, seed=1, **{"data.count": 5, "data.first": 7}), root)
    with pytest.raises(StoreError, match=r"steps was 3 and is 6\..*init"):
        run(tower(tmp_path, **{"schedule.steps": 6}), root)
    assert same(weights(out), first), "nothing was touched"
    assert run(tower(tmp_path), root) == out
    other = run(tower(tmp_path, seed=1), tmp_path / "seed1")
    assert not same(weights(other), first)
    again = weights(run(tower(tmp_path, seed=1), root, fresh=True))
    assert same(again, weights(other)), "as if nothing had been there"


def test_a_broken_off_run_goes_on_as_it_was_only(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    whole = weights(run(tower(tmp_path), tmp_path / "whole"))
    run(tower(tmp_path), root)
    for name in ("iter_3.pth", "done.json"):
        (root / "tower" / name).unlink()
    with pytest.raises(StoreError, match=r"options\.window was not said and is 0\.5"):
        run(tower(tmp_path, **{"options.window": 0.5}), root)
    assert same(weights(run(tower(tmp_path), root)), whole)


def test_what_changes_no_weight_may_be_said_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    first = weights(run(tower(tmp_path), root))
    stamp = (root / "tower" / "iter_3.pth").stat().st_mtime_ns
    told = tower(tmp_path, summary="better words", **{"schedule.save_every": 1})
    assert same(weights(run(told, root)), first)
    assert (root / "tower" / "iter_3.pth").stat().st_mtime_ns == stamp, "no step was made"
    assert RunFolder(root / "tower").is_done(told)
    assert not RunFolder(root / "tower").is_done(tower(tmp_path))


def test_a_recipe_that_computed_nothing_is_forgotten(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with pytest.raises(Exception, match="wrong"):
        run(tower(tmp_path, **{"data.wrong": 1}), root)
    assert (root / "tower" / "recipe.json").is_file(), "from the beginning"
    run(tower(tmp_path), root)


@pytest.mark.parametrize(
    ("starts", "circle"),
    [
        ({"a": "a"}, "a.toml -> a.toml"),
        ({"a": "b", "b": "a"}, "a.toml -> b.toml -> a.toml"),
        ({"a": "b", "b": "c", "c": "b"}, "b.toml -> c.toml -> b.toml"),
    ],
)
def test_recipes_that_start_from_each_other_are_named(tmp_path: Path, starts: dict[str, str], circle: str) -> None:
    first, *_ = (tower(tmp_path, name, init) for name, init in starts.items())
    with pytest.raises(SuiteError, match=re.escape(f"in a circle: {circle}; ") + r".*'init'"):
        run(first, tmp_path / "runs")
    assert not (tmp_path / "runs").exists(), "nothing was begun"


def test_a_circle_through_the_tower_that_a_recipe_names_is_named_too(tmp_path: Path) -> None:
    tower(tmp_path, "first")
    tower(tmp_path, "a", "first")
    with (tmp_path / "a.toml").open("a") as file:
        file.write('[options]\ntower = "b"\n')
    tower(tmp_path, "b", "a")
    with pytest.raises(SuiteError, match=re.escape(r"in a circle: b.toml -> a.toml -> b.toml; ")):
        run(read_recipe(tmp_path / "b.toml"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists(), "nothing was begun, not even what is no part of the circle"


def test_a_recipe_before_it_that_was_trained_anew_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    tower(tmp_path)
    tower(tmp_path, "more", "tower")
    last = tower(tmp_path, "last", "more")
    out = run(last, root)
    assert run(last, root) == out
    with pytest.raises(
        StoreError, match=r"runs/more holds the run of another recipe: schedule\.rate was 0\.001 and is 0\.5"
    ):
        run(last, root, changes={"schedule.rate": 0.5})
    (root / "tower" / "done.json").unlink()
    assert run(last, root) == out, "what it started from need not be there"
    run(tower(tmp_path), root, fresh=True)
    assert run(last, root) == out, "the same weights again"
    text = (tmp_path / "tower.toml").read_text()
    (tmp_path / "tower.toml").write_text(text.replace("warmup = 1", "warmup = 1\nrate = 0.5"))
    with pytest.raises(StoreError, match="runs/tower holds the run of another recipe"):
        run(last, root)
    run(tower(tmp_path), root, fresh=True)
    with pytest.raises(
        StoreError, match=r"runs/more started from recipe 'tower', which was trained anew.*'rsground train more"
    ):
        run(last, root)


def test_changes_for_all_reach_the_recipes_before_it(tmp_path: Path) -> None:
    tower(tmp_path)
    last = tower(tmp_path, "last", "tower", **{"schedule.steps": 1})
    run(last, tmp_path / "runs", changes={"schedule.steps": 2})
    kept = {name: [each.name for each in (tmp_path / "runs" / name).glob("iter_*.pth")] for name in ("tower", "last")}
    assert kept == {"tower": ["iter_2.pth"], "last": ["iter_1.pth"]}


def test_runs_of_earlier_releases_count(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "tower")
    folder.path.mkdir()
    (folder.path / "done.json").write_text(json.dumps({"recipe": EARLIER, "seconds": 3}))
    folder.check(EARLIER_RECIPE)
    assert folder.is_done(EARLIER_RECIPE)
    assert run(EARLIER_RECIPE, tmp_path) == folder.path / "out"
    with pytest.raises(StoreError, match="seed was 0 and is 3"):
        folder.check(replace(EARLIER_RECIPE, seed=3))
    (folder.path / "done.json").write_text("{")
    assert not folder.is_done(EARLIER_RECIPE), "torn"


def test_images_take_the_place_of_a_batch(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "tower")
    folder.begin(EARLIER_RECIPE, 2, {})
    (folder.path / "iter_2.pth").touch()
    with pytest.raises(StoreError, match=r"schedule\.batch was 2 and is 0, schedule\.images was 0 and is 2"):
        folder.check(replace(EARLIER_RECIPE, schedule=Schedule(3, images=2)))


def test_as_many_images_a_step_as_it_began_with(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "tower")
    folder.begin(EARLIER_RECIPE, 4, {})
    folder.check_images(2, EARLIER_RECIPE)
    (folder.path / "iter_2.pth").touch()
    folder.check_images(4, EARLIER_RECIPE)
    with pytest.raises(StoreError, match="4 images a step, in these processes they are 2"):
        folder.check_images(2, EARLIER_RECIPE)


VALUES = st.one_of(
    st.integers(), st.booleans(), st.floats(allow_nan=False), st.text(), st.lists(st.integers(), max_size=3)
)
TABLES = st.dictionaries(
    st.sampled_from(["a", "b", "workers", "checkpointing"]), VALUES | st.dictionaries(st.text(), VALUES)
)
RECIPES = st.builds(
    Recipe,
    name=st.just("some"),
    stage=st.just("dense"),
    schedule=st.builds(Schedule, st.integers(1, 9), rate=st.floats(0, 1), save_every=st.integers(0, 9)),
    seed=st.integers(0, 2),
    summary=st.text(),
    data=TABLES,
    model=TABLES,
)


@given(RECIPES, RECIPES)
def test_recipes_say_the_same_where_they_are_the_same(one: Recipe, other: Recipe) -> None:
    assert said_by(one) == json.loads(json.dumps(said_by(one)))
    assert (said_by(one) == said_by(other)) == (one == other)
