"""Text-Mask, Text4Seg, BoxMask: worked grids, laws of pooling, and broken grids read for what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rsground.codecs import BoxMask, Text4Seg, TextMask
from rsground.codecs.grids import DOWNSAMPLES, downsample, upsample
from rsground.errors import ShapeError
from rsground.geometry import mask_to_rle, rle_to_mask
from rsground.types import Region

GRID = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
TEXT = "<seg>0 *4\n 0 *1| 1 *2| 0 *1\n 0 *4\n 0 *4\n</seg>"
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=70))


def plain_cells(mask: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Set pixels and all pixels per cell, pixel by pixel: the oracle."""
    hits, area = np.zeros((n, n)), np.zeros((n, n))
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            cell = y * n // mask.shape[0], x * n // mask.shape[1]
            hits[cell] += mask[y, x]
            area[cell] += 1
    return hits, area


def test_worked_example() -> None:
    assert TextMask(4).encode(GRID) == TEXT
    np.testing.assert_array_equal(TextMask(4).decode(TEXT, (4, 4)), GRID)
    np.testing.assert_array_equal(TextMask(4).decode(TEXT, (8, 12)), GRID.repeat(2, 0).repeat(3, 1))


def test_text4seg_worked_example() -> None:
    codec = Text4Seg(4, labels=("others", "ship"))
    text = "<seg>others *4\n others *1| ship *2| others *1\n others *4\n others *4\n</seg>"
    assert codec.encode(GRID) == text
    reading = codec.read(text, (4, 4))
    assert reading.regions[0].label == "ship"
    np.testing.assert_array_equal(rle_to_mask(reading.regions[0].rle), GRID)


def test_raw_form_worked_example() -> None:
    text = "<seg>0, 0, 0, 0; 0, 1, 1, 0; 0, 0, 0, 0; 0, 0, 0, 0</seg>"
    codec = TextMask(4, form="raw")
    assert codec.encode(GRID) == text
    np.testing.assert_array_equal(TextMask(4).decode(text, (4, 4)), GRID)
    np.testing.assert_array_equal(codec.decode(text.replace(", ", " ").replace("; ", ";\n"), (4, 4)), GRID)


@settings(max_examples=40, deadline=None)
@given(mask=masks, n=st.sampled_from([2, 5, 16, 33]))
def test_pooling_equals_the_pixel_by_pixel_partition(mask, n) -> None:
    hits, area = plain_cells(mask, n)
    seen = area > 0
    np.testing.assert_array_equal(downsample(mask, (n, n), "max")[seen], (hits > 0)[seen])
    covered = downsample(mask, (n, n), "coverage", 0.4)
    expected = (hits / np.maximum(area, 1) >= 0.4)[seen]
    if expected.any():
        np.testing.assert_array_equal(covered[seen], expected)
    assert covered.any() == mask.any()


@settings(max_examples=40, deadline=None)
@given(mask=masks, n=st.integers(2, 40))
def test_max_pooling_never_loses_a_pixel_and_decoding_undoes_the_partition(mask, n) -> None:
    codec = TextMask(n)
    back = codec.decode(codec.encode(mask), mask.shape)
    assert not (mask & ~back).any()
    again = codec.decode(codec.encode(back), mask.shape)
    np.testing.assert_array_equal(again, back)


@pytest.mark.parametrize("mode", DOWNSAMPLES)
@given(cells=arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 9))), up=st.integers(1, 6))
def test_a_mask_made_of_whole_cells_comes_back_exactly(mode, cells, up) -> None:
    grid = cells.shape
    mask = upsample(cells, (grid[0] * up, grid[1] * up))
    np.testing.assert_array_equal(downsample(mask, grid, mode), cells)


def test_a_huge_mask_does_not_overflow_its_counts() -> None:
    mask = np.ones((700, 900), bool)
    assert downsample(mask, (2, 2), "coverage", 1.0).all()
    assert downsample(mask, (3, 3), "coverage", 1.0).all()


def test_nearest_takes_the_centre_of_the_cell() -> None:
    mask = np.zeros((8, 8), bool)
    mask[2, 2] = mask[4, 4] = True
    assert downsample(mask, (2, 2), "nearest").tolist() == [[True, False], [False, False]]


def rows(*lines: str) -> str:
    return "<seg>" + "\n ".join(lines) + "\n</seg>"


