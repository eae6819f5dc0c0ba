"""Row run-length text of Text4Seg (R-RLE): grids to ``0 *5| 1 *4`` rows and back.

Rows are joined by newline and space, runs by pipe and space, and a run never crosses a row; Lan et al., Text4Seg,
section 3.2. Most rows of a grid repeat others (background, the inside of an object), in one answer and across
answers, so both directions remember rows.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from rsground.codecs.scan import MAX_NUMBER_CHARS, Notes, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROW_END = "\n "
RUN_END = "| "
BACKGROUND = frozenset({"0", "others", "background"})
"""Labels that always mean background, whatever their order; compared in lower case."""
MAX_CELLS = 256 * 256
_CACHED_ROW_CHARS = 512
_CACHED_RUN_CHARS = 64
_ROW_BREAK = re.compile(r"[\r\n;]+")


class Row(NamedTuple):
    """One grid row as read.

    Attributes:
        cells: a byte 0 or 1 per cell.
        faults: (code, detail) of each run that could not be used.
        label: the first label that is neither background nor ``1``.
    """

    cells: bytes
    faults: tuple[tuple[str, str], ...] = ()
    label: str = ""


class _Run(NamedTuple):
    """One run as read: its cell byte, its length, its label unless that says no more, and what is wrong with it."""

    value: bytes
    length: int
    label: str = ""
    fault: tuple[str, str] | None = None


def write_rows(grid: NDArray[np.bool_], labels: tuple[str, str]) -> str:
    """The grid's rows as text, without tags.

    Args:
        grid: ``(rows, columns)`` bool.
        labels: of background and object.
    """
    data, width = grid.tobytes(), grid.shape[1]
    return ROW_END.join([_write_row(data[at : at + width], labels) for at in range(0, len(data), width)])


@lru_cache(maxsize=8192)
def _write_row(row: bytes, labels: tuple[str, str]) -> str:
    runs: list[str] = []
    at, value = 0, row[0]
    while at < len(row):
        end = row.find(1 - value, at)
        end = len(row) if end < 0 else end
        runs.append(f"{labels[value]} *{end - at}")
        at, value = end, 1 - value
    return RUN_END.join(runs)


def read_rows(body: str, offset: int, notes: Notes) -> list[Row]:
    """The rows of a grid text, whatever they hold; faults are noted.

    Args:
        body: what stands between the tags.
        offset: where it begins in the answer, for spans.
        notes: where faults go.
    """
    if "\r" in body or ";" in body:
        lines = [line for line in _ROW_BREAK.split(body) if line.strip()]
    else:
        lines = [line for line in body.split("\n") if line and not line.isspace()]
    rows = [_read_short_row(line) if len(line) <= _CACHED_ROW_CHARS else _read_row(line) for line in lines]
    for number, row in enumerate(rows, start=1):
        if row.faults:
            for code, detail in row.faults:
                notes.add(code, f"row {number}: {detail}", _span_of(body, offset))
    return rows


@lru_cache(maxsize=8192)
def _read_short_row(line: str) -> Row:
    return _read_row(line)


def _read_row(line: str) -> Row:
    parts: list[bytes] = []
    faults: list[tuple[str, str]] = []
    found = ""
    total = 0
    for text in line.split("|"):
        run = _read_short_run(text) if len(text) <= _CACHED_RUN_CHARS else _read_run(text)
        if run.fault is not None:
            faults.append(run.fault)
        found = found or run.label
        count = min(run.length, MAX_CELLS - total)
        total += count
        parts.append(run.value * count)
    return Row(b"".join(parts), tuple(faults), found)


@lru_cache(maxsize=4096)
def _read_short_run(text: str) -> _Run:
    return _read_run(text)


def _read_run(text: str) -> _Run:
    label, star, count_text = text.rpartition("*")
    label, count = label.strip(), _count(count_text.strip())
    if not star or not label or count is None:
        return _Run(b"\0", 0, "", ("bad-run", f"{text.strip()[:40]!r} is no run 'label *count'"))
    if label.lower() in BACKGROUND:
        return _Run(b"\0", count)
    if label == "1":
        return _Run(b"\1", count)
    is_odd = not any(map(str.isalpha, label))
    return _Run(b"\1", count, label, ("unknown-label", f"{label[:40]!r}, read as object") if is_odd else None)


def _count(text: str) -> int | None:
    """A run length, at most all cells of the largest grid; None for what is none."""
    if not text or len(text) > MAX_NUMBER_CHARS or not (text.isascii() and text.isdigit()):
        return None
    return min(int(text), MAX_CELLS)


def write_raw(grid: NDArray[np.bool_]) -> str:
    """The uncompressed form drawn in GeoGround's figure 2: values joined by comma and space, rows by ``; ``."""
    return "; ".join(", ".join("1" if cell else "0" for cell in row) for row in grid.tolist())


def read_raw(body: str, offset: int, notes: Notes) -> list[Row]:
    """Rows of an uncompressed grid: separators are commas or blanks; rows end at ``;`` or a newline.

    A cell that is neither 0 nor 1 is background, noted; a row where most are is no row.
    """
    rows: list[Row] = []
    for line in _ROW_BREAK.split(body):
        cells = line.replace(",", " ").split()
        if not cells:
            continue
        bad = next((cell for cell in cells if cell not in ("0", "1")), None)
        if bad is not None:
            notes.add("bad-run", f"row {len(rows) + 1}: {bad[:40]!r} is neither 0 nor 1", _span_of(body, offset))
        if 2 * sum(cell in ("0", "1") for cell in cells) >= len(cells):
            rows.append(Row(b"".join(b"\1" if cell == "1" else b"\0" for cell in cells[:MAX_CELLS])))
    return rows


def _span_of(body: str, offset: int) -> Span:
    return offset, offset + len(body)
