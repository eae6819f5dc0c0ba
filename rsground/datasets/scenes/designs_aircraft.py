"""Designs that fly: airliners, jets, propeller planes, helicopters, and the pads they land on."""

from __future__ import annotations

import math

from rsground.datasets.scenes.sprites import Design, Layer, design, mirrored, oval, pair, slab

Point2 = tuple[float, float]

GLASS = (52.0, 58.0, 66.0)
ENGINE = (150.0, 152.0, 156.0)
DARK = (70.0, 72.0, 76.0)


def _jet(
    length: float,
    span: float,
    body: float,
    sweep: float,
    engines: tuple[tuple[float, float], ...],
    accent: tuple[float, float, float],
    texel: float,
) -> Design:
    """A swept-wing jet.

    Args:
        length, span: metres.
        body: half width of the fuselage.
        sweep: metres the wing tip lies behind the root's leading edge.
        engines: (x of the intake, y) on each side.
        accent: colour of the fin.
        texel: metres.
    """
    nose, tail, half = length / 2, -length / 2, span / 2
    root, chord = length * 0.13, length * 0.2
    fuselage = mirrored(
        (nose, 0.0),
        (nose - 0.03 * length, body * 0.55),
        (nose - 0.08 * length, body * 0.9),
        (nose - 0.14 * length, body),
        (tail + 0.3 * length, body),
        (tail + 0.12 * length, body * 0.65),
        (tail, body * 0.15),
    )
    wing = [
        (root, body * 0.5),
        (root - sweep, half),
        (root - sweep - chord * 0.3, half),
        (root - chord * 0.98, half * 0.34),
        (root - chord * 1.05, body * 0.5),
    ]
    flap = [
        (root - chord * 0.85, body),
        (root - sweep * 0.98 - chord * 0.2, half * 0.95),
        (root - sweep - chord * 0.3, half * 0.97),
        (root - chord * 1.05, body),
    ]
    tail_root = tail + 0.13 * length
    plane = [
        (tail_root, 0.2),
        (tail_root - 0.1 * length, half * 0.36),
        (tail_root - 0.135 * length, half * 0.36),
        (tail_root - 0.11 * length, 0.2),
    ]
    layers = [Layer(outline, None, 0.84, 0.12, 0.8) for outline in pair(wing)]
    layers += [Layer(outline, None, 0.68, 0, solid=False) for outline in pair(flap)]
    layers += [Layer(outline, None, 0.84, 0.12, 0.5) for outline in pair(plane)]
    for x, y in engines:
        pod = mirrored((x, 0.75 * body * 0.55), (x - 0.3, body * 0.5), (x - 0.09 * length, body * 0.42))
        for side in (y, -y):
            layers.append(Layer(tuple((px, py + side) for px, py in pod), ENGINE, 1.0, 0.35, body * 0.4))
            layers.append(Layer(slab(x - 0.2, side - body * 0.42, x + 0.25, side + body * 0.42), DARK, solid=False))
    layers.append(Layer(fuselage, None, 1.04, 0.34, body * 0.85))
    cockpit = mirrored(
        (nose - 0.03 * length, 0.0), (nose - 0.035 * length, body * 0.5), (nose - 0.06 * length, body * 0.55)
    )
    layers.append(Layer(cockpit, GLASS, solid=False))
    fin = mirrored((tail + 0.2 * length, 0.08), (tail + 0.1 * length, 0.34), (tail - 0.01 * length, 0.3))
    layers.append(Layer(fin, accent))
    return Design(length * 1.04, span * 1.02, texel, tuple(layers))


@design("airliner-blue")
def _airliner_blue() -> Design:
    return _jet(38, 35, 2.1, 8.5, ((6.2, 5.9),), (44, 72, 140), 0.2)


@design("airliner-red")
def _airliner_red() -> Design:
    return _jet(40, 36, 2.15, 8.8, ((6.4, 6.0),), (176, 44, 44), 0.2)


@design("widebody")
def _widebody() -> Design:
    return _jet(64, 60, 3.2, 16, ((10.5, 9.6),), (36, 98, 110), 0.32)


@design("four-engine")
def _four_engine() -> Design:
    return _jet(68, 63, 3.3, 18, ((10.0, 11.0), (2.5, 20.5)), (60, 60, 120), 0.34)


@design("business-jet")
def _business_jet() -> Design:
    return _jet(19, 18, 1.15, 3.6, ((-4.2, 2.1),), (150, 40, 50), 0.12)


