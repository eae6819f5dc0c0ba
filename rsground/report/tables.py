"""The tables of a report as rows of cells, the same ones for every output format."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rsground.report.model import Board, Cost, DatasetBlock, Pair, ReportData, Score
from rsground.report.text import interval, is_share, memory, number, p_value, seconds, significant

SIGNIFICANT = 0.05
"""Adjusted p values below this one are called significant."""

ASIDE = (
    "Not ranked, not tested against the best: a ceiling is given the right answer and tells what its form allows; "
    "who is blind sees nothing of the image and tells what words and habit are worth."
)
"""What is said of rows that are no systems."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what it means, and whether it sorts as numbers."""

    key: str
    title: str
    tip: str = ""
    numeric: bool = True
    group: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell.

    Attributes:
        text: for people.
        value: for sorting and for data files; None where there is nothing.
        detail: the small print: an interval, a p value.
        mark: ``"best"``, ``"tied"`` (not told apart from the best), ``"bad"``, ``"weak"`` (not significant) or none.
    """

    text: str
    value: float | str | None = None
    detail: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with one row per system, best first; the last ``aside`` rows are no systems, see :class:`Board`."""

    title: str
    columns: tuple[Column, ...]
    labels: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    aside: int = 0

    def cell(self, label: str, key: str) -> Cell:
        """The cell of one system in one column."""
        place = next(place for place, column in enumerate(self.columns) if column.key == key)
        return self.rows[self.labels.index(label)][place]


def leaderboard(data: ReportData, block: DatasetBlock, board: Board, scores: int | None = None) -> Table:
    """Rank, system, scores with intervals, difference to the baseline (or the best), and cost.

    Args:
        data: the report, for the baseline.
        block: the data set, for the costs.
        board: the protocol.
        scores: at most so many score columns, the primary one first; None for all.
    """
    labels = board.ranking()
    against = reference_of(data, board)
    shown = board.scores if scores is None else board.scores[:scores]
    columns = [Column("rank", "#"), Column("system", "system", numeric=False)]
    columns += [Column(f"score:{name}", name, _score_tip(board, name), group="scores") for name in shown]
    if against is not None:
        tip = f"difference to {against} and its adjusted p value"
        columns.insert(3, Column("delta", "Δ", tip, group="scores"))
    counts = {label: max((score.n for score in board.rows[label].values()), default=0) for label in labels}
    uneven = len(set(counts.values())) > 1
    if uneven:
        columns.append(
            Column("n", "n", "answers scored; systems serve different tasks, or the run goes on", group="scores")
        )
    costs = cost_columns(block)
    columns += [Column(f"cost:{cost.key}", cost.title, cost.tip, group="cost") for cost in costs]
    best = next(iter(board.ranked()), "")
    rows = []
    for rank, label in enumerate(labels, 1):
        row = [*who(label, rank, board.aside)]
        row += [_score_cell(board, label, name, best) for name in shown]
        if against is not None:
            row.insert(3, _delta_cell(board, label, against))
        if uneven:
            row.append(Cell(f"{counts[label]:,}", counts[label]))
        row += [cost.cell(block.costs.get(label, Cost())) for cost in costs]
        rows.append(tuple(row))
    caption = f"{block.label}, {board.metric}: {block.samples:,} samples, {block.images:,} images"
    return Table(f"{block.label}: {board.metric}", tuple(columns), labels, tuple(rows), caption, len(board.aside))


def who(label: str, rank: int, aside: Mapping[str, str]) -> tuple[Cell, Cell]:
    """Rank and name of a system; no rank, and what it is, of what is none."""
    if label in aside:
        return Cell(""), Cell(label, label, f"({aside[label]})")
    return Cell(str(rank), rank), Cell(label, label)


def reference_of(data: ReportData, board: Board) -> str | None:
    """What systems are compared with: the baseline where it was tested, else the best; None without tests."""
    if not board.pairs:
        return None
    if data.baseline in board.tested:
        return data.baseline
    return next((label for label in board.ranking() if label in board.tested), None)


def pair_of(board: Board, first: str, second: str) -> Pair | None:
    """The test of ``first`` against ``second``, turned round where it was stored the other way."""
    for pair in board.pairs:
        if (pair.first, pair.second) == (first, second):
            return pair
        if (pair.first, pair.second) == (second, first):
            return Pair(first, second, -pair.effect, pair.p, pair.p_adjusted, pair.n)
    return None


def _score_tip(board: Board, name: str) -> str:
    if name == board.primary:
        return f"sorted by; {'higher' if board.higher_is_better else 'lower'} is better"
    return ""


