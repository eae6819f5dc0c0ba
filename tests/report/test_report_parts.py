"""Numbers, text, charts and the published figures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.report import svg, text
from rsground.report.charts import most_frequent
from rsground.report.length_chart import Dot, pareto
from rsground.report.model import Board, Breakdown, Pair, Score
from rsground.report.reference import load, published
from rsground.report.tables import featured, pair_of
from rsground.types import Task


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "12.35"),
        (1.0, "100.00"),
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (-0.00001, "0.00"),
        (-0.5, "−50.00"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_shares_are_percent_with_two_decimals(value: float | None, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567.0, "1,234,567"),
        (12.3456, "12.35"),
        (0.00123456, "0.001235"),
        (0.0, "0"),
        (1e15, "1.00e+15"),
        (math.inf, "∞"),
        (100.0, "100"),
    ],
)
def test_significant_digits(value: float, shown: str) -> None:
    assert text.significant(value) == shown


def test_units() -> None:
    assert text.seconds(0.0000015) == "1.5 µs"
    assert text.seconds(0.0123) == "12.3 ms"
    assert text.seconds(75.0) == "75 s"
    assert text.memory(3 * 2**30) == "3 GiB"
    assert text.p_value(0.0004) == "< 0.001"


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("gIoU", True),
        ("N-acc", True),
        ("Pr@0.5", True),
        ("CIDEr", False),
        ("n", False),
        ("latency_n", False),
        ("length", False),
        ("Acc@0.5/unique", True),
    ],
)
def test_which_scores_are_shares(name: str, share: bool) -> None:
    assert text.is_share(name) is share


@given(st.text())
def test_visible_text_can_be_written_and_reordered_by_nothing(value: str) -> None:
    shown = text.visible(value)
    shown.encode("utf-8")
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200b\x00\x1b\x7f")


@given(st.text(), st.integers(1, 60))
def test_one_line_is_one_short_line(value: str, limit: int) -> None:
    shown = text.one_line(value, limit)
    assert len(shown) <= limit
    assert len(shown.splitlines()) <= 1


@given(st.text(max_size=80), st.integers(2, 40))
def test_middle_keeps_both_ends(value: str, limit: int) -> None:
    shown = text.middle(value, limit)
    assert len(shown) <= limit
    if len(value) > limit:
        assert shown[0] == value[0]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_inside_and_even(low: float, spread: float) -> None:
    high = low + spread
    found = svg.ticks(low, high)
    assert all(low - 1e-6 * spread - 1e-9 <= tick <= high + 1e-6 * spread + 1e-9 for tick in found)
    assert len(found) <= 12


@given(st.floats(0.1, 1e5), st.floats(1.01, 1e4))
def test_log_ticks_are_inside(low: float, factor: float) -> None:
    found = svg.log_ticks(low, low * factor)
    assert all(low * 0.99 <= tick <= low * factor * 1.01 for tick in found)
    assert len(found) <= 14


def test_elements_escape_text_and_attributes() -> None:
    made = str(svg.element("text", '<b>"&', title='"><script>'))
    assert made == '<text title="&#34;&gt;&lt;script&gt;">&lt;b&gt;&#34;&amp;</text>'


points = st.lists(st.tuples(st.floats(1, 1000), st.floats(0, 1)), min_size=1, max_size=30)


@given(points)
def test_nothing_beats_the_pareto_front(values: list[tuple[float, float]]) -> None:
    dots = [Dot(str(place), "", x, Score(y)) for place, (x, y) in enumerate(values)]
    front = pareto(dots)
    for dot in dots:
        assert any(best.x <= dot.x and best.score.value >= dot.score.value for best in front)
    for one in front:
        beaten = [
            d
            for d in dots
            if d.x <= one.x and d.score.value >= one.score.value and (d.x, d.score) != (one.x, one.score)
        ]
        assert beaten == []


def test_pareto_where_lower_is_better() -> None:
    dots = [Dot("a", "", 1, Score(5.0)), Dot("b", "", 2, Score(3.0)), Dot("c", "", 3, Score(4.0))]
    assert [dot.label for dot in pareto(dots, higher_is_better=False)] == ["a", "b"]


def test_many_bins_are_cut_to_the_most_frequent_in_their_order() -> None:
    names = tuple("abcdefghijkl")
    counts = tuple(range(12))
    values = {"s": tuple(Score(count / 12) for count in counts)}
    cut = most_frequent(Breakdown("x", "x", "gIoU", names, counts, values), 3)
    assert (cut.bins, cut.counts) == (("j", "k", "l"), (9, 10, 11))
    assert [score.value for score in cut.values["s"] if score] == [9 / 12, 10 / 12, 11 / 12]


def _board(values: dict[str, float], *pairs: Pair) -> Board:
    rows = {label: {"s": Score(value)} for label, value in values.items()}
    return Board("m", "s", ("s",), rows, pairs=pairs, tested=tuple(values))


def test_ranking_puts_missing_scores_last_and_keeps_ties_in_order() -> None:
    assert _board({"a": math.nan, "b": 0.5, "c": 0.7, "d": 0.5}).ranking() == ("c", "b", "d", "a")


def test_pairs_turn_round() -> None:
    board = _board({"a": 0.1, "b": 0.2}, Pair("a", "b", -0.1, 0.01, 0.02, 5))
    assert pair_of(board, "b", "a") == Pair("b", "a", 0.1, 0.01, 0.02, 5)
    assert pair_of(board, "a", "c") is None


def test_featured_shows_every_family_before_a_second_of_one() -> None:
    board = _board({"a1": 0.9, "a2": 0.8, "b1": 0.7, "c1": 0.6})
    families = {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}
    assert featured(board, families, limit=3) == ("a1", "b1", "c1")
    assert featured(board, families, baseline="a2", limit=3) == ("a1", "a2", "b1")


def test_featured_of_many_families_shows_the_best_and_the_large_ones() -> None:
    board = _board({"a": 0.9, "b": 0.8, "c": 0.7, "d1": 0.3, "d2": 0.2, "e1": 0.25, "e2": 0.1, "e3": 0.05})
    families = {label: label[0] for label in board.rows}
    assert featured(board, families, limit=3) == ("a", "d1", "e1")


def test_published_tables_are_whole() -> None:
    for table in load():
        assert table.task in {task.value for task in Task}
        assert table.papers
        for row in table.rows:
            assert len(row.values) == len(table.columns)
            assert all(mark <= len(table.notes) for mark in row.marks)
            for column, value in zip(table.columns, row.values, strict=True):
                limit = 1000 if column.score in ("CIDEr", "length") else 100
                assert value is None or 0 <= float(value) <= limit, (table.id, row.method, column)


@pytest.mark.parametrize(
    ("dataset", "task", "split", "method", "score", "value"),
    [
        ("rrsis-d", "mask", "test", "GeoPixel-ft", "P@0.5", "83.33"),
        ("RRSIS-D", "mask", "val", "RMSIN", "mIoU", "65.10"),
        ("refsegrs", "mask", "test", "SegEarth-R1", "P@0.9", "10.73"),
        ("earthreason", "mask", "test", "SegEarth-R1 (all)", "gIoU", "70.75"),
        ("geopixeld", "gcg", "", "GeoPixel", "overall mIoU", "52.3"),
        ("vrsbench", "obb", "", "GeoPixel-ft", "overall Acc@0.5", "58.00"),
        ("dior-rsvg", "hbb", "test", "GeoGround N=16", "Acc@0.5", "77.73"),
        ("geochat", "obb", "", "GeoGround N=16", "Acc@0.5", "59.72"),
        ("rsvqa-hr", "vqa", "", "GeoMag", "average", "86.92"),
    ],
)
def test_published_figures_as_printed(dataset: str, task: str, split: str, method: str, score: str, value: str) -> None:
    found = [
        cell
        for table in published(dataset, [task], split)
        for row in table.rows
        if row.method == method
        for column, cell in zip(table.columns, row.values, strict=True)
        if column.score == score
    ]
    assert value in found


def test_published_figures_only_for_their_data_set_task_and_split() -> None:
    assert published("scenes", ["mask"]) == ()
    assert published("rrsis-d", ["vqa"]) == ()
    columns = published("rrsis-d", ["mask"], "val")[0].columns
    assert {column.split for column in columns} == {"val"}
    assert {column.split for column in published("rrsis-d", ["mask"])[0].columns} == {"val", "test"}


def test_oddities_mark_their_rows() -> None:
    table = published("rrsis-d", ["mask"], "test")[0]
    marked = {row.method: [table.notes[mark - 1] for mark in row.marks] for row in table.rows}
    assert "leaves out GeoPixel-ft" in marked["GeoMag"][0]
    assert "higher on test than on val" in marked["GeoPixel-ft"][0]
    assert marked["GeoMag w/o MagCrop"] == []
