"""Ceilings and blind baselines in every format: apart, without a rank, and never the best."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rsground.report import html, latex, markdown, table_csv
from rsground.report.model import Board, Cost, DatasetBlock, Pair, ReportData, RunFacts, Score, SystemInfo
from rsground.report.tables import featured, leaderboard
from rsground.report.terminal import leaderboard as on_terminal
from rsground.report.views import overview

SHARES = st.floats(0, 1, allow_nan=False)


def report_of(values: dict[str, float], roles: dict[str, str], higher: bool = True) -> tuple[ReportData, DatasetBlock]:
    rows = {label: {"s": Score(value, n=9)} for label, value in values.items()}
    systems = [label for label in values if label not in roles]
    pairs = tuple(
        Pair(a, b, values[a] - values[b], 0.2, 0.5, 9) for k, a in enumerate(systems) for b in systems[k + 1 :]
    )
    board = Board("m", "s", ("s",), rows, "", higher, "s", pairs, tuple(systems) if pairs else (), aside=roles)
    block = DatasetBlock("d", "d", boards=(board,), costs={label: Cost(9, 10.0) for label in values})
    infos = tuple(SystemInfo(label, role=roles.get(label, "system")) for label in values)
    return ReportData(RunFacts("r"), infos, (block,)), block


@given(st.lists(SHARES, min_size=1, max_size=5), st.lists(SHARES, min_size=1, max_size=4), st.booleans())
def test_whatever_rulers_score_the_systems_rows_stay_as_they_are(
    systems: list[float], rulers: list[float], higher: bool
) -> None:
    values = {f"system {place}": value for place, value in enumerate(systems)}
    roles = {f"ruler {place}": ("ceiling", "blind")[place % 2] for place in range(len(rulers))}
    alone, block = report_of(values, {}, higher)
    expected = leaderboard(alone, block, block.boards[0])
    both, block = report_of({**dict(zip(roles, rulers, strict=True)), **values}, roles, higher)
    found = leaderboard(both, block, block.boards[0])
    assert found.rows[: len(systems)] == expected.rows
    assert found.aside == len(rulers)
    for label, row in list(zip(found.labels, found.rows, strict=True))[len(systems) :]:
        assert (row[0].text, row[0].value, row[1].detail) == ("", None, f"({roles[label]})")
        assert found.cell(label, "score:s").mark == "", "neither best nor like the best"
        assert found.cell(label, "score:s").value is not None
        assert "delta" not in [c.key for c in found.columns] or found.cell(label, "delta").text == "–"


def test_charts_and_tests_take_rulers_only_where_asked_or_alone() -> None:
    _, block = report_of({"a": 0.2, "b": 0.1, "top": 0.9, "floor": 0.0}, {"top": "ceiling", "floor": "blind"})
    board = block.boards[0]
    assert featured(board, {}) == ("a", "b")
    assert featured(board, {}, baseline="floor") == ("a", "b", "floor")
    assert featured(replace(board, aside=dict.fromkeys(board.rows, "ceiling")), {}) == ("top", "a", "b", "floor")


def test_the_overview_ranks_systems_alone(ruled_report: ReportData) -> None:
    view = overview(ruled_report)
    assert view is not None
    ranked = [label for group in view.groups for label, _ in group.rows]
    assert [label for label, _ in view.aside] == [ruled_report.systems[0].label, ruled_report.systems[-1].label]
    assert ranked == [system.label for system in ruled_report.systems[1:-1]], "by the mean of ranks among them"
    marks = [cell.mark for label, cells in view.aside for cell in cells]
    assert set(marks) == {""}
    best = [label for group in view.groups for label, cells in group.rows if any(c.mark == "best" for c in cells)]
    assert best == ranked[:1]


@pytest.mark.parametrize("name", ["ruled_report", "long_ruled_report"])
def test_the_page_shows_them_below_all_systems(name: str, request: pytest.FixtureRequest) -> None:
    data: ReportData = request.getfixturevalue(name)
    page = html.render(data)
    boards = re.findall(r'<table class="board.*?</table>', page, re.S)
    assert len(boards) == 3, "the overview and one per data set"
    for board in boards:
        systems, aside = board.split('<tbody class="aside">')
        assert aside.count("</tbody>") == 1, "nothing comes after them"
        assert re.findall(r"\((ceiling|blind)\)", aside) == ["ceiling", "blind"]
        assert "given the right answer" in aside
        assert not re.findall(r'class="num[^"]*(?:best|tied)', aside)
        assert "(ceiling)" not in systems
        ranks = [int(rank) for rank in re.findall(r'<td class="num rank" data-v="(\d+)"', systems)]
        assert set(ranks) == set(range(1, len(data.systems) - 1))
        assert '<td class="num rank" data-v="">' in aside
    assert f"rank all {len(data.systems) - 2} systems together" in page or name == "ruled_report"


def test_text_formats_mark_them(ruled_report: ReportData) -> None:
    first, last = ruled_report.systems[0].label, ruled_report.systems[-1].label
    text = markdown.render(ruled_report)
    assert len(re.findall(rf"^\|  \| {first} \(ceiling\) \| \d", text, re.M)) == 2
    assert len(re.findall(rf"^\|  \| {last} \(blind\) \| \d", text, re.M)) == 2
    assert text.count("given the right answer") == 2
    tables = latex.render(ruled_report)
    assert tables.count(r"\midrule") == 4
    for part in tables.split(r"\begin{table}")[1:]:
        assert part.rindex(r"\midrule") < part.index("(ceiling)")
        assert r"\textbf" not in part[part.rindex(r"\midrule") :]
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(on_terminal(ruled_report))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert len(re.findall(rf"^   {first} \(ceiling\)", shown, re.M)) == 2
    assert shown.count("given the right answer") == 1, "said once, for all tables"
    roles = Counter((line.split(",")[4], line.split(",")[-1]) for line in table_csv.render(ruled_report).splitlines())
    assert {role for label, role in roles if label == first} == {"ceiling"}
    assert {role for label, role in roles if label not in (first, last, "system")} == {"system"}
