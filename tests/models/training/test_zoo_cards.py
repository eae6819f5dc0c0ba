"""``benchmarks/zoo.py``: what cards of shipped systems say of their training and of their scores."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.models.card import Card, PartCard, read_card, write_card
from rsground.models.training.recipe import read_recipe

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
RECIPES = sorted((BENCHMARKS / "recipes").glob("*.toml"))
SUITE = """
metrics = ["rec-hbb"]
dataset = { name = "scenes", limit = 5, tasks = ["hbb"] }

[[entry]]
label = "mine"
head = { name = "codec", codec = "text-hbb" }
backbone = "oracle"

[[entry]]
label = "mine, blindfolded"
head = { name = "codec", codec = "text-hbb" }
backbone = { name = "blind", text = "nothing" }
"""


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("zoo", BENCHMARKS / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "zoo", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def card(zoo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a zoo's only card."""
    monkeypatch.setattr(zoo, "ZOO", tmp_path)
    place = tmp_path / "systems" / "mine"
    training = {"recipe": "tiny-text-framed.toml", "steps": 520}
    write_card(place, Card("tiny/mine", PartCard("codec"), PartCard("oracle"), training=training))
    return place


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_lineage_is_in_the_order_of_training(zoo: ModuleType, file: Path) -> None:
    line = [each.name for each in zoo.lineage(file)]
    assert line[-1] == file.stem
    assert len(set(line)) == len(line)
    for at, name in enumerate(line):
        said = read_recipe(file.with_name(f"{name}.toml"))
        beside = {said.init, said.options.get("tower")} & {each.stem for each in RECIPES}
        assert beside <= set(line[:at]), f"{name} comes before what it starts from"


def test_a_card_tells_of_every_recipe_before_its_own(zoo: ModuleType, card: Path) -> None:
    zoo.descent()
    told = read_card(card).training
    assert told["steps"] == 520, "what the last recipe took stays"
    assert told["recipes"]["tiny-tower"] == "dense: 1000 steps of 16 images a process, of 9000 scenes"
    assert "tiny-tower-rare" in told["recipes"], "a recipe that is named for its tower alone"
    assert told["steps of all recipes"] == sum(int(each.split()[1]) for each in told["recipes"].values()) > 520
    assert "| recipes / tiny-look | look: 4000 steps" in (card / "README.md").read_text()


def test_scores_stand_beside_those_of_the_blindfolded(zoo: ModuleType, card: Path, tmp_path: Path) -> None:
    assert run_plan(make_plan(checked(read_suite(SUITE, "few.toml"))), tmp_path / "run", workers=1).complete
    zoo.scores(tmp_path / "run")
    with Run.open(tmp_path / "run") as run:
        name = f"{run.name}, percent"
        blind = zoo.gathered(run, "mine, blindfolded", "rec-hbb").value
    found = read_card(card).scores[name]
    assert found["rec-hbb Acc@0.5"] == "100.0 [100.0, 100.0]"
    assert found["rec-hbb Acc@0.5, blindfolded"].startswith(f"{blind:.1f} [")
    assert blind < 100
