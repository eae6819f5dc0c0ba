"""Before and after: the mask is the difference of what stands there, and of nothing else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from rsground.datasets.scenes import ChangeScene
from rsground.datasets.scenes.graph import make_graph
from rsground.geometry.rle import rle_to_mask


@pytest.fixture(scope="module")
def pairs() -> list[ChangeScene]:
    return [ChangeScene(2, index, 192) for index in range(28)]


def test_the_mask_is_the_union_of_what_came_and_what_went(pairs):
    for pair in pairs:
        union = np.zeros((192, 192), bool)
        for region in pair.regions:
            union |= rle_to_mask(region.rle)
        np.testing.assert_array_equal(union, pair.mask)


def test_regions_are_the_objects_of_one_graph_only(pairs):
    for pair in pairs:
        before, after = (
            {item.id: item.region.rle for item in make_graph(plan, labels).objects}
            for plan, labels in zip(pair.plans, pair.labels, strict=True)
        )
        came = {rle for ident, rle in after.items() if ident not in before and ident in pair.plans[0].hidden}
        went = {rle for ident, rle in before.items() if ident not in after and ident in pair.plans[1].hidden}
        stated = {
            kind: {r.rle for r in pair.regions if r.attributes["change"] == kind} for kind in ("added", "removed")
        }
        assert came <= stated["added"]
        assert went <= stated["removed"]
        assert not pair.plans[0].hidden & pair.plans[1].hidden


def test_both_kinds_of_change_and_no_change_occur(pairs):
    kinds = {region.attributes["change"] for pair in pairs for region in pair.regions}
    assert kinds == {"added", "removed"}
    assert any(not pair.regions for pair in pairs)
    assert not any(pair.mask.any() for pair in pairs if not pair.regions)


def test_light_changes_but_is_no_change(pairs):
    quiet = next(pair for pair in pairs if not pair.regions)
    before, after = quiet.render(0).astype(int), quiet.render(1).astype(int)
    assert np.abs(before - after).mean() > 2
    assert quiet.plans[0].look.sun != quiet.plans[1].look.sun


def test_questions_ask_for_what_they_list(pairs):
    for pair in pairs:
        questions = pair.questions()
        assert questions[0].regions == pair.regions
        assert questions[-1].regions == ()
        changed = {region.label for region in pair.regions}
        assert questions[-1].category not in changed
        for question in questions[1:-1]:
            wanted = [
                r for r in pair.regions if (r.attributes["change"], r.label) == (question.kind, question.category)
            ]
            assert question.regions == tuple(wanted)
            assert wanted
        assert sum(len(question.regions) for question in questions[1:-1]) == len(pair.regions)


def test_pairs_travel_by_reference(pairs):
    pair = next(pair for pair in pairs if pair.regions)
    images = pickle.loads(pickle.dumps(pair.images("val")))
    assert [image.uri.rsplit("/", 1)[1] for image in images] == ["before", "after"]
    for moment, image in enumerate(images):
        np.testing.assert_array_equal(image.render(), pair.render(moment))
