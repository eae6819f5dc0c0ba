"""anyres lays images out as LLaVA-NeXT does, and says the way back exactly."""

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
from rsground_pointset.anyres import LLAVA_NEXT, AnyRes, Fitting, best_grid, fit, lay_out, resized, tiles_of

SIDES = st.integers(1, 3000)


class TestAnyRes(PreprocessorConformance):
    preprocessor_name = "anyres"
    preprocessor_options = {"tile": 28}  # noqa: RUF012


class TestAnyResTiles(PreprocessorConformance):
    preprocessor_name = "anyres"
    preprocessor_options = {"tile": 28, "show": "tiles"}  # noqa: RUF012


class TestAnyResGlobal(PreprocessorConformance):
    preprocessor_name = "anyres"
    preprocessor_options = {"tile": 28, "show": "global"}  # noqa: RUF012


@pytest.mark.parametrize(
    ("size", "expected"),
    [  # worked by hand at LLaVA-NeXT's 336 pixels
        ((512, 512), Fitting((2, 2), (0, 0, 672, 672), (672, 672))),
        ((800, 800), Fitting((2, 2), (0, 0, 672, 672), (672, 672))),
        # Any canvas keeps all of it: the smallest, and of these the first. 300 x 1.12 is 336.00000000000006, and what
        # is rounded up as published is that.
        ((300, 300), Fitting((1, 2), (167, 0, 504, 336), (336, 672))),
        ((600, 1000), Fitting((2, 2), (0, 134, 672, 538), (672, 672))),  # 672 x 403.2, rounded up to 404
        ((300, 1200), Fitting((1, 3), (0, 42, 1008, 294), (336, 1008))),
        ((1200, 300), Fitting((3, 1), (42, 0, 294, 1008), (1008, 336))),
        ((1, 900), Fitting((1, 3), (0, 167, 1008, 169), (336, 1008))),
    ],
)
def test_worked_examples(size: tuple[int, int], expected: Fitting) -> None:
    assert fit(size, tile=336) == expected


@given(height=SIDES, width=SIDES, tile=st.sampled_from([14, 336, 384]))
def test_a_fitting_is_whole_centred_and_touches_two_edges(height: int, width: int, tile: int) -> None:
    found = fit((height, width), tile=tile)
    x1, y1, x2, y2 = found.content
    rows, columns = found.grid
    assert found.size == (rows * tile, columns * tile)
    assert 0 <= x1 < x2 <= found.size[1]
    assert 0 <= y1 < y2 <= found.size[0]
    assert x2 - x1 == found.size[1] or y2 - y1 == found.size[0]
    assert 0 <= (found.size[1] - x2) - x1 <= 1
    assert 0 <= (found.size[0] - y2) - y1 <= 1


@settings(deadline=None)  # the first example imports transformers
@given(height=SIDES, width=SIDES, tile=st.sampled_from([28, 336, 384]))
def test_the_canvas_is_the_one_that_transformers_chooses(height: int, width: int, tile: int) -> None:
    pytest.importorskip("torch")
    choose = pytest.importorskip("transformers.image_processing_utils").select_best_resolution
    offered = [[rows * tile, columns * tile] for rows, columns in LLAVA_NEXT]
    rows, columns = best_grid((height, width), tile=tile)
    assert list(choose((height, width), offered)) == [rows * tile, columns * tile]


@pytest.mark.parametrize("size", [(40, 40), (61, 30), (33, 97), (120, 200)])
def test_tiles_are_those_of_the_published_processor(size: tuple[int, int]) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    processor = transformers.LlavaNextImageProcessor(
        size={"shortest_edge": 28},
        crop_size={"height": 28, "width": 28},
        image_grid_pinpoints=[[rows * 28, columns * 28] for rows, columns in LLAVA_NEXT],
        do_normalize=False,
        do_rescale=False,
    )
    smooth = np.add.outer(np.arange(size[0]) * 1.3, np.arange(size[1]) * 0.7)[..., None] % [200, 190, 180]
    image = smooth.astype(np.uint8)
    wanted = processor(image, return_tensors="np")["pixel_values"][0].transpose(0, 2, 3, 1)
    sample = miniature(Task.MASK, size=size)
    found = AnyRes(tile=28).apply(View((image,), size), sample).meta
    assert wanted.shape == (1 + len(found["tiles"]), 28, 28, 3)
    difference = np.abs(wanted - np.concatenate([found["global"][None], found["tiles"]]).astype(np.float64))
    assert difference.max() <= 2  # both bicubic with antialiasing; they round at different places
    again = AnyRes(tile=28).apply(View((lay_out(image, fit(size, tile=28)),), size), sample).meta
    np.testing.assert_array_equal(again["tiles"], found["tiles"])  # a model that tiles for itself sees the same


