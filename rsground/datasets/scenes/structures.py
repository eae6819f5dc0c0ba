"""What archetypes are built of: houses, halls, tanks, roads, car parks, pools and piers. Everything in metres."""

from __future__ import annotations

import math
from typing import Any

from rsground.datasets.scenes.builder import Area, Builder
from rsground.datasets.scenes.materials import RGB
from rsground.datasets.scenes.paints import Ground, Line
from rsground.datasets.scenes.palette import HALL, HOUSE, OFFICE, TANK, rgb_of
from rsground.datasets.scenes.plan import Layer
from rsground.datasets.scenes.roofs import FlatRoof, PitchedRoof, TankTop
from rsground.datasets.scenes.shapes import Boxes, Ribbon, Shape

Part = tuple[float, float, float, float]

SMALL_VEHICLES = ("car", "car", "hatchback", "suv", "suv", "van", "pickup")
LARGE_VEHICLES = ("truck", "truck", "semi", "bus", "tank-truck")
PAVEMENT: RGB = (166.0, 162.0, 154.0)
YELLOW: RGB = (206.0, 168.0, 62.0)


def _outline(b: Builder, u: float, v: float, angle: float, parts: tuple[Part, ...]) -> tuple[Shape, tuple[Part, ...]]:
    """The shape of a building and its parts in pixels."""
    s = b.scale
    drawn = tuple((p[0] * s, p[1] * s, p[2] * s, p[3] * s) for p in parts)
    half_u = max(abs(p[0]) + p[2] for p in drawn)
    half_v = max(abs(p[1]) + p[3] for p in drawn)
    frame = b.frame(u, v, angle)
    if len(parts) == 1:
        return Shape(frame, half_u, half_v), drawn
    return Boxes(frame, half_u, half_v, drawn), drawn


def house(b: Builder, u: float, v: float, angle: float, half_u: float, half_v: float, **facts: Any) -> None:
    """A house with a pitched roof, sometimes L-shaped."""
    colour = b.weighted(HOUSE)
    parts: tuple[Part, ...] = ((0.0, 0.0, half_u, half_v),)
    if b.chance(0.45):
        wing, reach = half_u * b.between(0.35, 0.5), half_v * b.between(0.3, 0.6)
        side = 1 if b.chance(0.5) else -1
        end = 1 if b.chance(0.5) else -1
        parts = ((0.0, -side * reach / 2, half_u, half_v - reach / 2), (end * (half_u - wing), 0.0, wing, half_v))
    hipped, height, seams = b.chance(0.6), b.between(4.5, 7.0), b.chance(0.2)
    rgb = b.tint(rgb_of(colour, "building"), 0.1)
    if not b.sees(u, v, half_u + half_v):
        return
    shape, drawn = _outline(b, u, v, angle, parts)
    paint = PitchedRoof(rgb, drawn, shape.frame.cos, shape.frame.sin, hipped, 1.1 * b.scale if seams else 0.0)
    about = {"colour": colour, "on": "grass", **facts}
    b.add(shape, paint, Layer.HIGH, category="building", height=height, noun="roof", attributes=about)


def hall(
    b: Builder, u: float, v: float, angle: float, half_u: float, half_v: float,
    *, flat: bool | None = None, height: float = 9.0, office: bool = False, **facts: Any,
) -> None:  # fmt: skip
    """A large building: flat-roofed with machines and skylights, or a ridged metal shed."""
    colour = b.weighted(OFFICE if office else HALL)
    rgb = b.tint(rgb_of(colour, "building"), 0.06)
    flat = b.chance(0.6) if flat is None else flat
    parts: tuple[Part, ...] = ((0.0, 0.0, half_u, half_v),)
    if flat and b.chance(0.35):
        wing = half_u * b.between(0.25, 0.45)
        side, end = (1 if b.chance(0.5) else -1), (1 if b.chance(0.5) else -1)
        cut = half_v * b.between(0.25, 0.45)
        parts = ((0.0, -side * cut, half_u, half_v - cut), (end * (half_u - wing), 0.0, wing, half_v))
    boxes = _rooftop(b, parts[0]) if flat else ()
    panels = b.between(4.0, 9.0)
    if not b.sees(u, v, half_u + half_v):
        return
    shape, drawn = _outline(b, u, v, angle, parts)
    cos, sin = shape.frame.cos, shape.frame.sin
    paint: FlatRoof | PitchedRoof
    if flat:
        paint = FlatRoof(rgb, drawn, cos, sin, boxes, panels * b.scale, b.scale)
    else:
        paint = PitchedRoof(rgb, drawn, cos, sin, False, panels * 0.6 * b.scale, 0.14)
    about = {"colour": colour, **facts}
    b.add(shape, paint, Layer.HIGH, category="building", height=height, noun="roof", attributes=about)


