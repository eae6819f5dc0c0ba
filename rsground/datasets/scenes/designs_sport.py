"""Designs that are painted on the ground: courts, fields and diamonds, lines included."""

from __future__ import annotations

import math

from rsground.datasets.scenes.sprites import Design, Layer, design, oval, slab

LINE = (228.0, 230.0, 224.0)
CLAY = (170.0, 112.0, 78.0)
RGB = tuple[float, float, float]


def frame_lines(x1: float, y1: float, x2: float, y2: float, width: float, rgb: RGB = LINE) -> list[Layer]:
    """The four sides of a rectangle as painted lines."""
    half = width / 2
    boxes = (
        slab(x1 - half, y1 - half, x2 + half, y1 + half),
        slab(x1 - half, y2 - half, x2 + half, y2 + half),
        slab(x1 - half, y1 - half, x1 + half, y2 + half),
        slab(x2 - half, y1 - half, x2 + half, y2 + half),
    )
    return [Layer(box, rgb, solid=False) for box in boxes]


def _tennis(inner: RGB | None) -> Design:
    """A tennis court, 36 x 18 m with its surround; ``inner`` None is one colour throughout."""
    width = 0.14
    layers = [Layer(slab(-18, -9, 18, 9), None, 0.94)]
    layers.append(Layer(slab(-11.9, -5.5, 11.9, 5.5), inner, 1.08 if inner is None else 1.0, solid=False))
    layers += frame_lines(-11.9, -5.5, 11.9, 5.5, width)
    layers += frame_lines(-6.4, -4.1, 6.4, 4.1, width)
    layers += [Layer(slab(-11.9, y - 0.07, 11.9, y + 0.07), LINE, solid=False) for y in (-4.1, 4.1)]
    layers.append(Layer(slab(-6.4, -0.07, 6.4, 0.07), LINE, solid=False))
    layers.append(Layer(slab(-0.09, -6.2, 0.09, 6.2), (62, 66, 64), solid=False))
    return Design(36, 18, 0.14, tuple(layers))


@design("tennis-plain")
def _tennis_plain() -> Design:
    return _tennis(None)


@design("tennis-blue")
def _tennis_blue() -> Design:
    return _tennis((64, 98, 146))


@design("tennis-green")
def _tennis_green() -> Design:
    return _tennis((92, 132, 92))


@design("basketball")
def _basketball() -> Design:
    layers = [Layer(slab(-15.5, -9, 15.5, 9), None, 0.96)]
    layers += frame_lines(-14, -7.5, 14, 7.5, 0.16)
    for side in (-1, 1):
        layers.append(
            Layer(slab(min(side * 14, side * 8.2), -2.45, max(side * 14, side * 8.2), 2.45), (176, 92, 66), solid=False)
        )
        layers += frame_lines(min(side * 14, side * 8.2), -2.45, max(side * 14, side * 8.2), 2.45, 0.14)
        arc = [
            (side * (12.4 - 6.75 * math.cos(t)), 6.75 * math.sin(t))
            for t in (i * math.pi / 24 - math.pi / 2 for i in range(25))
        ]
        inner = [
            (side * (12.4 - 6.55 * math.cos(t)), 6.55 * math.sin(t))
            for t in (math.pi / 2 - i * math.pi / 24 for i in range(25))
        ]
        layers.append(Layer((*arc, *inner), LINE, solid=False))
    layers.append(Layer(slab(-0.08, -7.5, 0.08, 7.5), LINE, solid=False))
    layers.append(Layer(oval(1.8, 1.8), LINE, solid=False))
    layers.append(Layer(oval(1.6, 1.6), None, 0.96, solid=False))
    return Design(31, 18, 0.12, tuple(layers))


def soccer_lines(long: float, wide: float, width: float) -> list[Layer]:
    """Touch lines, centre circle and penalty areas of a pitch ``long`` x ``wide`` metres."""
    x, y = long / 2, wide / 2
    layers = frame_lines(-x, -y, x, y, width)
    layers.append(Layer(slab(-width / 2, -y, width / 2, y), LINE, solid=False))
    for side in (-1.0, 1.0):
        for depth, reach in ((16.5, 20.2), (5.5, 9.2)):
            x1, x2 = sorted((side * x, side * (x - depth * long / 105)))
            layers += frame_lines(x1, -reach * wide / 68, x2, reach * wide / 68, width)
    ring = [(9.15 * math.cos(t), 9.15 * math.sin(t)) for t in (i * math.pi / 20 for i in range(41))]
    hole = [(8.85 * math.cos(t), 8.85 * math.sin(t)) for t in (-i * math.pi / 20 for i in range(41))]
    layers.append(Layer((*ring, *hole), LINE, solid=False))
    return layers


def _pitch(long: float, wide: float, margin: float) -> Design:
    stripes = 14
    layers = [Layer(slab(-long / 2 - margin, -wide / 2 - margin, long / 2 + margin, wide / 2 + margin), None, 0.95)]
    for stripe in range(0, stripes, 2):
        x = -long / 2 + stripe * long / stripes
        layers.append(Layer(slab(x, -wide / 2, x + long / stripes, wide / 2), None, 1.07, solid=False))
    layers += soccer_lines(long, wide, 0.35)
    return Design(long + 2 * margin, wide + 2 * margin, 0.35, tuple(layers))


@design("soccer")
def _soccer() -> Design:
    return _pitch(100, 64, 3)


@design("small-soccer")
def _small_soccer() -> Design:
    return _pitch(62, 40, 2)


@design("baseball")
def _baseball() -> Design:
    """A baseball diamond, home plate at the low-x end: outfield grass, clay infield, grass square, bases."""
    home, foul = -46.0, math.pi / 4

    def wedge(radius: float, start: float, n: int = 24) -> tuple[tuple[float, float], ...]:
        arc = [
            (start + radius * math.cos(t), radius * math.sin(t)) for t in (foul * (2 * i / n - 1) for i in range(n + 1))
        ]
        return ((start - 3.0, 0.0), *arc)

    layers = [
        Layer(wedge(96, home), None, 0.98),
        Layer(wedge(96, home), CLAY, 0.95),
        Layer(wedge(92, home), None, 1.0, 0.0, solid=False),
        Layer(wedge(44, home), CLAY, 1.0, solid=False),
        Layer(((home + 4, 0.0), (home + 19.4, -15.6), (home + 35, 0.0), (home + 19.4, 15.6)), None, 1.05, solid=False),
        Layer(oval(2.7, 2.7, home + 18.4), CLAY, 1.05, solid=False),
        Layer(oval(4.0, 4.0, home + 0.8), CLAY, 1.05, solid=False),
    ]
    for end in (-1, 1):
        tip = (home + 92 * math.cos(foul), end * 92 * math.sin(foul))
        layers.append(Layer(((home, 0.0), tip, (tip[0] + 0.3, tip[1]), (home + 0.3, 0.0)), LINE, solid=False))
    return Design(102, 138, 0.4, tuple(layers))
