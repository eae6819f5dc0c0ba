"""Container terminals and oil terminals."""

from __future__ import annotations

import math

from rsground.datasets.scenes.archetypes.water import BIG_SHIPS, sail
from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.materials import RGB
from rsground.datasets.scenes.paints import Line
from rsground.datasets.scenes.palette import COLOURS
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.sprites import atlas
from rsground.datasets.scenes.structures import LARGE_VEHICLES, drive, hall, pier, road, tank

CRATES: tuple[RGB, ...] = tuple(COLOURS[name] for name in ("red", "blue", "green", "orange", "grey", "white", "brown"))


def port(b: Builder, area: Area) -> None:
    """A container terminal: warehouses and stacks behind a quay (v < 0), ships alongside, open water beyond."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("quay", "yard-gravel", "paving")), gain=b.shade())
    edge = area.v + b.between(-0.2, 0.1) * min(area.half_v, 120)
    far = area.v + area.half_v
    b.ground(
        b.box(area.u, (edge + far) / 2, area.half_u, (far - edge) / 2), b.pick(("sea", "basin")), gain=b.shade(0.12)
    )
    b.ground(
        b.box(area.u, edge - 14, area.half_u, 14),
        "quay",
        Layer.FLAT,
        gain=b.shade(0.08),
        joints=(9 * b.scale, 0.0, 0.1),
    )
    rail = tuple(Line(at * b.scale, max(0.4, 0.3 * b.scale), (88.0, 84.0, 80.0), strength=0.7) for at in (-9, 9))
    b.ground(b.box(area.u, edge - 14, area.half_u, 12), "quay", Layer.MARK, labelled=False, lines=rail)
    _alongside(b, area, edge)
    _cranes(b, area, edge)
    stacks = edge - 62
    _stacks(b, Area(area.u, stacks, area.half_u, 26))
    road(b, area.u - area.half_u, edge - 31, area.u + area.half_u, edge - 31, 9, material="old-asphalt", lined=False)
    drive(b, area.u - area.half_u, edge - 31, 0.0, 2 * area.half_u, 9, 2, 3.0, large=0.8)
    u = area.u - area.half_u
    while u < area.u + area.half_u:
        half = b.between(22, 42)
        hall(b, u + half, edge - 122, 0.0, half, b.between(13, 20), height=9, on="pavement")
        u += 2 * half + b.between(8, 24)
    road(b, area.u - area.half_u, edge - 98, area.u + area.half_u, edge - 98, 8, traffic=2.0)
    for _ in range(b.whole(1, 4)):
        name = b.pick(("tug", "fishing-boat", "barge", *BIG_SHIPS))
        u, v = area.u + b.between(-0.8, 0.8) * area.half_u, edge + b.between(62, 190)
        sail(b, name, u, v, b.between(-math.pi, math.pi), under_way=b.chance(0.6))


def _alongside(b: Builder, area: Area, edge: float) -> None:
    u = area.u - area.half_u + b.between(-80, 20)
    group = b.group()
    while u < area.u + area.half_u:
        name = b.pick((*BIG_SHIPS, "container-ship", "tug", "barge"))
        drawn = atlas(name)
        b.claim(u + drawn.half_u, edge + drawn.half_v, drawn.half_u)
        sail(b, name, u + drawn.half_u, edge + drawn.half_v + 2.0, b.pick_turn(0.0), under_way=False, group=group)
        u += 2 * drawn.half_u + b.between(10, 50)


def _cranes(b: Builder, area: Area, edge: float) -> None:
    """Ship-to-shore cranes: a boom over the ship, four legs on the rails (decoration)."""
    gain = b.tint(COLOURS[b.pick(("blue", "orange", "red", "grey"))])
    u = area.u - area.half_u + b.between(0, 60)
    while u < area.u + area.half_u:
        relative = tuple(band / 150 for band in gain)
        tint: RGB = (relative[0], relative[1], relative[2])
        for dv, half in ((-2.6, 24.0), (2.6, 24.0)):
            b.ground(
                b.box(u + dv, edge - 4, half, 0.7, math.pi / 2), "quay", Layer.TOP, gain=tint, height=22.0, noun="crane"
            )
        for at in (-23.0, -5.0):
            b.ground(b.box(u, edge + at, 6.5, 1.1), "quay", Layer.TOP, gain=tint, height=14.0, noun="crane")
        u += b.between(55, 120)


def _stacks(b: Builder, area: Area) -> None:
    """Stacks of shipping containers (decoration): blocks of rows of coloured boxes."""
    block = 44.0
    count = int(2 * area.half_u / block) + 1
    for i in range(count):
        u = area.u - area.half_u + (i + 0.5) * block
        for across in (-13.0, 13.0):
            if not b.chance(0.85):
                continue
            for row in range(4):
                v, left = area.v + across + (row - 1.5) * 2.7, u - 18.5
                while left < u + 18:
                    boxes = b.whole(1, 3)
                    rgb = b.tint(CRATES[b.whole(0, len(CRATES) - 1)], 0.12)
                    half = boxes * 3.05
                    gain = (rgb[0] / 150, rgb[1] / 146, rgb[2] / 138)
                    if b.chance(0.86) and left + 2 * half < u + 20:
                        facts = {
                            "height": b.whole(1, 3) * 2.6,
                            "noun": "container",
                            "joints": (6.1 * b.scale, 0.0, 0.3),
                        }
                        b.ground(b.box(left + half, v, half - 0.15, 1.22), "quay", Layer.HIGH, gain=gain, **facts)
                    left += 2 * half
    for _ in range(b.whole(1, 4)):
        name = b.pick(LARGE_VEHICLES[:3])
        b.sprite(name, area.u + b.between(-0.8, 0.8) * area.half_u, area.v, b.pick_turn(0.0), facts={"on": "pavement"})


def tanker_berth(b: Builder, area: Area) -> None:
    """Oil tanks on the shore, a jetty and a tanker at its head."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), "yard-gravel", gain=b.shade())
    edge = area.v
    b.ground(b.box(area.u, edge + area.half_v, area.half_u, area.half_v), "sea", gain=b.shade(0.1))
    pier(b, area.u, edge + 30, math.pi / 2, 32, 3)
    pier(b, area.u, edge + 62, 0.0, 42, 5)
    sail(b, "tanker", area.u, edge + 78, b.pick_turn(0.0), under_way=False)
    group, radius = b.group(), b.between(10, 16)
    for row in range(3):
        for column in range(-3, 4):
            tank(b, area.u + column * radius * 2.7, edge - 24 - row * radius * 2.7, radius, group=group, on="gravel")
