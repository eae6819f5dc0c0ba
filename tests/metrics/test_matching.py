"""Matching: greedy by hand, best against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsground.metrics import best_match, greedy_match

matrices = st.tuples(st.integers(0, 6), st.integers(0, 6)).flatmap(
    lambda shape: arrays(float, shape, elements=st.one_of(st.just(0.0), st.floats(0.0, 1.0)))
)


def test_greedy_takes_the_largest_and_may_lose_in_total():
    scores = np.array([[0.9, 0.8], [0.8, 0.0]])
    assert greedy_match(scores) == [(0, 0)]
    assert best_match(scores) == [(0, 1), (1, 0)]


def test_nan_and_zero_match_nothing():
    assert greedy_match([[np.nan, 0.0]]) == []
    assert best_match([[np.nan], [0.0]]) == []


@given(scores=matrices)
def test_best_is_scipys_optimum(scores):
    optimise = pytest.importorskip("scipy.optimize")
    rows, columns = optimise.linear_sum_assignment(scores, maximize=True)
    assert sum(scores[pair] for pair in best_match(scores)) == pytest.approx(scores[rows, columns].sum(), abs=1e-9)


@given(scores=matrices)
def test_both_are_one_to_one(scores):
    for pairs in (greedy_match(scores), best_match(scores)):
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert all(scores[pair] > 0 for pair in pairs)