def _rooftop(b: Builder, part: Part) -> tuple[tuple[float, float, float, float, float], ...]:
    """Machines in a loose row, or a row of skylights; pixels."""
    at_u, at_v, half_u, half_v = part
    s, boxes = b.scale, []
    lights = b.chance(0.4) and half_u > 12
    n = min(7, 1 + int(half_u / 5))
    line = b.between(-0.4, 0.4) * half_v
    for i in range(n):
        u = at_u + half_u * (-0.8 + 1.6 * (i + 0.5) / n)
        if lights:
            boxes.append((u * s, (at_v + line) * s, 0.7 * s, half_v * 0.45 * s, 1.22))
        elif b.chance(0.7):
            v = at_v + line + b.between(-0.2, 0.2) * half_v
            boxes.append((u * s, v * s, b.between(0.7, 1.8) * s, b.between(0.6, 1.3) * s, b.between(1.1, 1.25)))
    return tuple(boxes)


def tank(b: Builder, u: float, v: float, radius: float, colour: str | None = None, **facts: Any) -> None:
    """A storage tank."""
    word = colour or b.weighted(TANK)
    floating, rgb = b.chance(0.45), b.tint(rgb_of(word), 0.06)
    paint = TankTop(rgb, radius * b.scale, floating)
    about = {"colour": word, **facts}
    height = min(11.0, 0.35 * radius + 3)
    b.add(
        b.disc(u, v, radius), paint, Layer.HIGH, category="storage tank", height=height, noun="roof", attributes=about
    )


def pool(b: Builder, u: float, v: float, angle: float, half_u: float, half_v: float, *, deck: float = 1.6) -> None:
    """A swimming pool in its paved deck."""
    b.ground(b.box(u, v, half_u + deck, half_v + deck, angle), "sidewalk", Layer.FLAT)
    shape = b.stadium(u, v, half_u, half_v, angle) if b.chance(0.35) else b.box(u, v, half_u, half_v, angle)
    gain = b.shade(0.08)
    paint = Ground("shallows", (gain[0] * 1.0, gain[1] * 1.35, gain[2] * 1.42))
    b.add(shape, paint, Layer.FLAT, category="swimming pool", noun="water", attributes={"colour": "turquoise"})


def road(
    b: Builder, u1: float, v1: float, u2: float, v2: float, width: float,
    *, material: str = "asphalt", lanes: int = 2, traffic: float = 0.0, kerb: float = 0.0, lined: bool = True,
    layer: Layer = Layer.FLAT, gain: RGB = (1.0, 1.0, 1.0),
) -> None:  # fmt: skip
    """A straight road, with traffic keeping right.

    Args:
        b: the drawing board.
        u1, v1, u2, v2: end points.
        width: of the carriageway.
        material: its surface.
        lanes: both directions together.
        traffic: vehicles per 100 m of lane.
        kerb: width of the pavement on each side, 0 for none.
        lined: whether lanes are marked.
        layer: when it is painted.
        gain: on the surface.
    """
    length, angle = math.hypot(u2 - u1, v2 - v1), math.atan2(v2 - v1, u2 - u1)
    cos, sin = math.cos(angle), math.sin(angle)
    lines = lane_lines(b, width, lanes) if lined else ()
    if kerb > 0:
        path = tuple(
            Line(side * (width + kerb) / 2 * b.scale, kerb * b.scale, PAVEMENT, strength=0.96) for side in (-1, 1)
        )
        lines = (*path, *lines)
    start, stop = b.seen_stretch(u1, v1, angle, length, width + kerb)
    if start < stop:
        along = (start + stop) / 2
        shape = b.box(u1 + along * cos, v1 + along * sin, (stop - start) / 2, width / 2 + kerb, angle)
        b.ground(shape, material, layer, lines=lines, phase=along * b.scale, gain=gain)
    if traffic > 0:
        drive(b, u1, v1, angle, length, width, lanes, traffic)


def lane_lines(b: Builder, width: float, lanes: int) -> tuple[Line, ...]:
    """Edge lines, a middle line, and dashes between lanes of one direction; pixels."""
    s, thick = b.scale, max(0.35, 0.18 * b.scale)
    edge = (width / 2 - 0.5) * s
    lines = [Line(-edge, thick, strength=0.6), Line(edge, thick, strength=0.6)]
    for lane in range(1, lanes):
        at = (lane / lanes - 0.5) * width * s
        if 2 * lane == lanes:
            rgb: RGB = YELLOW if lanes > 2 else (210.0, 208.0, 198.0)
            lines.append(Line(at, thick, rgb, 0 if lanes > 2 else 3.0 * s, 0 if lanes > 2 else 8.0 * s, 0.75))
        else:
            lines.append(Line(at, thick, on=3.0 * s, period=9.0 * s, strength=0.75))
    return tuple(lines)


