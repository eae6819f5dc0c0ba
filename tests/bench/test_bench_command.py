"""The command: JSON, plans, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsground.bench.results import Run
from rsground.cli import main
from rsground.contracts import Metric
from rsground.registry import load

TOY = 'metrics = ["rec-hbb"]\ndataset = {name = "toy"}\nentry = [{label = "right", head = "toy"}]\n'


@pytest.fixture
def here(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Work in an empty folder, with a suite file in it."""
    monkeypatch.chdir(tmp_path)

    def write(text: str = TOY) -> Path:
        (tmp_path / "mine.toml").write_text(text)
        return tmp_path

    return write


def test_json_on_stdout_and_nothing_else(here: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    here(TOY)
    assert main(["bench", "mine.toml", "--json", "--workers", "0", "--no-report"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["complete"] is True
    assert (found["answered"], found["kept"], found["report"]) == (20, 0, None)
    (score,) = found["scores"]
    assert (score["system"], score["dataset"], score["metric"], score["n"]) == ("right", "toy", "rec-hbb", 20)
    assert score["scores"]["Acc@0.5"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["datasets"] == [{"label": "toy", "samples": 20, "images": 10, "broken": 2}]
    assert Path(found["folder"]).parent == Path("runs")
    assert "toy.json:6: bad-box: a box of the toy data" in err
    assert "2 broken records were skipped" in err
    assert main(["bench", "mine.toml", "--json", "--workers", "0", "--no-report", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 20, "the same command goes on in the same folder"


def test_leaderboard_and_report(here: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = here(TOY)
    assert main(["bench", "mine.toml", "--out", "out", "--workers", "0", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "right" in out
    assert "Acc@0.5" in out
    page = (folder / "out" / "report" / "report.html").read_text("utf-8")
    assert "rec-hbb" in page


def test_a_protocol_that_fails_at_its_scores_is_named_and_costs_no_other(
    here: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Metric, columns: Any, weights: Any = None) -> dict[str, float]:
        raise KeyError("regions")

    here(TOY.replace('["rec-hbb"]', '["count", "rec-hbb"]'))
    metric = type(load("metric", "count"))
    monkeypatch.setattr(metric, "summarise", fails)
    assert main(["bench", "mine.toml", "--json", "--workers", "0", "--no-report", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [score["metric"] for score in found["scores"]] == ["rec-hbb"]
    assert found["problems"] == ["right on toy, protocol count: KeyError: 'regions'"]
    assert found["problems"][0] in err
    assert main(["bench", "mine.toml", "--workers", "0", "--no-report", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert "Acc@0.5" in out
    assert "protocol count: KeyError: 'regions'" in err


def test_dry_run_checks_and_runs_nothing(here: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = here(TOY)
    assert main(["bench", "mine.toml", "--dry-run", "--limit", "5"]) == 0
    out = capsys.readouterr().out
    assert "system    right" in out
    assert "1 jobs, 5 answers" in out
    assert main(["bench", "mine.toml", "--dry-run", "--json", "--seed", "3", "--seed", "4"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["jobs"], plan["seeds"], plan["systems"][0]["label"]) == (2, [3, 4], "right")
    assert [path.name for path in folder.iterdir()] == ["mine.toml"]


def test_only_and_data(here: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    here(TWO)
    options = ["--workers", "0", "--no-report", "--json", "--quiet", "--out", "run"]
    assert main(["bench", "mine.toml", "--only", "le*", "--data", "toy:val?count=6", "--limit", "4", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(score["system"], score["n"]) for score in found["scores"]] == [("left", 4)]
    assert main(["bench", "mine.toml", "--only", "lfet", *options]) == 1
    assert "no entry of mine named 'lfet'. Did you mean 'left'?" in capsys.readouterr().err


TWO = (
    'metrics = ["rec-hbb"]\ndataset = {name = "toy"}\n'
    'entry = [{label = "right", head = "toy"}, {label = "left", head = "toy", backbone = "blind"}]\n'
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["celings"], "Did you mean 'ceilings'?"),
        (["nowhere.toml"], "suite file 'nowhere.toml' is not there"),
        (["mine.toml", "--data", "dota"], "give 'root' in the suite or --data dota=ROOT"),
        (["mine.toml", "--data", "dota=/no/such/place"], "/no/such/place"),
        (["mine.toml", "--executor", "rey"], "no executor named 'rey'"),
        (["mine.toml", "--resume", "--out", "nothing"], "there is no run to resume in nothing"),
    ],
)
def test_errors_are_one_line_and_exit_1(
    here: Callable[[str], Path], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    here(TOY)
    assert main(["bench", *words]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("rsground: ")
    assert "Traceback" not in err


def test_a_bad_command_line_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--limit", "0"], ["--limit", "many"], ["--fresh", "--resume"], ["--workers", "-1"]):
        with pytest.raises(SystemExit) as left:
            main(["bench", "ceilings", *words])
        assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_data_set_that_breaks_off_exits_1(here: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    here(TOY.replace('name = "toy"}\n', 'name = "toy", stops_at = 5}\n'))
    assert main(["bench", "mine.toml", "--workers", "0", "--no-report", "--quiet"]) == 1
    err = capsys.readouterr().err
    assert "the disk went away" in err
    assert "incomplete: 5 answers" in err


@pytest.mark.parametrize(
    ("number", "status", "workers"), [(signal.SIGINT, 130, 0), (signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 2)]
)
def test_a_signal_ends_the_run_and_the_same_command_goes_on(
    here: Callable[[str], Path], number: int, status: int, workers: int
) -> None:
    folder = here(
        TOY.replace('head = "toy"', 'head = {name = "toy", burn = 2000}').replace('"toy"}\n', '"toy", count = 60}\n')
    )
    command = [sys.executable, "-m", "rsground", "bench", "mine.toml", "--out", "run", "--no-report"]
    command += ["--workers", str(workers)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as child:
        _wait_for_answers(folder / "run", 3)
        os.killpg(child.pid, number)  # as a terminal does: the workers get it too
        _, err = child.communicate(timeout=60)
    assert child.returncode == status
    assert "Traceback" not in err
    assert "the same command goes on from there" in err
    with Run.open(folder / "run") as run:
        stored, _ = run.progress()
        assert 3 <= stored < 60
        assert not run.usage("right", "toy")["failed"].any(), "a worker that was stopped is no failure of the system"
    assert main(["bench", "mine.toml", "--out", "run", "--no-report", "--quiet", "--workers", "0", "--resume"]) == 0
    with Run.open(folder / "run") as run:
        assert run.progress() == (60, 60)
        assert run.columns("right", "toy", "rec-hbb").columns["hit"].tolist() == [1.0] * 60


def _wait_for_answers(folder: Path, most: int) -> None:
    for _ in range(600):
        try:
            with Run.open(folder) as run:
                if run.progress()[0] >= most:
                    return
        except OSError:
            pass  # not begun yet
        time.sleep(0.05)
    raise AssertionError("no answer came")


def test_says_why_nothing_was_scored(here: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    here(TOY.replace('name = "toy"}', 'name = "toy", tasks = ["change"]}', 1))
    main(["bench", "mine.toml", "--workers", "0", "--quiet", "--no-report"])
    assert "toy gave no sample at all" in capsys.readouterr().err
