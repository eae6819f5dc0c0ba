"""Which categories an expression names."""

from __future__ import annotations

import pytest

from rsground_mmrotate.naming import Naming, words_of

DOTA = (
    "plane",
    "ship",
    "storage-tank",
    "small-vehicle",
    "large-vehicle",
    "ground-track-field",
    "soccer-ball-field",
    "swimming-pool",
    "harbor",
    "helicopter",
)


@pytest.mark.parametrize(
    ("expression", "categories", "is_plural"),
    [
        ("the plane", {"plane"}, False),
        ("All airplanes on the apron", {"plane"}, True),
        ("an aeroplane", {"plane"}, False),
        ("aircraft", {"plane", "helicopter"}, False),
        ("the small vehicle", {"small-vehicle"}, False),
        ("the two vehicles", {"small-vehicle", "large-vehicle"}, True),
        ("the red car", {"small-vehicle", "large-vehicle"}, False),
        ("the storage-tanks", {"storage-tank"}, True),
        ("the biggest tank", {"storage-tank"}, False),
        ("Both vessels", {"ship"}, True),
        ("the running track", {"ground-track-field"}, False),
        ("the football pitch", {"soccer-ball-field"}, False),
        ("the harbour", {"harbor"}, False),
        ("the pool", {"swimming-pool"}, False),
    ],
)
def test_names_synonyms_plurals_and_wider_words(expression: str, categories: set[str], is_plural: bool) -> None:
    naming = Naming(DOTA)
    (mention,) = naming.mentions(words_of(expression))
    assert naming.categories(mention.noun) == categories
    assert mention.is_plural is is_plural


def test_the_first_category_is_the_noun_and_the_longest_name_wins() -> None:
    naming = Naming(DOTA)
    found = naming.mentions(words_of("The small vehicle closest to the large vehicle by the storage tank"))
    assert [mention.noun for mention in found] == ["small vehicle", "large vehicle", "storage tank"]


def test_nothing_is_named() -> None:
    assert Naming(DOTA).mentions(words_of("Where could people swim?")) == []
    assert Naming(()).categories("ship") == frozenset()


def test_a_category_that_nobody_knows_is_named_by_its_own_words() -> None:
    naming = Naming(["wind-turbine"])
    (mention,) = naming.mentions(words_of("the two wind turbines"))
    assert naming.categories(mention.noun) == {"wind-turbine"}
    assert mention.is_plural


def test_synonyms_of_the_user_win() -> None:
    naming = Naming(DOTA, {"small-vehicle": ["car", "family car"], "large-vehicle": ["coach"]})
    for expression, category in (
        ("the cars", "small-vehicle"),
        ("family cars", "small-vehicle"),
        ("a coach", "large-vehicle"),
    ):
        (mention,) = naming.mentions(words_of(expression))
        assert naming.categories(mention.noun) == {category}
