"""hd-tiles divides as published, exact to the pixel, and says the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.errors import ShapeError
from rsground.geometry import map_points
from rsground.regions import map_region, unmap_region
from rsground.testing import PreprocessorConformance, miniature
from rsground.testing.samples import blank_view
from rsground.types import Region, Task, View
from rsground_segtoken.hd_tiles import MAX_TILES, Division, HDTiles, divide, global_view, lay_out, tiles_of

SIDES = st.integers(1, 3000)
UNCAPPED = 10**9


class TestHDTiles(PreprocessorConformance):
    preprocessor_name = "hd-tiles"
    preprocessor_options = {"tile": 28}  # noqa: RUF012


class TestHDTilesGlobal(PreprocessorConformance):
    preprocessor_name = "hd-tiles"
    preprocessor_options = {"tile": 28, "show": "global", "variant": "training"}  # noqa: RUF012


class TestHDTilesTiles(PreprocessorConformance):
    preprocessor_name = "hd-tiles"
    preprocessor_options = {"tile": 28, "show": "tiles"}  # noqa: RUF012


@pytest.mark.parametrize(
    ("width", "height", "variant", "grid", "content"),
    [
        (800, 800, "inference", (3, 3), (0, 0, 1680, 1680)),
        (800, 800, "training", (3, 3), (0, 0, 1680, 1680)),
        (512, 512, "inference", (3, 3), (0, 0, 1680, 1680)),
        (512, 512, "training", (2, 2), (0, 0, 1120, 1120)),
        (600, 400, "inference", (2, 3), (0, 0, 1680, 1120)),
        (600, 400, "training", (2, 2), (0, 187, 1120, 933)),
        (400, 600, "inference", (3, 2), (0, 0, 1120, 1680)),
        (400, 600, "training", (2, 2), (187, 0, 933, 1120)),
        (4000, 3000, "inference", (6, 7), (0, 0, 3920, 2940)),
        (4000, 3000, "training", (3, 3), (0, 210, 1680, 1470)),
    ],
)
def test_published_examples(
    width: int, height: int, variant: str, grid: tuple[int, int], content: tuple[int, int, int, int]
) -> None:
    found = divide((height, width), 9, variant, max_tiles=UNCAPPED)  # type: ignore[arg-type]
    assert found == Division(grid, content, (grid[0] * 560, grid[1] * 560))


@pytest.mark.parametrize(
    ("width", "height", "grid", "content"),
    [
        (4000, 4000, (6, 6), (0, 0, 3360, 3360)),  # upstream: 7 x 7, whatever hd_num is
        (4000, 3000, (5, 6), (0, 0, 3360, 2520)),  # upstream: 6 x 7
        (3000, 4000, (6, 5), (0, 0, 2520, 3360)),
        (20000, 20000, (6, 6), (0, 0, 3360, 3360)),
        (3000, 3000, (5, 5), (0, 0, 2800, 2800)),  # as upstream: more than hd_num, and fits
    ],
)
def test_a_large_image_keeps_the_cap(
    width: int, height: int, grid: tuple[int, int], content: tuple[int, int, int, int]
) -> None:
    found = divide((height, width))
    assert found == Division(grid, content, (grid[0] * 560, grid[1] * 560))
    sample = miniature(Task.MASK, size=(400, 400))
    view = HDTiles(tile=10, max_tiles=7).apply(blank_view(sample), sample)
    assert view.meta["grid"] == (2, 2)
    assert HDTiles(tile=10, max_tiles=UNCAPPED).apply(blank_view(sample), sample).meta["grid"] == (40, 40)


@given(
    height=st.integers(1, 30000),
    width=st.integers(1, 30000),
    hd_num=st.integers(1, 60),
    variant=st.sampled_from(["inference", "training"]),
    most=st.integers(1, 60),
)
def test_the_cap_changes_what_breaks_it_and_as_little_as_it_can(
    height: int, width: int, hd_num: int, variant: str, most: int
) -> None:
    free = divide((height, width), hd_num, variant, max_tiles=UNCAPPED)  # type: ignore[arg-type]
    kept = divide((height, width), hd_num, variant, max_tiles=most)  # type: ignore[arg-type]
    if free.grid[0] * free.grid[1] <= most:
        assert kept == free
        return
    assert kept.grid[0] * kept.grid[1] <= most
    longer = max(kept.grid) + 1
    shorter = -(-int(560 * longer / (max(height, width) / min(height, width))) // 560)
    assert longer * max(shorter, 1) > most, "one tile more along the longer side is too many"


def test_no_more_tiles_than_the_cap_ever_fit() -> None:
    """Every grid of more tiles alone is over GeoPixel's bound, and a square one under the cap is not."""
    least = min((rows * columns + 1) * 400 + 1 + (rows + 1) * 20 for rows in range(1, 50) for columns in range(1, 50)
                if rows * columns > MAX_TILES)  # fmt: skip
    assert least > 16384
    assert (6 * 6 + 1) * 400 + 1 + (6 + 1) * 20 <= 16384


@given(height=SIDES, width=SIDES, hd_num=st.integers(1, 30), variant=st.sampled_from(["inference", "training"]))
def test_a_division_is_whole_and_full(height: int, width: int, hd_num: int, variant: str) -> None:
    found = divide((height, width), hd_num, variant)  # type: ignore[arg-type]
    x1, y1, x2, y2 = found.content
    rows, columns = found.grid
    assert found.size == (rows * 560, columns * 560)
    assert 0 <= x1 < x2 <= found.size[1]
    assert 0 <= y1 < y2 <= found.size[0]
    assert (x2 - x1 if width >= height else y2 - y1) == (found.size[1] if width >= height else found.size[0])
    assert (found.size[0] - (y2 - y1) < 560) if width >= height else (found.size[1] - (x2 - x1) < 560)
    turned = divide((width, height), hd_num, variant)  # type: ignore[arg-type]
    if width != height:
        assert turned.grid == (columns, rows)
        assert turned.content == (y1, x1, y2, x2)
    if variant == "training" or max(height, width) < 560:
        assert rows * columns <= hd_num