def drive(
    b: Builder, u: float, v: float, angle: float, length: float, width: float, lanes: int, traffic: float,
    large: float = 0.14, layer: Layer = Layer.LOW,
) -> None:  # fmt: skip
    """Vehicles along the lanes of a straight road from (u, v)."""
    cos, sin = math.cos(angle), math.sin(angle)
    mean_gap = 100 / max(traffic, 0.01)
    start, stop = b.seen_stretch(u, v, angle, length, width / 2 + 9)
    for lane in range(lanes):
        across = ((lane + 0.5) / lanes - 0.5) * width
        forward = across > 0
        along = start + b.between(0, mean_gap)
        while along < stop - 4:
            big = b.chance(large)
            along += 6 if big else 0  # room ahead of a lorry's bumper
            name = b.pick(LARGE_VEHICLES) if big else b.pick(SMALL_VEHICLES)
            at_u, at_v = u + along * cos - across * sin, v + along * sin + across * cos
            wobble = b.between(-0.02, 0.02)
            heading = angle + wobble + (0 if forward else math.pi)
            b.sprite(name, at_u, at_v, heading, layer, facts={"on": "road"})
            along += (20 if big else 9) + b.between(0, 2 * mean_gap)


def drive_curve(b: Builder, course: Ribbon, lanes: tuple[tuple[float, bool], ...], traffic: float) -> None:
    """Vehicles along a bent road: ``lanes`` are (metres across, forward)."""
    step = course.step * b.gsd
    n = len(course.course)
    for across, forward in lanes:
        at = b.between(0, 100 / traffic)
        while True:
            big = b.chance(0.2)
            at += 6 if big else 0
            i = int(at / step)
            if i >= n - 2:
                break
            slope = float(course.course[i + 1] - course.course[i]) / course.step
            x, y = course.frame.locate(i * course.step - course.half_u, float(course.course[i]) + across * b.scale)
            u, v = b.unplace(x, y)
            heading = course.frame.angle - b.angle + math.atan(slope) + (0 if forward else math.pi)
            b.sprite(b.pick(LARGE_VEHICLES if big else SMALL_VEHICLES), u, v, heading, facts={"on": "road"})
            at += (22 if big else 10) + b.between(0, 200 / traffic)


def car_park(b: Builder, area: Area, *, fill: float = 0.6, angle: float = 0.0, material: str = "lot") -> None:
    """Double rows of parking bays along u with aisles between, filled to ``fill``."""
    b.ground(b.box(area.u, area.v, area.half_u, area.half_v, angle), material, Layer.FLAT, gain=b.shade(0.06))
    cos, sin = math.cos(angle), math.sin(angle)
    bay, depth, aisle = 2.6, 5.2, 6.2
    module = 2 * depth + aisle
    rows = max(1, int((2 * area.half_v - 1) / module))
    half_u = area.half_u - 3.0
    if half_u < 4:
        return
    for row in range(rows):
        middle = (row + 0.5 - rows / 2) * module
        at = (area.u - middle * sin, area.v + middle * cos)
        s = b.scale
        strip = b.box(*at, half_u, depth + 0.2, angle)
        bays = (bay * s, 0.05 * s, depth * s, 0.14 * s)
        line = (Line(0.0, max(0.35, 0.15 * s)),)
        b.ground(strip, material, Layer.MARK, labelled=False, lines=line, bays=bays)
        for side in (-1, 1):
            group = b.group()
            taken = fill * b.between(0.5, 1.4)
            mid = middle + side * depth / 2
            left = (area.u - half_u * cos - mid * sin, area.v - half_u * sin + mid * cos)
            start, stop = b.seen_stretch(*left, angle, 2 * half_u, 4.0)
            for i in range(int(start / bay), min(int(2 * half_u / bay), math.ceil(stop / bay))):
                along = -half_u + (i + 0.5) * bay
                full, name, nose, shift = b.chance(taken), b.pick(SMALL_VEHICLES), b.chance(0.65), b.between(-0.3, 0.3)
                if not full:
                    continue
                across = middle + side * (depth / 2 + shift)
                u, v = area.u + along * cos - across * sin, area.v + along * sin + across * cos
                heading = angle + math.pi / 2 * (side if nose else -side) + math.pi
                b.sprite(name, u, v, heading, facts={"on": "parking lot", "group": group})


def pier(b: Builder, u: float, v: float, angle: float, half_u: float, half_v: float, material: str = "quay") -> None:
    """A pier or jetty standing in water."""
    rows = (0.9 * b.scale, 0.05)
    paint = Ground(material, b.shade(0.08), joints=(5 * b.scale, 0.0, 0.12), rows=rows)
    shape = b.box(u, v, half_u, half_v, angle)
    facts = {"colour": "grey", "on": "water"}
    b.add(shape, paint, Layer.FLAT, category="pier", height=1.6, noun="pier", attributes=facts)
