"""A run's leaderboards for the terminal, as something rich can print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsground.report.model import Board, DatasetBlock, ReportData
from rsground.report.tables import ASIDE, Cell, Column, Table
from rsground.report.tables import leaderboard as leaderboard_table
from rsground.report.text import middle, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

_STYLES = {"best": "bold green", "tied": "green", "bad": "red", "weak": "dim"}
_COSTS = ("cost:chars", "cost:tokens", "cost:time", "cost:p50", "cost:unparsed", "cost:errors")
_LABEL = 48
_GAP = 2


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The leaderboards of all data sets and protocols, to be printed by a rich console.

    Columns that a narrow terminal has no room for are left out, the least important ones first; labels never are.

    Attributes:
        data: the report.
        scores: at most so many score columns each, the primary one first.
        top: at most so many systems each; what is left out is counted below the table.
    """

    data: ReportData
    scores: int
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """One table per board, fitted to the width there is."""
        from rich.text import Text

        boards = [(block, board) for block in self.data.datasets for board in block.boards]
        for block, board in boards:
            yield from self._board(block, board, options.max_width)
        if any(board.aside for _, board in boards):
            yield Text(f"No rank, in brackets: {ASIDE}", style="dim")
        if not boards:
            yield Text("No scores yet.", style="dim")

    def _board(self, block: DatasetBlock, board: Board, width: int) -> Iterator[RenderableType]:
        from rich.table import Table as RichTable
        from rich.text import Text

        full = leaderboard_table(self.data, block, board, self.scores)
        keep = _fitting(full, board, self.top, width)
        table = RichTable(box=None, padding=(0, _GAP, 0, 0), header_style="dim", pad_edge=False)
        for place in keep:
            column = full.columns[place]
            title = Text(one_line(column.title, 24))
            table.add_column(
                title, justify="right" if column.numeric else "left", no_wrap=column.numeric, overflow="fold"
            )
        ranked = len(full.rows) - full.aside
        for number, row in enumerate(full.rows[: self.top]):
            cells = (_text(row[place], full.columns[place], board) for place in keep)
            table.add_row(*cells, style="dim" if number >= ranked else "")
        yield Text(one_line(full.caption, 200), style="bold")
        yield table
        if len(full.rows) > self.top:
            yield Text(f"{len(full.rows) - self.top} more in the report", style="dim")
        yield Text("")


def leaderboard(data: ReportData, *, scores: int = 4, top: int = 20) -> Leaderboard:
    """Something ``rich.console.Console().print`` prints: at most ``scores`` columns and ``top`` systems a table."""
    return Leaderboard(data, scores, top)


def _fitting(full: Table, board: Board, top: int, width: int) -> list[int]:
    """Places of the columns that fit into ``width``: rank, system and primary score always, others as there is room."""
    places = {column.key: place for place, column in enumerate(full.columns)}
    primary = f"score:{board.primary}"
    others = [key for key in places if key.startswith("score:") and key != primary]
    always = ["rank", "system", primary]
    wanted = ["delta", "cost:chars", "cost:time", *others[:1], "cost:unparsed", *others[1:], *_COSTS]
    kept = [places[key] for key in always if key in places]
    room = width - sum(_width(full, place, board, top) for place in kept)
    for key in dict.fromkeys(wanted):
        if key in places and (need := _width(full, places[key], board, top)) <= room:
            kept.append(places[key])
            room -= need
    return sorted(kept)


def _width(full: Table, place: int, board: Board, top: int) -> int:
    column = full.columns[place]
    cells = (_text(row[place], column, board).cell_len for row in full.rows[:top])
    return max([len(one_line(column.title, 24)), *cells]) + _GAP


def _text(cell: Cell, column: Column, board: Board) -> Text:
    from rich.text import Text

    words = one_line(cell.text, 200) if column.numeric else middle(one_line(cell.text, 200), _LABEL)
    text = Text(words, style=_STYLES.get(cell.mark, ""))
    if cell.detail and column.key in ("system", "delta", f"score:{board.primary}"):
        text.append(f" {cell.detail}", style="dim not bold")
    return text
