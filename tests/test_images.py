"""Reading images of every kind into RGB, and what is said about those that cannot be read."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import threading
import warnings
import zlib
from functools import partial
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from PIL import Image

from rsground.errors import ImageError, MissingExtraError, ShapeError
from rsground.images import MAX_PIXELS, image_size, read_image, read_window, save_png
from rsground.types import ImageRef

RAMP = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
RGB = np.stack([RAMP, RAMP[::-1], 255 - RAMP], axis=2)


def ref_of(path):
    return ImageRef(str(path), *image_size(path))


def drawn(height, width, dtype=np.uint8):
    return np.full((height, width, 3), 7, dtype)


def write_tiff(path, bands, **options):
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        shape = {"count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2]}
        with rasterio.open(path, "w", driver="GTiff", dtype=bands.dtype, **shape, **options) as file:
            file.write(bands)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_come_back(tmp_path, mode, suffix):
    path = tmp_path / f"image.{suffix}"
    image = Image.fromarray(RGB)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(RAMP))  # alpha is dropped, also where it is 0
    image.save(path, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    pixels = read_image(ref_of(path))
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(pixels, RGB)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_gray_becomes_three_equal_channels(tmp_path, mode):
    path = tmp_path / "gray.png"
    Image.fromarray(RAMP).convert(mode, dither=Image.Dither.NONE).save(path)
    expected = np.where(RAMP > 127, 255, 0) if mode == "1" else RAMP
    np.testing.assert_array_equal(read_image(ref_of(path)), np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("transparency", [None, 3, b"\x00\x80\xff"])
def test_palettes_show_their_colours(tmp_path, transparency):
    path = tmp_path / "palette.png"
    image = Image.new("P", (16, 12))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    image.putdata((RAMP % 4).ravel().tolist())
    image.save(path, **({} if transparency is None else {"transparency": transparency}))
    table = np.array([(10, 20, 30), (40, 50, 60), (70, 80, 90), (100, 110, 120)])
    np.testing.assert_array_equal(read_image(ref_of(path)), table[RAMP % 4])


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_other_colour_spaces_are_converted(tmp_path, mode):
    path = tmp_path / "other.tif"
    image = Image.fromarray(RGB).convert("CMYK") if mode == "CMYK" else Image.new("LAB", (16, 12), (128, 128, 128))
    image.save(path)
    pixels = read_image(ref_of(path))
    if mode == "CMYK":
        np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
    else:
        assert np.ptp(pixels.astype(int), axis=2).max() <= 2  # a gray of middle lightness
        assert 100 < pixels.mean() < 140


def test_a_cmyk_jpeg_is_not_inverted(tmp_path):
    path = tmp_path / "cmyk.jpg"
    Image.new("RGB", (32, 16), (200, 30, 60)).convert("CMYK").save(path, quality=95)
    assert np.abs(read_image(ref_of(path)).astype(int) - (200, 30, 60)).max() < 8


def test_16_bits_scale_linearly(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    for name in ("deep.png", "deep.tif"):
        path = tmp_path / name
        Image.fromarray(values).save(path)
        assert read_image(ref_of(path))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    sensor = np.array([[100, 1100, 2100]], np.uint16)
    Image.fromarray(sensor).save(path := tmp_path / "sensor.png")
    assert read_image(ref_of(path))[0, :, 1].tolist() == [0, 4, 8]
    assert read_image(ref_of(path), stretch="minmax")[0, :, 1].tolist() == [0, 128, 255]
    assert read_window(ref_of(path), 1, 0, 3, 1, stretch="minmax")[0, :, 0].tolist() == [0, 255]
    with pytest.raises(ImageError, match="one of full, minmax, got 'percentile'"):
        read_image(ref_of(path), stretch="percentile")


def test_colour_of_16_bits_in_a_png(tmp_path):
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.stack([RAMP, RAMP, RAMP], axis=2).astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(ref_of(path))[..., 0], RAMP)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_many_bands_of_16_bits(tmp_path, count):
    pytest.importorskip("rasterio")
    bands = np.stack([(RAMP.astype(np.uint16) + k) % 256 * 257 for k in range(count)])
    path = write_tiff(tmp_path / "bands.tif", bands)
    assert image_size(path) == RAMP.shape
    shown = [0, 1, 2] if count >= 3 else [0, 0, 0]
    expected = (np.moveaxis(bands[shown], 0, -1) // 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(ref_of(path)), expected)
    np.testing.assert_array_equal(read_window(ref_of(path), 3, 2, 9, 11), expected[2:11, 3:9])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32])
@pytest.mark.parametrize("count", [1, 3])
def test_values_without_a_full_range_are_stretched(tmp_path, dtype, count):
    pytest.importorskip("rasterio")
    bands = np.stack([np.array([[0, 50, 100]], dtype)] * count)
    pixels = read_image(ref_of(write_tiff(tmp_path / "values.tif", bands)))
    assert pixels[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("count", [1, 3])
def test_gaps_in_floats_are_black_and_do_not_count(tmp_path, count):
    pytest.importorskip("rasterio")
    bands = np.stack([np.array([[np.nan, -np.inf, -5.0, 5.0, np.inf]], np.float32)] * count)
    pixels = read_image(ref_of(write_tiff(tmp_path / "gaps.tif", bands)))
    assert pixels[0, :, 0].tolist() == [0, 0, 0, 255, 0]
    flat = read_image(ref_of(write_tiff(tmp_path / "flat.tif", np.full((count, 2, 2), 3.5, np.float32))))
    assert not flat.any()


def test_complex_pixels_are_no_picture(tmp_path):
    pytest.importorskip("rasterio")
    path = write_tiff(tmp_path / "radar.tif", np.zeros((1, 4, 4), np.complex64))
    with pytest.raises(ImageError, match=r"radar\.tif: pixels of type complex64"):
        read_image(ref_of(path))


def test_without_rasterio_the_extra_is_named(tmp_path, monkeypatch):
    pytest.importorskip("rasterio")
    path = write_tiff(tmp_path / "bands.tif", np.zeros((6, 4, 4), np.uint16))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(MissingExtraError, match=r"rsground\[geo\]"):
        read_image(ImageRef(str(path), 4, 4))


def test_the_first_frame_and_no_turning(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(ref_of(tmp_path / "pages.tif")), RGB)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn clockwise to view"
    frames[0].save(tmp_path / "turned.png", exif=exif)
    assert image_size(tmp_path / "turned.png") == (12, 16)
    np.testing.assert_array_equal(read_image(ref_of(tmp_path / "turned.png")), RGB)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_is_named_with_how_far_it_got(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix))
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(stream.getvalue()[: int(stream.tell() * share)])
    with pytest.raises(ImageError, match=rf"cut\.{suffix}: (cut off or damaged|no image|cannot be opened)"):
        read_image(ImageRef(str(path), 200, 300))
    if suffix in ("png", "jpg"):
        with pytest.raises(ImageError, match=r"about \d+ of 200 rows could be decoded from [\d,]+ bytes") as caught:
            read_image(ImageRef(str(path), 200, 300))
        rows = int(str(caught.value).split("about ")[1].split()[0])
        assert abs(rows / 200 - share) < 0.1


@pytest.mark.parametrize(
    "content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\xff\xd8\xff", b"GIF8"]
)
def test_what_is_no_image(tmp_path, content):
    path = tmp_path / "thing.png"
    path.write_bytes(content)
    judge = (ImageError, r"thing\.png: ")
    if content.startswith(b"II*") and find_spec("rasterio") is None:
        judge = (MissingExtraError, r"thing\.png .*rsground\[geo\]")  # Pillow alone cannot tell a broken TIFF
    with pytest.raises(judge[0], match=judge[1]):
        image_size(path)
    with pytest.raises(judge[0], match=judge[1]):
        read_image(ImageRef(str(path), 4, 4))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ImageError, match=r"gone.png: no such image file"):
        image_size(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        image_size(tmp_path)
    with pytest.raises(ImageError, match="null"):
        read_image(ImageRef("a\0b", 1, 1))


def test_another_size_than_the_annotations_say(tmp_path):
    save_png(tmp_path / "image.png", RGB)
    with pytest.raises(ImageError, match="annotations say 12x16 pixels, the file has 16x12"):
        read_image(ImageRef(str(tmp_path / "image.png"), 16, 12))


def flat_png(path, height, width):
    """A one-bit PNG of any size, a few kilobytes however large."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_a_scene_of_30000_pixels_says_so_and_is_read_by_windows(tmp_path):
    path = flat_png(tmp_path / "scene.png", 30_000, 30_000)
    limit = Image.MAX_IMAGE_PIXELS
    assert image_size(path) == (30_000, 30_000)
    assert limit == Image.MAX_IMAGE_PIXELS
    ref = ref_of(path)
    with pytest.raises(ImageError, match=r"30000x30000 = 900 million pixels, more than the limit of 268; read windows"):
        read_image(ref)
    with pytest.raises(ImageError, match="read a smaller window"):
        read_window(ref, 0, 0, 30_000, 30_000)
    pytest.importorskip("rasterio")
    window = read_window(ref, 100, 200, 164, 232)
    assert window.shape == (32, 64, 3)


