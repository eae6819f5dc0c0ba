"""What derives from what, and moving regions between a view and the original image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rsground.errors import ShapeError
from rsground.geometry import IDENTITY, compose_affine, invert_affine, mask_to_hbb, mask_to_rle, obb_to_quad, rle_area
from rsground.regions import (
    area_of,
    hbb_of,
    map_region,
    mask_of,
    polygons_of,
    quad_of,
    region_from_mask,
    rle_of,
    union_mask,
    unmap_region,
)
from rsground.types import Region, View

SIZE = (20, 30)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14))
ELL = ((2.0, 3.0), (10.0, 3.0), (10.0, 7.0), (6.0, 7.0), (6.0, 15.0), (2.0, 15.0))


def block(x1=4, y1=5, x2=9, y2=8):
    mask = np.zeros(SIZE, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def view_of(affine, view_size, original_size):
    return View(images=(np.zeros((*view_size, 3), np.uint8),), original_size=original_size, to_original=affine)


FORMS = {
    "hbb": Region(hbb=(4.0, 5.0, 9.0, 8.0)),
    "quad": Region(quad=((4.0, 5.0), (9.0, 5.0), (9.0, 8.0), (4.0, 8.0))),
    "polygons": Region(polygons=(((4.0, 5.0), (9.0, 5.0), (9.0, 8.0), (4.0, 8.0)),)),
    "rle": Region(rle=mask_to_rle(block())),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_block_of_pixels_is_the_same_in_every_form(form):
    region = FORMS[form]
    assert hbb_of(region) == (4, 5, 9, 8)
    assert quad_of(region) == ((4, 5), (9, 5), (9, 8), (4, 8))
    assert polygons_of(region) == (((4, 5), (9, 5), (9, 8), (4, 8)),)
    assert area_of(region) == 15
    np.testing.assert_array_equal(mask_of(region, SIZE), block())
    assert rle_of(region, SIZE) == mask_to_rle(block())


def test_a_given_form_is_answered_as_it_is():
    rle = mask_to_rle(block())
    quad = ((9.0, 8.0), (4.0, 8.0), (4.0, 5.0), (9.0, 5.0))
    region = Region(hbb=(0.0, 0.0, 1.0, 1.0), quad=quad, polygons=(ELL,), rle=rle)
    assert hbb_of(region) == (0, 0, 1, 1)
    assert quad_of(region) is quad
    assert polygons_of(region) == (ELL,)
    assert rle_of(region, SIZE) is rle


@pytest.mark.parametrize(
    ("given_forms", "hbb", "area"),
    [
        ({"polygons", "quad"}, (2, 3, 10, 15), 64.0),
        ({"rle", "polygons", "quad"}, (4, 5, 9, 8), 15.0),
        ({"quad", "points"}, (20, 1, 22, 4), 6.0),
    ],
)
def test_the_richest_form_decides(given_forms, hbb, area):
    everything = Region(
        rle=mask_to_rle(block()),
        polygons=(ELL,),
        quad=((20.0, 1.0), (22.0, 1.0), (22.0, 4.0), (20.0, 4.0)),
        points=((0.0, 0.0),),
    )
    absent = {"rle", "polygons", "quad", "points"} - given_forms
    region = replace(everything, **dict.fromkeys(absent))
    assert hbb_of(region) == hbb
    assert area_of(region) == area


def test_points_invent_no_area():
    region = Region(points=((3.5, 4.5), (7.0, 2.0), (99.0, 99.0), (-1.0, 2.0)))
    assert hbb_of(region) == (-1, 2, 99, 99)
    assert polygons_of(region) is None
    assert area_of(region) == 0
    mask = mask_of(region, SIZE)
    assert sorted(zip(*np.nonzero(mask), strict=True)) == [(2, 7), (4, 3)]
    assert hbb_of(Region(points=((3.0, 4.0),))) == (3, 4, 3, 4)
    assert len(quad_of(region)) == 4


NOWHERE = [
    Region(),
    Region(label="ship"),
    region_from_mask(np.zeros(SIZE, bool)),
    Region(points=()),
    Region(polygons=()),
]


@pytest.mark.parametrize("region", NOWHERE)
def test_a_region_that_is_nowhere(region):
    assert hbb_of(region) is None
    assert quad_of(region) is None
    assert not polygons_of(region)
    assert area_of(region) == 0
    assert not mask_of(region, SIZE).any()
    assert rle_area(rle_of(region, SIZE)) == 0


def test_the_area_of_overlapping_rings_counts_once():
    square = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
    shifted = tuple((x + 2, y) for x, y in square)
    assert area_of(Region(polygons=(square, shifted))) == 24
    assert area_of(Region(polygons=(square, ((1.0, 1.0), (2.0, 2.0))))) == 16


def test_a_turned_box_derives_from_an_outline():
    truth = obb_to_quad([15, 10, 12, 4, 0.5])
    region = Region(polygons=(tuple(map(tuple, truth.tolist())),))
    np.testing.assert_allclose(quad_of(region), truth, atol=1e-9)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"\(10, 10\), got \(20, 30\)"):
        mask_of(FORMS["rle"], (10, 10))
    with pytest.raises(ShapeError, match=r"\(10, 10\), got \(20, 30\)"):
        map_region(FORMS["rle"], view_of(IDENTITY, (10, 10), (10, 10)))


@given(mask=masks)
def test_a_mask_makes_a_region(mask):
    region = region_from_mask(mask, score=0.5, label="ship", span=(1, 2), attributes={"colour": "red"})
    assert (region.score, region.label, region.span, region.attributes) == (0.5, "ship", (1, 2), {"colour": "red"})
    np.testing.assert_array_equal(mask_of(region, mask.shape), mask)
    if mask.any():
        np.testing.assert_array_equal(region.hbb, mask_to_hbb(mask))
        assert shapely.Polygon(quad_of(region)).area >= mask.sum() - 1e-6
    rings = Region(polygons=polygons_of(region))
    assert (mask_of(rings, mask.shape) >= mask).all()


def test_union():
    regions = [FORMS["hbb"], Region(polygons=(ELL,)), Region(points=((29.0, 19.0),))]
    expected = block() | mask_of(regions[1], SIZE)
    expected[19, 29] = True
    np.testing.assert_array_equal(union_mask(regions, SIZE), expected)
    assert not union_mask([], SIZE).any()


def everything():
    return Region(
        hbb=(4.0, 5.0, 9.0, 8.0),
        quad=FORMS["quad"].quad,
        polygons=(ELL, ()),
        rle=mask_to_rle(block()),
        points=((5.0, 6.0),),
        score=0.3,
        label="ship",
        span=(0, 4),
        attributes={"difficult": True},
    )


def test_an_unmoved_view_costs_nothing():
    region = everything()
    view = view_of(IDENTITY, SIZE, SIZE)
    assert map_region(region, view) is region
    assert unmap_region(region, view) is region


def test_a_crop_that_was_enlarged():
    view = view_of((0.5, 0, 10, 0, 0.5, 20), SIZE, (40, 60))  # half the size, at (10, 20)
    moved = map_region(everything(), view)
    assert moved.hbb == (12, 22.5, 14.5, 24)
    assert moved.quad == ((12, 22.5), (14.5, 22.5), (14.5, 24), (12, 24))
    assert moved.polygons[0][0] == (11, 21.5)
    assert moved.polygons[1] == ()
    assert moved.points == ((12.5, 23),)
    assert moved.rle.size == (40, 60)
    assert (moved.score, moved.label, moved.span, moved.attributes) == (0.3, "ship", (0, 4), {"difficult": True})
    back = unmap_region(moved, view)
    assert back.hbb == (4, 5, 9, 8)
    assert back.rle.size == SIZE


def test_a_mirrored_view_keeps_corners_clockwise():
    view = view_of((-1, 0, 30, 0, 1, 0), SIZE, SIZE)
    moved = map_region(everything(), view)
    assert moved.hbb == (21, 5, 26, 8)
    x, y = np.array(moved.quad).T
    assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0
    np.testing.assert_array_equal(mask_of(moved, SIZE), block()[:, ::-1])


def test_a_turned_view():
    view = view_of((0, -1, 20, 1, 0, 0), SIZE, (30, 20))  # x' = 20 - y, y' = x
    moved = map_region(everything(), view)
    assert moved.hbb == (12, 4, 15, 9)
    np.testing.assert_array_equal(mask_of(moved, (30, 20)), np.rot90(block(), -1))


@given(
    zoom=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    shift=st.tuples(st.integers(-8, 8), st.integers(-8, 8)),
    turn=st.integers(0, 3),
    mirror=st.booleans(),
    form=st.sampled_from(["hbb", "quad", "polygons"]),
)
def test_there_and_back_again(zoom, shift, turn, mirror, form):
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][turn]
    affine = compose_affine((cos, -sin, shift[0], sin, cos, shift[1]), (-zoom if mirror else zoom, 0, 0, 0, zoom, 0))
    view = view_of(affine, SIZE, (64, 64))
    region = FORMS[form]
    back = unmap_region(map_region(region, view), view)
    np.testing.assert_allclose(getattr(back, form), getattr(region, form), atol=1e-9)
    assert compose_affine(affine, invert_affine(affine)) == pytest.approx(IDENTITY)


def test_an_identity_view_of_another_size_pads_or_cuts_masks():
    view = view_of(IDENTITY, SIZE, (7, 40))
    moved = map_region(FORMS["rle"], view)
    expected = np.zeros((7, 40), bool)
    expected[5:7, 4:9] = True
    np.testing.assert_array_equal(mask_of(moved, (7, 40)), expected)
    assert map_region(FORMS["hbb"], view) is FORMS["hbb"]


def test_a_view_that_flattens_is_refused():
    with pytest.raises(ShapeError, match="invertible"):
        unmap_region(FORMS["hbb"], view_of((0, 0, 3, 0, 0, 4), SIZE, SIZE))
