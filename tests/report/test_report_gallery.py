"""Windows and outlines: laws of the geometry that the gallery draws with."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rsground.geometry import mask_to_rle
from rsground.report.gallery import SIDE, gallery_item, image_name, outlines, window_around, within_budget
from rsground.types import ImageRef, Prediction, Region, Sample, Task

coordinates = st.floats(-500, 3000, allow_nan=False)


@given(
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=4),
)
def test_a_window_is_never_empty_and_never_leaves_the_image(
    height: int, width: int, corners: list[tuple[float, ...]]
) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    window = window_around(boxes, (height, width))
    assert 0 <= window.x1 < window.x2 <= width
    assert 0 <= window.y1 < window.y2 <= height
    assert max(window.picture) <= SIDE + 1


@given(st.integers(0, 700), st.integers(0, 500), st.integers(1, 90), st.integers(1, 90))
def test_a_window_shows_its_box_whole(x: int, y: int, w: int, h: int) -> None:
    window = window_around([(x, y, x + w, y + h)], (600, 800))
    assert window.x1 <= x
    assert window.y1 <= y
    assert window.x2 >= min(800, x + w)
    assert window.y2 >= min(600, y + h)


def _area(path: str) -> float:
    """Area by the even-odd rule of axis-parallel rings that do not cross, holes turned against their outlines."""
    total = 0.0
    for ring in re.findall(r"M[^Z]*Z", path):
        points, x, y = [], 0.0, 0.0
        for command, numbers in re.findall(r"([MLHV])([^MLHVZ]*)", ring):
            values = [float(number) for number in numbers.split()]
            x, y = (values[0], values[1]) if command in "ML" else (values[0], y) if command == "H" else (x, values[0])
            points.append((x, y))
        array = np.array(points)
        nxt = np.roll(array, -1, axis=0)
        total += abs(float((array[:, 0] * nxt[:, 1] - nxt[:, 0] * array[:, 1]).sum()) / 2) * (1 if total == 0 else -1)
    return total


def test_a_mask_with_a_hole_is_drawn_with_its_hole() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:80] = True
    mask[30:40, 40:50] = False
    window = window_around([], (100, 100))
    (path,) = outlines([Region(rle=mask_to_rle(mask))], window)
    assert path.count("M") == 2
    assert _area(path) == pytest.approx(int(mask.sum()) * window.scale**2, rel=0.02)


def test_a_single_pixel_in_a_large_image_still_has_an_outline() -> None:
    mask = np.zeros((3000, 3000), bool)
    mask[1500, 1700] = True
    (path,) = outlines([Region(rle=mask_to_rle(mask))], window_around([], (3000, 3000)))
    assert path.startswith("M")


def test_forms_without_a_mask_are_drawn_as_they_are() -> None:
    window = window_around([], (200, 200))
    regions = [
        Region(hbb=(10, 20, 30, 40)),
        Region(quad=((10, 10), (20, 12), (18, 22), (8, 20))),
        Region(polygons=(((1, 1), (5, 1), (3, 5)), ((10, 10), (15, 10), (12, 15)))),
        Region(points=((50, 60),)),
    ]
    found = outlines(regions, window)
    assert found[0] == "M10 20H30V40H10Z"
    assert found[1].count("L") == 3
    assert found[2].count("Z") == 2
    assert "h8" in found[3]


def test_what_cannot_be_drawn_is_left_out() -> None:
    window = window_around([], (200, 200))
    nan = float("nan")
    assert (
        outlines([Region(), Region(hbb=(nan, 0, 1, 1)), Region(quad=((nan, 0), (1, 0), (1, 1), (0, 1)))], window) == ()
    )
    assert outlines([Region(points=((nan, 1.0),))], window) == ()
    (huge,) = outlines([Region(hbb=(-1e30, 0, 1e30, 10))], window)
    assert len(huge) < 60


def test_at_most_forty_regions_are_drawn() -> None:
    window = window_around([], (200, 200))
    assert len(outlines([Region(hbb=(i, i, i + 5, i + 5)) for i in range(100)], window)) == 40


def test_an_item_tells_the_crop_and_keeps_answers(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((400, 600, 3), 90, np.uint8)).save(path)
    sample = Sample("s", (ImageRef(str(path), 400, 600),), "the ship", Task.HBB, (Region(hbb=(500, 300, 520, 310)),))
    item = gallery_item(sample, {"a": Prediction((Region(hbb=(505, 300, 520, 312)),), text="x" * 5000)}, {"a": 0.5})
    x1, y1, x2, y2 = item.window
    assert x1 <= 500
    assert x2 >= 520
    assert y1 <= 300
    assert y2 >= 312
    assert (x2 - x1, y2 - y1) == (150, 150)
    assert len(item.overlays[0].text) <= 400
    assert item.jpeg


@pytest.mark.parametrize("size", [(40, 40), (400, 600)])
def test_an_unreadable_image_is_a_reason_not_an_error(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no image at all")
    sample = Sample("s", (ImageRef(str(path), *size),), "the ship", Task.HBB, ())
    item = gallery_item(sample, {}, {})
    assert item.jpeg == b""
    assert item.why
    assert not item.has_target


def test_pictures_stay_within_their_budget(report) -> None:  # type: ignore[no-untyped-def]
    items = report.datasets[0].gallery
    kept = within_budget(items, len(items[0].jpeg))
    assert [bool(item.jpeg) for item in kept] == [True, False]
    assert kept[1].why


def test_image_names_do_not_tell_where_the_data_lies() -> None:
    assert image_name(ImageRef("/home/me/data/rrsisd/images/00001.jpg", 1, 1)) == "images/00001.jpg"
    assert image_name(ImageRef("a.jpg", 1, 1)) == "a.jpg"
    assert (
        image_name(ImageRef("scenes:val/7/12", 1, 1, render=lambda: np.zeros((1, 1, 3), np.uint8))) == "scenes:val/7/12"
    )
