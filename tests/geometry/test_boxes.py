"""Horizontal and oriented boxes, their conventions and corners."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsground.errors import ShapeError
from rsground.geometry import (
    CONVENTIONS,
    canonical_quad,
    clip_hbb,
    convert_obb,
    convex_hull,
    hbb_area,
    hbb_to_quad,
    iou_hbb,
    iou_hbb_matrix,
    min_area_rect,
    obb_to_hbb,
    obb_to_quad,
    quad_to_hbb,
    quad_to_obb,
)

RANGES = {"le90": (-np.pi / 2, np.pi / 2), "le135": (-np.pi / 4, 3 * np.pi / 4)}
places = st.floats(-100, 100)
sides = st.floats(0.1, 100)
angles = st.floats(-20, 20) | st.integers(-9, 9).map(lambda k: k * np.pi / 4)
obbs = st.tuples(places, places, sides, sides, angles).map(np.array)
hbbs = st.tuples(places, places, sides, sides).map(lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]]))
clouds = arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(-20, 20).map(float))


def corner_distance(a, b):
    """How far two sets of four corners are apart, whatever their order."""
    gaps = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return max(gaps.min(axis=0).max(), gaps.min(axis=1).max())


@given(a=hbbs, b=hbbs)
def test_hbb_iou_agrees_with_shapely(a, b):
    first, second = shapely.box(*a), shapely.box(*b)
    assert iou_hbb(a, b)[0] == pytest.approx(first.intersection(second).area / first.union(second).area, abs=1e-12)
    assert iou_hbb(a, a)[0] == 1.0
    assert iou_hbb(a, b) == iou_hbb(b, a)


def test_hbb_examples():
    a = [[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 0, 0], [3, 0, 1, 2], [np.nan, 0, 1, 1], [0, 0, np.inf, 1]]
    b = [[1, 0, 3, 2], [2, 0, 4, 2], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1]]
    np.testing.assert_allclose(iou_hbb(a, b), [1 / 3, 0, 1 / 4, 0, 0, 0, 0])
    np.testing.assert_allclose(np.diag(iou_hbb_matrix(a, b)), iou_hbb(a, b))
    assert hbb_area([[0, 0, 2, 3], [2, 2, 1, 1]]).tolist() == [6.0, 0.0]
    assert clip_hbb([[-5, 2, 50, 9], [60, 60, 70, 70]], (8, 40)).tolist() == [[0, 2, 40, 8], [40, 8, 40, 8]]
    assert iou_hbb_matrix([], b).shape == (0, 7)
    assert iou_hbb([], []).shape == (0,)
    assert iou_hbb([], [0, 0, 1, 1]).shape == (0,)


@given(box=hbbs)
def test_hbb_corners_and_back(box):
    quad = hbb_to_quad(box)
    np.testing.assert_array_equal(quad_to_hbb(quad), box)
    np.testing.assert_array_equal(canonical_quad(quad), quad)


@given(box=obbs, target=st.sampled_from(CONVENTIONS), via=st.sampled_from(CONVENTIONS))
def test_conventions_keep_the_rectangle_and_are_unique(box, target, via):
    converted = convert_obb(box, source="le90", target=target)
    assert corner_distance(obb_to_quad(converted), obb_to_quad(box)) < 1e-9
    _, _, w, h, theta = converted
    if target == "oc":
        assert 0 < theta <= np.pi / 2
    else:
        low, high = RANGES[target]
        assert low <= theta < high
        assert w >= h
    detour = convert_obb(convert_obb(box, source="le90", target=via), source=via, target=target)
    near_border = min(abs(np.mod(theta, np.pi / 4)), abs(np.mod(-theta, np.pi / 4))) < 1e-9
    if not near_border:  # rounding may take a border angle to the other end of its range
        np.testing.assert_allclose(detour, converted, atol=1e-9)
    np.testing.assert_array_equal(convert_obb(converted, source=target, target=target), converted)


@pytest.mark.parametrize(
    ("degrees", "target", "expected"),
    [
        ((120, 40, 0), "oc", (40, 120, 90)),
        ((120, 40, 90), "oc", (120, 40, 90)),
        ((120, 40, 30), "oc", (120, 40, 30)),
        ((120, 40, -30), "oc", (40, 120, 60)),
        ((40, 120, 60), "le90", (120, 40, -30)),
        ((40, 120, 90), "le90", (120, 40, 0)),
        ((120, 40, 90), "le90", (120, 40, -90)),
        ((120, 40, 100), "le90", (120, 40, -80)),
        ((120, 40, 90), "le135", (120, 40, 90)),
        ((120, 40, -80), "le135", (120, 40, 100)),
        ((120, 40, 135), "le135", (120, 40, -45)),
        ((50, 50, 60), "le90", (50, 50, -30)),
        ((50, 50, 60), "le135", (50, 50, -30)),
        ((50, 50, 0), "oc", (50, 50, 90)),
    ],
)
def test_convention_examples(degrees, target, expected):
    w, h, angle = degrees
    box = convert_obb([5, 6, w, h, np.radians(angle)], source="le90", target=target)
    np.testing.assert_allclose([*box[:4], np.degrees(box[4])], [5, 6, *expected], atol=1e-9)


def test_an_unknown_convention_is_named():
    with pytest.raises(ShapeError, match="one of le90, oc, le135, got 'le180'"):
        convert_obb([0, 0, 1, 1, 0], source="le90", target="le180")


def test_positive_angles_turn_clockwise_on_screen():
    quad = obb_to_quad([0, 0, 4, 2, np.pi / 2])
    np.testing.assert_allclose(quad, [(1, -2), (1, 2), (-1, 2), (-1, -2)], atol=1e-12)


@given(box=obbs, convention=st.sampled_from(CONVENTIONS), start=st.integers(0, 3), mirrored=st.booleans())
def test_a_rectangle_is_found_again_whatever_the_corner_order(box, convention, start, mirrored):
    quad = np.roll(obb_to_quad(box), start, axis=0)[:: -1 if mirrored else 1]
    found = quad_to_obb(quad, convention=convention)
    assert corner_distance(obb_to_quad(found), obb_to_quad(box)) < 1e-6
    np.testing.assert_allclose(obb_to_hbb(box), quad_to_hbb(quad), atol=1e-9)


@given(quad=arrays(np.float64, (4, 2), elements=st.integers(-400, 400).map(lambda k: k / 8)))
def test_a_quad_that_is_no_rectangle_gets_its_least_rectangle(quad):
    found = quad_to_obb(quad, convention="le90")
    reference = min_area_rect(quad, convention="le90")
    assert found[2] * found[3] == pytest.approx(reference[2] * reference[3], abs=1e-6, rel=1e-6)
    frame = shapely.Polygon(obb_to_quad(found)).buffer(1e-6)
    assert all(frame.covers(shapely.Point(p)) for p in quad)


def test_degenerate_quads():
    np.testing.assert_allclose(quad_to_obb([(3, 4)] * 4, convention="le90"), [3, 4, 0, 0, 0])
    line = quad_to_obb([(0, 0), (4, 4), (2, 2), (1, 1)], convention="le90")
    np.testing.assert_allclose(line, [2, 2, 4 * np.sqrt(2), 0, np.pi / 4], atol=1e-12)
    assert np.isnan(quad_to_obb([(np.nan, 0), (1, 0), (1, 1), (0, 1)], convention="oc")).any()
    assert quad_to_obb(np.zeros((2, 3, 4, 2)), convention="oc").shape == (2, 3, 5)


@given(points=clouds)
def test_hull_agrees_with_shapely(points):
    hull = convex_hull(points)
    reference = shapely.convex_hull(shapely.MultiPoint(points))
    assert {tuple(p) for p in hull} == {tuple(p) for p in shapely.get_coordinates(reference)}
    if len(hull) > 2:
        x, y = hull.T
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0  # clockwise on screen


@given(points=clouds)
def test_least_rectangle_agrees_with_opencv(points):
    _, _, w, h, _ = min_area_rect(points, convention="oc")
    _, size, _ = cv2.minAreaRect(points.astype(np.float32))
    assert w * h <= size[0] * size[1] * (1 + 1e-4) + 1e-3
    frame = shapely.Polygon(obb_to_quad(min_area_rect(points, convention="oc"))).buffer(1e-6)
    assume(frame.area > 0)
    assert all(frame.covers(shapely.Point(p)) for p in points)


def test_hull_of_little():
    assert convex_hull([]).shape == (0, 2)
    assert convex_hull([(1, 2), (1, 2)]).tolist() == [[1, 2]]
    assert convex_hull([(0, 0), (2, 2), (1, 1), (0, 0)]).tolist() == [[0, 0], [2, 2]]
    assert convex_hull([(3, 0), (3, 5), (3, 2)]).tolist() == [[3, 0], [3, 5]]
    assert np.isnan(min_area_rect([], convention="le90")).all()
    np.testing.assert_allclose(min_area_rect([(3, 4)], convention="oc"), [3, 4, 0, 0, np.pi / 2])
    with pytest.raises(ShapeError, match="finite"):
        convex_hull([(0, np.nan)])


@given(box=obbs, start=st.integers(0, 3), mirrored=st.booleans())
def test_canonical_corners_do_not_depend_on_the_order_given(box, start, mirrored):
    quad = obb_to_quad(box)
    found = canonical_quad(quad)
    other = canonical_quad(np.roll(quad, start, axis=0)[:: -1 if mirrored else 1])
    np.testing.assert_allclose(other, found, atol=1e-9)
    x, y = found.T
    assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0


def test_the_best_begin_point_is_the_one_near_the_top_left():
    quad = [(10, 0), (12, 2), (2, 12), (0, 10)]
    assert canonical_quad(quad).tolist()[0] == [10, 0]  # the corners then fit the frame's best in turn
    tilted = obb_to_quad([0, 0, 20, 10, 0.2])
    assert canonical_quad(np.roll(tilted, 2, axis=0)).tolist() == tilted.tolist()
