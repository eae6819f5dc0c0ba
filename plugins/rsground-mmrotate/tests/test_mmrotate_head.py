"""Head, its text, and the laws of every plugin and head."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.errors import ShapeError, UnknownNameError
from rsground.regions import hbb_of, mask_of
from rsground.testing import HeadConformance, PluginConformance, miniature
from rsground.testing.samples import blank_view
from rsground.types import Generation, Task
from rsground_mmrotate.detections import Detection, read_detections, write_detections
from rsground_mmrotate.head import MMRotateHead


class TestPlugin(PluginConformance):
    plugin_name = "mmrotate"
    plugin_module = "rsground_mmrotate"


class TestHead(HeadConformance):
    head_name = "mmrotate"
    least_overlap = 0.99


TANK = Detection(((10.0, 10.0), (30.0, 15.0), (28.0, 23.0), (8.0, 18.0)), "storage-tank", 0.8)
OTHER = Detection(((40.0, 30.0), (50.0, 30.0), (50.0, 40.0), (40.0, 40.0)), "storage-tank", 0.35)
SHIP = Detection(((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)), "ship", 0.9)
TEXT = write_detections(["ship", "storage tank", "harbor"], [SHIP, TANK, OTHER])


def test_answers_the_best_of_the_named_category_as_oriented_box() -> None:
    sample = miniature(Task.OBB)  # "the storage tank beside the road"
    found = MMRotateHead().read(Generation(TEXT), sample, blank_view(sample))
    (region,) = found.regions
    assert region.quad == TANK.quad
    assert (region.label, region.score) == ("storage-tank", 0.8)
    assert hbb_of(region) == (8.0, 10.0, 30.0, 23.0)
    assert mask_of(region, sample.size).sum() == pytest.approx(TANK.area, rel=0.05)


def test_threshold_and_choice() -> None:
    sample = miniature(Task.OBB)
    view = blank_view(sample)
    assert len(MMRotateHead(choose="category").read(Generation(TEXT), sample, view).regions) == 2
    assert len(MMRotateHead(0.5, choose="category").read(Generation(TEXT), sample, view).regions) == 1
    assert MMRotateHead(0.85).read(Generation(TEXT), sample, view).regions == ()
    with pytest.raises(ShapeError, match="threshold"):
        MMRotateHead(1.5)
    with pytest.raises(UnknownNameError, match="rule"):
        MMRotateHead(choose="rules")


def test_nothing_found_is_an_answer_and_no_detector_is_none() -> None:
    sample = miniature(Task.HBB)
    head, view = MMRotateHead(), blank_view(sample)
    assert head.read(Generation("classes: ship"), sample, view).parsed
    assert not head.read(Generation("a storage tank"), sample, view).parsed


CLASSES = st.sampled_from(["ship", "small vehicle", "large-vehicle"])
SHAPES = st.tuples(*[st.floats(0, 500, width=32)] * 3, st.floats(1, 60, width=32))


@settings(deadline=None)
@given(st.lists(st.tuples(SHAPES, CLASSES, st.floats(0, 1)), max_size=8))
def test_text_goes_there_and_back(rows: list[tuple[tuple[float, ...], str, float]]) -> None:
    given_detections = [
        Detection(((x, y), (x + w + 1, y), (x + w + 1, y + h), (x, y + h)), name, score)
        for (x, y, w, h), name, score in rows
    ]
    read = read_detections(write_detections(["ship"], given_detections))
    assert read.parsed
    assert not read.issues
    assert read.classes[0] == "ship"
    for one, other in zip(given_detections, read.detections, strict=True):
        assert other.category == one.category.replace(" ", "-")
        assert other.score == pytest.approx(one.score, abs=1e-4)
        for (x, y), (u, v) in zip(one.quad, other.quad, strict=True):
            assert (x, y) == pytest.approx((u, v), abs=6e-4)


def test_damaged_lines_are_counted() -> None:
    text = "classes: ship\n1 2 3 4\n1 1 nan 1 3 3 1 3 ship 0.5\n1 1 1 1 1 1 1 1 ship 0.5\n0 0 4 0 4 4 0 4 ship 0.5"
    read = read_detections(text)
    assert [issue.code for issue in read.issues] == ["too-few-numbers", "bad-number", "degenerate"]
    assert len(read.detections) == 1
