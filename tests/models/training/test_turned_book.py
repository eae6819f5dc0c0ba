"""Turned photographs: what is said of them is about what is in them; pixels, boxes and masks turn together."""

from __future__ import annotations

import numpy as np
import pytest

from rsground.geometry import mask_to_hbb, mask_to_rle, rle_to_mask
from rsground.models.training.objects import Objects
from rsground.models.training.turned_book import Photo, turned_photo
from rsground.regions import hbb_of
from rsground.types import Region

SIDE, ORIGINAL = 128, 256
BOXES = [(10, 12, 30, 28), (60, 20, 84, 60), (95, 90, 115, 120)]
NAMES = ["ship", "ship", "harbor"]


def photo() -> Photo:
    """Two ships and a harbour, filled with 200, 201 and 202, in an image of half its original's size."""
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    regions = []
    for number, (x1, y1, x2, y2) in enumerate(BOXES):
        pixels[y1:y2, x1:x2] = 200 + number
        mask = np.zeros((ORIGINAL, ORIGINAL), dtype=bool)
        mask[2 * y1 : 2 * y2, 2 * x1 : 2 * x2] = True
        regions.append(Region(hbb=(2.0 * x1, 2.0 * y1, 2.0 * x2, 2.0 * y2), rle=mask_to_rle(mask)))
    boxes = np.array(BOXES, dtype=np.float32)
    quads = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    none = np.full(3, -1)
    return Photo(pixels, Objects(boxes, quads, none, none, np.arange(3), none), regions, NAMES, "a.jpg")


@pytest.mark.parametrize("attitude", range(1, 8))
def test_pixels_boxes_and_masks_turn_together(attitude: int) -> None:
    told = turned_photo(photo(), attitude, np.random.default_rng(attitude))
    assert told.samples
    for number, (x1, y1, x2, y2) in enumerate(told.objects.boxes.astype(int).tolist()):
        assert (told.pixels[y1:y2, x1:x2] == 200 + number).all()
        assert (told.pixels == 200 + number).sum() == 3 * (x2 - x1) * (y2 - y1)
    for sample, meant in zip(told.samples, told.meant, strict=True):
        assert sample.size == (SIDE, SIDE)
        for region, number in zip(sample.targets or (), meant, strict=True):
            assert region.rle is not None
            assert hbb_of(region) == tuple(told.objects.boxes[number].tolist())
            assert mask_to_hbb(rle_to_mask(region.rle)).tolist() == told.objects.boxes[number].tolist()


def test_what_is_said_holds_in_the_turned_image() -> None:
    checked = 0
    for attitude in range(1, 8):
        told = turned_photo(photo(), attitude, np.random.default_rng(0))
        x, y = told.objects.boxes.reshape(-1, 2, 2).mean(1)[:2].T  # of the ships
        best = {"left": x.argmin(), "right": x.argmax(), "upper": y.argmin(), "lower": y.argmax()}
        for sample, meant in zip(told.samples, told.meant, strict=True):
            for word, number in best.items():
                if sample.expression.startswith((f"The {word} one of the two", f"Of the two ships, the {word}")):
                    assert meant == (number,)
                    checked += 1
    assert checked >= 5


def test_equal_chances_give_equal_expressions() -> None:
    first, again = (turned_photo(photo(), 5, np.random.default_rng(3)) for _ in range(2))
    assert [each.expression for each in first.samples] == [each.expression for each in again.samples]
    assert first.meant == again.meant
