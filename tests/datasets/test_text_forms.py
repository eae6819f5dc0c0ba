"""Texts that hold regions: grounded descriptions, written boxes; and names of categories."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.datasets.box_text import written_boxes
from rsground.datasets.gcg_text import mentions
from rsground.datasets.noun import noun, plural


def test_mentions_have_phrase_and_span():
    text = "The <p> tennis court-12 </p> [SEG] , <p>a pool</p>[SEG] [SEG] and [SEG]"
    found = mentions(text)
    assert [mention.phrase for mention in found] == ["tennis court", "a pool", "a pool", "a pool"]
    assert [text[slice(*mention.span)] for mention in found] == [
        "<p> tennis court-12 </p> [SEG]",
        "<p>a pool</p>[SEG]",
        "[SEG]",
        "[SEG]",
    ]


@given(text=st.lists(st.sampled_from(["<p>", "</p>", "[SEG]", "a ", "-1", " "])).map("".join))
def test_there_is_one_mention_per_seg(text):
    found = mentions(text)
    assert len(found) == text.count("[SEG]")
    assert all(text[: mention.span[1]].endswith("[SEG]") for mention in found)
    assert all(text[slice(*mention.span)].count("[SEG]") == 1 for mention in found)
    assert all(a.span[1] <= b.span[0] for a, b in pairwise(found))


def test_written_boxes_are_hundredths():
    (box,) = written_boxes("it is {<10><20><40><50>}.", (200, 100))
    assert box.hbb == (10, 40, 40, 100)
    assert box.quad is None
    assert box.span == (6, 24)


def test_a_positive_angle_turns_clockwise_on_screen():
    (box,) = written_boxes("{<40><45><60><55>|<30>}", (100, 100))
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    assert box.quad[1] == pytest.approx((50 + 10 * cos + 5 * sin, 50 + 10 * sin - 5 * cos))
    assert box.quad[1][1] > box.quad[0][1]  # the right end of the upper side goes down


def test_a_quarter_turn_swaps_the_sides():
    (box,) = written_boxes("{<40><45><60><55>|<90>}", (100, 100))
    xs, ys = zip(*box.quad, strict=True)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((45, 40, 55, 60))


@given(text=st.text("{}<>|0123456789- ", max_size=60))
def test_any_text_can_be_read(text):
    for box in written_boxes(text, (10, 10)):
        assert text[box.span[0]] == "{"


@pytest.mark.parametrize(
    ("category", "said", "many"),
    [
        ("Large_Vehicle", "large vehicle", "large vehicles"),
        ("storage-tank", "storage tank", "storage tanks"),
        ("T junction", "T junction", "T junctions"),
        ("bus", "bus", "buses"),
        ("ferry", "ferry", "ferries"),
        ("quay", "quay", "quays"),
        ("Expressway-Service-area", "expressway service area", "expressway service areas"),
        ("BEACH", "beach", "beaches"),
    ],
)
def test_nouns(category, said, many):
    assert noun(category) == said
    assert plural(noun(category)) == many
