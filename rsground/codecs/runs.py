"""Row run-length text of Text4Seg (R-RLE): grids to ``0 *5| 1 *4`` rows and back.

Rows are joined by newline and space, runs by pipe and space, and a run never crosses a row; Lan et al., Text4Seg,
section 3.2. Most rows of a grid repeat others (background, the inside of an object), in one answer and across
answers, so both directions remember rows.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsground.codecs.scan import MAX_NUMBER_CHARS, Notes, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_END = "\n "
RUN_END = "| "
BACKGROUND = frozenset({"0", "others", "background"})
"""Labels that always mean background, whatever their order; compared in lower case."""
MAX_CELLS = 256 * 256
_CACHED_ROW_CHARS = 512
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
    cells = np.frombuffer(row, np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(cells)) + 1, [len(row)])).tolist()
    return RUN_END.join(f"{labels[row[start]]} *{end - start}" for start, end in pairwise(starts))


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
    rows: list[Row] = []
    for line in lines:
        row = _read_short_row(line) if len(line) <= _CACHED_ROW_CHARS else _read_row(line)
        rows.append(row)
        for code, detail in row.faults:
            notes.add(code, f"row {len(rows)}: {detail}", _span_of(body, offset))
    return rows


@lru_cache(maxsize=8192)
def _read_short_row(line: str) -> Row:
    return _read_row(line)


def _read_row(line: str) -> Row:
    parts: list[bytes] = []
    faults: list[tuple[str, str]] = []
    found = ""
    total = 0
    for run in line.split("|"):
        label, star, count_text = run.rpartition("*")
        label, count_text = label.strip(), count_text.strip()
        count = _count(count_text)
        if not star or not label or count is None:
            faults.append(("bad-run", f"{run.strip()[:40]!r} is no run 'label *count'"))
            continue
        value = b"\0"
        if label.lower() not in BACKGROUND:
            value = b"\1"
            if label != "1":
                found = found or label
                if not any(map(str.isalpha, label)):
                    faults.append(("unknown-label", f"{label[:40]!r}, read as object"))
        count = min(count, MAX_CELLS - total)
        total += count
        parts.append(value * count)
    return Row(b"".join(parts), tuple(faults), found)


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
