"""Highways and roundabouts."""

from __future__ import annotations

import math

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.paints import Ground, Line
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.structures import SMALL_VEHICLES, car_park, drive, drive_curve, house, lane_lines, road


def highway(b: Builder, area: Area) -> None:
    """A bent dual carriageway through fields or woods, perhaps an overpass."""
    materials = (("meadow", "forest"), ("dry", "scrub"), ("crop", "meadow"), ("park", "meadow"))[b.whole(0, 3)]
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), materials[0], gain=b.shade())
    for _ in range(3):
        at = (area.u + b.between(-1, 1) * area.half_u, area.v + b.pick_sign() * b.between(50, 110))
        b.ground(b.blob(*at, b.between(25, 70), b.between(18, 40), b.between(0, 3)), materials[1], gain=b.shade())
    lanes = b.whole(2, 3)
    wide = lanes * 3.7 + 2.5
    verge = b.ribbon(area, area.v, 2 * wide + 9, b.between(0, 26), b.between(260, 480), 0.0)
    b.ground(verge, "meadow", Layer.GROUND, gain=b.shade(0.06))
    traffic = b.between(1.5, 4.5)
    for side in (-1, 1):
        strip = verge.beside(side * (wide / 2 + 1.6) * b.scale, wide / 2 * b.scale)
        b.ground(strip, "asphalt", Layer.FLAT, gain=b.shade(0.05), lines=lane_lines_one_way(b, wide, lanes))
        places = tuple((((lane + 0.5) / lanes - 0.5) * (wide - 2.5), side > 0) for lane in range(lanes))
        drive_curve(b, strip, places, traffic)
    b.ground(verge.beside(0.0, 1.6 * b.scale), "meadow", Layer.FLAT, gain=b.shade(0.06))
    if b.chance(0.55):
        u = area.u + b.between(-0.3, 0.3) * min(area.half_u, 90)
        place = min(max(int((u - area.u + area.half_u) * b.scale / verge.step), 0), len(verge.course) - 1)
        _overpass(b, area, u, area.v + float(verge.course[place]) * b.gsd, 2 * wide + 14)


def lane_lines_one_way(b: Builder, width: float, lanes: int) -> tuple[Line, ...]:
    """Solid edges and dashes between lanes that all run one way; pixels."""
    inner = (width - 2.5) / 2
    thick = max(0.4, 0.2 * b.scale)
    lines = [Line(side * inner * b.scale, thick, strength=0.75) for side in (-1, 1)]
    for lane in range(1, lanes):
        at = (lane / lanes - 0.5) * 2 * inner * b.scale
        lines.append(Line(at, thick, on=4.5 * b.scale, period=13.5 * b.scale, strength=0.8))
    return tuple(lines)


def _overpass(b: Builder, area: Area, u: float, v: float, half: float) -> None:
    lanes = 2 if b.chance(0.7) else 4
    wide = 4.0 * lanes
    for side in (-1, 1):
        road(b, u, v + side * (half - 2), u, v + side * area.half_v * 2, wide, lanes=lanes)
    edge = (wide / 2 + 0.8) * b.scale
    rails = tuple(Line(at, max(0.5, 0.5 * b.scale), (200.0, 198.0, 192.0)) for at in (-edge, edge))
    paint = Ground("old-asphalt", b.shade(0.08), lines=(*lane_lines(b, wide, lanes), *rails))
    shape = b.box(u, v, half, wide / 2 + 1.2, math.pi / 2)
    facts = {"colour": "grey", "on": "road"}
    b.add(shape, paint, Layer.HIGH, category="bridge", height=6.5, noun="bridge", attributes=facts, steady=True)
    drive(b, u, v - 2 * area.half_v, math.pi / 2, 4 * area.half_v, wide, lanes, 2.0, layer=Layer.TOP)


def roundabout(b: Builder, area: Area) -> None:
    """A roundabout with four arms, houses and car parks in the corners."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("yard", "park", "meadow")), gain=b.shade())
    u, v = area.u + b.between(-10, 10), area.v + b.between(-10, 10)
    radius = b.between(15, 24)
    inner = radius - b.between(7, 9)
    wide, far = b.between(8, 11), 2 * max(area.half_u, area.half_v)
    turn = b.between(0, 0.3)
    arms = [turn + i * math.pi / 2 for i in range(b.whole(3, 4))]
    for angle in arms:
        cos, sin = math.cos(angle), math.sin(angle)
        start = radius + 2
        road(b, u + start * cos, v + start * sin, u + far * cos, v + far * sin, wide, traffic=2.5, kerb=1.5)
        b.ground(b.box(u + (radius - 1) * cos, v + (radius - 1) * sin, 4, wide / 2, angle), "asphalt", Layer.FLAT)
    ring = b.disc(u, v, radius)
    b.ground(b.disc(u, v, radius + 1.6), "sidewalk", Layer.FLAT)
    paint, facts = Ground("asphalt", b.shade(0.04)), {"colour": "grey"}
    b.add(ring, paint, Layer.FLAT, category="roundabout", noun="road", attributes=facts, steady=True)
    b.ground(b.disc(u, v, inner + 0.8), "sidewalk", Layer.MARK, labelled=False)
    b.ground(b.disc(u, v, inner), b.pick(("lawn", "park", "turf")), Layer.MARK, labelled=False)
    b.ground(b.disc(u, v, inner * 0.4), b.pick(("forest", "sidewalk", "clay")), Layer.MARK, labelled=False)
    middle = (radius + inner) / 2
    for i in range(b.whole(2, 5)):
        angle = i * 1.4 + b.between(-0.3, 0.3)
        at = (u + middle * math.cos(angle), v + middle * math.sin(angle))
        b.sprite(b.pick(SMALL_VEHICLES), *at, angle - math.pi / 2, facts={"on": "road"})
    for i in range(4):
        angle = turn + (i + 0.5) * math.pi / 2
        cos, sin = math.cos(angle), math.sin(angle)
        if b.chance(0.35):
            away = radius + 38
            car_park(b, Area(u + away * cos, v + away * sin, 20, 12), fill=0.6, angle=turn)
            continue
        for away in (radius + 22, radius + 52, radius + 80):
            half_u, half_v = b.between(7, 13), b.between(5, 8)
            house(b, u + away * cos, v + away * sin, turn + b.pick_sign() * math.pi / 4 * b.whole(0, 2), half_u, half_v)
