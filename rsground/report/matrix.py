"""The significance matrix: every tested system against every other one."""

from __future__ import annotations

from dataclasses import dataclass

from rsground.report.model import Board
from rsground.report.tables import SIGNIFICANT, pair_of, signed
from rsground.report.text import is_share, p_value


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A cell of the significance matrix; ``shade`` is a class of the style sheet."""

    text: str
    shade: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A row of the significance matrix."""

    label: str
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """All tested systems against each other, best first; ``left_out`` systems have a rank and are not among them."""

    statistic: str
    rows: tuple[MatrixRow, ...]
    tests: int
    left_out: int
    level: float = SIGNIFICANT


def matrix(board: Board) -> Matrix | None:
    """The significance matrix of a protocol; None where nothing was tested."""
    labels = [label for label in board.ranking() if label in board.tested]
    if not board.pairs or len(labels) < 2:
        return None
    largest = max(abs(pair.effect) for pair in board.pairs) or 1.0
    rows = tuple(
        MatrixRow(first, tuple(_matrix_cell(board, first, second, largest) for second in labels)) for first in labels
    )
    left_out = len(set(board.ranked()) - set(labels))
    return Matrix(board.paired or board.primary, rows, len(board.pairs), left_out)


def _matrix_cell(board: Board, first: str, second: str, largest: float) -> MatrixCell:
    if first == second:
        return MatrixCell("·", "self")
    pair = pair_of(board, first, second)
    if pair is None:
        return MatrixCell("–", "self", "not tested")
    effect = signed(pair.effect, is_share(board.paired or board.primary))
    chance = f"p = {p_value(pair.p_adjusted)} adjusted ({p_value(pair.p)} alone)"
    tip = f"{first} − {second}: {effect}, {chance}, n = {pair.n:,}"
    if pair.p_adjusted >= SIGNIFICANT or pair.effect == 0:
        return MatrixCell(effect, "weak", tip)
    better = pair.effect > 0 if board.higher_is_better else pair.effect < 0
    strength = 1 + min(2, int(3 * abs(pair.effect) / largest))
    return MatrixCell(effect, f"{'up' if better else 'down'}{strength}", tip)
