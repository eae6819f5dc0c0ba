"""A report as one tidy CSV: a line per number, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator

from rsground.report.model import Board, Cost, DatasetBlock, ReportData, Score
from rsground.report.tables import cost_columns
from rsground.report.text import visible

HEADER = (
    "kind",
    "dataset",
    "split",
    "metric",
    "system",
    "score",
    "bin",
    "value",
    "low",
    "high",
    "n",
    "p_adjusted",
    "against",
    "role",
)
"""Columns. ``kind`` is ``score``, ``breakdown``, ``cost`` or ``test`` (then ``value`` is system minus ``against``);
``role`` is ``system``, or what the row's system is instead: ``ceiling``, ``blind``."""

_SYSTEM = HEADER.index("system")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def render(data: ReportData) -> str:
    """The CSV file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    roles = {system.label: system.role for system in data.systems}
    for block in data.datasets:
        for row in _rows(block):
            writer.writerow([_field(value) for value in (*row, roles.get(str(row[_SYSTEM]), ""))])
    return out.getvalue()


def guarded(text: str) -> str:
    """Text that a spreadsheet takes for text: a leading ``=``, ``+``, ``-`` or ``@`` gets an apostrophe before it."""
    flat = " ".join(visible(text).split())
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def _field(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (int, float)):
        return repr(value)
    return guarded(str(value))


def _rows(block: DatasetBlock) -> Iterator[tuple[object, ...]]:
    for board in block.boards:
        head = (block.label, block.split, board.metric)
        for label in board.ranking():
            for name, score in board.rows[label].items():
                yield ("score", *head, label, name, "", *_numbers(score), None, "")
        yield from _breakdowns(block, board)
        for pair in board.pairs:
            yield (
                "test",
                *head,
                pair.first,
                board.paired,
                "",
                pair.effect,
                None,
                None,
                pair.n,
                pair.p_adjusted,
                pair.second,
            )
    columns = cost_columns(block)
    for label, cost in block.costs.items():
        for column in columns:
            yield (
                "cost",
                block.label,
                block.split,
                "",
                label,
                column.key,
                "",
                *_cost(column.value(cost), cost),
                None,
                "",
            )


def _breakdowns(block: DatasetBlock, board: Board) -> Iterator[tuple[object, ...]]:
    for breakdown in board.breakdowns:
        for label, scores in breakdown.values.items():
            for name, score in zip(breakdown.bins, scores, strict=True):
                if score is not None:
                    bin_name = f"{breakdown.axis}: {name}"
                    head = (block.label, block.split, board.metric, label, breakdown.score)
                    yield ("breakdown", *head, bin_name, *_numbers(score), None, "")


def _numbers(score: Score) -> tuple[float, float | None, float | None, int]:
    return (score.value, score.low, score.high, score.n)


def _cost(value: float | None, cost: Cost) -> tuple[float | None, None, None, int]:
    return (value, None, None, cost.n)
