"""What the page's template is filled with: tables with their bars, groups, matrix and charts, ready to be placed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from rsground.report import svg
from rsground.report.charts import BINS, breakdown_chart, interval_bar
from rsground.report.length_chart import Dot, length_chart
from rsground.report.matrix import Matrix, matrix
from rsground.report.model import Board, Breakdown, DatasetBlock, ReportData, Score
from rsground.report.tables import (
    ASIDE,
    Cell,
    Column,
    Table,
    featured,
    leaderboard,
    reference_of,
    who,
)
from rsground.report.text import interval, is_share, number, significant

GROUP_FROM = 25
"""Leaderboards with at least so many systems are grouped by family and start collapsed."""
SCORES_SHOWN = 8
"""Score columns of a leaderboard in the page; all of them stand in the CSV and JSON files."""


@dataclass(frozen=True, slots=True)
class Group:
    """Systems of one family: its best row, and all rows."""

    name: str
    label: str
    best: tuple[Cell, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class BoardTable:
    """A leaderboard with what the page draws into it.

    Attributes:
        id: of the element.
        table: its cells.
        bars: label → interval bar, placed after the column ``bar_after``.
        groups: one for all systems, or one per family.
        aside: rows of what is no system, below them; ``why_aside`` says what they are.
        heads: (name, columns spanned, ruled off) of the row above the titles.
        edges: places of the columns that start a group.
        summaries: label → its parts.
        sorted: ``aria-sort`` of the column it is sorted by.
    """

    id: str
    table: Table
    bars: Mapping[str, Markup]
    bar_after: str
    groups: tuple[Group, ...]
    aside: tuple[tuple[str, tuple[Cell, ...]], ...]
    heads: tuple[tuple[str, int, bool], ...]
    edges: frozenset[int]
    summaries: Mapping[str, str]
    sorted: str = "descending"
    why_aside: str = ASIDE


def board_table(data: ReportData, block: DatasetBlock, board: Board, ident: str) -> BoardTable:
    """The leaderboard of a protocol."""
    table = _cost_first(leaderboard(data, block, board, SCORES_SHOWN), f"score:{board.primary}")
    scores = {label: row.get(board.primary, Score(math.nan)) for label, row in board.rows.items()}
    return _placed(
        data,
        table,
        scores,
        board.primary,
        f"score:{board.primary}",
        ident,
        "descending" if board.higher_is_better else "ascending",
    )


def _cost_first(table: Table, primary: str) -> Table:
    """Cost beside the score it bought; the other scores to the right, where a narrow window scrolls to them."""
    front = ("rank", "system", primary, "delta", "n")
    columns = [
        replace(column, group="more scores") if column.group == "scores" and column.key not in front else column
        for column in table.columns
    ]
    order = sorted(range(len(columns)), key=lambda place: columns[place].group == "more scores")
    rows = tuple(tuple(row[place] for place in order) for row in table.rows)
    return replace(table, columns=tuple(columns[place] for place in order), rows=rows)


def overview(data: ReportData) -> BoardTable | None:
    """Primary scores of every protocol on every data set, one column each; None where there is only one."""
    boards = [(block, board) for block in data.datasets for board in block.boards]
    if len(boards) < 2:
        return None
    several = len({block.label for block, _ in boards}) > 1
    columns = [Column("rank", "#"), Column("system", "system", numeric=False)]
    for place, (block, board) in enumerate(boards):
        title = f"{board.metric} {board.primary}"
        title = f"{block.label}: {title}" if several else title
        columns.append(Column(f"score:{place}", title, f"{board.metric} on {block.label}", group="scores"))
    aside = {label: role for _, board in boards for label, role in board.aside.items()}
    labels = _by_mean_rank([board for _, board in boards], [system.label for system in data.systems], aside)
    rows = []
    for rank, label in enumerate(labels, 1):
        cells = [*who(label, rank, aside)]
        for _, board in boards:
            score = board.rows.get(label, {}).get(board.primary, Score(math.nan))
            share = is_share(board.primary)
            best = board.ranked()[:1] == (label,)
            value = None if math.isnan(score.value) else score.value
            cells.append(
                Cell(number(score.value, share), value, interval(score.low, score.high, share), "best" if best else "")
            )
        rows.append(tuple(cells))
    table = Table("overview", tuple(columns), labels, tuple(rows), aside=len(aside))
    return _placed(data, table, {}, "", "", "overview-board", "none")


def _by_mean_rank(boards: Sequence[Board], labels: Sequence[str], aside: Container[str]) -> tuple[str, ...]:
    """Labels by their mean rank over the boards that have them; equal scores share a rank, ties keep their order. Those
    ``aside`` come last."""
    ranks: dict[str, list[int]] = {label: [] for label in labels}
    for board in boards:
        for label in board.rows:
            ranks.setdefault(label, []).append(_rank(board, label))
    mean = {label: sum(found) / len(found) if found else math.inf for label, found in ranks.items()}
    return tuple(sorted(ranks, key=lambda label: (label in aside, mean[label])))


def _rank(board: Board, label: str) -> int:
    """How many systems are better; that of the last one where it has no score."""
    values = [board.rows[one][board.primary].value for one in board.ranked() if board.primary in board.rows[one]]
    own = board.rows[label].get(board.primary, Score(math.nan)).value
    if math.isnan(own):
        return len(board.rows)
    return sum(value > own if board.higher_is_better else value < own for value in values)


def _placed(
    data: ReportData, table: Table, scores: Mapping[str, Score], name: str, bar_after: str, ident: str, order: str
) -> BoardTable:
    finite = [score.high if score.high is not None else score.value for score in scores.values()]
    top = 1.0 if is_share(name) else max((value for value in finite if math.isfinite(value)), default=0.0)
    bars = {label: interval_bar(score, top) for label, score in scores.items()}
    heads, edges = _heads(table, bar_after)
    summaries = {system.label: system.summary for system in data.systems}
    rows = tuple(zip(table.labels, table.rows, strict=True))
    systems, aside = rows[: len(rows) - table.aside], rows[len(rows) - table.aside :]
    return BoardTable(ident, table, bars, bar_after, _groups(data, systems), aside, heads, edges, summaries, order)


def _heads(table: Table, bar_after: str) -> tuple[tuple[tuple[str, int, bool], ...], frozenset[int]]:
    """Spans of the row above the titles; the bar takes a column of its own."""
    groups = [column.group for column in table.columns]
    if not {"cost", "more scores"} & set(groups):
        return (), frozenset()
    edges = {groups.index(name) for name in ("scores", "cost", "more scores") if name in groups}
    spans: list[tuple[str, int, bool]] = []
    for place, name in enumerate(groups):
        wide = 2 if table.columns[place].key == bar_after else 1
        if spans and spans[-1][0] == name:
            spans[-1] = (name, spans[-1][1] + wide, spans[-1][2])
        else:
            spans.append((name, wide, place in edges))
    return tuple(spans), frozenset(edges)


def _groups(data: ReportData, rows: Sequence[tuple[str, tuple[Cell, ...]]]) -> tuple[Group, ...]:
    if not rows:
        return ()
    families: dict[str, list[tuple[str, tuple[Cell, ...]]]] = {}
    if len(rows) >= GROUP_FROM:
        for label, row in rows:
            families.setdefault(data.family(label) or "other", []).append((label, row))
    if len(families) < 2:
        families = {"": list(rows)}
    return tuple(Group(name, members[0][0], members[0][1], tuple(members)) for name, members in families.items())


@dataclass(frozen=True, slots=True)
class Chart:
    """A breakdown, drawn and as a table of all systems: label, what it is if it is none, scores."""

    title: str
    svg: Markup
    bins: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class BoardView:
    """Everything the page shows about one protocol on one data set; see the template."""

    id: str
    metric: str
    summary: str
    primary: str
    reading: str
    board: BoardTable
    matrix: Matrix | None
    no_tests: str
    charts: tuple[Chart, ...]
    legend: tuple[tuple[Markup, str], ...]
    featured_left_out: bool
    length: Markup
    families: tuple[tuple[Markup, str], ...]


def board_view(data: ReportData, block: DatasetBlock, board: Board, ident: str) -> BoardView:
    """The view of one protocol."""
    shown = featured(board, {system.label: system.family for system in data.systems}, data.baseline, svg.SERIES)
    length, families = _length(data, block, board)
    return BoardView(
        id=ident,
        metric=board.metric,
        summary=board.summary,
        primary=board.primary,
        reading=_reading(data, board),
        board=board_table(data, block, board, ident),
        matrix=matrix(board),
        no_tests=_no_tests(board),
        charts=tuple(_chart(board, breakdown, shown) for breakdown in board.breakdowns),
        legend=tuple((_swatch(place), label) for place, label in enumerate(shown)),
        featured_left_out=len(shown) < len(board.rows),
        length=length,
        families=families,
    )


def _reading(data: ReportData, board: Board) -> str:
    words = f"Sorted by {board.primary}, {'higher' if board.higher_is_better else 'lower'} is better."
    against = reference_of(data, board)
    if against is not None:
        words += f" Δ is the difference to {against} in {board.paired or board.primary}."
    left = len(board.scores) - SCORES_SHOWN
    return words + (f" {left} more scores stand in the CSV and JSON files." if left > 0 else "")


def _no_tests(board: Board) -> str:
    if len(board.ranked()) < 2:
        return "One system only: there is nothing to compare it with."
    if not board.paired:
        return "This protocol scores the whole data set at once; there are no paired samples to test."
    return "No tests were computed."


def _chart(board: Board, breakdown: Breakdown, shown: Sequence[str]) -> Chart:
    share = is_share(breakdown.score)
    rows = []
    for label in board.ranking():
        if label in breakdown.values:
            scores = (score or Score(math.nan) for score in breakdown.values[label])
            cells = (
                Cell(number(score.value, share), score.value, interval(score.low, score.high, share))
                for score in scores
            )
            rows.append((label, board.aside.get(label, ""), tuple(cells)))
    bins = tuple((name, f"{count:,}") for name, count in zip(breakdown.bins, breakdown.counts, strict=True))
    left = len(breakdown.bins) - BINS
    title = breakdown.title + (f" (the {BINS} most frequent of {len(breakdown.bins)})" if left > 0 else "")
    return Chart(title, breakdown_chart(breakdown, shown), bins, tuple(rows))


def _swatch(series: int) -> Markup:
    return svg.element("svg", svg.marker(7, 7, series, "marker"), width=14, height=14, aria_hidden="true")


def _length(data: ReportData, block: DatasetBlock, board: Board) -> tuple[Markup, tuple[tuple[Markup, str], ...]]:
    """The chart of score against length, with its legend; empty where fewer than three systems write text."""
    dots = []
    for label in board.ranked():
        cost, score = block.costs.get(label), board.rows[label].get(board.primary)
        if cost is not None and cost.chars and score is not None:
            dots.append(Dot(label, data.family(label) or label, cost.chars, score))
    if len(dots) < 3:
        return Markup(""), ()
    series = _series([dot.family for dot in dots])
    rest = sum(place == _OTHERS for place in series.values())
    legend = [(_swatch(place), name) for name, place in series.items() if place != _OTHERS or rest == 1]
    if rest > 1:
        legend.append((_swatch(_OTHERS), f"{rest} other families"))
    return length_chart(dots, series, board.primary, "characters", board.higher_is_better), tuple(legend)


_OTHERS = 6
"""The gray colour of the style sheet."""


def _series(families: Sequence[str]) -> dict[str, int]:
    """Family → colour, in order of rank; of more than eight families the largest have one of their own, others gray."""
    sizes = Counter(families)
    coloured = [place for place in range(svg.SERIES) if place != _OTHERS]
    largest = {name for name, _ in sizes.most_common(len(coloured))} if len(sizes) > svg.SERIES else set(sizes)
    free = iter([*coloured, _OTHERS])
    return {name: next(free) if name in largest else _OTHERS for name in sizes}


def where(window: tuple[float, float, float, float], size: tuple[int, int]) -> str:
    """What part of an image a picture shows, in words."""
    x1, y1, x2, y2 = window
    height, width = size
    whole = x1 <= 0 and y1 <= 0 and x2 >= width and y2 >= height
    if whole:
        return f"{width} × {height} px"
    part = f"{significant(x2 - x1)} × {significant(y2 - y1)} px at ({significant(x1)}, {significant(y1)})"
    return f"{part} of {width} × {height}"