def test_a_limit_can_be_set(tmp_path):
    save_png(tmp_path / "image.png", RGB)
    ref = ref_of(tmp_path / "image.png")
    with pytest.raises(ImageError, match="limit"):
        read_image(ref, max_pixels=100)
    pytest.importorskip("rasterio")
    np.testing.assert_array_equal(read_window(ref, 2, 3, 10, 12, max_pixels=100), RGB[3:12, 2:10])
    assert MAX_PIXELS > 16_000 * 16_000


def test_windows_of_large_scenes_look_like_the_whole(tmp_path):
    pytest.importorskip("rasterio")
    image = Image.fromarray(RGB)
    image.save(tmp_path / "rgb.tif")
    image.convert("P").save(tmp_path / "palette.png")
    Image.fromarray(RAMP).save(tmp_path / "gray.png")
    image.putalpha(128)
    image.save(tmp_path / "rgba.png")
    for name in ("rgb.tif", "palette.png", "gray.png", "rgba.png"):
        ref = ref_of(tmp_path / name)
        whole = read_image(ref)
        np.testing.assert_array_equal(read_window(ref, 1, 2, 11, 12), whole[2:12, 1:11])
        np.testing.assert_array_equal(read_window(ref, 1, 2, 11, 12, max_pixels=150), whole[2:12, 1:11])


