"""Polygons and point sets: vertices where they matter, nothing lost, broken rings read for what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import distance_transform_edt

from rsground.codecs import PointSet, PolygonBox, PolygonText
from rsground.codecs.keypoints import distance_inside, key_points
from rsground.codecs.simplify import Collapses, collapse
from rsground.errors import ShapeError
from rsground.geometry import iou_mask, mask_to_rle, polygons_to_mask, rle_from_coco, rle_to_mask
from rsground.regions import mask_of
from rsground.types import Region

SIZE = (100, 100)
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)).filter(lambda mask: bool(mask.any()))


def signed_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def disc(size: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def test_collapse_by_hand() -> None:
    # A bump of height 1 over the base from (0,0) to (4,0): the apex keeps the area 2 * 1.5 = 3 of the trapezoid.
    cost, apex = collapse((0, 0), (1, 1), (3, 1), (4, 0))
    assert apex[1] == pytest.approx(1.5)
    assert abs(signed_area(np.array([(0, 0), apex, (4, 0)]))) == pytest.approx(3)
    assert cost > 0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 6.28)), min_size=5, max_size=30))
def test_simplifying_keeps_the_area(polar) -> None:
    polar = sorted(polar, key=lambda p: p[1])
    ring = np.array([(50 + r * np.cos(a), 50 + r * np.sin(a)) for r, a in polar])
    found = Collapses(ring)
    for count in found.counts:
        assert len(found.ring(count)) == count
        assert signed_area(found.ring(count)) == pytest.approx(
            signed_area(ring), abs=1e-6 * max(1, abs(signed_area(ring))) + 1e-3
        )


def test_a_staircase_becomes_its_middle_line() -> None:
    steps = [point for k in range(20) for point in ((k, k), (k + 1, k))]
    ring = np.array([*steps, (20, 20), (0, 20)], float)
    triangle = Collapses(ring).ring(4)
    ideal = polygons_to_mask([ring], (20, 20))
    assert float(iou_mask(polygons_to_mask([triangle], (20, 20)), ideal)) > 0.93


def test_polygon_worked_example() -> None:
    square = np.zeros(SIZE, bool)
    square[20:40, 10:60] = True
    text = "<poly>100,200 600,200 600,400 100,400</poly>"
    assert PolygonText().encode(square) == text
    (region,) = PolygonText().decode(text, SIZE)
    assert region.polygons == (((10, 20), (60, 20), (60, 40), (10, 40)),)
    assert PolygonBox().encode(square) == "<poly>100,200,600,400:00z0zz0z</poly>"
    (region,) = PolygonBox().decode("<poly>100,200,600,400:00z0zz0z</poly>", SIZE)
    assert region.polygons == (((10, 20), (60, 20), (60, 40), (10, 40)),)
    assert region.hbb == (10, 20, 60, 40)
    assert PolygonBox(base=10, digits=2).encode(square) == "<poly>100,200,600,400:0000990099990099</poly>"


CODECS = [
    PolygonText(),
    PolygonText(40),
    PolygonBox(),
    PolygonBox(base=4),
    PolygonBox(refine=1),
    PointSet("polygon"),
    PointSet("polygon", resolution=10),
]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@settings(max_examples=25, deadline=None)
@given(mask=masks)
def test_no_object_is_ever_lost(codec, mask) -> None:
    text = codec.encode(mask)
    assert codec.grammar(mask.shape).matches(text)
    reading = codec.read(text, mask.shape)
    assert set(reading.codes) <= {"degenerate"}
    (region,) = reading.regions
    assert (mask_of(region, mask.shape) & mask).any() or mask_of(Region(hbb=region.hbb), mask.shape).any()


@pytest.mark.parametrize("place", [(0.2, 0.2), (37.9, 12.0), (99.7, 99.7), (-3.0, 50.0)])
def test_an_object_thinner_than_a_pixel_keeps_a_polygon(place) -> None:
    x, y = place
    for codec in CODECS:
        (region,) = codec.decode(codec.encode(Region(hbb=(x, y, x + 0.2, y + 30)), SIZE), SIZE)
        assert region.polygons


@pytest.mark.parametrize("codec", [PolygonText(target=0.9), PolygonBox(target=0.9)])
def test_the_target_is_reached_and_not_overpaid(codec) -> None:
    mask = disc((400, 400), 200, 150, 60)
    text = codec.encode(mask)
    assert float(iou_mask(mask_of(codec.decode(text, (400, 400))[0], (400, 400)), mask)) >= 0.9
    finer = type(codec)(target=0.99).encode(mask)
    assert len(finer) > len(text)


def test_refining_raises_the_iou_at_the_same_length() -> None:
    mask = disc((300, 300), 140, 150, 33) | disc((300, 300), 170, 160, 25)

    def value(codec) -> tuple[float, int]:
        text = codec.encode(mask)
        return float(iou_mask(mask_of(codec.decode(text, (300, 300))[0], (300, 300)), mask)), len(text)

    plain, refined = value(PolygonBox(target=0.92)), value(PolygonBox(target=0.92, refine=2))
    assert refined[0] > plain[0]
    assert refined[1] == plain[1]


def test_parts_and_objects_stay_apart() -> None:
    first, second = disc(SIZE, 20, 20, 8) | disc(SIZE, 50, 20, 8), disc(SIZE, 70, 70, 10)
    for codec in (PolygonText(), PolygonBox(), PointSet("polygon")):
        text = codec.write([Region(rle=mask_to_rle(first)), Region(rle=mask_to_rle(second))], SIZE)
        regions = codec.decode(text, SIZE)
        assert [len(region.polygons) for region in regions] == [2, 1]
        assert float(iou_mask(mask_of(regions[0], SIZE), first)) > 0.85


def test_a_big_hole_is_bridged_and_a_small_one_filled() -> None:
    ring, speck = disc(SIZE, 50, 50, 40) & ~disc(SIZE, 50, 50, 25), disc(SIZE, 50, 50, 40)
    speck[50, 50] = False
    for mask, least in ((ring, 0.85), (speck, 0.9)):
        (region,) = PolygonText().decode(PolygonText().encode(mask), SIZE)
        drawn = mask_of(region, SIZE)
        assert float(iou_mask(drawn, mask)) > least
        assert drawn[50, 50] == (mask is speck)
    (filled,) = PolygonText(holes="fill").decode(PolygonText(holes="fill").encode(ring), SIZE)
    assert mask_of(filled, SIZE)[50, 50]


@pytest.mark.parametrize(
    ("text", "rings", "codes"),
    [
        ("<poly></poly>", 0, ()),
        ("<poly>1,2 30,4 30,40</poly>", 1, ()),
        ("<poly>1,2 30,4 30,40 1,2</poly>", 1, ()),
        ("<poly>[[1,2],[30,4],[30,40]]</poly>", 1, ()),
        ("<poly>[[1,2,30,4,30,40],[100,100,200,100,200,200]]</poly>", 2, ()),
        ("<poly>(1,2) (30,4) (30,40)</poly>", 1, ()),
        ("1,2 30,4 30,40", 1, ("missing-tag",)),
        ("<poly>1,2 30,4 30,40", 1, ("truncated",)),
        ("<poly>1,2 30,4 30,40 7</poly>", 1, ("too-few-numbers",)),
        ("<poly>1,2 30,4</poly>", 0, ("degenerate",)),
        ("<poly>1,2 1,2 1,2</poly>", 0, ("degenerate",)),
        ("<poly>1,1 2,2 3,3</poly>", 0, ("degenerate",)),
        ("<poly>1,2 3000,4 30,40</poly>", 1, ("out-of-range",)),
        ("<poly>1,2 nan,4 30,40 5,6</poly>", 1, ("bad-number", "too-few-numbers")),
        ("<poly>", 0, ("truncated",)),
    ],
)
def test_broken_polygons(text: str, rings: int, codes: tuple[str, ...]) -> None:
    reading = PolygonText().read(text, (1000, 1000))
    assert reading.codes == codes
    assert sum(len(region.polygons) for region in reading.regions) == rings
    assert reading.parsed == (rings > 0 or text == "<poly></poly>")


@pytest.mark.parametrize(
    ("text", "rings", "codes"),
    [
        ("<poly>100,200,600,400:00z0zz0z</poly>", 1, ()),
        ("<poly>100,200,600,400: 00 z0 zz 0z </poly>", 1, ()),
        ("<poly>100,200,600,400:00z0zz;0z0000</poly>", 1, ("degenerate",)),
        ("<poly>100,200,600,400:00z0zz0</poly>", 1, ("too-few-numbers",)),
        ("<poly>100,200,600,400:00z0zz!0</poly>", 1, ("bad-number",)),
        ("<poly>100,200,600,400</poly>", 0, ("truncated",)),
        ("<poly>100,200,600,400:</poly>", 0, ("degenerate",)),
    ],
)
def test_broken_polygons_in_boxes_keep_their_box(text: str, rings: int, codes: tuple[str, ...]) -> None:
    reading = PolygonBox().read(text, SIZE)
    assert reading.codes == codes
    assert [region.hbb for region in reading.regions] == [(10, 20, 60, 40)]
    assert len(reading.regions[0].polygons or ()) == rings


def test_wrong_options_are_named() -> None:
    for wrong in ({"target": 0.0}, {"max_vertices": 3}, {"holes": "cut"}, {"resolution": 0}):
        with pytest.raises(ShapeError, match=r"polygons need|resolution"):
            PolygonText(**wrong)
    with pytest.raises(ShapeError, match="PolygonBox"):
        PolygonBox(base=63)
    with pytest.raises(ShapeError, match="form must be"):
        PointSet("quad")


def test_the_papers_point_set() -> None:
    text = "{(100, 100), (100, 200), (200, 200), (200, 100)}"
    (region,) = PointSet().decode(text, (1000, 1000))
    assert region.quad == ((100, 100), (200, 100), (200, 200), (100, 200))  # clockwise from its best begin point
    assert PointSet().write([region], (1000, 1000)) == "{(100, 100), (200, 100), (200, 200), (100, 200)}"


@pytest.mark.parametrize(
    ("form", "text", "found", "codes"),
    [
        ("rbb", "{}", 0, ()),
        ("rbb", "[(1, 1), (9, 1), (9, 9), (1, 9)]", 1, ()),
        ("rbb", "(1, 1), (9, 1), (9, 9), (1, 9)", 1, ()),
        ("rbb", "{(1, 1), (9, 1), (9, 9)}", 0, ("too-few-numbers",)),
        ("rbb", "{(1, 1), (9, 1), (9, 9), (1, 9), (1, 1)}", 1, ()),
        ("rbb", "{(1, 1), (9, 1), (9, 9), (1, 9), (4, 4)}", 1, ("too-many-numbers",)),
        ("rbb", "{(1, 1), (9, 1), (9, 9), (1, 9", 1, ("truncated",)),
        ("hbb-points", "{(1, 1), (9, 9)} {(5, 5)}", 1, ()),
        ("hbb-points", "{(1, 1), (9, 9)}", 1, ("truncated",)),
        ("polygon", "{(1, 1), (9, 1), (9, 9), (1, 1)}\n{(11, 11), (19, 11), (19, 19)}", 2, ()),
        ("polygon", "{(1, 1), (9, 1), (1, 1)}", 0, ("degenerate",)),
    ],
)
def test_point_sets_whole_and_broken(form, text: str, found: int, codes: tuple[str, ...]) -> None:
    reading = PointSet(form).read(text, SIZE)
    assert len(reading.regions) == found
    assert reading.codes == codes


@settings(max_examples=50, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_distances_equal_scipys(mask) -> None:
    expected = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    np.testing.assert_allclose(distance_inside(mask), expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(mask=masks, count=st.integers(1, 5))
def test_key_points_are_inside_and_apart(mask, count) -> None:
    points = key_points(mask, count)
    assert 1 <= len(points) <= count
    for x, y in points:
        assert mask[int(y), int(x)]
    assert len({tuple(point) for point in points.tolist()}) == len(points)


def test_the_first_key_point_is_the_deepest_and_each_part_gets_one() -> None:
    mask = disc((200, 200), 60, 60, 30) | disc((200, 200), 150, 150, 12)
    points = key_points(mask, 3)
    assert np.hypot(*(points[0] - (60, 60))) < 2
    assert np.hypot(*(points[1] - (150, 150))) < 2
    assert points[2][0] < 100


def test_key_points_that_rounding_would_move_out_are_not_chosen() -> None:
    mask = np.zeros((300, 300), bool)
    mask[:, 151:153] = True
    codec = PointSet("hbb-points", resolution=100)
    (region,) = codec.decode(codec.encode(mask), (300, 300))
    steps_inside = [x for x in range(0, 303, 3) if 151 <= x < 153]
    assert all(mask[min(int(y), 299), int(x)] for x, y in region.points) == bool(steps_inside)


def test_on_real_outlines_a_few_characters_are_enough(shared_data) -> None:
    annotations = json.loads((shared_data / "isaid_mini" / "instances.json").read_text())["annotations"][::40]
    scores, lengths = [], []
    for annotation in annotations:
        rle = rle_from_coco(annotation["segmentation"])
        text = PolygonBox().encode(Region(rle=rle))
        drawn = mask_of(PolygonBox().decode(text, rle.size)[0], rle.size)
        scores.append(float(iou_mask(drawn, rle_to_mask(rle))))
        lengths.append(len(text))
    assert min(scores) > 0.5
    assert np.mean(scores) > 0.94
    assert np.mean(lengths) < 60
