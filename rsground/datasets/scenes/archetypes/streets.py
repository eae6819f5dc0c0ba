"""Housing, town blocks and car parks."""

from __future__ import annotations

import math

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.structures import (
    SMALL_VEHICLES,
    car_park,
    hall,
    house,
    pool,
    road,
)


def residential(b: Builder, area: Area) -> None:
    """Streets along u with houses, drives, pools and trees on both sides."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), "yard", gain=b.shade())
    plot, depth = b.between(17, 23), b.between(58, 70)
    shift = b.between(0, depth)
    rows = int(2 * area.half_v / depth) + 2
    pools = b.between(0.05, 0.45)
    wide = b.between(6.5, 9)
    if b.chance(0.75):
        u = area.u + b.between(-40, 40)
        road(b, u, area.v - area.half_v, u, area.v + area.half_v, 9, traffic=1.5, kerb=1.6, material="old-asphalt")
        cross = u
    else:
        cross = math.inf
    if b.chance(0.25):
        row = rows // 2 + b.whole(-1, 0) + 0.27 * b.pick_sign()
        _pocket_park(b, area.u + b.between(-20, 20), area.v - area.half_v + (row - 0.5) * depth + shift)
    for row in range(rows):
        v = area.v - area.half_v + row * depth + shift - depth / 2
        gain = b.shade(0.06)
        road(b, area.u - area.half_u, v, area.u + area.half_u, v, wide, traffic=0.8, kerb=1.5, lined=False, gain=gain)
        for side in (-1, 1):
            u = area.u - area.half_u + b.between(0, plot)
            while u < area.u + area.half_u:
                width = plot * b.between(0.85, 1.25)
                _plot(b, u + width / 2, v, side, width, wide, pools, abs(u + width / 2 - cross) > width / 2 + 6)
                u += width


def _plot(b: Builder, u: float, v: float, side: int, width: float, street: float, pools: float, clear: bool) -> None:
    """One house on its plot, the street at ``v`` on the ``-side`` of it."""
    setback = street / 2 + b.between(8, 11)
    half_v, half_u = b.between(4.2, 5.8), min(b.between(5.5, 8.2), width * 0.36)
    drive_at, turn = (width * 0.5 - 3.2) * b.pick_sign(), b.between(-0.03, 0.03)
    gain, parked, has_pool, spot = b.shade(0.1), b.chance(0.55), b.chance(pools), b.between(-0.25, 0.25)
    pool_u, pool_v, name, nose = (
        b.between(2.6, 5.0),
        b.between(1.8, 2.6),
        b.pick(SMALL_VEHICLES),
        b.pick_turn(math.pi / 2),
    )
    if not clear or not b.is_free(u, v + side * (setback + half_v), half_u + 3):
        return
    reach = setback + half_v
    material = b.pick(("sidewalk", "paving", "old-asphalt"))
    path = b.box(u + drive_at, v + side * (street / 2 + 1 + reach / 2 - street / 4), 1.7, reach / 2 - street / 4)
    b.ground(path, material, Layer.FLAT, gain=gain)
    at = v + side * (setback + half_v)
    house(b, u - math.copysign(1.0, drive_at), at, turn, half_u, half_v)
    if parked:
        b.sprite(name, u + drive_at, v + side * (street / 2 + 4.6), nose, facts={"on": "driveway"})
    if has_pool:
        pool(b, u + spot * width, at + side * (half_v + pool_v + 4.5), turn, pool_u, pool_v)
    elif b.chance(0.4):
        b.ground(b.box(u + spot * width, at + side * (half_v + 2.0), 3.0, 2.0), "sidewalk", Layer.FLAT, gain=gain)


def _pocket_park(b: Builder, u: float, v: float) -> None:
    """A court on a lawn in place of a house or two."""
    b.claim(u, v, 19)
    b.ground(b.box(u, v, 22, 11), "lawn", Layer.FLAT, gain=b.shade(0.08))
    design = b.pick(("basketball", "tennis-plain", "tennis-blue"))
    b.sprite(design, u, v, b.pick_turn(0.0), Layer.FLAT, facts={"on": "grass"})


def town(b: Builder, area: Area) -> None:
    """Flat-roofed blocks between streets, courtyards with trees or car parks."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), "paving", gain=b.shade())
    pitch_u, pitch_v = b.between(62, 90), b.between(54, 76)
    shift_u, shift_v = b.between(0, pitch_u), b.between(0, pitch_v)
    columns, rows = int(2 * area.half_u / pitch_u) + 2, int(2 * area.half_v / pitch_v) + 2
    for column in range(columns):
        for row in range(rows):
            u = area.u - area.half_u + (column - 0.5) * pitch_u + shift_u
            v = area.v - area.half_v + (row - 0.5) * pitch_v + shift_v
            _block(b, u, v, pitch_u / 2 - 9, pitch_v / 2 - 9)
    for row in range(rows):
        v = area.v - area.half_v + row * pitch_v + shift_v - pitch_v
        road(b, area.u - area.half_u, v, area.u + area.half_u, v, 10, traffic=4.0, kerb=2.4)
    for column in range(columns):
        u = area.u - area.half_u + column * pitch_u + shift_u - pitch_u
        wide = column == columns // 2
        lanes = 4 if wide else 2
        road(b, u, area.v - area.half_v, u, area.v + area.half_v, 14 if wide else 9, lanes=lanes, traffic=4.0, kerb=2.4)


