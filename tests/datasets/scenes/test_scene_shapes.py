"""Coverage of shapes: areas, sparse against dense, bulk sprites against single ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rsground.datasets.scenes import designs_aircraft, designs_sport, designs_vehicles
from rsground.datasets.scenes.frames import HALF, Frame, Window, tiles
from rsground.datasets.scenes.paints import SpritePaint
from rsground.datasets.scenes.palette import KINDS
from rsground.datasets.scenes.plan import CATEGORIES, Layer, Thing
from rsground.datasets.scenes.shapes import Boxes, Disc, Shape, Stadium, sparse_cover
from rsground.datasets.scenes.sprites import DESIGNS, Sprite, atlas
from rsground.datasets.scenes.stamps import label, side_of, stamp_out

SIZE = 200
angles = st.floats(0, 2 * math.pi)


def solid_pixels(shape: Shape) -> int:
    win = shape.window(SIZE)
    assert win is not None
    return int((shape.cover(win).alpha >= HALF).sum())


@settings(max_examples=30)
@given(angle=angles, half_u=st.floats(6, 60), half_v=st.floats(6, 60))
def test_masks_have_the_area_of_their_outline(angle, half_u, half_v):
    frame = Frame.of(100.3, 99.6, angle)
    long, wide = max(half_u, half_v), min(half_u, half_v)
    shapes = [Shape(frame, half_u, half_v), Disc(frame, half_u, half_u), Stadium(frame, long, wide)]
    shapes.append(Disc(frame, long, long, wide * 0.5))
    shapes.append(Boxes(frame, half_u, half_v, ((0, 0, half_u, half_v / 2), (half_u / 2, 0, half_u / 2, half_v))))
    for shape in shapes:
        border = 4 * (half_u + half_v)
        assert abs(solid_pixels(shape) - shape.extent) <= 0.5 * border, shape


@settings(max_examples=60)
@given(
    angle=angles,
    x=st.floats(-40, 240),
    y=st.floats(-40, 240),
    half_u=st.floats(20, 300),
    half_v=st.floats(0.8, 30),
)
def test_sparse_coverage_equals_dense_coverage(angle, x, y, half_u, half_v):
    shape = Shape(Frame.of(x, y, angle), half_u, half_v)
    win = shape.window(SIZE)
    assume(win is not None)
    dense = np.zeros((SIZE, SIZE), np.float32)
    dense[win.at] = shape.cover(win).alpha
    pixels, cover = sparse_cover(shape, win)
    listed = np.zeros((SIZE, SIZE), np.float32)
    listed[pixels.at] = cover.alpha
    assert len(set(zip(pixels.y.tolist(), pixels.x.tolist(), strict=True))) == len(pixels.x)
    np.testing.assert_allclose(listed, dense, atol=1e-4)


@given(angle=angles, x=st.floats(-50, 250), half_u=st.floats(1, 200), half_v=st.floats(1, 200))
def test_what_fills_and_what_misses_a_window_is_right(angle, x, half_u, half_v):
    shape = Shape(Frame.of(x, 100.0, angle), half_u, half_v)
    for win in tiles(Window(0, 0, SIZE, SIZE)):
        alpha = shape.cover(win).alpha
        if shape.fills(win):
            assert alpha.min() >= 0.5
        if shape.misses(win):
            assert alpha.max() == 0


def test_tiles_cut_a_window_without_gap_or_overlap():
    count = np.zeros((300, 220), int)
    for tile in tiles(Window(0, 0, 220, 300)):
        count[tile.at] += 1
    assert (count == 1).all()


@settings(max_examples=40)
@given(
    name=st.sampled_from(["car", "van", "truck", "motorboat", "sailboat", "helicopter"]),
    angle=angles,
    x=st.integers(-5, 205),
    y=st.integers(-5, 205),
    scale=st.floats(1.0, 3.0),
)
def test_bulk_sprites_equal_single_ones(name, angle, x, y, scale):
    drawn = atlas(name)
    shape = Sprite(Frame.of(x, y, angle), drawn.half_u * scale, drawn.half_v * scale, name, scale)
    win = shape.window(SIZE)
    assume(win is not None)
    thing = Thing(shape, win, SpritePaint((200.0, 10.0, 10.0)), Layer.LOW)
    side = side_of(thing)
    assume(side is not None)
    labels = np.zeros((SIZE, SIZE), np.int32)
    label(stamp_out([thing], side, SIZE), [7], labels)
    single = np.zeros((SIZE, SIZE), np.int32)
    single[win.at][shape.cover(win).alpha >= HALF] = 7
    assert np.count_nonzero(labels != single) <= 0.02 * np.count_nonzero(single) + 1


def test_every_design_is_drawn_and_named():
    assert all((designs_aircraft, designs_sport, designs_vehicles))
    assert set(KINDS) == set(DESIGNS)
    assert {kind.category for kind in KINDS.values()} <= CATEGORIES


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_a_design_fills_its_stated_size(name):
    plan, drawn = DESIGNS[name](), atlas(name)
    assert drawn.half_u <= plan.length / 2 + 2 * plan.texel
    assert drawn.half_v <= plan.width / 2 + 2 * plan.texel
    assert drawn.half_u >= 0.35 * plan.length
    assert 0.1 * plan.length * plan.width <= drawn.area <= 1.02 * plan.length * plan.width
    assert max(level[1:4].max() for level in drawn.levels) <= 300
