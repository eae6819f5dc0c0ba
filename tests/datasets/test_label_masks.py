"""Label images: any mode to the right mask, and instances without dense masks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from rsground.datasets.fields import RecordError
from rsground.datasets.masks import colour_codes, instance_rles, read_labels, read_mask
from rsground.geometry import rle_to_mask

codes = arrays(
    np.int64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2, 7, 70_000])
)


@given(codes=codes)
def test_instances_are_the_pixels_of_their_id(codes):
    found = instance_rles(codes)
    assert [key for key, _, _ in found] == sorted(set(codes.ravel().tolist()) - {0})
    for key, rle, (row, column) in found:
        assert np.array_equal(rle_to_mask(rle), codes == key)
        assert codes[row, column] == key
    assert all(a[0] < b[0] for a, b in pairwise(found))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "I;16"])
def test_any_mode_gives_the_same_mask(tmp_path, mode):
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:7] = True
    gray = Image.fromarray(mask.astype(np.uint8) * 255)
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8), mode="L").convert("P")
        image.putdata(mask.astype(int).ravel().tolist())
    elif mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * 300)
    elif mode in ("RGBA", "LA"):
        image = gray.convert(mode)
        image.putalpha(255)
    else:
        image = gray.convert(mode)
    image.save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", (6, 9)), mask)


def test_an_image_without_any_label_has_no_instances():
    assert instance_rles(np.zeros((3, 4), np.int64)) == []


def test_colours_make_the_devkits_numbers():
    pixels = np.array([[[0, 0, 63], [255, 1, 2]]], np.uint8)
    assert colour_codes(pixels, "x").tolist() == [[4128768, 255 + 256 + 131072]]
    with pytest.raises(RecordError, match="must be an 8-bit RGB image"):
        colour_codes(pixels[..., 0], "x")


def test_missing_damaged_and_other_sizes(tmp_path):
    with pytest.raises(RecordError, match="missing-mask"):
        read_labels(tmp_path / "none.png", None)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n0000")
    with pytest.raises(RecordError, match="bad-mask"):
        read_labels(tmp_path / "bad.png", None)
    Image.new("L", (4, 3)).save(tmp_path / "small.png")
    with pytest.raises(RecordError, match=r"mask-size: small\.png has 4 x 3 pixels, its image 3 x 4"):
        read_labels(tmp_path / "small.png", (4, 3))
    data = (tmp_path / "small.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(RecordError, match="bad-mask"):
        read_labels(tmp_path / "cut.png", None)
