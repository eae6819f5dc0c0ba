"""A report as Markdown, for a repository or an issue: tables that a code host renders, nothing taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rsground.report.model import Board, DatasetBlock, ReportData
from rsground.report.reference import Published, published
from rsground.report.tables import ASIDE, SIGNIFICANT, Cell, Column, leaderboard, pair_of, reference_of
from rsground.report.text import one_line

_SCORES = 6
_BROKEN = 20


def render(data: ReportData) -> str:
    """The Markdown file."""
    parts = [_head(data)]
    parts += [_block(data, block) for block in data.datasets]
    parts.append(_problems(data))
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def escape(text: str, limit: int = 200) -> str:
    """One line of text in which nothing is markup: no emphasis, link, HTML, table cell or mention."""
    safe = one_line(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"([\\`*_{}\[\]~$])", r"\\\1", safe).replace("|", "&#124;")
    safe = re.sub(r"^([-+=#]|\d+(?=[.)]))", lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", safe)
    return re.sub(r"(?<!\w)@(?=\w)", "@\u200b", safe)


def _head(data: ReportData) -> str:
    run = data.run
    lines = [f"# {escape(run.suite)}", ""]
    if run.title:
        lines += [escape(run.title, 400), ""]
    if not run.complete:
        lines += [f"> This run is not finished{': ' + escape(run.progress) if run.progress else ''}.", ""]
    facts = [("run started", run.created), ("seeds", ", ".join(map(str, run.seeds))), *run.facts]
    lines += [f"- {escape(name)}: {escape(value)}" for name, value in facts if value]
    if run.versions:
        lines.append("- versions: " + escape(", ".join(f"{name} {value}" for name, value in run.versions.items()), 400))
    if run.command:
        lines += ["", "```sh", _fenced(run.command), "```"]
    return "\n".join(lines)


def _fenced(text: str) -> str:
    """Text for a fenced block: on one line, and without a fence of its own."""
    return one_line(text, 2000).replace("```", "'''")


def _block(data: ReportData, block: DatasetBlock) -> str:
    facts = f"{block.samples:,} samples on {block.images:,} images"
    split = f", split {escape(block.split)}" if block.split else ""
    parts = [f"## {escape(block.label)}", f"{escape(block.name)}{split}; {facts}."]
    parts += [_board(data, block, board) for board in block.boards]
    parts += [_published(table) for table in published(block.name, block.tasks, block.split)]
    return "\n\n".join(parts)


def _board(data: ReportData, block: DatasetBlock, board: Board) -> str:
    full = leaderboard(data, block, board, _SCORES)
    small = {"system", f"score:{board.primary}", "delta", "cost:unparsed", "cost:errors"}
    rows = [
        [_cell(cell, column, column.key in small) for cell, column in zip(row, full.columns, strict=True)]
        for row in full.rows
    ]
    parts = [f"### {escape(board.metric)}"]
    if board.summary:
        parts.append(escape(board.summary, 400))
    parts.append(table([column.title for column in full.columns], rows, [column.numeric for column in full.columns]))
    level = f"{100 * data.confidence:g} %"
    notes = [
        f"Sorted by {escape(board.primary)}; brackets hold {level} intervals; CSV and JSON hold all scores with theirs."
    ]
    if any(column.key == "cost:time" for column in full.columns):
        notes.append("s/answer: mean seconds of an answer; samples asked together share the time of their batch.")
    against = reference_of(data, board)
    if against is not None:
        notes.append(_tests(board, against))
    if full.aside:
        notes.append(ASIDE)
    return "\n\n".join([*parts, " ".join(notes)])


def _tests(board: Board, against: str) -> str:
    pairs = [pair_of(board, label, against) for label in board.tested if label != against]
    apart = sum(pair is not None and pair.p_adjusted < SIGNIFICANT for pair in pairs)
    return (
        f"Δ compares with {escape(against)} by a paired permutation test, "
        f"Holm-corrected over {len(board.pairs)} pairs: {apart} of {len(pairs)} differ at p < {SIGNIFICANT:g}."
    )


def _cell(cell: Cell, column: Column, small_print: bool) -> str:
    text = cell.text if column.numeric else escape(cell.text)
    detail = f" {cell.detail}" if cell.detail and small_print else ""
    return f"**{text}**{detail}" if cell.mark == "best" else f"{text}{detail}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[bool]) -> str:
    """A pipe table; ``rows`` are Markdown already, titles are not."""
    lines = ["| " + " | ".join(escape(title) for title in titles) + " |"]
    lines.append("|" + "|".join("---:" if right else "---" for right in numeric) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _published(found: Published) -> str:
    rows = []
    for row in found.rows:
        marks = "".join(f"<sup>{mark}</sup>" for mark in row.marks)
        rows.append([escape(row.method) + marks, *(value or "–" for value in row.values), escape(row.source)])
    titles = ["method", *(column.title for column in found.columns), "source"]
    papers = "; ".join(f"{key}: {escape(name)}" for key, name in (found.papers or {}).items())
    parts = [f"### Published figures: {escape(found.title)}", "Not measured here: as printed in the papers."]
    parts.append(table(titles, rows, [False, *(True for _ in found.columns), False]))
    parts.append("\n".join(f"{place}. {escape(note, 400)}" for place, note in enumerate(found.notes, 1)))
    return "\n\n".join(part for part in [*parts, papers] if part)


def _problems(data: ReportData) -> str:
    rows = [
        [escape(system), escape(block.label), escape(code), f"{count:,}"]
        for block in data.datasets
        for system, counts in block.issues.items()
        for code, count in counts.items()
        if count
    ]
    parts = []
    if rows:
        parts += ["## Problems", table(["system", "data set", "issue", "answers"], rows, [False, False, False, True])]
    if data.broken_total:
        lines = [
            [escape(row.dataset), escape(row.path), str(row.line or "–"), escape(row.code), escape(row.detail)]
            for row in data.broken[:_BROKEN]
        ]
        parts.append(f"## Broken records\n\n{data.broken_total:,} skipped while reading.")
        parts.append(table(["data set", "file", "line", "reason", "detail"], lines, [False, False, True, False, False]))
    return "\n\n".join(parts)
