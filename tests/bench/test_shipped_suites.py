"""Suites that ship: each can be planned as it stands, and the quick one answers what it asks."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from rsground.bench.suite_files import find_suite
from rsground.cli import main
from rsground.models.card import read_card, write_card
from rsground.registry import registry

HOME = Path(__file__).resolve().parents[2]
SUITES = sorted(registry().offers("suite"))
FILES = sorted(path.name for path in (HOME / "benchmarks").glob("*.toml"))


def zoo() -> Path:
    """The folder of the systems that ship; the test is skipped where they are not installed."""
    if importlib.util.find_spec("rsground_zoo_tiny") is None:
        pytest.skip("the small systems are not installed: pip install rsground-zoo-tiny")
    return Path(str(files("rsground_zoo_tiny"))) / "systems"


def planned(name: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["bench", name, "--dry-run", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def expected(text: str) -> set[str]:
    """Labels of the entries that must be planned: optional ones may want what was trained, or an environment."""
    entries = tomllib.loads(text)["entry"]
    here = re.compile(r"(tiny/)?[\w-]+|work/.*")  # what ships, and what the test lays out
    must = (each for each in entries if not each.get("optional") or here.fullmatch(each.get("system", "")))
    return {each["label"] for each in must if "{" not in each["label"]}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_that_ships_can_be_planned(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With small scenes, since a plan draws the first few to know what they are."""
    text, _ = find_suite(name)
    if "tiny/" in text:
        zoo()
    small = tmp_path / f"{name}.toml"
    small.write_text(re.sub(r"(?m)^size = (\d+)", lambda found: f"size = {64 + int(found[1]) // 64}", text), "utf-8")
    plan = planned(str(small), capsys)
    assert plan["jobs"] >= len(plan["systems"]) * len(plan["datasets"]) > 0
    assert expected(text) <= {each["label"] for each in plan["systems"]}


@pytest.mark.parametrize("name", FILES)
def test_a_suite_on_real_data_can_be_planned_where_its_data_and_systems_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data of the same layout, and systems that ship, a little changed, in the place of those that recipes train."""
    systems = zoo()
    text = (HOME / "benchmarks" / name).read_text("utf-8")
    suite = tomllib.loads(text)
    for root in {each["root"] for each in suite["dataset"]}:
        layouts().make_grefs(tmp_path / root)
    for place in {each["system"] for each in suite["entry"] if each.get("system", "").startswith("work/")}:
        trained = Path(shutil.copytree(systems / Path(place).name, tmp_path / place))
        card = read_card(trained)
        write_card(
            trained, replace(card, backbone=replace(card.backbone, options={**card.backbone.options, "top_p": 0.5}))
        )
    monkeypatch.chdir(tmp_path)
    plan = planned(str(HOME / "benchmarks" / name), capsys)
    assert expected(text) <= {each["label"] for each in plan["systems"]}
    assert len(plan["datasets"]) == len(suite["dataset"])


def layouts() -> Any:
    """The module that writes miniature data sets in published layouts."""
    name = "dataset_layouts"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HOME / "tests" / "datasets" / "layouts.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.mark.slow
def test_the_quick_suite_answers_every_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One expression, asked as a box, an oriented box and a mask, of the real small systems."""
    zoo()
    words = ["bench", "quick", "--limit", "3", "--workers", "0", "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["complete"] is True
    (data,) = found["datasets"]
    assert data["samples"] == 3
    scores = {(each["system"], each["metric"]): each for each in found["scores"]}
    systems = ["geoground", "box-mask", "georsmllm", "geopixel", "geoground, blindfolded"]
    served = {(system, metric) for system in systems for metric in ("rec-hbb", "rec-obb", "res")}
    assert set(scores) == served - {("box-mask", "rec-obb")}
    assert all((each["n"], each["failed"], each["unparsed"]) == (1, 0, 0) for each in scores.values())
    assert found["answered"] == 3 * len(systems), "a task that a system does not serve is answered so"
    page = Path(found["report"]).read_text("utf-8")
    assert all(system in page for system in systems)
    assert main([*words, "--json", "--no-report"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 3 * len(systems), "nothing is asked twice"
