"""Farmland: fields, farms, tree lines, dirt roads."""

from __future__ import annotations

import math

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.structures import hall, house, pool, road

FIELDS = ("crop", "crop", "pale-crop", "ripe-crop", "tilled", "tilled", "meadow", "soil")


def farmland(b: Builder, area: Area) -> None:
    """A patchwork of fields split again and again, a road, two or more farms."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), "meadow", gain=b.shade())
    _split(b, area, 0, b.between(60, 110))
    if b.chance(0.3):
        at = (area.u + b.between(-0.5, 0.5) * area.half_u, area.v + b.between(-0.5, 0.5) * area.half_v)
        radius = b.between(50, 90)
        b.ground(
            b.disc(*at, radius),
            b.pick(("crop", "pale-crop")),
            Layer.GROUND,
            gain=b.shade(0.15),
            rows=(3.0 * b.scale, 0.08),
        )
    for _ in range(b.whole(1, 3)):
        at = (area.u + b.between(-1, 1) * area.half_u, area.v + b.between(-1, 1) * area.half_v)
        b.ground(b.blob(*at, b.between(18, 60), b.between(14, 36), b.between(0, 3)), "forest", gain=b.shade())
    v = area.v + b.between(-0.2, 0.2) * min(area.half_v, 100)
    paved = b.chance(0.6)
    material, width = ("old-asphalt", 6.5) if paved else ("dirt", 5.0)
    road(b, area.u - area.half_u, v, area.u + area.half_u, v, width, material=material, traffic=1.2, lined=paved)
    u = area.u - area.half_u + b.between(10, 60)
    while u < area.u + area.half_u:
        _farm(b, u, v + b.pick_sign() * b.between(26, 36))
        u += b.between(70, 190)


def _split(b: Builder, area: Area, depth: int, smallest: float) -> None:
    """Cut an area into fields, the longer side first."""
    long = max(area.half_u, area.half_v) * 2
    if long < smallest * 1.3 or (depth > 3 and b.chance(0.25)) or depth > 9:
        _field(b, area)
        return
    part = b.between(0.36, 0.64)
    if area.half_u >= area.half_v:
        first, second = area.half_u * part, area.half_u * (1 - part)
        one = Area(area.u - area.half_u + first, area.v, first, area.half_v)
        two = Area(area.u + area.half_u - second, area.v, second, area.half_v)
    else:
        first, second = area.half_v * part, area.half_v * (1 - part)
        one = Area(area.u, area.v - area.half_v + first, area.half_u, first)
        two = Area(area.u, area.v + area.half_v - second, area.half_u, second)
    _split(b, one, depth + 1, smallest)
    _split(b, two, depth + 1, smallest)


def _field(b: Builder, area: Area) -> None:
    material = b.pick(FIELDS)
    across, gap, gain = b.chance(0.5), b.between(0.6, 2.4), b.shade(0.16)
    period, strength, hedge = b.between(1.6, 5.0), b.between(0.04, 0.13), b.chance(0.3)
    half_u, half_v = max(area.half_u - gap, 1.0), max(area.half_v - gap, 1.0)
    rows = None if material in ("meadow", "soil") else (period * b.scale, strength)
    shape = b.box(area.u, area.v, half_v, half_u, math.pi / 2) if across else b.box(area.u, area.v, half_u, half_v)
    b.ground(shape, material, Layer.GROUND, gain=gain, rows=rows)
    if hedge:
        side = b.pick_sign()
        b.ground(b.box(area.u, area.v + side * area.half_v, area.half_u, 2.2), "park", Layer.FLAT, trees=0.85)


def _farm(b: Builder, u: float, v: float) -> None:
    """A farm yard with a house, barns, silos left out, tractors' lorries and perhaps a pool."""
    turn = b.between(-0.4, 0.4)
    b.ground(b.blob(u, v, 30, 22, turn, 0.3), b.pick(("dirt", "yard-gravel")), Layer.FLAT, gain=b.shade())
    cos, sin = math.cos(turn), math.sin(turn)

    def at(x: float, y: float) -> tuple[float, float]:
        return (u + x * cos - y * sin, v + x * sin + y * cos)

    house(b, *at(-17, -8), turn, b.between(6, 8.5), b.between(4.5, 6), on="dirt")
    for x, y in ((10.0, -10.0), (14.0, 11.0)):
        if b.chance(0.8):
            hall(
                b,
                *at(x, y),
                turn + b.pick_sign() * math.pi / 2 * b.whole(0, 1),
                b.between(10, 16),
                b.between(5, 7),
                flat=False,
                height=7,
                on="dirt",
            )
    if b.chance(0.3):
        pool(b, *at(-18, 11), turn, 4, 2.2)
    for x, y in ((-3.0, 4.0), (-8.0, 9.0)):
        name, heading = b.pick(("truck", "pickup", "car", "suv")), b.between(-math.pi, math.pi)
        if b.chance(0.7):
            b.sprite(name, *at(x, y), heading, facts={"on": "dirt"})
    b.ground(b.blob(*at(-26, 0), 9, 16, turn), "park", Layer.GROUND, trees=0.8)
