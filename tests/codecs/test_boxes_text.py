"""Text-HBB, Text-OBB: the strings the paper prints, what quantising costs, and what broken answers mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.codecs import TextBox, TextOBB
from rsground.codecs.quantise import quantise, quantise_box
from rsground.codecs.scan import MAX_FOUND
from rsground.errors import ShapeError
from rsground.geometry import iou_hbb, iou_quad, obb_to_quad
from rsground.types import Region

SQUARE = (1000, 1000)


def test_the_papers_boxes() -> None:
    text = "<box>[[155,143,250,238], [906,47,1000,141]]</box>"
    reading = TextBox().read(text, SQUARE)
    assert [region.hbb for region in reading.regions] == [(155, 143, 250, 238), (906, 47, 1000, 141)]
    assert reading.issues == ()
    assert TextBox().write(reading.regions, SQUARE) == text


def test_scaled_to_an_oblong_image() -> None:
    (region,) = TextBox().decode("<box>[[906,47,1000,141]]</box>", (500, 2000))
    assert region.hbb == pytest.approx((1812.0, 23.5, 2000.0, 70.5))


def test_halves_round_up() -> None:
    assert [quantise(value, 1000, 1000) for value in (0.5, 1.5, 2.5, 2.49)] == [1, 2, 3, 2]


def test_truncation_survives_binary_fractions() -> None:
    assert quantise(0.29, 1, 100, "floor") == 29  # 0.29 * 100 is 28.999999999999996


@given(
    st.tuples(st.floats(0, 900), st.floats(0, 700), st.floats(1, 300), st.floats(1, 300)),
    st.sampled_from([100, 1000]),
)
def test_a_round_trip_moves_no_side_by_more_than_half_a_step(box, resolution) -> None:
    height, width = 1000, 1200
    x, y, w, h = box
    given_box = (x, y, x + w, y + h)
    (region,) = TextBox(resolution).decode(
        TextBox(resolution).encode(np.array(given_box), (height, width)), (height, width)
    )
    slack = 1.0 if min(w / width, h / height) * resolution < 1 else 0.5
    for value, back, side in zip(given_box, region.hbb, (width, height) * 2, strict=True):
        assert abs(value - back) <= slack * side / resolution + 1e-6


def test_a_small_object_is_not_lost() -> None:
    tiny = (512.2, 300.1, 512.6, 300.4)
    text = TextBox(100).encode(np.array(tiny), SQUARE)
    assert text == "<box>[[51,30,52,31]]</box>"
    assert TextBox(100, keep_area=False).encode(np.array(tiny), SQUARE) == "<box>[[51,30,51,30]]</box>"
    assert quantise_box((1000, 1000, 1000, 1000), SQUARE, 100) == (99, 99, 100, 100)


def test_rounding_outwards_holds_the_box() -> None:
    assert quantise_box((10.1, 20.0, 30.1, 39.9), (100, 100), 100, "out") == (10, 20, 31, 40)


@pytest.mark.parametrize(
    ("text", "boxes", "codes"),
    [
        ("<box>[]</box>", 0, ()),
        ("<box> [[1, 2, 3, 4]] </box>", 1, ()),
        ("[1,2,3,4]", 1, ("missing-tag",)),
        ("<box>[[1,2],[3,4]]</box>", 1, ()),
        ("<box>(1,2),(3,4)</box>", 1, ()),
        ("<box>1 2 3 4</box>", 1, ()),
        ("<box>[[1.5,2,3e1,4]]</box>", 1, ()),
        ("<box>[[3,4,1,2]]</box>", 1, ("swapped-corners",)),
        ("<box>[[1,2,1,9]]</box>", 1, ("degenerate",)),
        ("<box>[[-5,2,2000,9]]</box>", 1, ("out-of-range",)),
        ("<box>[[1,2,3]]</box>", 0, ("too-few-numbers",)),
        ("<box>[[1,2,3,4,5]]</box>", 1, ("too-many-numbers",)),
        ("<box>[[1,2,nan,4]]</box>", 0, ("bad-number",)),
        ("<box>[[1,2,1e999,4]]</box>", 0, ("bad-number",)),
        ("<box>[[1,2,%s,4]]</box>" % ("9" * 5000), 0, ("bad-number",)),
        ("<box>[[1,2,3,4], [5,6", 1, ("truncated", "truncated")),
        ("<box>[[1,2,3,4], [5,6,7,8", 2, ("truncated",)),
        ("", 0, ("missing-tag", "empty")),
        ("I see a ship.", 0, ("missing-tag",)),
        ("<box>[[१,२,३,४]]</box>", 0, ("missing-tag",)),
    ],
)
def test_broken_boxes(text: str, boxes: int, codes: tuple[str, ...]) -> None:
    reading = TextBox().read(text, SQUARE)
    assert len(reading.regions) == boxes
    assert reading.codes == codes
    assert reading.parsed == (boxes > 0 or text == "<box>[]</box>")


def test_absence_in_words_is_an_answer() -> None:
    reading = TextBox().read("There is no such object in the image.", SQUARE)
    assert reading.parsed
    assert reading.regions == ()


def test_a_long_answer_is_cut_and_says_so() -> None:
    reading = TextBox().read("<box>[" + "[1,2,3,4], " * 40_000 + "]</box>", SQUARE)
    assert reading.codes[0] == "too-long"
    assert len(reading.regions) == MAX_FOUND


def test_what_cannot_be_written_is_said() -> None:
    with pytest.raises(ShapeError, match="nowhere"):
        TextBox().write([Region()], SQUARE)
    with pytest.raises(ShapeError, match="finite"):
        TextBox().write([Region(hbb=(0, 0, math.nan, 1))], SQUARE)
    with pytest.raises(ShapeError, match="size="):
        TextBox().encode(np.array([1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(ShapeError, match="encode takes"):
        TextBox().encode(np.zeros((2, 3)), SQUARE)
    with pytest.raises(ShapeError, match="resolution"):
        TextBox(resolution=1)


def test_the_papers_oriented_box_is_legal_under_oc_only() -> None:
    text = "<obb>[[20,19,2,10,52]]</obb>"
    reading = TextOBB().read(text, SQUARE)
    assert reading.issues == ()
    assert TextOBB().write(reading.regions, SQUARE) == text
    assert TextOBB(convention="le90").write(reading.regions, SQUARE) == "<obb>[[20,19,10,2,-38]]</obb>"
    assert TextOBB(convention="le135").write(reading.regions, SQUARE) == "<obb>[[20,19,10,2,-38]]</obb>"


def test_an_upright_box_has_90_degrees_in_oc() -> None:
    quad = np.array([(100, 200), (300, 200), (300, 240), (100, 240)], float)
    assert TextOBB().encode(quad, SQUARE) == "<obb>[[20,22,4,20,90]]</obb>"


@pytest.mark.parametrize("convention", ["oc", "le90", "le135"])
@given(
    st.tuples(st.floats(300, 700), st.floats(300, 700), st.floats(20, 300), st.floats(20, 300), st.floats(-4, 4)),
)
def test_fine_steps_bring_the_rectangle_back(convention, obb) -> None:
    quad = obb_to_quad(np.array(obb))
    codec = TextOBB(10_000, convention, angle_resolution=100)
    (region,) = codec.decode(codec.encode(quad, SQUARE), SQUARE)
    assert float(iou_quad(np.array(region.quad), quad).squeeze()) > 0.97


@given(st.floats(-4, 4))
def test_in_an_oblong_image_the_unit_square_decides(theta) -> None:
    size = (400, 900)
    unit = obb_to_quad(np.array([0.5, 0.5, 0.4, 0.2, theta]))
    codec = TextOBB(10_000, "le90", angle_resolution=100)
    (region,) = codec.decode(codec.encode(unit * (900, 400), size), size)
    assert float(iou_quad(np.array(region.quad) / (900, 400), unit).squeeze()) > 0.98


def test_an_angle_out_of_range_means_what_it_says() -> None:
    plain, turned = (TextOBB().read(f"<obb>[[50,50,20,10,{angle}]]</obb>", SQUARE) for angle in (30, 210))
    assert turned.codes == ("out-of-range",)
    assert float(iou_hbb(*(np.array(quad_hbb(r.regions[0])) for r in (plain, turned))).squeeze()) == pytest.approx(1)


def quad_hbb(region: Region) -> tuple[float, float, float, float]:
    xs, ys = zip(*region.quad, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
