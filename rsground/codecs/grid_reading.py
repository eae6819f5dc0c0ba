"""From rows as read to a grid of the right shape: what a broken row-run text is taken to mean.

Text4Seg's own decoder pads with the last label, lets a short row shift all that follow, calls the first label
background when the word ``others`` does not occur, and answers an empty mask after any fault. Here every row stands
for itself, what is missing is background, and every repair is noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.codecs.runs import Row, read_raw, read_rows
from rsground.codecs.scan import Notes, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.types import Size

_MAX_SIDE = 256


def read_grid(body: str, span: Span, shape: Size, notes: Notes) -> tuple[NDArray[np.bool_] | None, str]:
    """The grid that a text between tags says, and the object's label where it names one.

    Args:
        body: the text between the tags, runs or uncompressed.
        span: where it stands in the answer.
        shape: (rows, columns) the codec writes.
        notes: where repairs are noted.

    Returns:
        ``(rows, columns)`` bool, of another square shape where the text consistently holds one; None where there is
        no cell at all.
    """
    rows = read_rows(body, span[0], notes) if "*" in body else read_raw(body, span[0], notes)
    label = next((row.label for row in rows if row.label), "")
    widths = {len(row.cells) for row in rows}
    if len(rows) == shape[0] and widths == {shape[1]}:
        return _stack(rows, shape), label
    widths.discard(0)
    if not widths:
        return None, label
    if _is_whole_stream(rows, shape):
        notes.add("row-count", f"{len(rows)} rows, {shape[0]} are needed; the cells were taken as one stream", span)
        return _stack(rows, shape), label
    other = _other_square(rows, widths, shape)
    if other is not None:
        notes.add("other-format", f"a {other}x{other} grid, {shape[0]}x{shape[1]} was asked for", span)
        return _stack(rows, (other, other)), label
    return _repaired(rows, shape, span, notes), label


def _stack(rows: list[Row], shape: Size) -> NDArray[np.bool_]:
    return np.frombuffer(b"".join([row.cells for row in rows]), np.bool_).reshape(shape)


def _is_whole_stream(rows: list[Row], shape: Size) -> bool:
    """Whether row breaks are missing but every cell is there (the model dropped or merged lines)."""
    if len(rows) >= shape[0]:
        return False
    total = sum(len(row.cells) for row in rows)
    return total == shape[0] * shape[1] and all(len(row.cells) % shape[1] == 0 for row in rows)


def _other_square(rows: list[Row], widths: set[int], shape: Size) -> int | None:
    """The side of a consistent square grid of another resolution."""
    side = next(iter(widths))
    is_square = len(widths) == 1 and side == len(rows) and all(row.cells for row in rows)
    return side if is_square and 1 < side <= _MAX_SIDE and (side, side) != shape else None


def _repaired(rows: list[Row], shape: Size, span: Span, notes: Notes) -> NDArray[np.bool_]:
    """Each row padded with background or cut, then rows added or cut."""
    height, width = shape
    wrong = [index for index, row in enumerate(rows[:height]) if len(row.cells) != width]
    if wrong:
        notes.add("row-width", f"{len(wrong)} rows are not {width} cells wide, the first is row {wrong[0] + 1}", span)
    if len(rows) != height:
        notes.add("row-count", f"{len(rows)} rows, {height} are needed", span)
    cells = [row.cells[:width].ljust(width, b"\0") for row in rows[:height]]
    cells.extend([bytes(width)] * (height - len(cells)))
    return np.frombuffer(b"".join(cells), np.bool_).reshape(shape)
