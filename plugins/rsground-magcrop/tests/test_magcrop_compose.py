"""Eq. 2 and 3 on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsground_magcrop.compose import Box, Compression, compressed, kept_pixels, resized, stitched

Pixels = NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("resample", ["bilinear", "box", "bicubic", "nearest"])
@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 1), (3, 200)])
def test_compression_keeps_the_size_and_a_flat_image(size: tuple[int, int], resample: str) -> None:
    flat = np.full((*size, 3), 77, np.uint8)
    how = Compression(resample=resample)  # type: ignore[arg-type]
    np.testing.assert_array_equal(compressed(flat, how), flat)
    assert compressed(noise(*size), how).shape == (*size, 3)


def test_box_compression_by_four_is_block_means() -> None:
    image = noise(32, 48)
    small = resized(image, (8, 12), "box")
    means = image.reshape(8, 4, 12, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1.0


def test_compression_takes_the_detail_away() -> None:
    image = noise(128, 128)
    assert compressed(image).std() < 0.4 * image.std()


@st.composite
def nested(draw: st.DrawFn) -> tuple[Pixels, Box, Box]:
    height, width = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    x1, y1 = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
    x2, y2 = draw(st.integers(x1 + 3, width)), draw(st.integers(y1 + 3, height))
    inner = (x1 + draw(st.integers(0, 1)), y1 + draw(st.integers(0, 1)), x2 - draw(st.integers(0, 1)), y2 - 1)
    return noise(height, width), (x1, y1, x2, y2), inner


@settings(max_examples=50, deadline=None)
@given(nested(), st.sampled_from(["literal", "compound"]))
def test_each_part_is_what_equation_two_says(case: tuple[Pixels, Box, Box], twice: str) -> None:
    image, outer, inner = case
    x1, y1, x2, y2 = outer
    one = stitched(image, [[outer]])
    np.testing.assert_array_equal(one[y1:y2, x1:x2], image[y1:y2, x1:x2])
    outside = np.ones(image.shape[:2], bool)
    outside[y1:y2, x1:x2] = False
    np.testing.assert_array_equal(one[outside], compressed(image)[outside])

    two = stitched(image, [[outer, inner]], Compression(twice=twice))  # type: ignore[arg-type]
    a1, b1, a2, b2 = inner
    np.testing.assert_array_equal(two[b1:b2, a1:a2], image[b1:b2, a1:a2])
    background = compressed(image, factor=16) if twice == "compound" else compressed(compressed(image))
    np.testing.assert_array_equal(two[outside], background[outside])
    between = ~outside
    between[b1:b2, a1:a2] = False
    middle = np.zeros_like(image)
    middle[y1:y2, x1:x2] = compressed(image[y1:y2, x1:x2])
    np.testing.assert_array_equal(two[between], middle[between])


def test_the_image_itself_is_not_touched() -> None:
    image = noise(20, 20)
    before = image.copy()
    image.flags.writeable = False
    stitched(image, [[(2, 2, 9, 9), (3, 3, 6, 6)]], Compression(seam=2))
    np.testing.assert_array_equal(image, before)


def test_kept_pixels_by_hand() -> None:
    assert kept_pixels((100, 100), [[(0, 0, 20, 30)]]) == pytest.approx(600 + 9400 / 16)
    two = [(0, 0, 20, 30), (5, 5, 15, 15)]
    assert kept_pixels((100, 100), [two]) == pytest.approx(100 + 500 / 16 + 9400 / 16)
    assert kept_pixels((100, 100), [two], Compression(twice="compound")) == pytest.approx(100 + 500 / 16 + 9400 / 256)
    assert kept_pixels((100, 100), [two], Compression(1)) == pytest.approx(10_000)
    apart = [two, [(40, 40, 50, 50)]]
    assert kept_pixels((100, 100), apart) == pytest.approx(100 + 500 / 16 + 100 + 9300 / 16)
    both = Compression(twice="compound")
    assert kept_pixels((100, 100), apart, both) == pytest.approx(100 + 500 / 16 + 100 + 9300 / 256)


def test_places_stand_beside_each_other_each_with_its_own_crops() -> None:
    image = noise(40, 60)
    left, right = [(2, 3, 20, 30), (5, 6, 12, 14)], [(30, 5, 55, 35)]
    both = stitched(image, [left, right])
    np.testing.assert_array_equal(both, stitched(image, [right, left]))
    alone = stitched(image, [left])
    np.testing.assert_array_equal(both[5:35, 30:55], image[5:35, 30:55])
    both[5:35, 30:55] = alone[5:35, 30:55] = 0
    np.testing.assert_array_equal(both, alone)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 6), st.sampled_from(["nearest", "down", "up"]))
def test_sides_are_rounded_as_asked(side: int, factor: int, rounding: str) -> None:
    """A column of that height is reduced by hand to the number of rows the rule says, and enlarged again."""
    column = noise(side, 1, side)
    rows = {"nearest": round(side / factor), "down": side // factor, "up": -(-side // factor)}[rounding]
    by_hand = resized(resized(column, (max(1, rows), 1)), (side, 1))
    found = compressed(column, Compression(factor, rounding=rounding))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, by_hand)


def test_rounding_shows_in_the_picture() -> None:
    image = noise(38, 38)
    down, up = (compressed(image, Compression(rounding=each)) for each in ("down", "up"))  # type: ignore[arg-type]
    assert (down != up).any()


@settings(max_examples=60, deadline=None)
@given(nested(), st.integers(1, 12))
def test_a_seam_lies_between_the_crop_and_what_surrounds_it(case: tuple[Pixels, Box, Box], seam: int) -> None:
    image, box, _ = case
    hard, soft, around = stitched(image, [[box]]), stitched(image, [[box]], Compression(seam=seam)), compressed(image)
    low, high = np.minimum(hard, around), np.maximum(hard, around)
    assert ((soft >= low) & (soft <= high)).all()
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    deep = [min(seam, side // 4) for side in (y2 - y1, x2 - x1)]
    top, bottom = y1 + deep[0] * (y1 > 0), y2 - deep[0] * (y2 < height)
    left, right = x1 + deep[1] * (x1 > 0), x2 - deep[1] * (x2 < width)
    np.testing.assert_array_equal(soft[top:bottom, left:right], image[top:bottom, left:right])


def test_a_seam_by_hand() -> None:
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 4:16] = 240
    how = Compression(factor=16, seam=2)  # the whole image becomes one grey, 180
    around = int(compressed(image, how)[0, 0, 0])
    shown = stitched(image, [[(4, 0, 16, 8)]], how)
    expected = [around] * 4 + [round(around + (240 - around) * share) for share in (1 / 3, 2 / 3)] + [240] * 10
    assert shown[:, :, 0].tolist() == [expected] * 8, "it fades at the left edge alone: the others are the image's"


def test_averaging_blocks_before_the_filter_moves_nothing() -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 700), np.linspace(255, 0, 430))
    ramps = np.stack([across, down, (across + down) / 2], axis=-1).astype(np.uint8)
    whole, fast = resized(ramps, (101, 166)), resized(ramps, (101, 166), gap=1.5)
    assert fast.shape == (101, 166, 3)
    assert np.abs(whole.astype(int) - fast).max() <= 1
    noise = np.random.default_rng(3).integers(0, 256, (430, 700, 3), np.uint8)
    assert (resized(noise, (101, 166)) != resized(noise, (101, 166), gap=1.5)).any()
    np.testing.assert_array_equal(resized(noise, (101, 166), "nearest"), resized(noise, (101, 166), "nearest", gap=1.5))
