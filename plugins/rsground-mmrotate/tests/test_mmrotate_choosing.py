"""The rule that tells detections apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.types import Quad
from rsground_mmrotate.choosing import choose, choose_category
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.naming import Naming, words_of
from rsground_mmrotate.phrases import Order, area_of, count_of, order_of

SIZE = (100, 200)
CLASSES = ("ship", "small-vehicle", "large-vehicle", "pier")
NAMING = Naming(CLASSES)


def box(x: float, y: float, side: float = 6.0) -> Quad:
    h = side / 2
    return ((x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h))


SCENE = {
    "left": Detection(box(20, 20, 7), "ship", 0.5),
    "big": Detection(box(100, 30, 20), "ship", 0.6),
    "right": Detection(box(180, 80), "ship", 0.9),
    "low": Detection(box(60, 90, 5), "ship", 0.4),
    "car": Detection(box(22, 70), "small-vehicle", 0.8),
    "truck": Detection(box(150, 75), "large-vehicle", 0.7),
}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("The ship", ["right"]),
        ("All ships", ["right", "big", "left", "low"]),
        ("Each ship in the image", ["right", "big", "left", "low"]),
        ("The leftmost ship", ["left"]),
        ("The two rightmost ships", ["right", "big"]),
        ("The ship farthest down", ["low"]),
        ("The ship farthest to the left", ["left"]),
        ("The largest ship in the scene", ["big"]),
        ("The second largest ship", ["left"]),
        ("The third ship from the left", ["big"]),
        ("The second ship from the bottom", ["right"]),
        ("The left one of the two ships", ["big"]),
        ("Of the two ships, the left one", ["big"]),
        ("The smaller of the two ships", ["right"]),
        ("The ship in the upper left", ["left"]),
        ("All ships in the lower half of the image", ["right", "low"]),
        ("The ship on the right", ["right"]),
        ("The three ships", ["right", "big", "left"]),
        ("The ship closest to the small vehicle", ["low"]),
        ("The ship nearest to the large vehicle", ["right"]),
        ("All ships to the left of the large vehicle", ["big", "left", "low"]),
        ("The ships above the small vehicle", ["big", "left"]),
        ("The vehicle closest to the ship that is nearest to the car", ["car"]),
        ("The leftmost vehicle", ["car"]),
        ("The ship next to the pier", []),
        ("The pier", []),
        ("Where could a helicopter land?", []),
    ],
)
def test_means_what_it_says(expression: str, names: list[str]) -> None:
    found = choose(expression, list(SCENE.values()), NAMING, SIZE)
    assert sorted(next(name for name, each in SCENE.items() if each is one) for one in found) == sorted(names)


def test_by_category_only_the_noun_counts() -> None:
    found = choose_category("The leftmost ship", list(SCENE.values()), NAMING)
    assert [each.score for each in found] == [0.9, 0.6, 0.5, 0.4]


def test_the_order_of_detections_does_not_matter() -> None:
    for expression in ("The leftmost ship", "All ships", "The two ships", "The ship closest to the truck"):
        forward = choose(expression, list(SCENE.values()), NAMING, SIZE)
        assert forward == choose(expression, list(SCENE.values())[::-1], NAMING, SIZE)


WORDS = st.sampled_from(
    words_of(
        "the two ship ships leftmost second from left one of all vehicle closest to nearest above in upper half largest"
    )
)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_words_give_some_of_what_was_found(expression: str) -> None:
    found = choose(expression, list(SCENE.values()), NAMING, SIZE)
    assert all(any(each is one for one in SCENE.values()) for each in found)
    assert len({id(each) for each in found}) == len(found)


def test_phrases() -> None:
    assert order_of(words_of("the two lowest ships"), (3, 4)) == Order("bottom", 1, 2)
    assert order_of(words_of("the upper ship"), (2, 3)) == Order("top")
    assert order_of(words_of("the ship in the upper left"), (1, 2)) is None
    assert area_of(words_of("at the bottom in the middle")) == "lower middle"
    assert area_of(words_of("on the left hand side")) == "left"
    assert area_of(words_of("in the top half of the image")) == "upper half"
    assert area_of(words_of("in the image")) is None
    assert count_of(words_of("row of 12 ships")) == 12
