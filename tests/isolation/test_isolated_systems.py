"""Systems of an isolated environment: listed, asked and compared under ``name@ENV``, without naming their parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.cli import main
from rsground.errors import CheckpointError, SuiteError, UnknownNameError
from rsground.images import save_png
from rsground.isolation.process import CallError
from rsground.models.grounder import Grounder
from rsground.registry import registry

SUITE = """
metrics = ["rec-hbb"]
dataset = {{ name = "scenes", limit = 4, tasks = ["hbb"] }}
entry = [ {entries} ]
"""


def test_systems_are_listed_with_their_parts_and_weights(wild: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "systems", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    sees, gone = rows["wild/sees@wild"], rows["wild/gone@wild"]
    assert sees["parts"] == ["wild-looker@wild", "wild@wild"]
    assert gone["parts"] == ["blindfold@wild", *sees["parts"]]
    assert sees["tasks"] == ["hbb", "mask"]
    links = rows["wild/links@wild"]
    assert sees["bytes"] == links["bytes"] == 2
    assert sees["missing"] == links["missing"] == []
    assert sees["distribution"] == "rsground-wild 1.0 @wild"
    assert gone["missing"] == ["its weights"]


def test_predict_asks_a_system_over_there(wild: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(tmp_path / "picture.png")
    save_png(picture, np.full((48, 64, 3), 9, np.uint8))
    assert main(["predict", picture, "-q", "a thing", "--task", "hbb", "--system", "wild/sees@wild", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert answer["error"] is None
    assert answer["regions"][0]["hbb"] == [9.0, 0.0, 31.0, 40.0], "it saw the picture, and its weights"


def test_a_grounder_passes_options_on_and_is_not_saved_here(wild: Path, tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    with Grounder.from_pretrained("wild/sees@wild") as grounder:
        assert grounder.ground(picture, "a thing", "hbb").error is None
        assert grounder.card.head.source == "rsground-wild 1.0 @wild"
        with pytest.raises(CheckpointError, match="'wild/sees@wild' lives in an isolated environment"):
            grounder.save_pretrained(tmp_path / "copy")
    with Grounder.from_pretrained("wild/sees@wild", how="raise") as grounder:
        assert "the head gave up" in (grounder.ground(picture, "a thing", "hbb").error or "")
    with pytest.raises(CallError, match="no option of this system named 'hwo'"):
        Grounder.from_pretrained("wild/sees@wild", hwo="raise")
    with pytest.raises(CheckpointError, match="wild_weights"):
        Grounder.from_pretrained("wild/gone@wild")


def test_a_suite_names_a_system_or_its_parts(wild: Path, tmp_path: Path) -> None:
    weights = registry().find("system", "wild/sees@wild").checkpoint
    whole = '{ label = "whole", system = "wild/sees@wild", batch = 2 }'
    parts = f'{{ head = "wild@wild", backbone = "wild-looker", checkpoint = {json.dumps(weights)} }}'
    plans = [make_plan(checked(read_suite(SUITE.format(entries=each), "wild.toml"))) for each in (whole, parts)]
    assert plans[0].systems[0].key == plans[1].systems[0].key
    assert run_plan(plans[0], tmp_path / "run", workers=1).complete
    with Run.open(tmp_path / "run") as run:
        found = [answer.prediction for answer in run.answers("whole", "scenes")]
    assert [answer.error for answer in found] == [None] * 4
    assert {answer.regions[0].hbb[2] for answer in found if answer.regions[0].hbb} == {31.0}


def test_an_optional_entry_may_do_without_a_system(wild: Path) -> None:
    entries = '{ label = "a", head = "codec" }, { label = "b", system = "wild/sees@nowhere"%s }'
    with pytest.raises(SuiteError, match="no system named 'wild/sees@nowhere'"):
        read_suite(SUITE.format(entries=entries % ""), "wild.toml")
    suite = checked(read_suite(SUITE.format(entries=entries % ", optional = true"), "wild.toml"))
    assert [entry.label for entry in suite.entries] == ["a"]
    assert 'entry 2 "b"' in suite.notes[0] or "'b'" in suite.notes[0]
    with pytest.raises(UnknownNameError) as unknown:
        Grounder.from_pretrained("wild/sees@nowhere")
    assert "wild/sees@wild" in str(unknown.value), "the nearest name"