def test_canvas_is_the_image_and_white() -> None:
    image = np.random.default_rng(0).integers(0, 200, (30, 50, 3), np.uint8)
    division = divide(image.shape[:2], 4, "training", tile=40)
    canvas = lay_out(image, division)
    x1, y1, x2, y2 = division.content
    assert canvas[y1:y2, x1:x2].max() < 200
    white = np.ones(canvas.shape[:2], bool)
    white[y1:y2, x1:x2] = False
    assert white.any()
    assert (canvas[white] == 255).all()


def test_a_tall_image_is_the_wide_one_on_its_side() -> None:
    image = np.random.default_rng(1).integers(0, 256, (31, 53, 3), np.uint8)
    wide = lay_out(image, divide((31, 53), 6, "inference", tile=40))
    tall = lay_out(image.swapaxes(0, 1), divide((53, 31), 6, "inference", tile=40))
    np.testing.assert_array_equal(wide.swapaxes(0, 1), tall)


def test_tiles_are_row_by_row() -> None:
    canvas = np.zeros((4, 6, 3), np.uint8)
    for number, (row, column) in enumerate(np.ndindex(2, 3)):
        canvas[row * 2 : row * 2 + 2, column * 2 : column * 2 + 2] = number
    assert tiles_of(canvas, 2)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(tiles_of(canvas, 2)[4], np.full((2, 2, 3), 4))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), height=st.integers(1, 60), width=st.integers(1, 60))
def test_global_view_is_torch_bicubic(seed: int, height: int, width: int) -> None:
    torch = pytest.importorskip("torch")
    canvas = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels = torch.from_numpy(canvas).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(pixels, size=(28, 28), mode="bicubic", align_corners=False)
    found = global_view(canvas, 28).astype(np.float64)
    difference = np.abs(found - wanted[0].permute(1, 2, 0).clamp(0, 255).numpy())
    assert difference.max() <= 0.51  # rounded to whole values


@pytest.mark.parametrize("show", ["canvas", "tiles", "global"])
@pytest.mark.parametrize("size", [(48, 64), (90, 33)])
def test_the_way_back_maps_content_corners_to_image_corners(show: str, size: tuple[int, int]) -> None:
    sample = miniature(Task.MASK, size=size)
    first = View(blank_view(sample).images, (200, 300), (2.0, 0.0, 10.0, 0.0, 3.0, 20.0))
    found = HDTiles(hd_num=6, variant="training", tile=32, show=show).apply(first, sample)  # type: ignore[arg-type]
    x1, y1, x2, y2 = (float(value) for value in found.meta["content"])
    if show != "canvas":
        rows, columns = found.meta["grid"]
        x1, x2, y1, y2 = x1 / columns, x2 / columns, y1 / rows, y2 / rows
    corners = map_points([[x1, y1], [x2, y2]], found.to_original)
    np.testing.assert_allclose(corners, map_points([[0, 0], [size[1], size[0]]], first.to_original), atol=1e-9)
    assert found.meta["source"] is first
    assert found.meta["tiles"].shape[0] == np.prod(found.meta["grid"])


def test_boxes_survive_the_way_there_and_back() -> None:
    sample = miniature(Task.HBB)
    view = HDTiles(tile=32).apply(blank_view(sample), sample)
    box = Region(hbb=(3.0, 5.0, 40.0, 30.0))
    np.testing.assert_allclose(map_region(unmap_region(box, view), view).hbb, box.hbb, atol=1e-9)


def test_what_is_shown() -> None:
    sample, pair = miniature(Task.MASK, size=(40, 60)), miniature(Task.CHANGE, size=(40, 60))
    tiles = HDTiles(hd_num=6, tile=20, show="tiles").apply(blank_view(sample), sample)
    assert tiles.meta["grid"] == (2, 3)
    assert [image.shape for image in tiles.images] == [(20, 20, 3)] * 7  # the global view is last
    for number in range(6):
        np.testing.assert_array_equal(tiles.images[number], tiles.meta["tiles"][number])
    np.testing.assert_array_equal(tiles.images[-1], tiles.meta["global"])
    assert len(HDTiles(hd_num=6, tile=20, show="tiles").apply(blank_view(pair), pair).images) == 14
    canvas = HDTiles(hd_num=6, tile=20).apply(blank_view(pair), pair)
    assert [image.shape for image in canvas.images] == [(40, 60, 3)] * 2
    assert HDTiles(hd_num=6, tile=20, show="global").apply(blank_view(sample), sample).size == (20, 20)


def test_two_images_get_fewer_tiles() -> None:
    sample = miniature(Task.CHANGE, size=(64, 64))
    one = HDTiles(hd_num=9, tile=32).apply(blank_view(miniature(Task.MASK, size=(64, 64))), sample)
    two = HDTiles(hd_num=9, tile=32).apply(blank_view(sample), sample)
    assert (one.meta["grid"], two.meta["grid"]) == ((3, 3), (2, 2))
    assert len(two.images) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hd_num": 0}, "at least 1"),
        ({"max_tiles": 0}, "max_tiles"),
        ({"variant": "test"}, "inference, training"),
        ({"show": "all"}, "canvas, global, tiles"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        HDTiles(**options)  # type: ignore[arg-type]
