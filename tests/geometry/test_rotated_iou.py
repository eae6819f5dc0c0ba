"""Rotated IoU: laws, worked examples, and shapely as the reference."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rsground.errors import ShapeError
from rsground.geometry import convert_obb, iou_obb, iou_obb_matrix, obb_to_quad

EXACT = 1e-9

angles = st.floats(-7, 7) | st.sampled_from([0.0, np.pi / 4, np.pi / 2, -np.pi / 2, np.pi, 3 * np.pi / 4])
sides = st.floats(0.05, 80)
boxes = st.tuples(st.floats(-50, 50), st.floats(-50, 50), sides, sides, angles).map(np.array)


def by_shapely(a, b):
    first, second = shapely.polygons(obb_to_quad(a)), shapely.polygons(obb_to_quad(b))
    inter = shapely.area(shapely.intersection(first, second))
    return inter / (shapely.area(first) + shapely.area(second) - inter)


def random_boxes(rng, count, spread=60.0):
    centres, lengths = rng.uniform(0, spread, (count, 2)), rng.uniform(0.5, 40, (count, 2))
    return np.concatenate([centres, lengths, rng.uniform(-4, 4, (count, 1))], axis=1)


@given(a=boxes, b=boxes)
def test_agrees_with_shapely_and_is_symmetric(a, b):
    assert iou_obb(a, b)[0] == pytest.approx(float(by_shapely(a, b)), abs=EXACT)
    assert iou_obb(b, a)[0] == pytest.approx(iou_obb(a, b)[0], abs=1e-12)
    assert 0.0 <= iou_obb(a, b)[0] <= 1.0


@given(box=boxes)
def test_a_box_has_iou_1_with_itself_however_it_is_written(box):
    assert iou_obb(box, box)[0] == 1.0
    for convention in ("le90", "oc", "le135"):
        same = convert_obb(box, source="le90", target=convention)
        assert iou_obb(box, same)[0] == pytest.approx(1.0, abs=1e-12)


@given(
    a=boxes,
    b=boxes,
    turn=angles,
    shift=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
    zoom=st.floats(0.01, 100),
)
def test_moving_both_boxes_alike_changes_nothing(a, b, turn, shift, zoom):
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = [np.array([*(rotation @ box[:2] * zoom + shift), *(box[2:4] * zoom), box[4] + turn]) for box in (a, b)]
    flipped = [box * [-1, 1, 1, 1, -1] for box in (a, b)]
    expected = iou_obb(a, b)[0]
    # a shift of 1000 px on a box of 0.0005 px leaves 1e-13 / 5e-4 of it in the input already
    assert iou_obb(*moved)[0] == pytest.approx(expected, abs=1e-8)
    assert iou_obb(*flipped)[0] == pytest.approx(expected, abs=1e-12)


@given(a=boxes, nudge=st.floats(-1e-12, 1e-12), edge=st.integers(0, 3))
def test_almost_shared_edges_are_no_special_case(a, nudge, edge):
    b = a.copy()
    b[edge] += nudge
    assume(b[2] > 0 and b[3] > 0)
    assert iou_obb(a, b)[0] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        ((0, 0, 4, 2, 0), (0, 0, 4, 2, np.pi), 1.0),  # the same rectangle, half a turn further
        ((0, 0, 4, 2, 0), (0, 0, 2, 4, np.pi / 2), 1.0),
        ((0, 0, 2, 2, 0), (0, 0, 2, 2, np.pi / 4), 2 * (np.sqrt(2) - 1) * 4 / (8 - 8 * (np.sqrt(2) - 1))),  # octagon
        ((0, 0, 10, 10, 0.3), (0, 0, 2, 5, 0.3), 0.1),  # nested, axes aligned
        ((0, 0, 10, 10, 0.0), (0, 0, 2, 2, 0.7), 0.04),  # nested, axes crossed
        ((0, 0, 10, 10, 0.0), (4, 4, 2, 2, 0.0), 0.04),  # nested, two shared edges
        ((0, 0, 2, 2, 0), (2, 0, 2, 2, 0), 0.0),  # touching edges
        ((0, 0, 2, 2, 0), (2, 2, 2, 2, 0), 0.0),  # touching corners
        ((0, 0, 2, 2, 0), (1, 0, 2, 2, 0), 1 / 3),  # two collinear edges
        ((0, 0, 2, 1, 0), (0, 0, 1, 2, 0), 1 / 3),  # a cross
        ((0, 0, 2, 2, 0), (50, 0, 2, 2, 0), 0.0),
    ],
)
def test_worked_examples(a, b, iou):
    assert iou_obb(a, b)[0] == pytest.approx(iou, abs=1e-12)
    assert iou_obb(b, a)[0] == pytest.approx(iou, abs=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        (0, 0, 0, 5, 0.1),
        (0, 0, 5, 0, 0.1),
        (0, 0, 0, 0, 0),
        (0, 0, -3, 5, 0.1),
        (np.nan, 0, 3, 5, 0.1),
        (0, 0, np.nan, 5, 0.1),
        (0, 0, 3, 5, np.nan),
        (np.inf, 0, 3, 5, 0.1),
        (0, 0, np.inf, 5, 0.1),
        (0, 0, 3, 5, np.inf),
    ],
)
def test_boxes_without_an_area_or_a_place_have_iou_0(bad):
    good = (0, 0, 4, 4, 0.1)
    rows = np.array([bad, good, bad], float)
    assert iou_obb(rows, np.array([good, good, bad], float)).tolist() == [0.0, 1.0, 0.0]
    assert iou_obb_matrix(rows, rows).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("scale", [1e-200, 1e-40, 1e-9, 1e9, 1e40, 1e150])
def test_tiny_and_huge_boxes(scale):
    rng = np.random.default_rng(3)
    a, b = random_boxes(rng, 200, 20), random_boxes(rng, 200, 20)
    factor = np.array([scale, scale, scale, scale, 1.0])
    np.testing.assert_allclose(iou_obb(a * factor, b * factor), by_shapely(a, b), atol=EXACT)


def test_extreme_pairs_leave_their_neighbours_alone():
    rng = np.random.default_rng(4)
    a, b = random_boxes(rng, 50), random_boxes(rng, 50)
    expected = by_shapely(a, b)
    a[7], b[7] = (0, 0, 1e-200, 1e-200, 0.1), (0, 0, 1e-200, 2e-200, 0.1)
    a[9], b[9] = (0, 0, np.nan, 1, 0.1), (0, 0, 1e300, 2, 0.1)
    expected[[7, 9]] = 0.5, 0.0
    np.testing.assert_allclose(iou_obb(a, b), expected, atol=EXACT)


def test_far_from_the_origin():
    rng = np.random.default_rng(5)
    a, b = random_boxes(rng, 500, 30), random_boxes(rng, 500, 30)
    far = np.array([2.0**30, -(2.0**31), 0, 0, 0])
    moved_a, moved_b = a + far, b + far
    np.testing.assert_allclose(iou_obb(moved_a, moved_b), by_shapely(moved_a - far, moved_b - far), atol=EXACT)


def test_needles():
    rng = np.random.default_rng(6)
    a, b = random_boxes(rng, 2000, 10), random_boxes(rng, 2000, 10)
    a[:, 2], a[:, 3] = 1000.0, 1e-3
    b[:, 2] = 500.0
    np.testing.assert_allclose(iou_obb(a, b), by_shapely(a, b), atol=EXACT)


def test_many_pairs_cross_block_borders():
    rng = np.random.default_rng(7)
    a, b = random_boxes(rng, 5000), random_boxes(rng, 5000)
    expected = by_shapely(a, b)
    assert (expected > 0).mean() > 0.2
    np.testing.assert_allclose(iou_obb(a, b), expected, atol=EXACT)
    assert np.abs(iou_obb(a, b) - expected).max() < 1e-13


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), n=st.integers(0, 12), m=st.integers(0, 12))
def test_the_matrix_is_the_pairs(seed, n, m):
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, n), random_boxes(rng, m)
    expected = iou_obb(np.repeat(a, m, axis=0), np.tile(b, (n, 1))).reshape(n, m)
    np.testing.assert_allclose(iou_obb_matrix(a, b), expected, rtol=0, atol=1e-14)  # SIMD tails round apart


def test_one_box_is_paired_with_all():
    rng = np.random.default_rng(8)
    a, b = random_boxes(rng, 1), random_boxes(rng, 30)
    np.testing.assert_allclose(iou_obb(a[0], b), iou_obb_matrix(a, b)[0], rtol=0, atol=1e-14)


def test_boxes_that_only_touch_have_iou_0_exactly():
    rng = np.random.default_rng(9)
    a = random_boxes(rng, 400)
    along = np.stack([np.cos(a[:, 4]), np.sin(a[:, 4])], axis=1)
    b = a.copy()
    b[:, :2] += along * a[:, 2:3]
    apart = b.copy()
    apart[:, :2] += along * 1e-3
    assert not iou_obb(a, b)[iou_obb(a, b) > 1e-14].size
    assert not iou_obb(a, apart).any()


def test_inputs_are_left_as_they_were():
    a = np.array([[0, 0, 1e-200, 1e-200, 0.0]])
    before = a.copy()
    iou_obb(a, a)
    iou_obb_matrix(a, a)
    np.testing.assert_array_equal(a, before)


def test_shapes_are_named():
    with pytest.raises(ShapeError, match=r"a must be \(N, 5\) or \(5,\), got \(3, 4\)"):
        iou_obb(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="got 3 and 2 rows; use iou_obb_matrix for all pairs"):
        iou_obb(np.zeros((3, 5)), np.zeros((2, 5)))
