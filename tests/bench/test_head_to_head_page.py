"""The tables of the results page, of a small run: real forms and scores, errors are wrong digits."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "head_to_head_page.py"
SUITE = """
metrics = [{ name = "rec-hbb", tasks = ["hbb"] }, { name = "res", tasks = ["mask"] }]
dataset = { name = "scenes", split = "test", tasks = ["hbb", "mask"], count = 3, per_scene = 4, size = 128 }

[[entry]]
label = "boxes"
head = { name = "codec", codec = "text-hbb" }
backbone = { name = "oracle", slips = 0.2 }
batch = 8

[[entry]]
label = "boxes, not tuned"
head = { name = "codec", codec = "text-hbb" }
backbone = { name = "oracle", slips = 0.6 }
batch = 8

[[entry]]
label = "boxes, blindfolded"
head = { name = "codec", codec = "text-hbb" }
backbone = { name = "blind", text = "<box>[[250,250,750,750]]</box>" }
batch = 8

[[entry]]
label = "grid"
head = { name = "codec", codec = "text-mask" }
backbone = { name = "oracle", slips = 0.05 }
batch = 8

[[entry]]
label = "grid, not tuned"
head = { name = "codec", codec = "text-mask" }
backbone = { name = "oracle", slips = 0.5 }
"""
CEILINGS = """
[[entry]]
label = "boxes, perfect words"
head = { name = "codec", codec = "text-hbb" }
backbone = "oracle"
batch = 8

[[entry]]
label = "grid, not tuned, perfect words"
head = { name = "codec", codec = "text-mask", resolution = 8 }
backbone = "oracle"
"""
Rows = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    """The script as a module."""
    if not SCRIPT.is_file():
        pytest.skip("benchmarks are not part of an installed package")
    spec = importlib.util.spec_from_file_location("head_to_head_page", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["head_to_head_page"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["head_to_head_page"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a finished run of a suite's text; the same answers whichever of them a text asks for."""
    folder = tmp_path_factory.mktemp("head-to-head") / "run"

    def make(text: str) -> Path:
        run_plan(make_plan(checked(read_suite(text, "small.toml"))), folder, workers=0)
        return folder

    return make


def printed(page: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the command prints."""
    monkeypatch.setattr(sys, "argv", ["head_to_head_page.py", str(folder), "--replicates", "200"])
    page.main()
    return capsys.readouterr().out


def leaderboards(text: str) -> dict[str, Rows]:
    """Protocol → system → column → cell."""
    found: dict[str, Rows] = {}
    for section in text.split("\n### ")[1:]:
        table = section.split("\n\n")[2].splitlines()
        head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
        found[section.split("`")[1]] = {row[0]: dict(zip(head, row, strict=True)) for row in rows[1:]}
    return found


def test_ceilings_and_times_stand_beside_the_scores(
    page: ModuleType,
    runs: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = runs(SUITE + CEILINGS)
    text = printed(page, folder, capsys, monkeypatch)
    assert "perfect words" not in text
    boards = leaderboards(text)
    assert list(boards) == ["rec-hbb", "res"]
    with Run.open(folder) as run:
        for metric, score in (("rec-hbb", "Acc@0.5"), ("res", "gIoU")):
            rows = boards[metric]
            assert set(rows) == {"boxes", "boxes, not tuned", "boxes, blindfolded", "grid", "grid, not tuned"}
            tables = {row.label: run.columns(row.label, "scenes", metric) for row in run.systems}
            summaries = {label: table.metric.load().summarise(table.columns) for label, table in tables.items()}
            scores = {label: 100 * found[score] for label, found in summaries.items()}
            best = max(rows, key=lambda label: scores[label])
            assert next(iter(rows)) == best
            for label, row in rows.items():
                assert row["score [95 %]"].startswith(f"{scores[label]:.1f} [")
                assert (row["against the best"] == "-") == (label == best)
                usage = run.usage(label, "scenes")
                time = 1000 * usage["time_s"][np.isin(usage["index"], tables[label].index)].mean()
                assert float(row["ms/answer"].replace(",", "")) == pytest.approx(time, rel=0.005)
            own = f"{scores['grid, not tuned, perfect words']:.1f}"
            boxes = f"{scores['boxes, perfect words']:.1f}"
            told = {label: row["ceiling"] for label, row in rows.items()}
            assert told == dict.fromkeys(("boxes", "boxes, not tuned", "boxes, blindfolded"), boxes) | {
                "grid": "-",
                "grid, not tuned": own,
            }
            assert rows["boxes"]["against itself, blindfolded"] != "-"


def test_ceilings_change_no_score_and_no_test(
    page: ModuleType,
    runs: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside = printed(page, runs(SUITE + CEILINGS), capsys, monkeypatch)
    without = printed(page, runs(SUITE), capsys, monkeypatch)
    assert without != beside
    for rows in leaderboards(without).values():
        assert {row["ceiling"] for row in rows.values()} == {"-"}
    assert blanked(without) == blanked(beside)


def test_an_overview_stands_before_the_tables(
    page: ModuleType,
    runs: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = printed(page, runs(SUITE + CEILINGS), capsys, monkeypatch)
    boards = leaderboards(text)
    table = text[: text.index("\n### ")].strip().splitlines()
    head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    assert head == ["system", "Horizontal boxes, Acc@0.5", "Masks, gIoU"]
    assert [row[0] for row in lines] == ["boxes", "boxes, not tuned", "boxes, blindfolded", "grid", "grid, not tuned"]
    for column, metric in enumerate(("rec-hbb", "res"), start=1):
        best = next(iter(boards[metric]))
        for row in lines:
            told = boards[metric][row[0]]
            assert row[column].startswith("**") == (row[0] == best)
            score, _, top = row[column].replace("**", "").partition(" of ")
            assert (score, top or "-") == (told["score [95 %]"], told["ceiling"])


def blanked(text: str) -> list[str]:
    """The lines, ceilings left out."""
    lines = []
    for line in re.sub(r"\] of [\d.]+", "]", text).splitlines():
        cells = line.split("|")
        lines.append("|".join(cells[:3] + cells[4:]) if len(cells) == 9 else line)
    return lines
