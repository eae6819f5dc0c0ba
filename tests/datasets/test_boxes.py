"""The rules for regions: what is used, what is mended, what is broken."""

from __future__ import annotations

import contextlib
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from rsground.datasets.boxes import Frame
from rsground.datasets.fields import RecordError

SIZE = (30, 40)
coordinate = st.floats(-60, 100, allow_nan=False)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.floats(), max_size=9)
)


def frame():
    return Frame(SIZE, Counter())


@given(box=st.tuples(coordinate, coordinate, coordinate, coordinate))
def test_a_box_lies_inside_or_is_broken(box):
    x1, y1, x2, y2 = box
    width, height = min(x2, 40) - max(x1, 0), min(y2, 30) - max(y1, 0)
    meets = width > 0 and height > 0 and width * height >= 1e-6
    if not meets:
        with pytest.raises(RecordError, match="bad-box"):
            frame().hbb(box)
        return
    used = frame()
    a, b, c, d = used.hbb(box)
    assert 0 <= a < c <= 40
    assert 0 <= b < d <= 30
    assert bool(used.notes["clipped-box"]) == ((a, b, c, d) != box)


@given(values=anything)
def test_nothing_else_is_ever_raised(values):
    for check in (Frame.hbb, Frame.quad, Frame.polygons, Frame.rle, Frame.xywh):
        with contextlib.suppress(RecordError):
            check(frame(), values)


@given(corners=st.lists(st.tuples(coordinate, coordinate), min_size=4, max_size=4))
def test_a_quad_comes_back_convex_and_clockwise(corners):
    try:
        quad = frame().quad([v for point in corners for v in point])
    except RecordError:
        return
    twice = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(quad, quad[1:] + quad[:1], strict=True))
    assert twice > 0  # clockwise on screen: y points down
    shape = Polygon(quad)
    assert shape.is_valid or shape.area < 1e-9
    assert math.isclose(shape.area, shape.convex_hull.area, rel_tol=1e-6, abs_tol=1e-6)
    assert shape.buffer(1e-6 * (1 + max(map(abs, np.ravel(quad))))).covers(Polygon(corners).convex_hull) or (
        Polygon(corners).convex_hull.area < 1e-6
    )


@pytest.mark.parametrize(
    ("corners", "note"),
    [
        ([5, 5, 15, 5, 15, 12, 5, 12], None),
        ([5, 5, 5, 12, 15, 12, 15, 5], "turned-quad"),
        ([5, 5, 15, 12, 15, 5, 5, 12], "untangled-quad"),  # crossing
        ([5, 5, 15, 5, 7, 6, 5, 12], "untangled-quad"),  # a dent
    ],
)
def test_quads_are_mended_and_counted(corners, note):
    used = frame()
    used.quad(corners)
    assert used.notes == (Counter([note]) if note else Counter())


@pytest.mark.parametrize(
    "corners",
    [
        [1, 1, 2, 2, 3, 3, 4, 4],  # a line
        [5, 5, 5, 5, 5, 5, 5, 5],
        [50, 5, 60, 5, 60, 9, 50, 9],  # outside
        [5, 5, 15, 5, 15, 12, 5],
        [5, 5, 15, 5, 15, math.nan, 5, 12],
        [5, 5, 15, 5, 15, 1e300, 5, 12],
        [5, 5, 15, 5, 15, 10**400, 5, 12],
        "12345678",
        None,
    ],
)
def test_bad_quads(corners):
    with pytest.raises(RecordError, match="bad-box"):
        frame().quad(corners)


def test_polygons_drop_stubs_and_closing_points():
    used = frame()
    rings = used.polygons([[1, 1, 9, 1, 9, 9, 1, 1], [3, 3, 4, 4]])
    assert rings == (((1.0, 1.0), (9.0, 1.0), (9.0, 9.0)),)
    assert used.notes["short-ring"] == 1


@pytest.mark.parametrize(
    "rings",
    [
        [],
        [[1, 1, 2, 2]],
        [[1, 1, 2, 2, 3, 3]],  # no area
        [[1, 1, 9, 1, 9]],
        [[1, 1, 9, 1, math.inf, 9]],
        [[1, 1, 9, 1, 900, 9]],  # far outside
        [[41, 1, 49, 1, 49, 9]],
        [["1", 1, 9, 1, 9, 9]],
        7,
    ],
)
def test_bad_polygons(rings):
    with pytest.raises(RecordError, match=r"bad-polygon|bad-field"):
        frame().polygons(rings)


@pytest.mark.parametrize(
    ("rle", "code"),
    [
        ({"size": [30, 41], "counts": [1230]}, "mask-size"),
        ({"size": [30, 40], "counts": [1200]}, "empty-mask"),
        ({"size": [30, 40], "counts": [600, 500]}, "bad-rle"),
        ({"size": [30, 40], "counts": [1201, -1]}, "bad-rle"),
        ({"size": [30, 40], "counts": "zz\x00"}, "bad-rle"),
        ({"size": [30, 40], "counts": "o" * 300}, "bad-rle"),
        ({"size": [30, 40], "counts": None}, "bad-rle"),
        ({"size": [30, 40]}, "bad-rle"),
        ({"size": "ab", "counts": [1]}, "bad-field"),
        ([], "bad-rle"),
        ("x", "bad-rle"),
    ],
)
def test_bad_rles(rle, code):
    with pytest.raises(RecordError) as caught:
        frame().rle(rle)
    assert caught.value.code == code


def test_planes_unite():
    one = {"size": [30, 40], "counts": [0, 10, 1190]}
    two = {"size": [30, 40], "counts": [5, 10, 1185]}
    from rsground.geometry import rle_area

    assert rle_area(frame().rle([one, two])) == 15
