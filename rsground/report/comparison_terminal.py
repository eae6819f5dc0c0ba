"""A comparison of two runs for the terminal, as something rich can print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsground.bench.comparison import Change, Comparison, Verdict
from rsground.report import comparison_words as words
from rsground.report.text import middle, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

_STYLES = {"regression": "bold red", "worse": "red", "better": "green", "same": "dim", "untested": "dim"}
_LABEL = 40
_ROWS = 40
_NAMES = 3
_WIDE = 110
"""Columns from which on a difference and its interval stand side by side."""
_ORDER = (Verdict.WORSE, Verdict.BETTER, Verdict.UNTESTED, Verdict.SAME)


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The comparison, to be printed by a rich console: what moved first, at most 40 rows a table."""

    found: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Headline, scores, costs, what was left out."""
        from rich.text import Text

        found = self.found
        style = "bold red" if found.regressions else "bold green"
        yield Text(f"{words.headline(found)} against {one_line(found.baseline.folder)}", style=style)
        yield Text(words.lead(found))
        if found.scores:
            yield _table(found.scores, "score", options.max_width)
            yield from _more(found.scores, "scores")
        moved = [change for change in found.costs if change.verdict in (Verdict.WORSE, Verdict.BETTER)]
        if moved:
            yield Text("")
            yield _table(moved, "cost", options.max_width)
            yield from _more(moved, "costs")
        if found.costs:
            yield Text(
                f"{words.counted(len(found.costs) - len(moved), 'cost')} without a significant change", style="dim"
            )
        left_out = [words.missing_words(one, _NAMES) for one in found.missing] + list(words.unpaired_words(found))
        for line in (*(f"not compared: {line}" for line in left_out), *(f"note: {line}" for line in found.notes)):
            yield Text(line, style="yellow")


def _table(changes: Sequence[Change], what: str, width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    gap = " " if width >= _WIDE else "\n"
    several = width >= _WIDE or len({change.dataset for change in changes}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("", "system", *(["data set"] if several else []), what):
        table.add_column(name, no_wrap=name == "", overflow="fold")
    for name in ("before", "after", "Δ" if what == "score" else "ratio", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for change in sorted(words.systems_first(changes), key=lambda change: _ORDER.index(change.verdict))[:_ROWS]:
        verdict = words.verdict(change)
        moved = Text(words.difference(change))
        if words.bounds(change):
            moved.append(gap + words.bounds(change), style="dim")
        score = one_line(change.name) if change.is_cost else f"{one_line(change.metric)}{gap}{one_line(change.name)}"
        places = [words.system(change), change.dataset] if several else [words.system(change)]
        labels = [Text(middle(one_line(text), _LABEL)) for text in places]
        before, after = (Text(text) for text in words.before_after(change))
        cells = [*labels, Text(score), before, after, moved, Text(words.p_words(change))]
        table.add_row(Text(verdict, style=_STYLES[verdict]), *cells)
    return table


def _more(changes: Sequence[Change], what: str) -> Iterator[RenderableType]:
    from rich.text import Text

    if len(changes) > _ROWS:
        yield Text(f"{len(changes) - _ROWS} more {what} in --summary, --junit and --json", style="dim")
