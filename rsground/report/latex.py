"""A report's tables as LaTeX (booktabs), ready to be included in a paper; every special character escaped."""

from __future__ import annotations

import re

from rsground.report.model import Board, DatasetBlock, ReportData
from rsground.report.tables import Cell, leaderboard
from rsground.report.text import one_line

_SCORES = 5
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",
    "–": "--",
    "−": r"\ensuremath{-}",
    "×": r"\ensuremath{\times}",
    "Δ": r"\ensuremath{\Delta}",
    "→": r"\ensuremath{\rightarrow}",
    "←": r"\ensuremath{\leftarrow}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "≈": r"\ensuremath{\approx}",
    "∞": r"\ensuremath{\infty}",
    "µ": r"\ensuremath{\mu}",
    "…": r"\ldots{}",
    "⟨": r"\ensuremath{\langle}",
    "⟩": r"\ensuremath{\rangle}",
}


def render(data: ReportData) -> str:
    """The LaTeX file: one ``table`` per protocol and data set."""
    head = [
        "% Written by rsground; needs \\usepackage{booktabs}, and \\usepackage[T1]{fontenc} with pdfLaTeX.",
        f"% Suite: {_comment(data.run.suite)}. Run started: {_comment(data.run.created)}.",
        f"% To reproduce: {_comment(data.run.command)}",
    ]
    tables = [_table(data, block, board) for block in data.datasets for board in block.boards]
    return "\n".join(head) + "\n\n" + "\n\n".join(tables) + "\n"


def escape(text: str, limit: int = 200) -> str:
    """One line of text in which LaTeX sees no command, comment, or special character."""
    return "".join(_SPECIAL.get(char, char) for char in one_line(text, limit))


def _comment(text: str) -> str:
    return one_line(text, 400) or "not recorded"


def _table(data: ReportData, block: DatasetBlock, board: Board) -> str:
    full = leaderboard(data, block, board, _SCORES)
    keep = [place for place, column in enumerate(full.columns) if column.key != "rank"]
    columns = [full.columns[place] for place in keep]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_caption(data, block, board)}}}",
        rf"  \label{{tab:{_label(block.label)}-{_label(board.metric)}}}",
        rf"  \begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in columns)}}}",
        r"    \toprule",
        "    " + " & ".join(escape(column.title) for column in columns) + r" \\",
        r"    \midrule",
    ]
    small = ("system", f"score:{board.primary}", "delta")
    for number, row in enumerate(full.rows):
        if full.aside and number == len(full.rows) - full.aside:
            lines.append(r"    \midrule")
        cells = (_cell(row[place], full.columns[place].key in small) for place in keep)
        lines.append("    " + " & ".join(cells) + r" \\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}"])


def _caption(data: ReportData, block: DatasetBlock, board: Board) -> str:
    split = f", {block.split}" if block.split else ""
    words = escape(f"{block.label}{split}: {board.metric} on {block.samples:,} samples of {block.images:,} images")
    return words + rf"; small print: {100 * data.confidence:g}\,\% intervals."


def _cell(cell: Cell, small_print: bool) -> str:
    text = escape(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    if cell.detail and small_print:
        text += rf" {{\scriptsize {escape(cell.detail)}}}"
    return text


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "table"
