"""Files: where they go, that they are whole, and what the command says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rsground.cli import main
from rsground.errors import StoreError, UnknownNameError
from rsground.report import write_report
from rsground.report.write import FORMATS, targets


def test_all_formats_stand_in_the_run_by_default(run_folder: Path) -> None:
    path = write_report(run_folder, replicates=50, gallery=1)
    assert path == run_folder / "report" / "report.html"
    assert {file.name for file in path.parent.iterdir()} == {f"report{suffix}" for _, suffix in FORMATS.values()}
    assert json.loads((path.parent / "report.json").read_text())["run"]["suite"] == "mine"


def test_what_the_page_shows_from_python_works(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "howto" / "read_a_report.md"
    if not page.is_file():
        pytest.skip("the pages are not part of an installed package")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(block.replace("runs/mine", str(run_folder)).replace("tiny/geoground", "shaky"), {})
    assert (tmp_path / "mine.html").is_file()
    assert "gIoU" in capsys.readouterr().out


def test_equal_runs_give_equal_files(run_folder: Path, tmp_path: Path) -> None:
    first = write_report(run_folder, out=tmp_path / "a", replicates=50, gallery=2)
    second = write_report(run_folder, out=tmp_path / "b", replicates=50, gallery=2)
    for _, suffix in FORMATS.values():
        assert first.with_suffix(suffix).read_bytes() == second.with_suffix(suffix).read_bytes()


def test_a_named_file_is_first_and_others_stand_beside(tmp_path: Path) -> None:
    files = targets(tmp_path, tmp_path / "mine.tex", ("html", "latex"))
    assert list(files.items()) == [("latex", tmp_path / "mine.tex"), ("html", tmp_path / "mine.html")]
    assert targets(tmp_path, tmp_path / "folder.v2", ("csv",)) == {"csv": tmp_path / "folder.v2" / "report.csv"}


def test_a_place_that_cannot_be_written_is_told(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="choose another place with --out"):
        write_report(run_folder, out=tmp_path / "file" / "x", formats=("csv",), replicates=50, gallery=0)


def test_unknown_format_names_the_known_ones(run_folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="'html'"):
        write_report(run_folder, formats=("htlm",))


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no run folder"):
        write_report(tmp_path)


def test_command_writes_one_file_when_out_names_one(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "mine.html"
    status = main(
        ["report", str(run_folder), "--out", str(out), "--gallery", "1", "--replicates", "50", "--baseline", "boxes"]
    )
    assert status == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert [file.name for file in out.parent.iterdir()] == ["mine.html"]
    assert "difference to boxes" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["--gallery", "-1"], ["--replicates", "0"], ["--gallery", "many"]])
def test_command_refuses_nonsense(words: list[str], run_folder: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["report", str(run_folder), *words])
    assert caught.value.code == 2


def test_command_tells_errors_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("rsground: ")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "iframe", "link") or any(
            name.startswith("on") or name in ("src", "style") for name, _ in attrs
        ):
            self.bad.append(f"{tag} {attrs}")
        self.bad += [
            f"{tag} {value}" for name, value in attrs if name == "href" and not re.match("#|data:image/", value or "")
        ]


def test_a_run_of_attacks_ends_as_text(stored: Any, tmp_path: Path, hostile_words: Callable[[str], str]) -> None:
    folder = stored.build_run(tmp_path, hostile_words)
    text = write_report(folder, replicates=50, gallery=3).read_text(encoding="utf-8")
    page = _Tags()
    page.feed(text)
    assert page.bad == []
    assert text.count("<script") == 2
    assert "\u202e" not in text