def _block(b: Builder, u: float, v: float, half_u: float, half_v: float) -> None:
    kind = b.roll()
    if kind < 0.14:
        b.ground(b.box(u, v, half_u, half_v), "park", gain=b.shade())
        if b.chance(0.4):
            b.sprite("basketball", u, v, 0.0, Layer.MARK, facts={"on": "grass"})
    elif kind < 0.3:
        car_park(b, Area(u, v, half_u, half_v), fill=0.65)
    elif kind < 0.55:
        b.ground(b.box(u, v, half_u * 0.5, half_v * 0.45), "park", gain=b.shade())
        rim = 6.5
        for side in (-1, 1):
            hall(
                b,
                u,
                v + side * (half_v - rim),
                0.0,
                half_u,
                rim,
                flat=b.chance(0.5),
                height=b.between(10, 22),
                office=True,
            )
            hall(
                b,
                u + side * (half_u - rim),
                v,
                math.pi / 2,
                half_v - 2 * rim,
                rim,
                flat=b.chance(0.5),
                height=12,
                office=True,
            )
    else:
        parts = b.whole(1, 3)
        wide = half_u / parts
        for i in range(parts):
            at = u - half_u + (2 * i + 1) * wide
            deep = half_v * b.between(0.6, 1.0)
            hall(
                b,
                at,
                v + b.pick_sign() * (half_v - deep),
                0.0,
                wide - 1.2,
                deep,
                flat=True,
                height=b.between(8, 30),
                office=True,
            )


def parking(b: Builder, area: Area) -> None:
    """A large car park in front of a shop, with planted strips."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v), "park", gain=b.shade())
    v = area.v - b.between(0, 12)
    deep = min(area.half_v * 0.72, b.between(28, 60))
    fill, angle = b.between(0.35, 0.85), b.between(-0.02, 0.02)
    u = area.u - area.half_u
    while u < area.u + area.half_u:
        half = b.between(20, 45)
        car_park(b, Area(u + half, v, half, deep), fill=fill, angle=angle)
        b.ground(b.box(u + 2 * half + 1.6, v, 1.6, deep), "yard", Layer.FLAT, trees=0.8)
        u += 2 * half + 3.2
    front = v - deep - b.between(4, 8)
    u = area.u - area.half_u
    while u < area.u + area.half_u:
        half, wide = b.between(22, 50), b.between(16, 30)
        b.ground(b.box(u + half, front - wide, half + 5, wide + 8), "paving", gain=b.shade(0.06))
        hall(b, u + half, front - wide, 0.0, half, wide, flat=True, height=8, on="pavement")
        u += 2 * half + b.between(2, 16)
    road(
        b, area.u - area.half_u, v + deep + 10, area.u + area.half_u, v + deep + 10, 13, lanes=4, traffic=3.0, kerb=2.0
    )
    for _ in range(b.whole(1, 3)):
        at = (area.u + b.between(-0.6, 0.6) * area.half_u, front + 2.5)
        b.sprite(b.pick(("truck", "bus")), *at, b.pick_turn(0.0), facts={"on": "parking lot"})
