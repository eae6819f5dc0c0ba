"""Marinas, coasts and rivers."""

from __future__ import annotations

import math

import numpy as np

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.paints import Ground, Line, Surf, Wake
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.shapes import Ribbon
from rsground.datasets.scenes.sprites import atlas
from rsground.datasets.scenes.structures import (
    car_park,
    drive,
    house,
    lane_lines,
    pier,
    road,
)

BIG_SHIPS = ("container-ship", "bulk-carrier", "tanker")
BOATS = ("motorboat", "motorboat", "sailboat", "sailboat", "yacht")


def sail(b: Builder, name: str, u: float, v: float, angle: float, *, under_way: bool, group: int | None = None) -> None:
    """A ship on the water, with a wake when it moves; none where another one already is."""
    drawn = atlas(name)
    if group is None and not b.claim(u, v, drawn.half_u + 2):
        return
    if under_way:
        length, width = drawn.half_u * b.between(4.5, 7.0), drawn.half_v * b.between(2.4, 3.4)
        middle = drawn.half_u * 0.96 - length / 2
        shape = b.box(u + middle * math.cos(angle), v + middle * math.sin(angle), length / 2, width, angle)
        b.add(shape, Wake(length * b.scale, width * b.scale), Layer.MARK, labelled=False)
    facts = {"on": "water"} if group is None else {"on": "water", "group": group}
    b.sprite(name, u, v, angle, Layer.LOW, facts=facts, steady=under_way)


def marina(b: Builder, area: Area) -> None:
    """Rows of boats along jetties that leave a promenade."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("basin", "sea")), gain=b.shade(0.12))
    edge = area.v - b.between(0.1, 0.5) * min(area.half_v, 60)
    top = area.v - area.half_v
    b.ground(
        b.box(area.u, (top + edge) / 2, area.half_u, (edge - top) / 2),
        b.pick(("park", "yard", "paving")),
        gain=b.shade(),
    )
    b.ground(b.box(area.u, edge - 6, area.half_u, 6), b.pick(("quay", "paving")), Layer.FLAT, gain=b.shade(0.06))
    car_park(b, Area(area.u, edge - 24, area.half_u, 9), fill=0.6)
    for _ in range(2):
        house(
            b,
            area.u + b.between(-0.6, 0.6) * area.half_u,
            edge - 46,
            0.0,
            b.between(8, 14),
            b.between(5, 8),
            on="grass",
        )
    pitch = b.between(34, 42)
    length = b.between(24, 48)
    count = int(2 * area.half_u / pitch) + 2
    shift = b.between(0, pitch)
    for i in range(count):
        u = area.u - area.half_u + i * pitch + shift
        pier(b, u, edge + length, math.pi / 2, length, 1.1, b.pick(("quay", "dirt", "sidewalk")))
        for side in (-1, 1):
            _berths(b, u + side * 1.4, edge + 5, side, 2 * length - 8)
    for _ in range(b.whole(1, 3)):
        at = (area.u + b.between(-0.6, 0.6) * area.half_u, edge + 2 * length + b.between(14, 60))
        sail(b, b.pick(BOATS), *at, b.between(-math.pi, math.pi), under_way=True)


def _berths(b: Builder, u: float, v: float, side: int, length: float) -> None:
    group, taken = b.group(), b.between(0.4, 1.0)
    name = b.pick(("motorboat", "sailboat", "yacht", "sailboat"))
    at = 0.0
    while at < length:
        chosen = name if b.chance(0.75) else b.pick(("motorboat", "sailboat"))
        drawn = atlas(chosen)
        full, bow_in, gap = b.chance(taken), b.chance(0.5), b.between(0.5, 1.3)
        at += drawn.half_v
        if full and at < length:
            heading = (0.0 if side > 0 else math.pi) + (math.pi if bow_in else 0.0)
            sail(b, chosen, u + side * (drawn.half_u + 0.5), v + at, heading, under_way=False, group=group)
        at += drawn.half_v + gap


def coast(b: Builder, area: Area) -> None:
    """A beach between scrub or woods and the sea, boats and ships off it."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("scrub", "park", "dry")), gain=b.shade())
    edge = area.v + b.between(-0.3, 0.15) * area.half_v
    sand = b.coast(area, edge - b.between(14, 30), 5, 110)
    b.ground(sand, "sand", Layer.GROUND, gain=b.shade(0.06))
    sea = b.coast(area, edge, b.between(4, 12), b.between(90, 180))
    b.ground(sea, "sea", Layer.GROUND, gain=b.shade(0.12))
    _surf(b, sea, b.between(26, 40) * b.scale)
    road(b, area.u - area.half_u, edge - 62, area.u + area.half_u, edge - 62, 7, traffic=2.0)
    for i in range(-3, 4):
        if b.chance(0.7):
            at = (area.u + i * 30 + b.between(-8, 8), edge - 84 - b.between(0, 10))
            house(b, *at, b.between(-0.3, 0.3), b.between(6, 9), b.between(4.5, 6), on="grass")
    if b.chance(0.45):
        pier(b, area.u + b.between(-0.4, 0.4) * area.half_u, edge + 20, math.pi / 2, 44, 2.4)
    for _ in range(b.whole(3, 7)):
        name = b.pick(("fishing-boat", "yacht", "sailboat", "motorboat", "tug", *BIG_SHIPS[1:]))
        low = 70 if name in BIG_SHIPS else 26
        at = (area.u + b.between(-0.8, 0.8) * area.half_u, edge + b.between(low, max(low + 30, 0.9 * area.half_v)))
        sail(b, name, *at, b.between(-math.pi, math.pi), under_way=b.chance(0.7))


