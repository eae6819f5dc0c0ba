"""Paired tests: exact by hand, uniform under the null, corrected as published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.errors import ShapeError
from rsground.metrics import benjamini_hochberg, compare_systems, holm, paired_permutation

p_values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def test_all_patterns_by_hand():
    found = paired_permutation([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], ["a", "b", "c"])
    assert found.p == pytest.approx(2 / 8)
    assert (found.difference, found.wins, found.losses) == (1.0, 1.0, 0.0)
    assert paired_permutation([3.0, 1.0, -1.0], [0.0, 0.0, 0.0], "abc").p == pytest.approx(
        6 / 8
    )  # 5, 3, 3 of 5, 3, 3, 1


def test_samples_of_an_image_flip_together():
    a, b = np.ones(40), np.zeros(40)
    assert paired_permutation(a, b, np.zeros(40)).p == 1.0
    assert paired_permutation(a, b, np.repeat([0, 1], 20)).p == pytest.approx(0.5)
    assert paired_permutation(a, b, np.arange(40)).p == pytest.approx(1 / 10_001)


def test_p_is_uniform_under_the_null():
    rng = np.random.default_rng(11)
    p = []
    for run in range(400):
        image = np.repeat(np.arange(30), 3)
        shared = rng.normal(0, 1, 30)[image]
        a, b = (shared + rng.normal(0, 0.3, 30)[image] + rng.normal(0, 0.2, 90) for _ in range(2))
        p.append(paired_permutation(a, b, image, permutations=199, seed=run).p)
    share = [np.mean(np.array(p) <= level) for level in (0.05, 0.25, 0.5, 0.75)]
    assert share == pytest.approx([0.05, 0.25, 0.5, 0.75], abs=0.06)
    assert share[0] <= 0.08  # ignoring the clusters gives 0.2 and more here


def test_a_real_difference_is_found():
    rng = np.random.default_rng(0)
    b = rng.random(200)
    found = paired_permutation(b + rng.normal(0.05, 0.1, 200), b, np.arange(200))
    assert found.p < 0.01
    assert found.effect == pytest.approx(0.5, abs=0.2)


def test_equal_systems_and_exact_ties():
    same = paired_permutation([0.5, 0.7], [0.5, 0.7], "ab")
    assert (same.p, same.effect, same.difference) == (1.0, 0.0, 0.0)
    constant = paired_permutation([0.3] * 20, [0.2] * 20, range(20))
    assert constant.effect == np.inf


def test_missing_values_are_left_out():
    found = paired_permutation([1.0, np.nan, 1.0], [0.0, 0.0, np.nan], "abc")
    assert (found.n, found.clusters, found.difference) == (1, 1, 1.0)
    assert paired_permutation([np.nan], [0.0], "a").n == 0


def test_equal_seeds_give_equal_p():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 60))
    first = paired_permutation(a, b, range(60), seed=3)
    assert first == paired_permutation(a, b, range(60), seed=3)


def test_swapping_the_systems_turns_the_sign_only():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 30))
    one, other = paired_permutation(a, b, range(30)), paired_permutation(b, a, range(30))
    assert (one.p, one.difference, one.wins) == (other.p, -other.difference, other.losses)


def test_holm_and_bh_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(benjamini_hochberg([0.01, 0.04, 0.03]), [0.03, 0.04, 0.04])
    assert holm([]).shape == (0,)


@given(p=p_values)
def test_bh_is_scipys(p):
    stats = pytest.importorskip("scipy.stats")
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), atol=1e-12)


@given(p=p_values)
def test_corrections_keep_order_and_only_raise(p):
    values, by_holm, by_bh = np.array(p), holm(p), benjamini_hochberg(p)
    assert (by_holm >= by_bh - 1e-12).all()
    assert (by_bh >= values - 1e-12).all()
    assert (by_holm <= 1.0).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(by_holm[order]) >= 0).all()
    assert (np.diff(by_bh[order]) >= 0).all()


def test_every_pair_is_compared():
    rng = np.random.default_rng(0)
    base = rng.random(100)
    values = {"a": base, "b": base + rng.normal(0.2, 0.1, 100), "c": base + rng.normal(0, 0.1, 100)}
    found = {(c.first, c.second): c for c in compare_systems(values, range(100), permutations=999)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"].p_holm < 0.05 < found["a", "c"].p_holm
    assert found["a", "b"].test.difference < 0
    assert compare_systems({"a": base}, range(100)) == []


def test_arguments_are_checked():
    with pytest.raises(ShapeError, match="same samples"):
        paired_permutation([1.0], [1.0, 2.0], "a")
