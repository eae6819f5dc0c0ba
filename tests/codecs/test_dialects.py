"""Other models' box formats: strings checked by hand, scale and rounding of each, and telling formats apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.codecs import TextBox, TextMask, read_any, sniff
from rsground.codecs import dialects as d
from rsground.geometry import iou_quad, obb_to_quad
from rsground.types import Region

SIZE = (480, 640)
SHIP = Region(hbb=(64.0, 48.0, 321.0, 240.0), label="ship")
WORDED = {
    d.VRSBench(): "{<10><10><50><50>}",
    d.GeoChat(): "<p>ship</p> {<10><10><50><50>|<0>}",
    d.VRSBenchOBB(): "{<30><30><40><40>|<0>}",
    d.Kosmos2(): "<phrase>ship</phrase><object><patch_index_0099><patch_index_0496></object>",
    d.Florence2(): "ship<loc_100><loc_100><loc_501><loc_500>",
    d.QwenVL(): "<ref>ship</ref><box>(99,99),(501,499)</box>",
    d.Qwen2VL(): "<|object_ref_start|>ship<|object_ref_end|><|box_start|>(100,100),(502,500)<|box_end|>",
    d.Qwen25VL(): '[{"bbox_2d": [64, 48, 321, 240], "label": "ship"}]',
    d.Qwen3VL(): '[{"bbox_2d": [100, 100, 502, 500], "label": "ship"}]',
    d.InternVL(): "<ref>ship</ref><box>[[100, 100, 502, 500]]</box>",
    d.LLaVA(): "[0.10, 0.20, 0.50, 0.50]",
    d.Shikra(): "[0.100,0.100,0.502,0.500]",
    d.DeepSeekVL2(): "<|ref|>ship<|/ref|><|det|>[[100, 100, 501, 500]]<|/det|>",
}


@pytest.mark.parametrize("codec", WORDED, ids=lambda codec: codec.name)
def test_wording_scale_and_rounding(codec) -> None:
    assert codec.write([SHIP], SIZE) == WORDED[codec]
    reading = codec.read(f"Sure: {WORDED[codec]}.", SIZE)
    assert reading.issues == ()
    assert len(reading.regions) == 1
    assert codec.name in sniff(f"Sure: {WORDED[codec]}.", SIZE)


def test_kosmos_cells_by_hand() -> None:
    # 640 x 480 in 32 x 32 cells of 20 x 15: x 64..321 lies in columns 3..16, y 48..240 in rows 3..15.
    assert divmod(99, 32) == (3, 3)
    assert divmod(496, 32) == (15, 16)
    (region,) = d.Kosmos2().decode(WORDED[d.Kosmos2()], SIZE)
    assert region.hbb == (3.5 * 20, 3.5 * 15, 16.5 * 20, 15.5 * 15)  # centres of the two cells
    (flat,) = d.Kosmos2().decode("<object><patch_index_0099><patch_index_0101></object>", SIZE)
    assert flat.hbb == (3 * 20, 3 * 15, 6 * 20, 4 * 15)  # one row: outer edges


def test_kosmos_several_boxes_of_a_phrase() -> None:
    text = d.Kosmos2().write([SHIP, SHIP], SIZE)
    assert text.count("<phrase>") == 1
    assert text.count("</delimiter_of_multi_objects/>") == 1
    assert [region.label for region in d.Kosmos2().decode(text, SIZE)] == ["ship", "ship"]


def test_florence_reads_the_middle_of_its_bins() -> None:
    (region,) = d.Florence2().decode("ship<loc_100><loc_100><loc_501><loc_999>", (1000, 2000))
    assert region.hbb == pytest.approx((201.0, 100.5, 1003.0, 999.5))


def test_qwen25_counts_pixels_of_its_resized_input() -> None:
    codec = d.Qwen25VL(input_size=(28, 56))
    assert codec.write([Region(hbb=(0, 0, 320, 240))], SIZE) == '[{"bbox_2d": [0, 0, 28, 14]}]'
    (region,) = codec.decode('```json\n[\n\t{"bbox_2d": [0, 0, 28, 14], "label": "a pier"}\n]\n```', SIZE)
    assert region.hbb == (0, 0, 320, 240)
    assert region.label == "a pier"


def test_llava_refers_to_the_padded_square() -> None:
    (region,) = d.LLaVA().decode("[0.25, 0.10, 0.75, 0.50]", (100, 200))
    assert region.hbb == pytest.approx((50, 0, 150, 50))  # rows 0..50 of the square are padding above the image
    (plain,) = d.LLaVA(square=False).decode("[0.25, 0.10, 0.75, 0.50]", (100, 200))
    assert plain.hbb == pytest.approx((50, 10, 150, 50))


def test_geochat_turns_the_box_about_its_centre() -> None:
    (region,) = d.GeoChat().decode("{<40><45><60><55>|<30>}", (100, 100))
    expected = obb_to_quad(np.array([50, 50, 20, 10, math.radians(30)]))
    assert float(iou_quad(np.array(region.quad), expected).squeeze()) == pytest.approx(1)
    (mirrored,) = d.GeoChat(clockwise=False).decode("{<40><45><60><55>|<30>}", (100, 100))
    assert float(iou_quad(np.array(mirrored.quad), expected).squeeze()) < 0.7


def test_geochat_without_angle_and_with_two_phrases() -> None:
    reading = d.GeoChat().read("{<40><45><60><55>}", (100, 100))
    assert reading.codes == ("too-few-numbers",)
    assert len(reading.regions) == 1
    text = "<p>a ship</p> {<1><2><30><40>|<5>}<delim>{<5><6><70><80>|<-5>} and <p>a pier</p> {<1><2><3><4>|<0>}"
    assert [region.label for region in d.GeoChat().decode(text, (100, 100))] == ["a ship", "a ship", "a pier"]


def test_vrsbench_angle_is_counter_clockwise() -> None:
    quad = obb_to_quad(np.array([50.2, 50.2, 40, 10, math.radians(20)]))  # 20 degrees clockwise on screen
    assert d.VRSBenchOBB().encode(quad, (100, 100)) == "{<50><50><40><10>|<-20>}"


@given(st.floats(1, 44), st.floats(20, 50), st.floats(5, 15))
def test_vrsbench_corners_come_back_where_they_are_opposite(degrees, w, h) -> None:
    quad = obb_to_quad(np.array([50, 50, w, h, math.radians(degrees)])) * 10
    codec = d.VRSBenchCorners(rounding="round")
    nearest, furthest = (int(f) for f in np.argsort((quad**2).sum(axis=1))[[0, 3]])
    (region,) = codec.decode(codec.encode(quad, (1000, 1000)), (1000, 1000))
    if (furthest - nearest) % 4 == 2:
        assert float(iou_quad(np.array(region.quad), quad).squeeze()) > 0.6


def test_labels_are_made_safe() -> None:
    region = Region(hbb=(0, 0, 10, 10), label='a <b>"bold"</b>\n{ship} \ud800|')
    for codec in WORDED:
        text = codec.write([region], SIZE)
        text.encode()
        assert codec.grammar(SIZE).matches(text)
        assert len(codec.decode(text, SIZE)) == 1


@pytest.mark.parametrize("codec", WORDED, ids=lambda codec: codec.name)
def test_nothing_there_round_trips(codec) -> None:
    reading = codec.read(codec.write([], SIZE), SIZE)
    assert reading.parsed
    assert reading.regions == ()
    assert reading.issues == ()


def test_a_wrong_format_is_named() -> None:
    reading = read_any("The ship: {<12><30><40><50>|<-12>}", SIZE, asked=TextBox())
    assert reading.dialect == "geochat"
    assert reading.codes[0] == "other-format"
    assert reading.regions[0].quad is not None


def test_the_format_asked_for_comes_first() -> None:
    text = "<box>[[100, 100, 502, 500]]</box>"
    assert read_any(text, SIZE, asked=TextBox()).dialect == "text-hbb"
    assert read_any(text, SIZE, asked=d.InternVL()).dialect == "internvl"
    assert set(sniff(text)) == {"internvl", "text-hbb"}


def test_a_grid_is_told_from_boxes() -> None:
    text = TextMask(4).encode(np.eye(4, dtype=bool))
    assert sniff(text)[0] == "text-mask"
    assert read_any(text, SIZE, asked=TextBox()).dialect == "text-mask"


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("[0.1, 0.2, 0.5, 0.5] or so 3", (64, 96, 320, 240)),
        ("it is at 100 200 500 500", (64, 96, 320, 240)),
        ("it is at 100 200 500 1100", (100, 200, 500, 480)),
    ],
)
def test_scale_is_guessed_only_when_asked_to(text: str, box: tuple[float, ...]) -> None:
    strict = read_any(text, SIZE, formats=[])
    assert not strict.parsed
    guessed = read_any(text, SIZE, formats=[], scale="auto")
    assert guessed.regions[0].hbb == pytest.approx(box)
    assert guessed.codes[-1] == "other-format"


@pytest.mark.parametrize("text", ["", " ", "hello", "\ud800", "[" * 1000])
def test_sniffing_nothing(text: str) -> None:
    assert sniff(text) == ()
    reading = read_any(text, SIZE, scale="auto")
    assert not reading.parsed
    assert reading.issues
