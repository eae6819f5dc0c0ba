"""Quadrilateral IoU against shapely, for convex, dented and crossed corners."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsground.errors import ShapeError
from rsground.geometry import iou_obb, iou_quad, iou_quad_matrix, obb_to_quad, quad_area

corners = arrays(np.float64, (4, 2), elements=st.integers(-400, 400).map(lambda k: k / 8))


def by_shapely(a, b):
    first, second = shapely.Polygon(a), shapely.Polygon(b)
    inter = first.intersection(second).area
    return inter / (first.area + second.area - inter)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(a=corners, b=corners)
def test_agrees_with_shapely_on_simple_quads_dented_ones_too(a, b):
    first, second = shapely.Polygon(a), shapely.Polygon(b)
    assume(first.is_valid and second.is_valid and first.area > 1e-2 and second.area > 1e-2)
    assert iou_quad(a, b)[0] == pytest.approx(by_shapely(a, b), abs=1e-7)
    assert iou_quad(b, a)[0] == pytest.approx(iou_quad(a, b)[0], abs=1e-9)
    assert iou_quad(a[::-1], np.roll(b, 1, axis=0))[0] == pytest.approx(iou_quad(a, b)[0], abs=1e-9)
    assert quad_area(a) == pytest.approx(first.area, rel=1e-9)


@given(a=corners, b=corners)
def test_is_bounded_whatever_the_corners(a, b):
    assert 0.0 <= iou_quad(a, b)[0] <= 1.0


@given(a=corners)
def test_a_quad_with_an_area_has_iou_1_with_itself(a):
    assume(quad_area(a) > 1e-3 * np.ptp(a, axis=0).max() ** 2)
    assert iou_quad(a, a)[0] == pytest.approx(1.0, abs=1e-9)


def test_agrees_with_oriented_boxes():
    rng = np.random.default_rng(0)
    a, b = (np.c_[rng.uniform(0, 40, (900, 2)), rng.uniform(1, 40, (900, 2)), rng.uniform(-4, 4, 900)] for _ in "ab")
    np.testing.assert_allclose(iou_quad(obb_to_quad(a), obb_to_quad(b)), iou_obb(a, b), atol=1e-12)


def test_crossed_corners_are_put_in_order():
    square = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)
    for order in ([0, 2, 1, 3], [0, 1, 3, 2], [0, 2, 3, 1]):
        assert iou_quad(square[order], square)[0] == pytest.approx(1.0)
        assert quad_area(square[order]) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("b", "iou"),
    [
        ([(2, 0), (4, 0), (4, 2), (2, 2)], 0.0),  # touching
        ([(1, 0), (3, 0), (3, 2), (1, 2)], 1 / 3),  # collinear edges
        ([(0, 0), (1, 0), (1, 1), (0, 1)], 1 / 4),  # nested in a corner
        ([(0, 0), (2, 0), (2, 2), (2, 2)], 1 / 2),  # a triangle: two corners coincide
        ([(0, 0), (2, 2), (2, 2), (0, 0)], 0.0),  # no area
        ([(np.nan, 0), (3, 0), (3, 2), (1, 2)], 0.0),
        ([(np.inf, 0), (3, 0), (3, 2), (1, 2)], 0.0),
    ],
)
def test_worked_examples(b, iou):
    square = [(0, 0), (2, 0), (2, 2), (0, 2)]
    assert iou_quad(square, b)[0] == pytest.approx(iou, abs=1e-12)
    assert iou_quad(b, square)[0] == pytest.approx(iou, abs=1e-12)


def test_far_from_the_origin():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 30, (300, 4, 2)).astype(float), rng.integers(0, 30, (300, 4, 2)).astype(float)
    np.testing.assert_allclose(iou_quad(a + 2.0**30, b + 2.0**30), iou_quad(a, b), atol=1e-9)


def test_the_matrix_is_the_pairs():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 30, (7, 4, 2)), rng.uniform(0, 30, (5, 4, 2))
    pairs = iou_quad(np.repeat(a, 5, axis=0), np.tile(b, (7, 1, 1))).reshape(7, 5)
    np.testing.assert_allclose(iou_quad_matrix(a, b), pairs, atol=1e-15)
    assert iou_quad_matrix([], b).shape == (0, 5)


def test_shapes_are_named():
    with pytest.raises(ShapeError, match=r"a must be \(N, 4, 2\) or \(4, 2\), got \(2, 4\)"):
        iou_quad(np.zeros((2, 4)), np.zeros((4, 2)))
