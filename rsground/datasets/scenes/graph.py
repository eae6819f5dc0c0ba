"""From a drawn label map to the records of the expression engine: exact masks, boxes, oriented boxes, places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rsground.datasets.refer.objects import SceneGraph, SceneObject
from rsground.datasets.scenes.compiled.switch import is_compiled
from rsground.datasets.scenes.plan import CATEGORIES, Plan, Thing
from rsground.datasets.scenes.runs import Runs, label_runs
from rsground.types import HBB, Quad, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_PIXELS = 4
"""Below this an object cannot be seen and is not listed."""
CLEAR_PIXELS = 16
CLEAR_SHARE = 0.5
"""An object with fewer visible pixels, or less of itself in view, is listed but not referred to alone."""
COMPLETE = CATEGORIES | {"open ground"}
"""What every scene lists all of."""
LANDING_METRES = 18.0
"""Side of the free square that makes a stretch of open ground a place to land a helicopter on."""


def make_graph(plan: Plan, labels: NDArray[np.int32]) -> SceneGraph:
    """The scene graph of a drawn plan.

    Args:
        plan: what was drawn.
        labels: ``(H, W)`` label map of :func:`rsground.datasets.scenes.render.draw`.
    """
    keep = np.array([thing.category is not None for thing in plan.things] + [False])
    keep[landing_grounds(plan, labels)] = True
    runs = label_runs(labels, keep)
    objects, places = [], []
    for label, region, area in zip(runs.wanted.tolist(), regions_of(plan, runs), runs.areas.tolist(), strict=True):
        thing = plan.things[label]
        if thing.category is None:
            places.append(_place(thing, label, region, area))
        elif area >= MIN_PIXELS:
            objects.append(_object(plan, thing, label, region, area))
    facts = {"places": tuple(places), "archetype": plan.archetype}
    return SceneGraph(plan.size, plan.size, tuple(objects), COMPLETE, plan.gsd, facts)


def regions_of(plan: Plan, runs: Runs) -> list[Region]:
    """One region per label of ``runs``: mask, tight box, tight box along the thing's own axis."""
    frames = [plan.things[label].shape.frame for label in runs.wanted.tolist()]
    cos, sin = np.array([frame.cos for frame in frames]), np.array([frame.sin for frame in frames])
    boxes, quads, masks = runs.boxes().tolist(), runs.quads(cos, sin).tolist(), runs.rles()
    regions = []
    for label, box, quad, mask in zip(runs.wanted.tolist(), boxes, quads, masks, strict=True):
        thing = plan.things[label]
        hbb: HBB = (box[0], box[1], box[2], box[3])
        a, b, c, d = (tuple(corner) for corner in quad)
        corners: Quad = (a, b, c, d)
        regions.append(Region(hbb=hbb, quad=corners, rle=mask, label=thing.category, attributes=thing.attributes))
    return regions


def _object(plan: Plan, thing: Thing, label: int, region: Region, area: int) -> SceneObject:
    """The record of one visible object."""
    assert region.hbb is not None
    x1, y1, x2, y2 = region.hbb
    cut = x1 <= 0 or y1 <= 0 or x2 >= plan.size or y2 >= plan.size
    share = area / max(thing.shape.extent, 1.0)
    certain = area >= CLEAR_PIXELS and share >= (CLEAR_SHARE if not cut else 0.6)
    attributes: dict[str, Any] = {**thing.attributes, "truncated": cut}
    return SceneObject(
        id=label,
        category=thing.category or "",
        hbb=region.hbb,
        area=float(area),
        region=region,
        quad=region.quad,
        attributes=attributes,
        certain=certain,
    )


def _place(thing: Thing, label: int, region: Region, area: int) -> SceneObject:
    """The record of a stretch of open ground."""
    assert region.hbb is not None
    about = {"on": thing.noun}
    region = Region(hbb=region.hbb, quad=region.quad, rle=region.rle, label="open ground", attributes=about)
    return SceneObject(label, "open ground", region.hbb or (0, 0, 0, 0), float(area), region, region.quad, about)


def landing_grounds(plan: Plan, labels: NDArray[np.int32]) -> list[int]:
    """The things whose stretch of open ground holds a free square of :data:`LANDING_METRES`.

    A stretch is what is seen of one piece of grass, sand or bare soil after everything on it is taken away. Found on a
    grid of every k-th pixel, so a square is free of anything larger than k pixels; k is at most an eighth of its side.
    """
    side = LANDING_METRES / plan.gsd
    step = max(1, int(side / 8))
    window = max(1, round(side / step))
    free = [
        number for number, thing in enumerate(plan.things) if thing.open and thing.labelled and thing.category is None
    ]
    if is_compiled() and labels.flags.carray:
        from rsground.datasets.scenes.compiled.runs import fits

        return [number for number in free if fits(labels, number, step // 2, step, window)]
    coarse = labels[step // 2 :: step, step // 2 :: step]
    seen = np.bincount(coarse.reshape(-1), minlength=len(plan.things)).tolist()
    return [number for number in free if seen[number] >= window * window and fits_square(coarse == number, window)]


def fits_square(free: NDArray[np.bool_], side: int) -> bool:
    """Whether a ``side`` x ``side`` square of true cells exists in a ``(h, w)`` bool grid."""
    height, width = free.shape
    if side > height or side > width:
        return False
    total = np.zeros((height + 1, width + 1), np.int32)
    np.cumsum(np.cumsum(free, axis=0, dtype=np.int32), axis=1, out=total[1:, 1:])
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return bool((sums == side * side).any())