def test_canvas_is_the_image_and_black() -> None:
    image = np.random.default_rng(0).integers(60, 256, (30, 50, 3), np.uint8)
    fitting = fit((30, 50), tile=40)
    canvas = lay_out(image, fitting)
    x1, y1, x2, y2 = fitting.content
    np.testing.assert_array_equal(canvas[y1:y2, x1:x2], resized(image, (y2 - y1, x2 - x1)))
    outside = np.ones(canvas.shape[:2], bool)
    outside[y1:y2, x1:x2] = False
    assert outside.any()
    assert not canvas[outside].any()


def test_tiles_are_row_by_row() -> None:
    canvas = np.zeros((4, 6, 3), np.uint8)
    for number, (row, column) in enumerate(np.ndindex(2, 3)):
        canvas[row * 2 : row * 2 + 2, column * 2 : column * 2 + 2] = number
    assert tiles_of(canvas, 2)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("show", ["canvas", "tiles", "global"])
@pytest.mark.parametrize("size", [(48, 64), (90, 33)])
def test_the_way_back_maps_content_corners_to_image_corners(show: str, size: tuple[int, int]) -> None:
    sample = miniature(Task.MASK, size=size)
    first = View(blank_view(sample).images, (200, 300), (2.0, 0.0, 10.0, 0.0, 3.0, 20.0))
    found = AnyRes(tile=32, show=show).apply(first, sample)  # type: ignore[arg-type]
    x1, y1, x2, y2 = found.meta["content"] if show == "canvas" else (0, 0, 32, 32)
    corners = map_points([[x1, y1], [x2, y2]], found.to_original)
    np.testing.assert_allclose(corners, map_points([[0, 0], [size[1], size[0]]], first.to_original), atol=1e-9)
    assert found.meta["source"] is first
    assert len(found.meta["tiles"]) == np.prod(found.meta["grid"])


@given(height=st.integers(8, 90), width=st.integers(8, 90), show=st.sampled_from(["canvas", "tiles", "global"]))
def test_boxes_survive_the_way_there_and_back(height: int, width: int, show: str) -> None:
    sample = miniature(Task.HBB, size=(height, width))
    view = AnyRes(tile=16, show=show).apply(blank_view(sample), sample)  # type: ignore[arg-type]
    box = Region(hbb=(1.0, 2.0, 7.5, 6.0))
    np.testing.assert_allclose(map_region(unmap_region(box, view), view).hbb, box.hbb, atol=1e-9)


def test_what_is_shown() -> None:
    sample, pair = miniature(Task.MASK, size=(40, 100)), miniature(Task.CHANGE, size=(40, 100))
    tiles = AnyRes(tile=20, show="tiles").apply(blank_view(sample), sample)
    assert [image.shape for image in tiles.images] == [(20, 20, 3)] * 4  # three tiles and the global view, last
    assert len(AnyRes(tile=20, show="tiles").apply(blank_view(pair), pair).images) == 8
    canvas = AnyRes(tile=20).apply(blank_view(pair), pair)
    assert [image.shape for image in canvas.images] == [(20, 60, 3)] * 2
    assert AnyRes(tile=20, show="global").apply(blank_view(sample), sample).size == (20, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 0}, "at least 1"),
        ({"grids": []}, "at least"),
        ({"grids": [[0, 1]]}, "at least"),
        ({"show": "all"}, "canvas, global, tiles"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        AnyRes(**options)  # type: ignore[arg-type]
