"""Laws of the expression engine: margin, uniqueness, determinism, uncertainty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.datasets.refer import AXES, KINDS, Margin, SceneGraph, SceneObject, evaluate, expressions
from rsground.datasets.refer.query import Category, Count, Extreme, Where, from_json, to_json
from rsground.errors import DataError, ShapeError, UnknownNameError
from rsground.types import Region


def thing(i, box, category="ship", area=None, certain=True, **attributes):
    area = (box[2] - box[0]) * (box[3] - box[1]) if area is None else area
    return SceneObject(i, category, box, area, Region(hbb=box), attributes=attributes, certain=certain)


def graph_of(*items, complete=("ship",), side=400):
    return SceneGraph(side, side, items, frozenset(complete))


def texts(graph, kind, **options):
    return {e.text.lower(): e.target_ids for e in expressions(graph, np.random.default_rng(0), kinds=[kind], **options)}


def perturbed(graph: SceneGraph, rng: np.random.Generator, margin: Margin) -> SceneGraph:
    """Every box shifted or its edges moved, every area and heading changed, all within the margin."""
    items = []
    for item in graph.objects:
        x1, y1, x2, y2 = item.hbb
        slack = max(margin.pixels, margin.share * np.sqrt((x2 - x1) * (y2 - y1))) * 0.999
        if rng.random() < 0.5:
            dx, dy = rng.choice([-slack, slack, rng.uniform(-slack, slack)], size=2)
            moved = (x1 + dx, y1 + dy, x2 + dx, y2 + dy)
        else:
            edges = np.array(item.hbb) + rng.uniform(-slack, slack, size=4)
            edges = edges if edges[2] > edges[0] and edges[3] > edges[1] else np.array(item.hbb)
            moved = tuple(float(v) for v in edges)
        factor = (1 + margin.area * 0.999) ** rng.uniform(-1, 1)
        seen = dict(item.attributes)
        if "heading" in seen:
            seen["heading"] = (seen["heading"] + rng.uniform(-1, 1) * margin.heading * 0.999) % 360
        items.append(replace(item, hbb=moved, area=item.area * factor, attributes=seen))
    return replace(graph, objects=tuple(items))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 22))
def test_any_annotation_within_the_margin_gives_the_same_answer(scene, seed, n):
    graph = scene(seed, n=n)
    margin = Margin()
    made = expressions(graph, np.random.default_rng(seed), limit=60, margin=margin)
    rng = np.random.default_rng(seed + 1)
    for _ in range(4):
        other = perturbed(graph, rng, margin)
        for expression in made:
            assert evaluate(expression.query, other) == expression.target_ids, expression


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_query_gives_the_targets_and_no_text_or_query_repeats(scene, seed):
    graph = scene(seed)
    made = expressions(graph, np.random.default_rng(seed))
    assert len({e.text.lower() for e in made}) == len({e.query for e in made}) == len(made)
    for expression in made:
        assert evaluate(expression.query, graph) == expression.target_ids
        assert from_json(to_json(expression.query)) == expression.query
        assert set(expression.axes) <= set(AXES)
        assert expression.axes
        assert ("absent-target" in expression.axes) == (expression.target_ids == ())
        assert ("plural" in expression.axes) == (len(expression.target_ids) > 1)
        assert "  " not in expression.text
        assert expression.text[0].isupper()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_uncertain_objects_are_never_targets(scene, seed):
    graph = scene(seed, doubtful=0.4)
    doubtful = {item.id for item in graph.objects if not item.certain}
    for expression in expressions(graph, np.random.default_rng(seed)):
        assert not doubtful & set(expression.target_ids)


def test_equal_seeds_give_equal_expressions(scene):
    first, again, other = (expressions(scene(5), np.random.default_rng(s), limit=30) for s in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_wider_margin_keeps_fewer(scene):
    def count(margin):
        return sum(
            len(expressions(scene(s), np.random.default_rng(0), kinds=["extreme"], margin=margin)) for s in range(8)
        )

    assert count(Margin(0, 0, 0, 0)) > count(Margin()) > count(Margin(pixels=40))


@pytest.mark.parametrize(("gap", "kept"), [(7.0, False), (9.0, True)])
def test_leftmost_needs_a_gap_of_both_margins(gap, kept):
    boxes = [(50, 50, 60, 60), (50 + gap, 200, 60 + gap, 210), (300, 100, 310, 110)]
    graph = graph_of(*(thing(i, tuple(map(float, box))) for i, box in enumerate(boxes)))
    assert (
        any("left" in text and ids == (0,) and "from" not in text for text, ids in texts(graph, "extreme").items())
        == kept
    )


def test_an_uncertain_object_spoils_only_what_it_could_change():
    items = [thing(0, (50.0, 50.0, 60.0, 60.0)), thing(1, (150.0, 150.0, 160.0, 160.0))]
    items.append(thing(2, (300.0, 300.0, 310.0, 310.0), certain=False))
    graph = graph_of(*items)
    picked = texts(graph, "extreme")
    assert any("left" in text for text in picked)
    assert any("top" in text or "up" in text for text in picked)
    assert not any("right" in text or "bottom" in text or "low" in text for text in picked)
    assert all("half" in text for text in texts(graph, "counting"))  # the uncertain one is in neither of these
    assert not any(text.endswith(("ships", "vessels")) for text in texts(graph, "plural") if "most" not in text)


def test_an_incomplete_category_is_not_mentioned():
    graph = graph_of(
        thing(0, (50.0, 50.0, 60.0, 60.0)), thing(1, (99.0, 9.0, 120.0, 20.0), "harbor"), complete=["harbor"]
    )
    made = expressions(graph, np.random.default_rng(0))
    assert made
    assert not any("ship" in e.text.lower() and "moor" not in e.text and "tie" not in e.text for e in made)


def test_alike_colours_are_not_told_apart():
    def graph(second):
        boxes = (50.0, 50.0, 60.0, 60.0), (150.0, 150.0, 160.0, 160.0)
        return graph_of(*(thing(i, b, colour=c) for i, (b, c) in enumerate(zip(boxes, ("white", second), strict=True))))

    assert any("white" in text for text in texts(graph("red"), "attribute"))
    assert not texts(graph("silver"), "attribute")


def test_a_wider_word_counts_the_narrower_things():
    items = [thing(i, (50.0 + 90 * i, 50.0, 60.0 + 90 * i, 60.0), c) for i, c in enumerate(("car", "car", "truck"))]
    graph = graph_of(*items, complete=["car", "truck"])
    made = expressions(graph, np.random.default_rng(1), kinds=["counting", "plural", "category"])
    assert {e.target_ids for e in made if isinstance(e.query, Count) and e.query.source == Category("vehicle")} == {
        (0, 1, 2)
    }
    assert {e.target_ids for e in made if e.query == Count(Category("truck"), 1)} == {(2,)}


def test_absence_is_not_claimed_of_what_could_be_confused():
    graph = graph_of(thing(0, (50.0, 50.0, 90.0, 90.0)), complete=["ship", "harbor", "bridge"])
    absent = " ".join(texts(graph, "absent"))
    assert "bridge" in absent
    assert "harbor" not in absent


def test_an_empty_scene_only_has_absent_things(scene):
    graph = graph_of(complete=["ship", "bridge"])
    made = expressions(graph, np.random.default_rng(0))
    assert made
    assert all(e.target_ids == () for e in made)
    assert expressions(graph_of(complete=[]), np.random.default_rng(0)) == []


def test_limit_and_kinds_are_kept(scene):
    made = expressions(scene(2), np.random.default_rng(0), kinds=["size", "extreme"], limit=5)
    assert len(made) == 5
    assert {e.kind for e in made} == {"size", "extreme"}
    assert all(e.text[0].islower() for e in expressions(scene(2), np.random.default_rng(0), limit=9, capitalise=False))


def test_every_kind_and_axis_occurs(scene):
    made = [e for s in range(40) for e in expressions(scene(s), np.random.default_rng(s))]
    assert {e.kind for e in made} == set(KINDS)
    assert {axis for e in made for axis in e.axes} == set(AXES)


def test_a_wrong_kind_is_named():
    with pytest.raises(UnknownNameError, match=r"no kind of expression named 'extremes'\. Did you mean 'extreme'"):
        expressions(graph_of(), np.random.default_rng(0), kinds=["extremes"])


def test_a_margin_must_make_sense():
    with pytest.raises(ShapeError, match=r"share < 0\.5"):
        Margin(share=0.7)


@pytest.mark.parametrize(
    "data", [None, [], ["nothing"], ["extreme", ["category", "ship"]], ["category", "a", "b"], [["x"]]]
)
def test_broken_query_lists_are_refused(data):
    with pytest.raises(DataError, match="query"):
        from_json(data)


def test_evaluate_by_hand():
    items = [thing(0, (0.0, 0.0, 10.0, 10.0), colour="red"), thing(1, (20.0, 5.0, 40.0, 25.0), colour="red"),
             thing(2, (50.0, 0.0, 55.0, 5.0), colour="blue")]  # fmt: skip
    graph = graph_of(*items)
    ships = Category("ship")
    assert evaluate(Extreme(ships, "large"), graph) == (1,)
    assert evaluate(Extreme(Where(ships, "colour", "red"), "right"), graph) == (1,)
    assert evaluate(Extreme(ships, "top", 2), graph) == (0, 2)
    assert evaluate(Count(ships, 2), graph) == ()