@design("fighter")
def _fighter() -> Design:
    wing = [(3.0, 0.8), (-3.2, 4.9), (-5.0, 4.9), (-5.2, 0.8)]
    tail = [(-5.0, 0.8), (-7.2, 3.0), (-8.2, 3.0), (-7.4, 0.8)]
    layers = [Layer(outline, None, 0.9, 0.15, 0.5) for outline in (*pair(wing), *pair(tail))]
    body = mirrored((8.0, 0.0), (6.0, 0.5), (3.5, 0.95), (-3.0, 1.25), (-7.6, 1.0), (-8.0, 0.7))
    layers.append(Layer(body, None, 1.0, 0.3, 0.8))
    layers.append(Layer(oval(1.4, 0.42, 3.6), GLASS, 1.0, 0.3, 0.3, solid=False))
    layers += [Layer(outline, None, 0.72) for outline in pair([(-4.0, 1.0), (-7.0, 1.5), (-7.6, 1.3), (-5.5, 1.0)])]
    return Design(16.4, 10.2, 0.1, tuple(layers))


@design("propeller")
def _propeller() -> Design:
    layers = [Layer(slab(0.2, -5.5, 1.8, 5.5), None, 0.94, 0.15, 0.4)]
    layers.append(Layer(slab(0.2, -5.4, 0.5, 5.4), None, 0.75, solid=False))
    layers.append(Layer(slab(-4.1, -1.8, -3.2, 1.8), None, 0.92, 0.15, 0.3))
    body = mirrored((3.2, 0.1), (2.9, 0.55), (0.5, 0.68), (-1.0, 0.5), (-4.0, 0.18))
    layers.append(Layer(body, None, 1.0, 0.3, 0.5))
    layers.append(Layer(slab(0.9, -0.5, 1.6, 0.5), GLASS, solid=False))
    layers.append(Layer(slab(3.1, -1.0, 3.35, 1.0), DARK))
    return Design(8.2, 11.2, 0.08, tuple(layers))


def _rotor(x: float, radius: float, blades: int, turn: float) -> list[Layer]:
    """Straight blades about a hub at (x, 0)."""
    layers = []
    for i in range(blades):
        angle = turn + 2 * math.pi * i / blades
        ux, uy = math.cos(angle), math.sin(angle)
        half = 0.27
        near = (x - uy * half, ux * half)
        far = (x + ux * radius - uy * half, uy * radius + ux * half)
        outline = (
            near,
            far,
            (far[0] + 2 * uy * half, far[1] - 2 * ux * half),
            (near[0] + 2 * uy * half, near[1] - 2 * ux * half),
        )
        layers.append(Layer(outline, (96, 98, 102)))
    layers.append(Layer(oval(0.6, 0.6, x), DARK))
    return layers


def _helicopter(length: float, radius: float, blades: int) -> Design:
    nose = length * 0.36
    body = mirrored((nose, 0.0), (nose - 0.5, 0.8), (nose - 1.8, 1.25), (-0.5, 1.25), (-2.2, 0.6), (-2.6, 0.3))
    boom = mirrored((-2.0, 0.42), (-length * 0.58, 0.22))
    layers = [
        Layer(boom, None, 0.85, 0.2, 0.3),
        Layer(slab(-length * 0.5, -1.3, -length * 0.5 + 0.7, 1.3), None, 0.8),
        Layer(body, None, 1.0, 0.32, 1.0),
        Layer(mirrored((nose - 0.3, 0.0), (nose - 0.6, 0.6), (nose - 1.6, 0.8)), GLASS, solid=False),
    ]
    layers += _rotor(0.4, radius, blades, 0.5)
    return Design(length * 1.25, radius * 2.1, 0.08, tuple(layers))


@design("helicopter")
def _light_helicopter() -> Design:
    return _helicopter(11.0, 5.2, 3)


@design("heavy-helicopter")
def _heavy_helicopter() -> Design:
    return _helicopter(16.5, 8.0, 4)


def _pad(outline: tuple[Point2, ...], ring: bool) -> tuple[Layer, ...]:
    white = (232.0, 232.0, 226.0)
    layers = [Layer(outline, None, 1.0, 0.06, 0.4)]
    if ring:
        layers.append(Layer(oval(8.4, 8.4, n=40), white, solid=False))
        layers.append(Layer(oval(7.6, 7.6, n=40), None, 1.0, solid=False))
    letter = (slab(-3.4, -2.6, 3.4, -1.6), slab(-3.4, 1.6, 3.4, 2.6), slab(-0.5, -2.0, 0.5, 2.0))
    layers += [Layer(bar, white, solid=False) for bar in letter]
    return tuple(layers)


@design("helipad-round")
def _helipad_round() -> Design:
    return Design(22, 22, 0.15, _pad(oval(10.5, 10.5, n=44), True))


@design("helipad-square")
def _helipad_square() -> Design:
    return Design(22, 22, 0.15, _pad(slab(-10.5, -10.5, 10.5, 10.5), True))
