"""Eq. 2 and 3 on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsground_magcrop.compose import Box, compressed, kept_pixels, resized, stitched

Pixels = NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("resample", ["bilinear", "box", "bicubic", "nearest"])
@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 1), (3, 200)])
def test_compression_keeps_the_size_and_a_flat_image(size: tuple[int, int], resample: str) -> None:
    flat = np.full((*size, 3), 77, np.uint8)
    np.testing.assert_array_equal(compressed(flat, 4, resample), flat)  # type: ignore[arg-type]
    assert compressed(noise(*size), 4, resample).shape == (*size, 3)  # type: ignore[arg-type]


def test_box_compression_by_four_is_block_means() -> None:
    image = noise(32, 48)
    small = resized(image, (8, 12), "box")
    means = image.reshape(8, 4, 12, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1.0


def test_compression_takes_the_detail_away() -> None:
    image = noise(128, 128)
    assert compressed(image, 4).std() < 0.4 * image.std()


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
    one = stitched(image, [outer], 4)
    np.testing.assert_array_equal(one[y1:y2, x1:x2], image[y1:y2, x1:x2])
    outside = np.ones(image.shape[:2], bool)
    outside[y1:y2, x1:x2] = False
    np.testing.assert_array_equal(one[outside], compressed(image, 4)[outside])

    two = stitched(image, [outer, inner], 4, twice)  # type: ignore[arg-type]
    a1, b1, a2, b2 = inner
    np.testing.assert_array_equal(two[b1:b2, a1:a2], image[b1:b2, a1:a2])
    background = compressed(image, 16) if twice == "compound" else compressed(compressed(image, 4), 4)
    np.testing.assert_array_equal(two[outside], background[outside])
    between = ~outside
    between[b1:b2, a1:a2] = False
    middle = np.zeros_like(image)
    middle[y1:y2, x1:x2] = compressed(image[y1:y2, x1:x2], 4)
    np.testing.assert_array_equal(two[between], middle[between])


def test_the_image_itself_is_not_touched() -> None:
    image = noise(20, 20)
    before = image.copy()
    image.flags.writeable = False
    stitched(image, [(2, 2, 9, 9), (3, 3, 6, 6)])
    np.testing.assert_array_equal(image, before)


def test_kept_pixels_by_hand() -> None:
    assert kept_pixels((100, 100), [(0, 0, 20, 30)], 4) == pytest.approx(600 + 9400 / 16)
    two = [(0, 0, 20, 30), (5, 5, 15, 15)]
    assert kept_pixels((100, 100), two, 4) == pytest.approx(100 + 500 / 16 + 9400 / 16)
    assert kept_pixels((100, 100), two, 4, "compound") == pytest.approx(100 + 500 / 16 + 9400 / 256)
    assert kept_pixels((100, 100), two, 1) == pytest.approx(10_000)


def test_averaging_blocks_before_the_filter_moves_nothing() -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 700), np.linspace(255, 0, 430))
    ramps = np.stack([across, down, (across + down) / 2], axis=-1).astype(np.uint8)
    whole, fast = resized(ramps, (101, 166)), resized(ramps, (101, 166), gap=1.5)
    assert fast.shape == (101, 166, 3)
    assert np.abs(whole.astype(int) - fast).max() <= 1
    noise = np.random.default_rng(3).integers(0, 256, (430, 700, 3), np.uint8)
    assert (resized(noise, (101, 166)) != resized(noise, (101, 166), gap=1.5)).any()
    np.testing.assert_array_equal(resized(noise, (101, 166), "nearest"), resized(noise, (101, 166), "nearest", gap=1.5))