def _surf(b: Builder, sea: Ribbon, reach: float) -> None:
    """Shallows and foam along the landward edge of a coast."""
    edge = sea.course - sea.widths
    half_v = reach + float(abs(edge).max())
    shape = Ribbon(sea.frame, sea.half_u, half_v, edge, np.full_like(edge, reach), sea.step)
    b.add(shape, Surf(reach), Layer.GROUND, labelled=False)


def river(b: Builder, area: Area) -> None:
    """A river with a bridge, boats, a town on one bank and fields on the other."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("meadow", "yard", "park")), gain=b.shade())
    middle, half = area.v + b.between(-12, 12), b.between(20, 38)
    band = b.ribbon(area, middle, half + 5, 14, 220, 0.12)
    b.ground(band, b.pick(("scrub", "sand", "park")), Layer.GROUND, gain=b.shade(0.08))
    water = band.beside(0.0, half * b.scale)
    b.ground(water, b.pick(("river", "basin")), Layer.GROUND, gain=b.shade(0.1))
    where = area.u + b.between(-0.35, 0.35) * min(area.half_u, 90)
    bridges = [where] if b.chance(0.65) else [where, where + b.between(60, 110)]
    for u in bridges:
        place = min(max(int((u - area.u + area.half_u) * b.scale / band.step), 0), len(band.course) - 1)
        _crossing(b, area, u, middle + float(band.course[place]) * b.gsd, half + 9)
    for side in (-1, 1):
        v = middle + side * (half + 34)
        road(b, area.u - area.half_u, v, area.u + area.half_u, v, 7, traffic=2.0, kerb=1.5)
        u = area.u - area.half_u + b.between(4, 16)
        while u < area.u + area.half_u:
            wide = b.between(6, 10)
            clear = all(abs(u + wide - at) > wide + 14 for at in bridges)
            make = b.chance(0.8)
            if make and clear:
                house(b, u + wide, v + side * b.between(15, 19), 0.0, wide, b.between(5, 7))
            u += 2 * wide + b.between(6, 16)
    for _ in range(b.whole(2, 5)):
        u = area.u + b.between(-0.8, 0.8) * area.half_u
        if all(abs(u - at) > 34 for at in bridges):
            name = b.pick(("barge", "motorboat", "yacht", "fishing-boat", "motorboat"))
            place = min(max(int((u - area.u + area.half_u) * b.scale / band.step), 0), len(band.course) - 1)
            across = float(band.course[place]) * b.gsd + b.between(-0.4, 0.4) * half
            sail(b, name, u, middle + across, b.pick_turn(b.between(-0.15, 0.15)), under_way=b.chance(0.7))


def _crossing(b: Builder, area: Area, u: float, v: float, half: float) -> None:
    """A road along v that crosses the water on a bridge."""
    width = b.pick(("two", "two", "four"))
    lanes = 2 if width == "two" else 4
    wide = 4.0 * lanes
    traffic = b.between(2, 5)
    far = area.half_v
    road(b, u, v - half + 2, u, v - far, wide, lanes=lanes)
    road(b, u, v + half - 2, u, v + far, wide, lanes=lanes)
    shape = b.box(u, v, half, wide / 2 + 1.4, math.pi / 2)
    edge = (wide / 2 + 1.0) * b.scale
    rails = (
        Line(-edge, max(0.6, 0.6 * b.scale), (206.0, 204.0, 198.0)),
        Line(edge, max(0.6, 0.6 * b.scale), (206.0, 204.0, 198.0)),
    )
    paint = Ground("old-asphalt", b.shade(0.1), lines=(*lane_lines(b, wide, lanes), *rails))
    about = {"colour": "grey", "on": "water"}
    b.add(shape, paint, Layer.HIGH, category="bridge", height=7.0, noun="bridge", attributes=about, steady=True)
    drive(b, u, v - far, math.pi / 2, 2 * far, wide, lanes, traffic, layer=Layer.TOP)
