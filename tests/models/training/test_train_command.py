"""``rsground train``: trains, goes on, stops in order, and says what is wrong."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from line_fit import Line, Points, collate
from rich.console import Console

from rsground.cli import COMMANDS, main, train
from rsground.errors import DataError
from rsground.models.folder import read_card
from rsground.models.grounder import Grounder
from rsground.models.training.engine import train as train_model
from rsground.models.training.progress import ProgressLine
from rsground.models.training.schedule import Schedule
from rsground.models.training.system_model import SystemModel
from rsground.models.training.ways import Ways, training_in

RECIPE = """\
stage = "system"
summary = "boxes of squares"
seed = 0

[data]
kind = "dataset"
name = "jsonl"
root = "pictures"
split = "train"
tasks = ["hbb"]
val = { split = "val", metric = "rec-hbb" }

[model]
checkpoint = "model"
options = { max_context = 256 }
lora = { rank = 8, alpha = 16.0 }

[head]
name = "codec"
options = { codec = "text-hbb" }

[schedule]
steps = 40
batch = 2
rate = 1e-3
warmup = 2
save_every = 20
check_every = 20
"""


@pytest.fixture
def recipe(tmp_path: Path, llava: Path, pictures: Path) -> Path:
    """A recipe of stage ``system``, beside the data and the model that it names."""
    file = tmp_path / "squares.toml"
    file.write_text(RECIPE)
    (tmp_path / "model").symlink_to(llava)
    return file


def run(recipe: Path, *words: str) -> int:
    return main(["train", str(recipe), "--root", str(recipe.parent / "runs"), "--device", "cpu", *words])


def test_a_recipe_is_broken_off_and_goes_on(
    recipe: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ("--set", "schedule.steps=4", "--set", "schedule.save_every=1")
    forward, calls = SystemModel.forward, [0]

    def interrupted(self: Any, *given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(self, *given, **named)

    monkeypatch.setattr(SystemModel, "forward", interrupted)
    assert run(recipe, *short) == 130
    told = capsys.readouterr().err
    assert "iter_2.pth" in told
    assert "to go on: rsground train" in told
    assert run(recipe, *short) == 0
    assert calls == [4], "two steps were left"
    told = capsys.readouterr().out
    assert "ask it: rsground predict" in told
    assert "Acc@0.5" in told
    with Grounder.from_pretrained(recipe.parent / "runs" / "squares" / "out", device="cpu") as grounder:
        assert grounder.ground(pictures / "0.png", "square 0").error is None


def test_a_run_of_another_recipe_is_left_alone(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ("--set", "schedule.steps=1")
    assert run(recipe, *short) == 0
    capsys.readouterr()
    assert run(recipe, *short, "--set", "schedule.rate=0.1") == 1
    told = capsys.readouterr().err
    assert "schedule.rate was 0.001 and is 0.1" in told
    assert f"rsground train {recipe} --fresh" in told
    assert run(recipe, *short, "--set", "schedule.rate=0.1", "--fresh") == 0


def test_changes_for_all_reach_what_it_starts_from(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = recipe.with_name("last.toml")
    last.write_text(recipe.read_text().replace('stage = "system"', 'stage = "system"\ninit = "squares"'))
    forward, calls = SystemModel.forward, [0]

    def counted(self: Any, *given: Any, **named: Any) -> Any:
        calls[0] += 1
        return forward(self, *given, **named)

    monkeypatch.setattr(SystemModel, "forward", counted)
    assert run(last, "--set-all", "schedule.steps=2", "--set-all", "data.limit=2", "--set", "schedule.steps=3") == 0
    assert calls == [5]
    cards = [read_card(recipe.parent / "runs" / name / "out").training for name in ("squares", "last")]
    assert [(card["steps"], card["data"]["limit"]) for card in cards] == [(2, 2), (3, 2)]


def test_an_error_says_what_was_saved(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = SystemModel.forward, [0]

    def failing(self: Any, *given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise DataError("no such thing")
        return forward(self, *given, **named)

    monkeypatch.setattr(SystemModel, "forward", failing)
    assert run(recipe, "--set", "schedule.steps=4") == 1
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first == "rsground: no such thing"
    file = recipe.parent / "runs" / "squares" / "iter_2.pth"
    assert second == f"rsground: saved as {file}; the same command, without --fresh, goes on from there"
    assert run(recipe, "--set", "schedule.steps=4") == 0
    assert calls == [5]


def test_what_is_passed_over_is_told(recipe: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "2.png").write_bytes(b"no picture")
    assert run(recipe, "--set", "schedule.steps=4") == 0
    told = capsys.readouterr().out
    assert (
        f"passed over: 1, named with the reasons in {recipe.parent / 'runs' / 'squares' / 'passed_over.jsonl'}" in told
    )
    assert "which validated best" in told


def test_what_is_saved_of_a_recipe_before_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = argparse.Namespace(recipe="last.toml", root=str(tmp_path))
    train._tell_of_stop(args, tmp_path / "last")
    assert "nothing was saved yet" in capsys.readouterr().err
    for name in ("done", "first"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "iter_20.pth").touch()
    (tmp_path / "done" / "done.json").touch()
    train._tell_of_stop(args, tmp_path / "last")
    assert f"saved as {tmp_path / 'first' / 'iter_20.pth'}; to go on" in capsys.readouterr().err


def test_values_as_in_toml() -> None:
    args = argparse.Namespace(fail=lambda message: (_ for _ in ()).throw(ValueError(message)))
    assert train._change("schedule.steps=100", args) == ("schedule.steps", 100)
    assert train._change("data.tasks = ['hbb']", args) == ("data.tasks", ["hbb"])
    assert train._change("data.root=/data/x=y", args) == ("data.root", "/data/x=y")
    assert train._change("a.b={ c = 1.5 }", args) == ("a.b", {"c": 1.5})
    with pytest.raises(ValueError, match="NAME=VALUE"):
        train._change("schedule.steps", args)


def test_what_is_wrong_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err
    file = tmp_path / "r.toml"
    file.write_text('stage = "dense"\n[schedule]\nsteps = 1\n')
    assert main(["train", str(file), "--set", "schedule.stps=1"]) == 1
    assert "'stps'" in capsys.readouterr().err
    assert main(["train", str(file), "--device", "tpu", "--root", str(tmp_path)]) == 1
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["train", str(file), "--launcher", "pytorch", "--fresh"])
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    assert main(["train", str(file)]) == 1
    assert "rsground[train]" in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = capsys.readouterr().out
    assert "torchrun" in told
    assert "--set schedule.steps=20" in told
    assert COMMANDS["train"][1] == train.SUMMARY


def test_progress_line(tmp_path: Path) -> None:
    shown = io.StringIO()
    line = ProgressLine(Console(file=shown, force_terminal=True, width=140))
    with training_in(Ways("cpu", hooks=(line,), quiet=True)):
        train_model(Line(), Points(), collate, Schedule(12, batch=4), tmp_path / "line-run")
    assert "12/12" in shown.getvalue()
    assert re.search(r"loss [\d.]+.*rate [\d.e-]+.*samples/s", shown.getvalue())
    assert "line-run" in shown.getvalue()
    assert line._bar is None
