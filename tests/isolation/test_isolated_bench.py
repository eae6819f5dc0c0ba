"""Heads of an isolated environment in listings and suites: found, checked, run and scored as any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.scores import summaries
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.cli import main
from rsground.environments import find_environment
from rsground.errors import InstallError, PluginError, SuiteError, UnknownNameError
from rsground.isolation import client
from rsground.registry import load, registry

SUITE = """
metrics = ["rec-hbb"]
dataset = {{ name = "scenes", limit = 6, tasks = ["hbb"] }}
entry = [ {entries} ]
"""


@pytest.fixture
def ran(wild: Path, tmp_path: Path) -> Callable[..., Run]:
    """Run entries to the end."""

    def run(entries: str, workers: int = 0) -> Run:
        plan = make_plan(checked(read_suite(SUITE.format(entries=entries), "wild.toml")))
        folder = tmp_path / f"run{workers}"
        assert run_plan(plan, folder, workers=workers).complete
        return Run.open(folder)

    return run


def scores_of(run: Run) -> dict[str, dict[str, float]]:
    return {found.system: dict(found.scores) for found in summaries(run, replicates=20)}


def test_an_isolated_head_scores_as_the_same_head_here(ran: Callable[..., Run]) -> None:
    entries = """
        { label = "here", head = { name = "codec", codec = "text-hbb", resolution = 100 } },
        { label = "there", head = { name = "codec@wild", codec = "text-hbb", resolution = 100 }, batch = 4 },
        { label = "exact", head = "wild@wild" },
        { label = "sees", head = "wild@wild", backbone = "wild-looker@wild" }"""
    scores = scores_of(ran(entries))
    assert scores["there"] == scores["here"]
    assert scores["exact"]["Acc@0.5"] == 1.0
    assert scores_of(ran(entries, workers=1)) == scores


def test_a_crash_costs_answers_and_no_run(
    ran: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LIVES", 4)
    once = json.dumps(str(tmp_path / "once"))
    run = ran(f"""{{ label = "once", head = {{ name = "wild@wild", how = "kill", once = {once} }} }},
        {{ label = "always", head = {{ name = "wild@wild", how = "exit" }} }}""")
    assert not run.usage("once", "scenes")["failed"].any(), "a worker's death is not held against the sample at once"
    assert scores_of(run)["once"]["Acc@0.5"] == 1.0
    errors = [answer.prediction.error or "" for answer in run.answers("always", "scenes")]
    assert len(errors) == 6
    assert errors[0] == "the worker process ended with exit code 3; its last words: going now"
    assert errors[-1].endswith("none is started again")


@pytest.mark.parametrize("listed", ["heads", "backbones"])
def test_parts_are_listed_under_their_environment(wild: Path, capsys: pytest.CaptureFixture[str], listed: str) -> None:
    assert main(["list", listed, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    expected = {"heads": "wild@wild", "backbones": "wild-looker@wild"}[listed]
    assert rows[expected]["distribution"] == "rsground-wild 1.0 @wild"
    assert rows[expected]["missing"] == []
    assert not any(name.startswith(("codec@", "oracle@")) for name in rows), "the core's parts are not listed twice"
    if listed == "heads":
        assert rows["needy@wild"]["missing"] == ["no_such_package"]
    assert main(["plugins", "list", "--json"]) == 0
    plugins = {row["plugin"]: row for row in json.loads(capsys.readouterr().out)}
    assert plugins["wild@wild"]["offers"] == {"head": 2, "backbone": 1, "system": 3}
    assert plugins["wild@wild"]["state"] == "ready"


def test_listing_starts_no_process(wild: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen.__init__", refuse)
    registry.cache_clear()
    assert "wild@wild" in registry().offers("head")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('{ head = "wild@nowhere" }', "no head named 'wild@nowhere'"),
        ('{ head = "wild@wild", backbone = "nobody" }', "no backbone named 'nobody@wild'"),
        ('{ head = { name = "wild@wild", hwo = "exit" } }', "no option of head 'wild@wild' named 'hwo'"),
        ('{ head = "needy@wild" }', "needs no_such_package"),
        ('{ head = "codec", backbone = "wild-looker@wild" }', "lives in environment 'wild', the head 'codec' here"),
    ],
)
def test_a_suite_is_checked_before_anything_runs(wild: Path, entry: str, told: str) -> None:
    with pytest.raises(SuiteError) as refused:
        checked(read_suite(SUITE.format(entries=entry), "wild.toml"))
    assert told in str(refused.value)


def test_an_optional_entry_may_do_without_its_environment(wild: Path) -> None:
    entries = '{ label = "a", head = "codec" }, { label = "b", head = "wild@nowhere", optional = true }'
    suite = checked(read_suite(SUITE.format(entries=entries), "wild.toml"))
    assert [entry.label for entry in suite.entries] == ["a"]
    assert "left out 'b'" in suite.notes[0]


def test_a_changed_environment_is_not_trusted(wild: Path) -> None:
    (packages,) = wild.glob("venv/lib/python*/site-packages")
    (packages / "added-1.0.dist-info").mkdir()
    try:
        registry.cache_clear()
        assert "wild@wild" not in registry().offers("head")
        assert "packages were changed" in registry().broken["@wild"]
        with pytest.raises(UnknownNameError, match="'rsground plugins refresh wild' looks again"):
            registry().find("head", "wild@wild")
        with pytest.raises(InstallError, match="packages were changed"):
            find_environment("wild")
        assert main(["plugins", "refresh", "wild"]) == 0
        registry.cache_clear()
        assert "wild@wild" in registry().offers("head")
        assert find_environment("wild").record["limits"] == {"sample_s": 20.0}
    finally:
        (packages / "added-1.0.dist-info").rmdir()
        main(["plugins", "refresh", "wild"])


def test_an_environment_can_be_switched_off(wild: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSGROUND_DISABLE", "@wild")
    registry.cache_clear()
    assert "wild@wild" not in registry().offers("head")


def test_what_lives_elsewhere_is_not_built_here(wild: Path) -> None:
    from rsground.assembly import assemble

    parts = {"backbone": {"name": "oracle", "options": {}}, "segmenter": None, "preprocess": [], "checkpoint": None}
    with pytest.raises(PluginError, match="'wild@wild' lives in an isolated environment"):
        assemble({"head": {"name": "wild@wild", "options": {}}, **parts})
    assert load("head", "wild@wild", how="exit").part == "wild"