FULL = np.ones((4, 4), bool)
CASES = {
    "all background": (rows(*["0 *4"] * 4), ~FULL, ()),
    "all object: never inverted": (rows(*["1 *4"] * 4), FULL, ()),
    "first label is the object": (
        rows("1 *1| 0 *3", "0 *4", "0 *4", "0 *4"),
        np.eye(4, dtype=bool) & (np.arange(4) == 0),
        (),
    ),
    "only a phrase, no others": (rows(*["ship *4"] * 4), FULL, ()),
    "Others in capitals": (rows(*["Others *4"] * 4), ~FULL, ()),
    "background by name": (rows(*["background *4"] * 4), ~FULL, ()),
    "cut inside a run": ("<seg>0 *4\n 0 *1| 1 *", ~FULL, ("truncated", "bad-run", "row-width", "row-count")),
    "cut after a run": ("<seg>0 *4\n 0 *1| 1 *2", GRID, ("truncated", "row-width", "row-count")),
    "short row does not shift the next": (
        rows("0 *2", "0 *1| 1 *2| 0 *1", "0 *4", "0 *4"),
        GRID,
        ("row-width",),
    ),
    "long row is cut": (rows("0 *9", "0 *1| 1 *2| 0 *1", "0 *4", "0 *4"), GRID, ("row-width",)),
    "missing row": (rows("0 *4", "0 *1| 1 *2| 0 *1", "0 *4"), GRID, ("row-count",)),
    "extra row": (rows("0 *4", "0 *1| 1 *2| 0 *1", "0 *4", "0 *4", "1 *4"), GRID, ("row-count",)),
    "rows run together": (rows("0 *4| 0 *1| 1 *2| 0 *1| 0 *4| 0 *4"), GRID, ("row-count",)),
    "no blank after newline": (TEXT.replace("\n ", "\n"), GRID, ()),
    "windows newlines": (TEXT.replace("\n", "\r\n"), GRID, ()),
    "no blanks at all": (TEXT.replace(" ", ""), GRID, ()),
    "semicolons for newlines": (TEXT.replace("\n ", "; "), GRID, ()),
    "no closing tag": (TEXT.removesuffix("</seg>"), GRID, ("truncated",)),
    "no opening tag": (TEXT.removeprefix("<seg>"), GRID, ("missing-tag",)),
    "prose around": ("Sure! " + TEXT + " Anything else?", GRID, ()),
    "negative count": (rows("0 *-4", "0 *1| 1 *2| 0 *1", "0 *4", "0 *4"), GRID, ("bad-run", "row-width")),
    "absurd count": (rows("0 *" + "9" * 400, "0 *1| 1 *2| 0 *1", "0 *4", "0 *4"), GRID, ("bad-run", "row-width")),
    "huge count": (rows("0 *99999999", "0 *1| 1 *2| 0 *1", "0 *4", "0 *4"), GRID, ("row-width",)),
    "another number as label": (rows("0 *4", "0 *1| 7 *2| 0 *1", "0 *4", "0 *4"), GRID, ("unknown-label",)),
    "label with an asterisk": (rows("0 *4", "0 *1| a *b *2| 0 *1", "0 *4", "0 *4"), GRID, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_broken_grids(case: str) -> None:
    text, expected, codes = CASES[case]
    reading = TextMask(4).read(text, (4, 4))
    assert reading.codes == codes
    np.testing.assert_array_equal(TextMask(4).decode(text, (4, 4)), expected)
    assert bool(reading.regions) == expected.any()
    assert reading.parsed


def test_a_consistent_grid_of_another_size_is_read_at_its_own() -> None:
    text = TextMask(4).encode(GRID)
    reading = TextMask(32).read(text, (8, 8))
    assert reading.codes == ("other-format",)
    np.testing.assert_array_equal(rle_to_mask(reading.regions[0].rle), upsample(GRID, (8, 8)))


@pytest.mark.parametrize("text", ["", "<seg></seg>", "<seg>| | |</seg>", "no mask", "<seg>* *</seg>"])
def test_no_cell_at_all_does_not_parse(text: str) -> None:
    reading = TextMask(4).read(text, (4, 4))
    assert not reading.parsed
    assert reading.issues
    assert not TextMask(4).decode(text, (4, 4)).any()


@pytest.mark.parametrize(
    "options",
    [{"resolution": 1}, {"resolution": 400}, {"downsample": "mean"}, {"threshold": 0.0}, {"labels": ("0", "a|b")}],
)
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(ShapeError, match="TextMask"):
        TextMask(**options)


def test_an_integer_array_is_no_mask() -> None:
    with pytest.raises(ShapeError, match="bool"):
        TextMask(4).encode(np.zeros((4, 4), np.uint8), (4, 4))


@settings(max_examples=40, deadline=None)
@given(mask=masks.filter(lambda mask: bool(mask.any())), n=st.integers(2, 20))
def test_box_mask_keeps_every_object_within_its_box(mask, n) -> None:
    codec = BoxMask(n)
    (region,) = codec.read(codec.encode(mask), mask.shape).regions
    back = rle_to_mask(region.rle)
    assert back.any()
    ys, xs = np.nonzero(back)
    x1, y1, x2, y2 = region.hbb
    assert x1 - 1 <= xs.min()
    assert xs.max() <= x2 + 1
    assert y1 - 1 <= ys.min()
    assert ys.max() <= y2 + 1


def test_box_mask_worked_example() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:24, 50:54] = True
    mask[20:22, 50:52] = False
    text = BoxMask(2).encode(mask)
    assert text == "<box>[[500,200,540,240]]</box><seg>0 *1| 1 *1\n 1 *2\n</seg>"
    (region,) = BoxMask(2).decode(text, (100, 100))
    np.testing.assert_array_equal(rle_to_mask(region.rle), mask)


def test_box_mask_of_two_objects_and_a_missing_grid() -> None:
    first, second = np.zeros((2, 60, 80), bool)
    first[5:15, 5:15] = second[30:50, 40:70] = True
    text = BoxMask(4).write([Region(rle=mask_to_rle(first)), Region(rle=mask_to_rle(second))], (60, 80))
    whole = BoxMask(4).read(text, (60, 80))
    assert [rle_to_mask(region.rle).sum() for region in whole.regions] == [100, 600]
    cut = BoxMask(4).read(text[: text.rindex("<seg>")], (60, 80))
    assert cut.codes == ("truncated",)
    assert cut.regions[1].rle is None
    assert cut.regions[1].hbb == whole.regions[1].hbb
