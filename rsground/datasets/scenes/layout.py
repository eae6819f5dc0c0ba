"""From (seed, index, size) to a plan: which place, how far up, how turned, under which sky."""

from __future__ import annotations

import math

import numpy as np

from rsground.datasets.scenes.archetypes import ARCHETYPES
from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.canvas import Look
from rsground.datasets.scenes.plan import Layer, Plan, Thing
from rsground.datasets.scenes.structures import road

VERSION = "1"
"""Changes whenever the same (seed, index, size) would give another scene; part of every fingerprint."""

DISTRICT_PIXELS = 420
"""An image side beyond which a scene is made of several places."""
FEWEST, TRIES = 4, 6
"""Objects a scene should hold, and how often it is tried."""
_LAYOUT, _LOOK = 1, 2


def scene_rng(seed: int, index: int, *purpose: int) -> np.random.Generator:
    """The generator of one scene and purpose; independent of every other one."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, *purpose])))


def make_plan(seed: int, index: int, size: int) -> Plan:
    """The plan of a scene.

    Args:
        seed: of the collection, non-negative.
        index: of the scene, non-negative.
        size: side of the image, pixels.
    """
    rng = scene_rng(seed, index, _LAYOUT, size)
    names = list(ARCHETYPES)
    weights = np.cumsum([ARCHETYPES[name].weight for name in names])
    name = names[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
    low, high = ARCHETYPES[name].gsd
    gsd = round(low * (high / low) ** rng.random(), 3)
    builder = _furnish(rng, name, size, gsd)
    things = sorted(builder.things, key=lambda thing: thing.layer)
    return Plan(size, gsd, name, tuple(things), make_look(scene_rng(seed, index, _LOOK)))


def _furnish(rng: np.random.Generator, name: str, size: int, gsd: float) -> Builder:
    """A place with something in it: tried again, turned and furnished anew, while it is nearly empty."""
    half = size * gsd * 0.7072 + 2
    for _ in range(TRIES):
        builder = Builder(rng, size, gsd, round(rng.random() * 2 * math.pi, 6))
        if size <= DISTRICT_PIXELS:
            ARCHETYPES[name].fill(builder, Area(0.0, 0.0, half, half))
        else:
            _districts(builder, Area(0.0, 0.0, half, half), name)
        if _count_inside(builder) >= FEWEST:
            break
    return builder


def _count_inside(b: Builder) -> int:
    """Objects whose centre lies well inside the picture."""
    margin, far = 0.06 * b.size, 0.94 * b.size
    frames = (thing.shape.frame for thing in b.things if thing.category is not None)
    return sum(margin < frame.x < far and margin < frame.y < far for frame in frames)


def _districts(b: Builder, area: Area, main: str, depth: int = 0) -> None:
    """Split a large scene into places with a road on every cut; the first place is the scene's own."""
    limit = DISTRICT_PIXELS * b.gsd
    if max(area.half_u, area.half_v) * 2 <= limit * 1.35:
        _district(b, area, main if depth == 0 or b.chance(0.4) else _other(b))
        return
    part = b.between(0.4, 0.6)
    width = b.between(9, 15)
    if area.half_u >= area.half_v:
        one = Area(area.u - area.half_u * (1 - part), area.v, area.half_u * part, area.half_v)
        two = Area(area.u + area.half_u * part, area.v, area.half_u * (1 - part), area.half_v)
        cut = (
            area.u - area.half_u + 2 * one.half_u,
            area.v - area.half_v,
            area.u - area.half_u + 2 * one.half_u,
            area.v + area.half_v,
        )
    else:
        one = Area(area.u, area.v - area.half_v * (1 - part), area.half_u, area.half_v * part)
        two = Area(area.u, area.v + area.half_v * part, area.half_u, area.half_v * (1 - part))
        cut = (
            area.u - area.half_u,
            area.v - area.half_v + 2 * one.half_v,
            area.u + area.half_u,
            area.v - area.half_v + 2 * one.half_v,
        )
    _districts(b, one, main, depth + 1)
    _districts(b, two, main, depth + 1)
    road(b, *cut, width, lanes=2 if width < 12 else 4, traffic=3.0, kerb=2.0, layer=Layer.MARK)


def _other(b: Builder) -> str:
    """Another place that can be seen at about this resolution."""
    fitting = [name for name, kind in ARCHETYPES.items() if kind.gsd[0] * 0.8 <= b.gsd <= kind.gsd[1] * 1.25]
    return b.pick(fitting)


def _district(b: Builder, area: Area, name: str) -> None:
    """Fill one area and cut off what would stick out of it."""
    before = len(b.things)
    if not b.sees(area.u, area.v, math.hypot(area.half_u, area.half_v)):
        return
    ARCHETYPES[name].fill(b, area)
    kept = [clipped for thing in b.things[before:] if (clipped := clip_to(b, area, thing)) is not None]
    b.things[before:] = kept


def clip_to(b: Builder, area: Area, thing: Thing) -> Thing | None:
    """The thing inside its district: objects whose centre lies outside go, ground is cut at the border."""
    from rsground.datasets.scenes.shapes import Clipped

    u, v = b.unplace(thing.shape.frame.x, thing.shape.frame.y)
    reach = math.hypot(thing.shape.half_u, thing.shape.half_v) * b.gsd
    away = max(abs(u - area.u) - area.half_u, abs(v - area.v) - area.half_v)
    if away + reach <= 0:
        return thing
    if thing.category is not None or thing.layer >= Layer.LOW:
        return thing if away + 0.7 * reach < -4 else None
    if away >= reach:
        return None
    border = b.box(area.u, area.v, area.half_u, area.half_v)
    shape = thing.shape
    return thing._replace(shape=Clipped(shape.frame, shape.half_u, shape.half_v, shape, border))


def make_look(rng: np.random.Generator) -> Look:
    """Light, air and sensor of one picture."""
    r = rng.random(20).tolist()
    azimuth = round(r[0] * 2 * math.pi, 4)
    elevation = math.radians(28 + 44 * r[1])
    haze = 30 * r[2] ** 2
    cast = [(value - 0.5) * 0.12 for value in r[3:6]]
    bright = 0.86 + 0.26 * r[6]
    warm = (r[7] - 0.5) * 0.06
    gain = (bright * (1 + cast[0] + warm), bright * (1 + cast[1] * 0.5), bright * (1 + cast[2] - warm))
    season = r[8]
    dry = (1.0 + 0.30 * season, 1.0 + 0.06 * season, 1.0 - 0.04 * season)
    return Look(
        sun=(round(math.cos(azimuth), 6), round(math.sin(azimuth), 6)),
        shadow=round(1 / math.tan(elevation), 6),
        shade=0.48 + 0.16 * r[9],
        gain=gain,
        haze=(haze * 0.86, haze * 0.95, haze * 1.06),
        contrast=1 - haze / 160,
        blur=0.03 + 0.13 * r[10],
        noise=0.8 + 2.6 * r[11] ** 2,
        season=dry,
        offset=(int(r[12] * 256), int(r[13] * 256)),
    )