@pytest.mark.parametrize("window", [(0, 0, 17, 3), (-1, 0, 3, 3), (3, 3, 3, 6), (5, 3, 2, 6), (0, 0, 3, 13)])
def test_a_window_must_be_inside(tmp_path, window):
    save_png(tmp_path / "image.png", RGB)
    with pytest.raises(ImageError, match="inside the image of 16x12 pixels"):
        read_window(ref_of(tmp_path / "image.png"), *window)


def test_drawn_images():
    ref = ImageRef("scenes:val/7", 5, 6, render=partial(drawn, 5, 6))
    assert read_image(pickle.loads(pickle.dumps(ref))).shape == (5, 6, 3)
    assert read_window(ref, 1, 1, 3, 5).shape == (4, 2, 3)
    with pytest.raises(ImageError, match=r"scenes:val/7: must be drawn as uint8 \(5, 7, 3\), got uint8 \(5, 6, 3\)"):
        read_image(ImageRef("scenes:val/7", 5, 7, render=partial(drawn, 5, 6)))
    with pytest.raises(ImageError, match="got float64"):
        read_image(ImageRef("scenes:val/7", 5, 6, render=partial(drawn, 5, 6, np.float64)))


@pytest.mark.parametrize("pixels", [RGB, RAMP, np.dstack([RGB, RAMP]), RAMP > 90])
def test_what_is_saved_comes_back(tmp_path, pixels):
    path = tmp_path / "new" / "folder" / "image.png"
    save_png(path, pixels)
    found = np.asarray(Image.open(path))
    np.testing.assert_array_equal(found, pixels * np.uint8(255) if pixels.dtype == bool else pixels)


@pytest.mark.parametrize("pixels", [RGB.astype(float), RGB[..., :2], RAMP[0], np.dstack([RGB, RGB]) > 3])
def test_what_is_no_png(tmp_path, pixels):
    with pytest.raises(ShapeError, match="a PNG takes"):
        save_png(tmp_path / "image.png", pixels)


def test_threads_leave_pillows_limit_alone(tmp_path):
    save_png(tmp_path / "image.png", RGB)
    limit = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=image_size, args=(tmp_path / "image.png",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("scenes/DJI_0022.JPG", (2250, 4000)),  # MPO container with EXIF
        ("scenes/5b90f92da0d7280005fab355_4310.tif", (2048, 2048)),
        ("deepforest_mini/OSBS_029.tif", (400, 400)),
        ("deepforest_mini/australia.tif", (708, 751)),
        ("dota_mini/images/P1088.png", (1903, 1599)),
    ],
)
def test_real_files(shared_data, name, size):
    path = shared_data / name
    assert image_size(path) == size
    pixels = read_image(ref_of(path))
    assert pixels.shape == (*size, 3)
    assert 20 < pixels.mean() < 235
    np.testing.assert_array_equal(read_window(ref_of(path), 10, 20, 110, 90), pixels[20:90, 10:110])


def test_real_pngs_with_alpha(shared_data):
    found = 0
    for path in sorted((shared_data / "levir_mini").rglob("*.png")):
        with Image.open(path) as image:
            if image.mode == "RGBA":
                found += 1
                np.testing.assert_array_equal(read_image(ref_of(path)), np.asarray(image)[..., :3])
    assert found >= 2
