"""Tank farms and industrial estates."""

from __future__ import annotations

import math

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.paints import Line
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.structures import LARGE_VEHICLES, car_park, hall, road, tank


def tank_farm(b: Builder, area: Area) -> None:
    """Storage tanks in bunded rows, pipes, sheds and a road."""
    b.ground(
        b.box(area.u, area.v, area.half_u, area.half_v),
        b.pick(("yard-gravel", "dry", "paving", "meadow")),
        gain=b.shade(),
    )
    u = area.u - area.half_u - b.between(0, 30)
    while u < area.u + area.half_u:
        radius = (b.between(5, 9), b.between(9, 15), b.between(16, 26))[b.whole(0, 2)]
        columns = max(1, round(b.between(30, 70) / (2.6 * radius)))
        width = columns * 2.6 * radius + 6
        v = area.v - area.half_v - b.between(0, 30)
        while v < area.v + area.half_v:
            rows = max(1, round(b.between(26, 60) / (2.6 * radius)))
            depth = rows * 2.6 * radius + 6
            _bund(b, u + width / 2, v + depth / 2, columns, rows, radius)
            v += depth + 10
        road(b, u + width + 4, area.v - area.half_v, u + width + 4, area.v + area.half_v, 6, lined=False, traffic=0.7)
        u += width + 8
    if b.chance(0.7):
        v = area.v + b.between(-20, 20)
        road(b, area.u - area.half_u, v, area.u + area.half_u, v, 7, traffic=1.5, lined=False, layer=Layer.FLAT)


def _bund(b: Builder, u: float, v: float, columns: int, rows: int, radius: float) -> None:
    """A walled yard of equal tanks; now and then sheds or nothing instead."""
    half_u, half_v = columns * 1.3 * radius + 2, rows * 1.3 * radius + 2
    kind = b.roll()
    if kind < 0.12:
        hall(b, u, v, 0.0, half_u * 0.7, half_v * 0.5, height=7, on="gravel")
        return
    wall = b.pick(("quay", "dirt", "dry"))
    b.ground(b.box(u, v, half_u, half_v), wall, Layer.FLAT, gain=b.shade(0.06), height=1.2)
    b.ground(
        b.box(u, v, half_u - 1.4, half_v - 1.4),
        b.pick(("yard-gravel", "soil", "paving", "dry")),
        Layer.FLAT,
        gain=b.shade(),
        open=False,
    )
    if kind < 0.2:
        return
    colour, group, taken = (
        (b.pick(("white", "white", "grey", "beige")) if b.chance(0.8) else None),
        b.group(),
        b.between(0.75, 1),
    )
    for row in range(rows):
        at_v = v + (row - (rows - 1) / 2) * 2.6 * radius
        pipe = tuple(
            Line(off * b.scale, max(0.4, 0.35 * b.scale), (176.0, 174.0, 168.0), strength=0.8) for off in (-0.8, 0.4)
        )
        b.ground(
            b.box(u, at_v + radius * 1.12, half_u - 2, 1.4),
            "yard-gravel",
            Layer.MARK,
            labelled=False,
            lines=pipe,
            opacity=0.7,
        )
        for column in range(columns):
            if b.chance(taken):
                tank(
                    b,
                    u + (column - (columns - 1) / 2) * 2.6 * radius,
                    at_v,
                    radius * b.between(0.93, 1.0),
                    colour,
                    group=group,
                    on="gravel",
                )


def industrial(b: Builder, area: Area) -> None:
    """Halls with yards, lorries at the docks, car parks, a few tanks, streets between the plots."""
    b.ground(
        b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("paving", "meadow", "yard-gravel")), gain=b.shade()
    )
    pitch_u, pitch_v = b.between(100, 150), b.between(84, 120)
    shift_u, shift_v = b.between(0, pitch_u), b.between(0, pitch_v)
    columns, rows = int(2 * area.half_u / pitch_u) + 2, int(2 * area.half_v / pitch_v) + 2
    for column in range(columns):
        for row in range(rows):
            u = area.u - area.half_u + (column - 0.5) * pitch_u + shift_u
            v = area.v - area.half_v + (row - 0.5) * pitch_v + shift_v
            _plant(b, u, v, pitch_u / 2 - 8, pitch_v / 2 - 8)
    for row in range(rows):
        v = area.v - area.half_v + (row - 1) * pitch_v + shift_v
        road(b, area.u - area.half_u, v, area.u + area.half_u, v, 9, traffic=1.5, kerb=1.5)
    for column in range(columns):
        u = area.u - area.half_u + (column - 1) * pitch_u + shift_u
        road(b, u, area.v - area.half_v, u, area.v + area.half_v, 9, traffic=1.5, kerb=1.5)


def _plant(b: Builder, u: float, v: float, half_u: float, half_v: float) -> None:
    """One industrial plot."""
    b.ground(b.box(u, v, half_u, half_v), b.pick(("lot", "paving", "yard-gravel", "quay")), gain=b.shade())
    b.ground(b.box(u, v + half_v - 2, half_u, 2), "yard", trees=0.7)
    kind = b.roll()
    if kind < 0.16:
        _cluster(b, u, v, half_u, half_v)
        return
    deep = half_v * b.between(0.42, 0.6)
    top = v - half_v + deep + 3
    if kind < 0.62:
        hall(b, u, top, 0.0, half_u - 5, deep, height=b.between(8, 13), on="pavement")
    else:
        split = b.between(-0.3, 0.3) * half_u
        for left, right in ((-half_u + 4, split - 4), (split + 4, half_u - 4)):
            hall(
                b,
                u + (left + right) / 2,
                top,
                0.0,
                (right - left) / 2,
                deep * b.between(0.7, 1),
                height=b.between(7, 13),
                on="pavement",
            )
    dock = top + deep
    group, taken = b.group(), b.between(0.2, 0.7)
    for i in range(int(2 * (half_u - 8) / 4.2)):
        full, name, turn = b.chance(taken), b.pick(("semi", "semi", "truck")), b.between(-0.03, 0.03)
        if full and i % 7 < 5:
            at = (u - half_u + 10 + i * 4.2, dock + 9.5)
            b.sprite(name, *at, math.pi / 2 + turn, facts={"on": "pavement", "group": group})
    room = (v + half_v - 5) - (dock + 22)
    if room > 8:
        car_park(b, Area(u - half_u * 0.3, dock + 22 + room / 2, half_u * 0.6, room / 2), fill=0.6)
    if b.chance(0.6):
        at = (u + b.between(-0.7, 0.7) * half_u, dock + 21)
        b.sprite(b.pick(LARGE_VEHICLES), *at, b.pick_turn(b.between(-0.2, 0.2)), facts={"on": "pavement"})
    if b.chance(0.4):
        tank(b, u + half_u - 8, v + half_v - 11, b.between(3.5, 5.5), on="pavement")


def _cluster(b: Builder, u: float, v: float, half_u: float, half_v: float) -> None:
    """Tanks of different sizes beside a process hall."""
    hall(b, u - half_u * 0.45, v, 0.0, half_u * 0.4, half_v * 0.6, height=12, on="pavement")
    group = b.group()
    for row in range(3):
        for column in range(2):
            radius = b.between(4.5, 8.5)
            if b.chance(0.85):
                at = (u + half_u * (0.25 + 0.45 * column), v + (row - 1) * half_v * 0.55)
                tank(b, *at, min(radius, half_v * 0.25), group=group, on="pavement")
