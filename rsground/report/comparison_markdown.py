"""A comparison of two runs as Markdown: for a pull request, or a job's summary page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rsground.bench.comparison import Change, Comparison, Verdict
from rsground.report import comparison_words as words
from rsground.report.markdown import escape, table

MOST_ROWS = 500
"""Rows of one table; a job's summary may hold 1 MiB."""
_NUMERIC = (False, False, False, False, True, True, True, True, True, False)
_TITLES = ("system", "data set", "protocol", "score", "before", "after", "Δ", "p", "images", "verdict")
_COST_TITLES = ("system", "data set", "cost", "before", "after", "ratio", "p", "images", "verdict")


def render(found: Comparison) -> str:
    """The Markdown text."""
    parts = [f"## rsground: {words.headline(found)}", _lead(found)]
    worse = [change for change in found.scores if change.verdict is Verdict.WORSE]
    better = [change for change in found.scores if change.verdict is Verdict.BETTER]
    rest = [change for change in found.scores if change.verdict in (Verdict.SAME, Verdict.UNTESTED)]
    if worse:
        parts += ["### Worse", _table(worse)]
    if better:
        parts += ["### Better", _table(better)]
    if rest:
        parts.append(_folded(f"{words.counted(len(rest), 'score')} without a significant change", _table(rest)))
    parts += _costs(found)
    parts += _lists(found)
    parts.append(f"<sub>{escape(words.rule_words(found), 1000)}</sub>")
    return "\n\n".join(parts) + "\n"


def _lead(found: Comparison) -> str:
    sides = (("run", found.run), ("baseline", found.baseline))
    lines = [
        f"- {name}: {escape(side.folder)}, {escape(side.suite)}, {escape(side.created)}, {escape(side.version)}"
        for name, side in sides
    ]
    return "\n".join([escape(words.lead(found), 400), "", *lines])


def _table(changes: Sequence[Change]) -> str:
    rows = []
    for change in words.systems_first(changes)[:MOST_ROWS]:
        before, after = words.before_after(change)
        moved = f"{words.difference(change)} {words.bounds(change)}".strip().replace("[", "\\[").replace("]", "\\]")
        shown = words.verdict(change)
        labels = [escape(text) for text in (words.system(change), change.dataset, change.metric, change.name)]
        numbers = [before, after, moved, words.p_words(change), f"{change.images:,}"]
        rows.append([*labels, *numbers, f"**{shown}**" if change.regression else shown])
    return _cut(table(_TITLES, rows, _NUMERIC), changes)


def _costs(found: Comparison) -> Iterator[str]:
    moved = [change for change in found.costs if change.verdict in (Verdict.WORSE, Verdict.BETTER)]
    rest = [change for change in found.costs if change.verdict in (Verdict.SAME, Verdict.UNTESTED)]
    if moved:
        yield "### Cost"
        yield _cost_table(moved)
    if rest:
        yield _folded(f"{words.counted(len(rest), 'cost')} without a significant change", _cost_table(rest))


def _cost_table(changes: Sequence[Change]) -> str:
    rows = []
    for change in words.systems_first(changes)[:MOST_ROWS]:
        before, after = words.before_after(change)
        ratio = f"{words.difference(change)} {words.bounds(change)}".strip().replace("[", "\\[").replace("]", "\\]")
        shown = words.verdict(change)
        labels = [escape(text) for text in (words.system(change), change.dataset, change.name)]
        numbers = [before, after, ratio, words.p_words(change), f"{change.images:,}"]
        rows.append([*labels, *numbers, f"**{shown}**" if change.regression else shown])
    return _cut(table(_COST_TITLES, rows, _NUMERIC[1:]), changes)


def _lists(found: Comparison) -> Iterator[str]:
    left_out = [words.missing_words(one) for one in found.missing] + list(words.unpaired_words(found))
    for heading, lines in (("Not compared", left_out), ("Notes", found.notes)):
        if lines:
            yield f"### {heading}"
            yield "\n".join(f"- {escape(line, 2000)}" for line in lines)


def _folded(heading: str, text: str) -> str:
    return f"<details><summary>{escape(heading)}</summary>\n\n{text}\n\n</details>"


def _cut(text: str, changes: Sequence[Change]) -> str:
    more = len(changes) - MOST_ROWS
    return text if more <= 0 else f"{text}\n\n{more:,} more rows are in the JSON output."
