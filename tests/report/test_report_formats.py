"""Markdown, LaTeX, CSV, JSON and the terminal: the same figures, each format's own dangers escaped."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from rsground.report import data_json, html, latex, markdown, table_csv, terminal
from rsground.report.model import ReportData
from rsground.report.tables import cost_columns


def _csv(report: ReportData) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_csv.render(report))))


def test_csv_holds_every_score_once(report: ReportData) -> None:
    rows = [row for row in _csv(report) if row["kind"] == "score"]
    expected = sum(len(scores) for block in report.datasets for board in block.boards for scores in board.rows.values())
    assert len(rows) == expected
    label = report.systems[0].label
    row = next(row for row in rows if row["system"] == label and row["score"] == "gIoU")
    score = report.datasets[0].boards[0].rows[label]["gIoU"]
    assert (float(row["value"]), float(row["low"]), float(row["high"])) == (score.value, score.low, score.high)


def test_csv_holds_tests_breakdowns_and_costs(report: ReportData) -> None:
    kinds = {row["kind"] for row in _csv(report)}
    assert kinds == {"score", "breakdown", "cost", "test"}
    test = next(row for row in _csv(report) if row["kind"] == "test")
    assert test["against"] == report.datasets[0].boards[0].pairs[0].second
    assert float(test["p_adjusted"]) == report.datasets[0].boards[0].pairs[0].p_adjusted


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "\n@x"])
def test_csv_text_never_starts_a_formula(text: str) -> None:
    assert table_csv.guarded(text)[0] == "'"


@pytest.mark.parametrize("text", ["plain", "a=b", "1", "'quoted", ""])
def test_csv_leaves_harmless_text_alone(text: str) -> None:
    assert table_csv.guarded(text) == text


def test_csv_of_hostile_labels(hostile_report: ReportData) -> None:
    for row in _csv(hostile_report):
        assert len(row) == len(table_csv.HEADER)
        assert not any(row[name].startswith(("=", "+", "-", "@")) for name in ("system", "dataset", "bin", "against"))


def test_json_round_trips_and_has_no_nan(report: ReportData, lonely_report: ReportData) -> None:
    found = json.loads(data_json.render(report), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert found["format"] == "rsground-report/1"
    assert found["datasets"][0]["published"][0]["rows"][0]["method"] == "RRN"
    assert "jpeg" not in found["datasets"][0]["gallery"][0]
    lonely = json.loads(data_json.render(lonely_report))
    assert lonely["datasets"][0]["boards"][0]["rows"]["only"]["Acc@0.5"]["value"] is None


def test_json_survives_any_text(hostile_report: ReportData) -> None:
    found = json.loads(data_json.render(hostile_report))
    assert [row["label"] for row in found["systems"]] == [row.label for row in hostile_report.systems]


LATEX_BARE = re.compile(r"(?<!\\)[%&#$_]|(?<!\\)\^|(?<!\\)~")


def _latex_rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.endswith(r"\\")]


def test_latex_tables_have_equal_columns(hostile_report: ReportData, report: ReportData) -> None:
    for data in (report, hostile_report):
        for table in latex.render(data).split(r"\begin{table}")[1:]:
            spec = re.search(r"\\begin\{tabular\}\{([lr]+)\}", table)
            assert spec is not None
            counts = {len(re.findall(r"(?<!\\)&", row)) + 1 for row in _latex_rows(table)}
            assert counts == {len(spec.group(1))}
            assert table.count("{") - table.count(r"\{") == table.count("}") - table.count(r"\}")


@pytest.mark.parametrize("text", [*'_%&#${}~^\\<>|"`', "a_b%c\\input{x}", "two\nlines"])
def test_latex_escape_leaves_no_bare_special(text: str) -> None:
    written = latex.escape(text)
    assert "\n" not in written
    assert not LATEX_BARE.search(written)
    stripped = re.sub(r"\\(text[a-z]+|ensuremath|ldots)", "", written)
    assert not re.search(r"\\[a-z]", stripped)


def test_latex_marks_the_best_and_cites_the_command(report: ReportData) -> None:
    text = latex.render(report)
    assert r"\toprule" in text
    assert r"\textbf{" in text
    assert report.run.command in text


def test_latex_comment_lines_cannot_be_left(hostile_report: ReportData) -> None:
    head = latex.render(hostile_report).split("\n\n")[0].splitlines()
    assert len(head) == 3
    assert all(line.startswith("%") for line in head)


def test_markdown_tables_have_equal_columns(hostile_report: ReportData, report: ReportData) -> None:
    for data in (report, hostile_report):
        for block in re.findall(r"(?:^\|.*\n?)+", markdown.render(data), re.MULTILINE):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}
            assert len(counts) == 1, block[:400]


def test_markdown_holds_no_html_link_or_mention(hostile_report: ReportData) -> None:
    text = markdown.render(hostile_report)
    outside = re.sub(r"```sh\n.*?\n```", "", text, flags=re.DOTALL).replace("<sup>", "").replace("</sup>", "")
    assert "<" not in outside.replace("p < ", "")
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert not re.search(r"(?<!\w)@\w", outside)


def test_markdown_says_what_is_published(report: ReportData) -> None:
    text = markdown.render(report)
    assert "### Published figures: RRSIS-D" in text
    assert "Not measured here" in text


def test_markdown_of_an_unfinished_run_says_so(lonely_report: ReportData) -> None:
    assert "> This run is not finished: 3 of 10 samples." in markdown.render(lonely_report)


def _printed(data: ReportData, width: int = 140, **options: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=False)
    console.print(terminal.leaderboard(data, **options))
    return console.export_text()


RENDERERS: list[Callable[[ReportData], str]] = [
    markdown.render,
    latex.render,
    html.render,
    lambda data: _printed(data, 100),
]


@pytest.mark.parametrize("render", RENDERERS)
def test_answers_that_were_asked_together_have_their_time_beside_the_scores(
    report: ReportData, render: Callable[[ReportData], str]
) -> None:
    changed = _with_costs(report, latency_p50=None, latency_p95=None, time=1.2345)
    text = render(changed)
    assert "s/answer" in text
    assert "1.23" in text
    titles = [column.title for column in cost_columns(changed.datasets[0])]
    assert titles == ["chars", "tokens", "s/answer", "memory", "unparsed"]


@pytest.mark.parametrize("render", RENDERERS)
def test_where_no_time_is_known_none_is_explained(report: ReportData, render: Callable[[ReportData], str]) -> None:
    assert "s/answer" not in render(_with_costs(report, time=None))


def _with_costs(report: ReportData, **changes: float | None) -> ReportData:
    """The report with the same change made to every cost in it."""
    blocks = tuple(
        replace(block, costs={label: replace(cost, **changes) for label, cost in block.costs.items()})  # type: ignore[arg-type]
        for block in report.datasets
    )
    return replace(report, datasets=blocks)


def test_terminal_leaderboard_shows_the_best_first(report: ReportData) -> None:
    text = _printed(report)
    board = report.datasets[0].boards[0]
    best = board.ranking()[0]
    assert text.index(best) < text.index(board.ranking()[1])
    assert f"{100 * board.rows[best]['gIoU'].value:.2f}" in text


def test_terminal_counts_what_it_leaves_out(long_report: ReportData) -> None:
    assert "70 more in the report" in _printed(long_report, top=10)


def test_terminal_takes_no_text_for_markup_or_escapes(hostile_report: ReportData) -> None:
    text = _printed(hostile_report)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in text


def test_terminal_without_scores_says_so(lonely_report: ReportData) -> None:
    assert "only" in _printed(lonely_report)
    assert math.isnan(lonely_report.datasets[0].boards[0].rows["only"]["Acc@0.5"].value)
