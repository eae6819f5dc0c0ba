"""Sports grounds: stadium track, pitches, diamonds, courts and pools."""

from __future__ import annotations

import math

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.paints import Ground, Line
from rsground.datasets.scenes.palette import rgb_of
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.structures import car_park, hall, pool, road


def track(b: Builder, u: float, v: float, angle: float, *, field: bool = True) -> None:
    """A 400 m running track, 178 x 93 m, with a soccer field or plain turf inside."""
    colour = b.weighted({"red": 60, "brown": 20, "blue": 20})
    rgb = {"red": (168.0, 88.0, 70.0), "brown": (140.0, 98.0, 78.0), "blue": (80.0, 110.0, 158.0)}[colour]
    gain = (rgb[0] / 172, rgb[1] / 108, rgb[2] / 78)
    b.ground(b.stadium(u, v, 92, 49, angle), "turf", Layer.FLAT, gain=b.shade(0.08), open=False)
    facts = {"colour": colour, "on": "grass"}
    about = {"category": "ground track field", "noun": "track", "attributes": facts, "steady": True}
    b.add(b.stadium(u, v, 89, 46, angle), Ground("clay", gain), Layer.FLAT, **about)
    thick = max(0.35, 0.12 * b.scale)
    for lane in range(1, 7):
        shape = b.stadium(u, v, 89 - lane * 1.4, 46 - lane * 1.4, angle)
        b.ground(shape, "clay", Layer.FLAT, labelled=False, gain=tuple(band * 1.28 for band in gain))
        inner = b.stadium(u, v, 89 - lane * 1.4 - thick * b.gsd, 46 - lane * 1.4 - thick * b.gsd, angle)
        b.ground(inner, "clay", Layer.FLAT, labelled=False, gain=gain)
    b.ground(b.stadium(u, v, 79, 36, angle), "turf", Layer.FLAT, gain=b.shade(0.08), labelled=False)
    if field:
        b.sprite("soccer", u, v, angle, Layer.FLAT, facts={"on": "grass"})


def sports(b: Builder, area: Area) -> None:
    """Large grounds side by side: a track, pitches, diamonds, courts, a pool, a car park."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("park", "lawn", "meadow")), gain=b.shade())
    pitch_u, pitch_v = 205.0, 118.0
    shift_u, shift_v = b.between(-30, 30), b.between(-18, 18)
    columns, rows = int(area.half_u / pitch_u + 0.5) + 1, int(area.half_v / pitch_v + 0.5) + 1
    main = b.pick(("track", "pitches", "diamonds", "courts", "track"))
    for column in range(-columns, columns + 1):
        for row in range(-rows, rows + 1):
            u, v = area.u + column * pitch_u + shift_u, area.v + row * pitch_v + shift_v
            kind = main if column == row == 0 else b.pick(("track", "pitches", "diamonds", "courts", "courts", "hall"))
            _ground(b, kind, u, v)
            road(b, u - pitch_u / 2, v + pitch_v / 2, u + pitch_u / 2, v + pitch_v / 2, 6, traffic=1.2, lined=False)
    for column in range(-columns, columns + 1):
        u = area.u + (column + 0.5) * pitch_u + shift_u
        b.ground(b.box(u, area.v, 5, area.half_v), "park", Layer.GROUND, trees=0.7)


def _ground(b: Builder, kind: str, u: float, v: float) -> None:
    if kind == "track":
        track(b, u, v, b.pick_turn(0.0), field=b.chance(0.75))
    elif kind == "pitches":
        group = b.group()
        for at in (-50.0, 50.0):
            if b.chance(0.9):
                design = b.pick(("small-soccer", "small-soccer", "soccer"))
                b.sprite(design, u + at, v, math.pi / 2, Layer.FLAT, facts={"on": "grass", "group": group})
    elif kind == "diamonds":
        for at, turn in ((-52.0, b.between(-0.8, 0.8)), (52.0, math.pi + b.between(-0.8, 0.8))):
            if b.chance(0.9):
                b.sprite("baseball", u + at, v, turn, Layer.FLAT, scale=b.between(0.72, 0.8), facts={"on": "grass"})
    elif kind == "courts":
        _court_block(b, u - 45, v - 20, 3)
        _pool_block(b, u + 55, v - 14)
        car_park(b, Area(u, v + 42, 84, 9), fill=0.6)
    else:
        hall(b, u - 30, v - 8, 0.0, 42, 24, height=14, on="grass")
        car_park(b, Area(u + 62, v, 30, 40), fill=0.6)


def _court_block(b: Builder, u: float, v: float, count: int) -> None:
    """A row of equal courts on one slab."""
    design = b.pick(("tennis-plain", "tennis-blue", "tennis-green", "basketball"))
    colour = b.weighted({"green": 4, "blue": 3, "red": 2}) if design in ("tennis-plain", "basketball") else None
    wide = 19.5
    half = count * wide / 2
    b.ground(b.box(u, v, half + 2, 20.5), b.pick(("clay", "paving", "sidewalk")), Layer.FLAT, gain=b.shade(0.08))
    group = b.group()
    for i in range(count):
        if b.chance(0.92):
            at = u - half + (i + 0.5) * wide
            b.sprite(design, at, v, math.pi / 2, Layer.FLAT, colour=colour, facts={"on": "pavement", "group": group})


def _pool_block(b: Builder, u: float, v: float) -> None:
    """A public pool: a long basin with lanes, a small one, a hall."""
    b.ground(b.box(u, v, 30, 22), "sidewalk", Layer.FLAT, gain=b.shade(0.05))
    lines = tuple(
        Line(at * 2.5 * b.scale, max(0.3, 0.2 * b.scale), rgb_of("white"), strength=0.4)
        for at in (-3, -2, -1, 0, 1, 2, 3)
    )
    gain = b.shade(0.05)
    paint = Ground("shallows", (gain[0], gain[1] * 1.32, gain[2] * 1.4), lines=lines)
    facts = {"colour": "turquoise", "on": "pavement"}
    about = {"category": "swimming pool", "noun": "water", "attributes": facts}
    b.add(b.box(u - 2, v - 4, 25, 10.5), paint, Layer.FLAT, **about)
    if b.chance(0.7):
        pool(b, u + 12, v + 14, 0.0, 8, 4)
    hall(b, u - 16, v + 16, 0.0, 11, 5, flat=True, height=5, on="pavement")


def courts(b: Builder, area: Area) -> None:
    """A small sports club: court blocks, a pool, a club house, a car park, trees."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), b.pick(("park", "yard", "lawn")), gain=b.shade())
    pitch_u, pitch_v = b.between(84, 96), b.between(54, 64)
    shift_u, shift_v = b.between(-30, 30), b.between(-20, 20)
    columns, rows = int(area.half_u / pitch_u) + 1, int(area.half_v / pitch_v) + 1
    for column in range(-columns, columns + 1):
        for row in range(-rows, rows + 1):
            u, v = area.u + column * pitch_u + shift_u, area.v + row * pitch_v + shift_v
            kind = b.roll() if column or row else b.between(0.0, 0.5)
            if kind < 0.5:
                _court_block(b, u, v, b.whole(2, 3))
            elif kind < 0.65:
                _pool_block(b, u, v)
            elif kind < 0.8:
                car_park(b, Area(u, v, 34, 18), fill=0.6)
            else:
                hall(b, u, v, 0.0, b.between(14, 26), b.between(9, 15), height=7, on="grass")
        u = area.u + (column + 0.5) * pitch_u + shift_u
        road(b, u, area.v - area.half_v, u, area.v + area.half_v, 6, traffic=1.2, lined=False, material="old-asphalt")