def _score_cell(board: Board, label: str, name: str, best: str) -> Cell:
    score = board.rows[label].get(name, Score(math.nan))
    share = is_share(name)
    mark = ""
    if name == board.primary and score.value == score.value:
        mark = "best" if label == best else _tied(board, label, best)
    value = None if math.isnan(score.value) else score.value
    return Cell(number(score.value, share), value, interval(score.low, score.high, share), mark)


def _tied(board: Board, label: str, best: str) -> str:
    pair = pair_of(board, label, best)
    return "tied" if pair is not None and pair.p_adjusted >= SIGNIFICANT else ""


def _delta_cell(board: Board, label: str, against: str) -> Cell:
    if label == against:
        return Cell("ref.", 0.0)
    pair = pair_of(board, label, against)
    if pair is None:
        return Cell("–")
    share = is_share(board.paired or board.primary)
    return Cell(
        signed(pair.effect, share),
        pair.effect,
        f"p {p_value(pair.p_adjusted)}",
        "" if pair.p_adjusted < SIGNIFICANT else "weak",
    )


def signed(value: float, share: bool) -> str:
    """A difference with its sign: ``+1.30``, ``−0.42``, in points of a percent for shares."""
    shown = number(value, share)
    return shown if shown.startswith("−") else f"+{shown}"


@dataclass(frozen=True, slots=True)
class CostColumn:
    """One kind of cost and how it is printed."""

    key: str
    title: str
    tip: str
    value: Callable[[Cost], float | None]
    shown: Callable[[float | None], str]

    def cell(self, cost: Cost) -> Cell:
        """The cost as a cell; failures that happened are marked."""
        value = self.value(cost)
        bad = self.key in ("unparsed", "errors") and bool(value)
        detail = f"{100 * value / cost.n:.1f} %" if bad and value is not None and cost.n else ""
        return Cell(self.shown(value), value, detail, "bad" if bad else "")


def _plain(value: float | None) -> str:
    return significant(value, 3) if value is None or value < 1000 else f"{value:,.0f}"


_COSTS: Sequence[CostColumn] = (
    CostColumn("chars", "chars", "mean length of the answer in characters", lambda cost: cost.chars, _plain),
    CostColumn("tokens", "tokens", "mean output tokens", lambda cost: cost.tokens, _plain),
    CostColumn("visual", "visual", "mean visual tokens", lambda cost: cost.visual_tokens, _plain),
    CostColumn(
        "time",
        "s/answer",
        "mean seconds per answer; where samples were asked together, the batch's divided by its samples",
        lambda cost: cost.time,
        _plain,
    ),
    CostColumn("p50", "p50", "median latency, of answers asked alone", lambda cost: cost.latency_p50, seconds),
    CostColumn("p95", "p95", "95th percentile of that latency", lambda cost: cost.latency_p95, seconds),
    CostColumn("memory", "memory", "highest peak memory", lambda cost: cost.memory, memory),
    CostColumn("flops", "FLOPs", "mean floating point operations of an answer", lambda cost: cost.flops, _plain),
    CostColumn(
        "unparsed",
        "unparsed",
        "answers that could not be read; they count as wrong",
        lambda cost: float(cost.unparsed),
        lambda value: f"{value or 0:,.0f}",
    ),
    CostColumn(
        "errors",
        "errors",
        "answers that never came; they count as wrong",
        lambda cost: float(cost.errors),
        lambda value: f"{value or 0:,.0f}",
    ),
)


def cost_columns(block: DatasetBlock) -> list[CostColumn]:
    """The costs that were measured for any system; failures to read are always among them."""
    costs = list(block.costs.values())
    if not costs:
        return []
    kept = []
    for column in _COSTS:
        values = [column.value(cost) for cost in costs]
        if column.key == "unparsed" or any(value for value in values):
            kept.append(column)
    return kept


def featured(board: Board, families: Mapping[str, str], baseline: str | None = None, limit: int = 6) -> tuple[str, ...]:
    """The systems worth a colour in a chart or a row in a matrix: the best of each family, then the next best.

    Where there are more families than ``limit``, those with most systems come first: they are what a suite is about.
    The best system and the baseline are always among them; rows that are no systems are not, where there is a system.

    Args:
        board: ranks the systems.
        families: label → family.
        baseline: kept whatever its rank.
        limit: at most so many.
    """
    ranking = board.ranked() or board.ranking()
    members: dict[str, list[str]] = {}
    for label in ranking:
        members.setdefault(families.get(label) or label, []).append(label)
    heads = [labels[0] for labels in members.values()]
    if len(heads) > limit:
        size = {labels[0]: len(labels) for labels in members.values()}
        heads = [heads[0], *sorted(heads[1:], key=lambda label: -size[label])]
    chosen = list(dict.fromkeys([*heads, *ranking]))[:limit]
    if baseline is not None and baseline in board.rows and baseline not in chosen:
        chosen = [*chosen[: limit - 1], baseline]
    return tuple(label for label in board.ranking() if label in chosen)
