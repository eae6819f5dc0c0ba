"""Random windows: pixels and boxes stay together, what lies outside is left out."""

from __future__ import annotations

import numpy as np
import pytest

from rsground.models.training.dense import TurnedImages, shown_often
from rsground.models.training.objects import Objects
from rsground.models.training.windows import window_of

SIDE = 128


def painted(seed: int) -> tuple[np.ndarray, Objects]:
    """A grey image whose object k is a rectangle of the value 40 (k + 1)."""
    rng = np.random.default_rng(seed)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    boxes = []
    for number in range(4):
        x, y = (number % 2) * 64 + rng.integers(4, 20), (number // 2) * 64 + rng.integers(4, 20)
        w, h = rng.integers(12, 40, size=2)
        image[y : y + h, x : x + w] = 40 * (number + 1)
        boxes.append((x, y, x + w, y + h))
    found = np.array(boxes, np.float32)
    corners = found[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    numbers = np.arange(4)
    return image, Objects(found, corners, numbers, numbers, numbers, numbers % 8)


@pytest.mark.parametrize("seed", range(40))
def test_objects_lie_where_their_pixels_are(seed: int) -> None:
    image, objects = painted(seed)
    seen, told = window_of(image, objects, 96, 0.4, np.random.default_rng(seed))
    assert seen.shape == (96, 96, 3)
    for number, (x1, y1, x2, y2) in zip(told.ids.tolist(), told.boxes, strict=True):
        cut = np.clip([x1, y1, x2, y2], 0, 96)
        inside = (cut[2] - cut[0]) * (cut[3] - cut[1])
        assert inside >= 0.59 * (x2 - x1) * (y2 - y1)
        left, top, right, bottom = np.round(cut).astype(int).tolist()
        of_it = np.abs(seen[..., 0].astype(int) - 40 * (number + 1)) < 3
        assert of_it[top + 2 : bottom - 2, left + 2 : right - 2].all()
        around = np.ones_like(of_it)
        around[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = False
        beside = of_it & around
        beside[1:] &= beside[:-1]  # blurred edges of brighter objects are a pixel wide
        beside[:, 1:] &= beside[:, :-1]
        assert not beside.any()
    np.testing.assert_allclose(told.quads.min(1), told.boxes[:, :2], atol=1e-3)
    np.testing.assert_allclose(told.quads.max(1), told.boxes[:, 2:], atol=1e-3)


def test_half_of_the_windows_are_the_whole_image_and_the_rest_differ() -> None:
    image, objects = painted(0)
    rng = np.random.default_rng(1)
    scales = [window_of(image, objects, SIDE, 0.3, rng)[1].boxes for _ in range(200)]
    whole = sum(len(each) == 4 and np.allclose(each, objects.boxes) for each in scales)
    assert 70 <= whole <= 130
    assert min(len(each) for each in scales) < 4


def test_shown_whole_and_at_their_own_size_images_stay_as_they_are() -> None:
    image, objects = painted(2)
    shown = TurnedImages(image[None], [objects], 3)
    seen = {shown[0][0].tobytes() for _ in range(60)}
    assert image.tobytes() in seen
    assert len(seen) == 8
    smaller = TurnedImages(image[None], [objects], 3, size=64)
    assert {smaller[0][0].shape for _ in range(5)} == {(64, 64, 3)}


def of_classes(*categories: int) -> Objects:
    """Objects of those classes."""
    count = len(categories)
    places = np.zeros((count, 4), np.float32), np.zeros((count, 4, 2), np.float32)
    return Objects(*places, np.array(categories, np.int64), *(np.full(count, -1) for _ in range(3)))


def test_images_of_rare_classes_are_shown_more_often() -> None:
    """Class 1 is in one of 100 images: at ``often = 0.04`` that image comes sqrt(4) times, the others once."""
    images = [of_classes(0, 0), *[of_classes(0)] * 97, of_classes(0, 1, 1), of_classes(-1)]
    assert shown_often(images, 0.04).tolist() == [*range(98), 98, 98, 99]
    assert shown_often(images, 0.0).tolist() == list(range(100))
    counts = [int((shown_often(images, 0.0225, seed) == 98).sum()) for seed in range(400)]
    assert set(counts) == {1, 2}
    assert 1.4 < np.mean(counts) < 1.6, "sqrt(2.25) = 1.5: half a time by chance"
    assert shown_often([of_classes(), of_classes()], 0.5).tolist() == [0, 1]


def test_an_image_shown_twice_is_twice_in_the_row() -> None:
    pictures = [painted(seed) for seed in (0, 1)]
    objects = [of_classes(0), of_classes(0, 1)]
    shown = TurnedImages(np.stack([image for image, _ in pictures]), objects, 3, often=2.0)
    assert shown.order.tolist() == [0, 1, 1] or shown.order.tolist() == [0, 0, 1, 1]
    assert len(shown) == len(shown.order)
    assert [len(shown[at][1]) for at in range(len(shown))] == [len(objects[at]) for at in shown.order]
