"""``rsground bench --baseline`` and ``rsground compare``, from the command line to the files and the exit status."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rsground.cli import COMMANDS, main

SUITE = """
metrics = ["res"]
dataset = {{ name = "scenes", tasks = ["mask"] }}
entry = [
    {{ label = "boxes", head = {{ name = "codec", codec = "text-hbb", resolution = 1000 }} }},
    {{ label = "grid", head = {{ name = "codec", codec = "text-mask", resolution = {resolution} }} }},
]
"""
DOCS = Path(__file__).resolve().parents[2] / "docs" / "howto"
Bench = Callable[..., int]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run the suite into a folder; 32 samples on generated scenes."""
    monkeypatch.chdir(tmp_path)

    def run(out: str, *words: str, resolution: int = 32) -> int:
        (tmp_path / "mine.toml").write_text(SUITE.format(resolution=resolution))
        common = ["--limit", "32", "--out", out, "--workers", "0", "--no-report", "--quiet"]
        return main(["bench", "mine.toml", *common, *words])

    return run


def test_a_gate_from_end_to_end(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("main", "--json", "--cache", "cache") == 0
    gate = ["--baseline", "main", "--fail-on-regression", "--cache", "cache"]
    capsys.readouterr()
    assert bench("same", *gate, "--junit", "same.xml") == 0
    told = capsys.readouterr()
    assert "no regression against main" in told.out
    assert "64 answers were taken from the cache, 0 are new" in told.err
    assert ET.parse(tmp_path / "same.xml").getroot().get("failures") == "0"
    files = ["--junit", "out/worse.xml", "--summary", "worse.md"]
    assert bench("worse", *gate, *files, resolution=6) == 3
    told = capsys.readouterr()
    assert "1 regression against main" in told.out
    assert "32 answers were taken from the cache, 32 are new" in told.err
    root = ET.parse(tmp_path / "out" / "worse.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == ["grid: gIoU"]
    assert (tmp_path / "worse.md").read_text("utf-8").startswith("## rsground: 1 regression\n")
    assert bench("worse", *gate[:2], "--json", resolution=6) == 0, "without --fail-on-regression it is only shown"
    assert bench("worse", *gate, "--tolerance", "1", "--json", resolution=6) == 0
    assert main(["compare", "worse", "main", "--fail-on-regression"]) == 3
    assert main(["compare", "worse", "main"]) == 0
    assert main(["compare", "main", "worse", "--fail-on-regression", "--fail-on-cost", "--cost-tolerance", "9"]) == 0


def test_json_holds_the_comparison(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench("main", "--json")
    capsys.readouterr()
    assert bench("new", "--baseline", "main", "--json", resolution=6) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reused"] == 0
    assert found["comparison"]["regressions"] == 1
    assert main(["compare", "new", "main", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone == found["comparison"]


def test_a_step_summary_is_added_to_and_other_files_are_not(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench("main", "--json")
    bench("new", "--json")
    page = tmp_path / "step.md"
    page.write_text("from another step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    for _ in range(2):
        assert main(["compare", "new", "main", "--summary", "step.md"]) == 0
        assert main(["compare", "new", "main", "--summary", "mine.md"]) == 0
    assert page.read_text("utf-8").count("## rsground") == 2
    assert page.read_text("utf-8").startswith("from another step\n")
    assert (tmp_path / "mine.md").read_text("utf-8").count("## rsground") == 1


def test_errors_come_before_the_work(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("new", "--baseline", "nowhere") == 1
    assert "nowhere is no run folder" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    for option in (["--junit", "x.xml"], ["--fail-on-regression"], ["--score", "mIoU"]):
        assert bench("new", *option) == 2
        assert f"{option[0]} needs a run to compare with: add --baseline RUN" in capsys.readouterr().err
    bench("main", "--json")
    assert bench("main", "--baseline", "main") == 1
    assert "compared with itself never gets worse" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    bench("new", "--json")
    assert main(["compare", "new", "main", "--junit", "file/x.xml"]) == 1
    assert "choose another --junit file" in capsys.readouterr().err
    assert bench("new", "--cache", "file") == 1
    assert "the cache" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--alpha", "0"], ["--alpha", "1"], ["--tolerance", "-1"], ["--tolerance", "nan"]])
def test_senseless_rules_are_a_bad_command_line(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compare", "a", "b", *words])
    assert left.value.code == 2


# the how-to and its workflow ------------------------------------------------------------------------------------------


def commands() -> list[list[str]]:
    """Every rsground command line of the how-to and the workflow."""
    found = []
    for path in (DOCS / "ci.md", DOCS / "gpu-ci.yml"):
        text = path.read_text("utf-8").replace("\\\n", " ")
        for line in re.findall(r"^\s*(rsground .*)$", text, re.MULTILINE):
            words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "x", line), comments=True)
            stop = next((n for n, word in enumerate(words) if word in ("|", "||", "&&", ";")), len(words))
            found.append(words[:stop])
    return found


@pytest.mark.skipif(not DOCS.is_dir(), reason="docs are not part of an installed package")
def test_every_command_of_the_docs_exists() -> None:
    import importlib

    from rsground.cli import _Parser

    found = commands()
    assert {words[1] for words in found} >= {"bench", "compare", "doctor"}
    for words in found:
        module: Any = importlib.import_module(COMMANDS[words[1]][0])
        parser = _Parser(prog="rsground")
        module.add_arguments(parser)
        parser.parse_args(words[2:])


@pytest.mark.skipif(not DOCS.is_dir(), reason="docs are not part of an installed package")
def test_the_workflow_is_valid_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    flow = yaml.safe_load((DOCS / "gpu-ci.yml").read_text("utf-8"))
    assert set(flow) >= {"name", True, "jobs"}, "YAML 1.1 reads the key 'on' as true"
    for job in flow["jobs"].values():
        assert "self-hosted" in job["runs-on"]
        assert job["timeout-minutes"] > 0
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
    page = (DOCS / "ci.md").read_text("utf-8")
    assert "gpu-ci.yml" in page
