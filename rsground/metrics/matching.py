"""One-to-one matching of predicted and annotated regions by their IoU matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

Pairs = list[tuple[int, int]]


def greedy_match(scores: ArrayLike) -> Pairs:
    """Pairs (row, column): the largest entry first, its row and column struck out, until nothing above 0 is left.

    Ties go to the lowest row, then the lowest column. NaN counts as 0.
    """
    left = np.nan_to_num(np.array(scores, np.float64, copy=True), nan=0.0)
    pairs: Pairs = []
    while left.size and left.max() > 0.0:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        pairs.append((int(row), int(column)))
        left[row, :] = 0.0
        left[:, column] = 0.0
    return pairs


def best_match(scores: ArrayLike) -> Pairs:
    """Pairs (row, column) whose scores add up to the most; pairs that score 0 are left out. NaN counts as 0.

    The Hungarian method with potentials, O(rows^2 columns); here since scipy is no dependency of the core.
    """
    matrix = np.nan_to_num(np.asarray(scores, np.float64), nan=0.0)
    if matrix.size == 0:
        return []
    turned = matrix.shape[0] > matrix.shape[1]
    cost = -(matrix.T if turned else matrix)
    owner = _assign(cost)
    pairs = [(int(row), column) for column, row in enumerate(owner) if row >= 0]
    pairs = sorted((column, row) if turned else (row, column) for row, column in pairs)
    return [(row, column) for row, column in pairs if matrix[row, column] > 0.0]


def _assign(cost: np.ndarray) -> np.ndarray:
    """Row assigned to each column (-1: none) at least total cost, for ``cost`` (R, C) with R <= C."""
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)
    for row in range(rows):
        distance = np.full(columns, np.inf)
        before = np.full(columns, -1)
        done = np.zeros(columns, bool)
        here, column, reached = row, -1, 0.0
        while True:  # grow the tree of alternating paths until a free column is reached
            fresh = reached + cost[here] - row_price[here] - column_price
            closer = ~done & (fresh < distance)
            distance[closer], before[closer] = fresh[closer], column
            column = int(np.where(done, np.inf, distance).argmin())
            reached = float(distance[column])
            done[column] = True
            if owner[column] < 0:
                break
            here = int(owner[column])
        settled = done & (owner >= 0)
        row_price[owner[settled]] += reached - distance[settled]
        row_price[row] += reached
        column_price[done] -= reached - distance[done]
        while column >= 0:  # shift owners back along the path
            previous = int(before[column])
            owner[column] = row if previous < 0 else owner[previous]
            column = previous
    return owner
