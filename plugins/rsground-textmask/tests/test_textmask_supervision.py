"""Nothing is taught that nobody annotated: which pairs a sample gives follows from the forms its targets have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.contracts import Training
from rsground.errors import DataError, SuiteError, UnknownNameError
from rsground.regions import polygons_of
from rsground.testing import miniature
from rsground.testing.samples import blank_view
from rsground.types import Region, Sample, Task
from rsground_textmask.geoground import GeoGroundHead
from rsground_textmask.supervision import ASSISTED, GUIDED, signals_told

OPENS = {Task.HBB: "<box>", Task.OBB: "<obb>", Task.MASK: "<seg>"}
FORMS = ("hbb", "quad", "polygons", "rle")
TOLD = {
    "hbb": {Task.HBB},
    "quad": {Task.HBB, Task.OBB},
    "polygons": {Task.HBB, Task.OBB, Task.MASK},
    "rle": {Task.HBB, Task.OBB, Task.MASK},
}
"""What a form alone tells."""


def annotated(kept: Sequence[set[str]]) -> Sample:
    """A sample whose targets have these forms and no others."""
    sample = miniature(Task.HBB, targets=len(kept), size=(96, 96))
    return replace(sample, targets=tuple(map(only, sample.targets or (), kept)))


def only(region: Region, kept: set[str]) -> Region:
    every = replace(region, polygons=polygons_of(region))
    return replace(every, **dict.fromkeys(set(FORMS) - kept))  # type: ignore[arg-type]


def pairs(sample: Sample, kind: str = "hybrid", times: int = 12) -> list[Training]:
    """What is taught beside the plain question, over many draws."""
    head, view = GeoGroundHead(supervision=kind), blank_view(sample)  # type: ignore[arg-type]
    found = [pair for seed in range(times) for pair in head.training_pairs(sample, view, np.random.default_rng(seed))]
    assert sum(pair.kind == "base" for pair in found) == times
    return [pair for pair in found if pair.kind != "base"]


def signals(pair: Training) -> tuple[Task, Task]:
    """(given, asked)."""
    (given,) = (task for task, mark in OPENS.items() if mark in pair.prompt)
    (asked,) = (task for task, mark in OPENS.items() if pair.answer.startswith(mark))
    return given, asked


@pytest.mark.parametrize("form", FORMS)
def test_one_form_alone(form: str) -> None:
    """A box says nothing of outlines; an oriented box nothing of masks."""
    found = {kind: {signals(pair) for pair in pairs(annotated([{form}]), kind, 40)} for kind in ("pal", "ggl")}
    assert found["pal"] == {pair for pair in ASSISTED if {*pair} <= TOLD[form]}
    assert found["ggl"] == {pair for pair in GUIDED if {*pair} <= TOLD[form]}
    assert (form == "hbb") == (not pairs(annotated([{form}])))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.sampled_from(FORMS), min_size=1), min_size=1, max_size=3))
def test_every_signal_of_a_pair_is_told_by_every_target(kept: list[set[str]]) -> None:
    sample = annotated(kept)
    known = set.intersection(*(set().union(*(TOLD[form] for form in forms)) for forms in kept))
    assert signals_told(sample.targets or ()) == known
    found = {signals(pair) for pair in pairs(sample)}
    assert all({*pair} <= known for pair in found)
    assert bool(found) == (len(known) > 1)


def test_what_is_given_and_answered_is_what_was_annotated() -> None:
    """The tilted object's own oriented box, not the upright one around it."""
    sample = annotated([{"hbb", "quad"}])
    head, view = GeoGroundHead(), blank_view(sample)
    (target,) = sample.targets or ()
    right = {task: head.codecs[task].write([target], view.size) for task in (Task.HBB, Task.OBB)}
    upright = head.codecs[Task.OBB].write([Region(hbb=target.hbb)], view.size)
    assert upright != right[Task.OBB]
    for pair in pairs(sample):
        given, asked = signals(pair)
        assert right[given] in pair.prompt
        assert pair.kind == "ggl" or pair.answer == right[asked]


def test_points_tell_nothing() -> None:
    sample = replace(miniature(Task.MASK), targets=(Region(points=((3.0, 4.0),)),))
    assert signals_told(sample.targets or ()) == frozenset()
    assert not pairs(sample)


def test_all_signals_at_once_need_all_annotated() -> None:
    head, rng = GeoGroundHead(signals="all"), np.random.default_rng(0)
    sample = annotated([{"rle"}, {"hbb", "quad"}])
    with pytest.raises(DataError, match=r'not every target of it has a mask; .*signals = "task"'):
        list(head.training_pairs(sample, blank_view(sample), rng))
    for fine in (annotated([{"rle"}, {"polygons"}]), miniature(Task.MASK, targets=0)):
        assert next(iter(head.training_pairs(fine, blank_view(fine), rng))).kind == "base"


def test_a_recipe_that_wants_what_boxes_cannot_give_is_refused() -> None:
    kinds = pytest.importorskip("rsground.models.training.pair_kinds", exc_type=ImportError)
    boxes = [annotated([{"hbb"}])] * 3
    offered = kinds.kinds_offered(GeoGroundHead(), boxes)
    assert kinds.weighed(None, offered, "data.pairs") == {"base": 1.0}
    with pytest.raises(SuiteError, match=r"asks for ggl, pal; .* makes base\."):
        kinds.weighed({"base": 1, "pal": 1, "ggl": 1}, offered, "data.pairs")
    assert kinds.kinds_offered(GeoGroundHead(), [*boxes, annotated([{"quad"}])]) == {"base", "pal", "ggl"}


def test_an_unknown_supervision_is_named() -> None:
    with pytest.raises(UnknownNameError, match="hybrid"):
        GeoGroundHead(supervision="both")  # type: ignore[arg-type]
