"""Airports, small airfields and heliports."""

from __future__ import annotations

import math

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.materials import RGB
from rsground.datasets.scenes.paints import Line
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.structures import YELLOW, car_park, hall, road

WHITE: RGB = (222.0, 222.0, 214.0)


def airport(b: Builder, area: Area) -> None:
    """A terminal, aircraft nose-in on the apron, a taxiway, grass and a runway, from -v to +v."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("lawn", "meadow", "dry")), gain=b.shade())
    big = b.chance(0.35)
    depth = 112.0 if big else 74.0
    middle = area.v + b.between(-0.25, 0.25) * min(area.half_v, 90.0)
    top, bottom = middle - depth * 0.55, middle + depth * 0.45
    _apron(b, area, (top + bottom) / 2, (bottom - top) / 2 + 12)
    _terminal(b, area, top - 14)
    _stands(b, area, top + (36 if big else 23), big)
    taxi = bottom + 8
    _taxiway(b, area, taxi)
    _runway(b, area, taxi + b.between(62, 90))
    if b.chance(0.6):
        names = ("business-jet", "airliner-blue", "airliner-red")
        b.sprite(b.pick(names), area.u + b.between(-60, 60), taxi, b.pick_turn(0.0), facts={"on": "taxiway"})
    car_park(b, Area(area.u, top - 66, area.half_u, 26), fill=0.7)
    road(b, area.u - area.half_u, top - 36, area.u + area.half_u, top - 36, 8, traffic=1.5)


def _apron(b: Builder, area: Area, v: float, half_v: float) -> None:
    joints = (7.5 * b.scale, 7.5 * b.scale, 0.10)
    b.ground(b.box(area.u, v, area.half_u, half_v), "apron", Layer.FLAT, gain=b.shade(0.06), joints=joints)
    for _ in range(5):
        spot = b.blob(
            area.u + b.between(-1, 1) * area.half_u * 0.7,
            v + b.between(-0.7, 0.7) * half_v,
            b.between(3, 9),
            b.between(2, 6),
        )
        b.ground(spot, "shade", Layer.MARK, labelled=False, opacity=b.between(0.12, 0.3))


def _terminal(b: Builder, area: Area, v: float) -> None:
    u = area.u - area.half_u + b.between(-60, 0)
    while u < area.u + area.half_u:
        half = b.between(38, 75)
        hall(b, u + half, v - b.between(0, 3), 0.0, half, b.between(11, 16), flat=True, height=13, on="apron")
        u += 2 * half + b.between(8, 30)


def _stands(b: Builder, area: Area, v: float, big: bool) -> None:
    names = (
        ("widebody", "four-engine")
        if big
        else ("airliner-blue", "airliner-red", "airliner-blue", "airliner-red", "business-jet")
    )
    pitch = 72.0 if big else 44.0
    group, lean = b.group(), (b.between(-0.5, 0.5) if b.chance(0.3) else 0.0)
    first = -int(area.half_u / pitch) - 1
    shift = b.between(0, pitch)
    for i in range(first, -first + 1):
        u = area.u + i * pitch + shift
        full, name, jitter = b.chance(0.78), b.pick(names), b.between(-1.5, 1.5)
        reach = 40.0 if big else 25.0
        mark = b.box(u, v + 4, reach, 0.5, math.pi / 2 + lean)
        lines = (Line(0.0, max(0.5, 0.3 * b.scale), YELLOW),)
        b.ground(mark, "apron", Layer.MARK, labelled=False, lines=lines)
        if full:
            b.sprite(name, u, v + jitter, -math.pi / 2 + lean, Layer.HIGH, facts={"on": "apron", "group": group})
            _service(b, u, v)


def _service(b: Builder, u: float, v: float) -> None:
    """Ground vehicles about a parked aircraft."""
    for _ in range(b.whole(1, 3)):
        side = 1 if b.chance(0.5) else -1
        name = b.pick(("truck", "van", "tank-truck", "pickup", "bus"))
        at = (u + side * b.between(13, 19), v + b.between(-15, 16))
        b.sprite(name, *at, b.between(-math.pi, math.pi), facts={"on": "apron"})


def _taxiway(b: Builder, area: Area, v: float) -> None:
    lines = (Line(0.0, max(0.6, 0.4 * b.scale), YELLOW, strength=0.9),)
    b.ground(
        b.box(area.u, v, area.half_u, 11.5), "old-asphalt", Layer.FLAT, lines=lines, gain=b.shade(0.08), noun="taxiway"
    )


def _runway(b: Builder, area: Area, v: float) -> None:
    s = b.scale
    edge = max(0.8, 0.9 * s)
    lines = [Line(0.0, edge, WHITE, 30 * s, 50 * s, 0.9), Line(-20.5 * s, edge, WHITE), Line(20.5 * s, edge, WHITE)]
    b.ground(b.box(area.u, v, area.half_u, 24), "runway", Layer.FLAT, lines=tuple(lines), gain=b.shade(0.06))
    for _ in range(4):
        streak = b.blob(
            area.u + b.between(-80, 80), v + b.pick_sign() * b.between(2, 6), b.between(40, 90), 1.3, 0.0, 0.5
        )
        b.ground(streak, "shade", Layer.MARK, labelled=False, opacity=0.4)
    if b.chance(0.5):
        end = area.u + b.between(-40, 40)
        for i in range(12):
            across = (i - 5.5) * 3.4
            paint = (Line(0.0, 1.9 * s, WHITE, strength=0.9),)
            b.ground(b.box(end, v + across, 15, 1.0), "runway", Layer.MARK, labelled=False, lines=paint)


def airfield(b: Builder, area: Area) -> None:
    """Light aircraft or fighters on a small apron with hangars."""
    military = b.chance(0.35)
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("meadow", "dry", "lawn")), gain=b.shade())
    v = area.v + b.between(-10, 10)
    _apron(b, area, v, 26)
    _taxiway(b, area, v + 50)
    kind, pitch = ("fighter", 17.0) if military else (("propeller", 15.5) if b.chance(0.7) else ("business-jet", 24.0))
    turn = b.between(-0.4, 0.4)
    for row, across in enumerate((-13.0, 12.0)):
        group, facing = b.group(), (math.pi / 2 if row == 0 else -math.pi / 2)
        taken = b.between(0.5, 0.95)
        for i in range(int(2 * area.half_u / pitch)):
            full, jitter = b.chance(taken), b.between(-0.12, 0.12)
            if full:
                u = area.u - area.half_u + (i + 0.5) * pitch
                b.sprite(kind, u, v + across, facing + turn + jitter, Layer.HIGH, facts={"on": "apron", "group": group})
    u = area.u - area.half_u
    while u < area.u + area.half_u:
        half = b.between(11, 19)
        hall(b, u + half, v - 42, 0.0, half, 11, flat=b.chance(0.2), height=8, on="apron")
        u += 2 * half + b.between(4, 14)
    road(b, area.u - area.half_u, v - 66, area.u + area.half_u, v - 66, 7, traffic=1.2)
    car_park(b, Area(area.u + b.between(-20, 20), v - 84, 28, 9), fill=0.6)


def heliport(b: Builder, area: Area) -> None:
    """Helipads in a row on grass or concrete, some with helicopters, and sheds."""
    paved = b.chance(0.5)
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("lawn", "meadow", "dry")), gain=b.shade())
    v = area.v + b.between(-6, 6)
    if paved:
        _apron(b, area, v, 19)
    pitch = b.between(27, 36)
    style = b.pick(("helipad-round", "helipad-square"))
    ground = "apron" if paved else "grass"
    group, shift = b.group(), b.between(0, pitch)
    colour = b.pick(("grey", "grey", "green", "blue"))
    span = int(area.half_u / pitch) + 1
    for i in range(-span, span + 1):
        u = area.u + i * pitch + shift
        b.sprite(style, u, v, 0.0, Layer.FLAT, colour=colour, facts={"on": ground, "group": group})
        if b.chance(0.6):
            name = b.pick(("helicopter", "helicopter", "heavy-helicopter"))
            at = (u + b.between(-1.2, 1.2), v + b.between(-1.2, 1.2))
            b.sprite(name, *at, b.between(-math.pi, math.pi), Layer.HIGH, facts={"on": "helipad"})
    road(b, area.u - area.half_u, v + 28, area.u + area.half_u, v + 28, 6.5, traffic=1.5)
    for side in (-1, 1):
        hall(b, area.u + side * b.between(16, 34), v - 36, 0.0, b.between(9, 15), 9, flat=False, height=7, on=ground)
    b.ground(b.box(area.u, v + 52, area.half_u, 18), "park", Layer.GROUND, gain=b.shade())
