"""Relations as rows of sets: the same however many are computed at once, and never more than a scene can hold."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.datasets.refer import Margin, expressions, tables
from rsground.datasets.refer.tables import SURE_CONE, SceneTables, members

ORDERS = {"left": (0, 1.0), "right": (0, -1.0), "top": (1, 1.0), "bottom": (1, -1.0)}
SIDES = {"left": (0, 1.0), "right": (0, -1.0), "above": (1, 1.0), "below": (1, -1.0)}


def slack_of(item, margin):
    x1, y1, x2, y2 = item.hbb
    return max(margin.pixels, margin.share * np.sqrt((x2 - x1) * (y2 - y1)))


def comes_before(j, i, name, margin):
    """Whether j comes before i whatever two annotators make of them: by its centre and by its far edge."""
    if name in ("large", "small"):
        more, less = (j, i) if name == "large" else (i, j)
        return j.certain and i.certain and less.area * (1 + margin.area) < more.area / (1 + margin.area)
    axis, sign = ORDERS[name]
    gap = slack_of(i, margin) + slack_of(j, margin)
    edge = axis if sign > 0 else axis + 2
    centres = [(one.hbb[axis] + one.hbb[axis + 2]) / 2 for one in (i, j)]
    return sign * (centres[0] - centres[1]) > gap and sign * (i.hbb[edge] - j.hbb[edge]) > gap


def lies_beside(j, a, name, margin):
    """Whether j lies on that side of anchor a: (surely, possibly)."""
    axis, sign = SIDES[name]
    slack = slack_of(a, margin) + slack_of(j, margin)
    gaps = [max(a.hbb[k] - j.hbb[k + 2], j.hbb[k] - a.hbb[k + 2]) for k in (0, 1)]
    ahead = sign * ((a.hbb[axis] + a.hbb[axis + 2]) / 2 - (j.hbb[axis] + j.hbb[axis + 2]) / 2)
    clear = gaps[axis] - slack
    sure = ahead > slack and clear >= 0 and max(gaps[1 - axis] + slack, 0) <= SURE_CONE * clear
    return sure, sure or ahead > -slack


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 24),
    at_once=st.sampled_from([1, 7, 512]),
    among=st.integers(0, 2**26 - 1),
)
def test_rows_are_what_comparing_one_by_one_says(scene, seed, n, at_once, among):
    margin = Margin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "AT_ONCE", at_once)
        found = SceneTables(scene(seed, n=n), margin)
        items = found.items
        asked = among & ((1 << len(items)) - 1)
        for name in (*ORDERS, "large", "small"):
            rows = found.order(name, asked)
            assert set(members(asked)) <= set(rows)
            for i in members(asked):
                ahead = [j for j, item in enumerate(items) if comes_before(item, items[i], name, margin)]
                behind = [j for j, item in enumerate(items) if comes_before(items[i], item, name, margin)]
                assert members(rows[i].sure) == ahead
                assert members(rows[i].possible) == sorted({*range(len(items))} - {i, *behind})
        for name in SIDES:
            for a in members(asked):
                row = found.side(name, a)
                told = [lies_beside(item, items[a], name, margin) for item in items]
                assert members(row.sure) == [j for j, (sure, _) in enumerate(told) if sure]
                assert members(row.possible) == [j for j, (_, may) in enumerate(told) if may and j != a]


def test_expressions_do_not_depend_on_how_much_is_computed_at_once(scene, monkeypatch):
    def told():
        graphs = [scene(seed, n=40) for seed in range(6)]
        return [(e.text, e.target_ids) for g in graphs for e in expressions(g, np.random.default_rng(1), limit=80)]

    whole = told()
    monkeypatch.setattr(tables, "AT_ONCE", 5)
    assert told() == whole


def test_a_scene_of_very_many_objects_holds_no_table_of_all_pairs(scene):
    """Of 6,000 objects, a number for each pair is 288 MB."""
    found = SceneTables(scene(1, n=6000, side=20_000), Margin())
    tracemalloc.start()
    for name in (*ORDERS, "large", "small"):
        found.order(name, (1 << 200) - 1)
    for name in SIDES:
        found.side(name, 17)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6
