"""Designs that drive or float: cars, vans, trucks, buses; boats and ships."""

from __future__ import annotations

from rsground.datasets.scenes.sprites import Design, Layer, design, mirrored, oval, slab

GLASS = (40.0, 46.0, 54.0)
WHITE = (226.0, 226.0, 222.0)
GREY = (140.0, 142.0, 144.0)
DARK = (66.0, 66.0, 68.0)
RGB = tuple[float, float, float]


def _car(length: float, width: float, front: float, rear: float, cabin: float) -> Design:
    """A car: ``front`` and ``rear`` are where the glass begins, metres from the centre; ``cabin`` its half width."""
    half, side = length / 2, width / 2
    body = mirrored((half, side * 0.55), (half - 0.35, side * 0.94), (-half + 0.3, side * 0.96), (-half, side * 0.7))
    glass = mirrored((front, cabin), (rear, cabin))
    roof = mirrored((front - 0.75, cabin - 0.12), (rear + 0.5, cabin - 0.12))
    layers = (
        Layer(body, None, 1.0, 0.22, 0.35),
        Layer(glass, GLASS, 1.0, solid=False),
        Layer(roof, None, 1.06, 0.1, 0.3, solid=False),
    )
    return Design(length, width, 0.07, layers)


@design("car")
def _sedan() -> Design:
    return _car(4.6, 1.85, 0.9, -1.6, 0.76)


@design("hatchback")
def _hatchback() -> Design:
    return _car(4.0, 1.75, 0.8, -1.75, 0.74)


@design("suv")
def _suv() -> Design:
    return _car(4.9, 1.98, 1.0, -2.2, 0.84)


@design("van")
def _van() -> Design:
    return _car(5.6, 2.05, 2.1, -2.6, 0.9)


@design("pickup")
def _pickup() -> Design:
    layers = (
        *_car(5.6, 2.0, 1.1, -0.6, 0.84).layers,
        Layer(slab(-2.6, -0.8, -0.8, 0.8), DARK, 1.1, 0.2, 0.3, solid=False),
    )
    return Design(5.6, 2.0, 0.07, layers)


def _truck(length: float, width: float, cab: float, gap: float, box_is_own: bool) -> Design:
    """A truck of a cab and a box; the object's colour is on the box or on the cab."""
    half, side = length / 2, width / 2
    box: RGB | None = None if box_is_own else WHITE
    head: RGB | None = WHITE if box_is_own else None
    back = half - cab - gap
    seams = tuple(
        Layer(slab(x, -side + 0.1, x + 0.12, side - 0.1), box, 0.86, solid=False)
        for x in (-half + (back + half) * part for part in (0.2, 0.4, 0.6, 0.8))
    )
    layers = (
        Layer(slab(-half, -side * 0.4, half, side * 0.4), DARK),
        Layer(slab(half - cab, -side * 0.95, half, side * 0.95), head, 0.95, 0.2, 0.4),
        Layer(slab(half - 0.75, -side * 0.85, half - 0.25, side * 0.85), GLASS, solid=False),
        Layer(slab(-half, -side, back, side), box, 1.0, 0.14, 0.3),
        *seams,
    )
    return Design(length, width, 0.1, layers)


@design("truck")
def _box_truck() -> Design:
    return _truck(8.6, 2.5, 2.0, 0.2, False)


@design("semi")
def _semi() -> Design:
    return _truck(16.2, 2.6, 2.6, 1.0, True)


@design("tank-truck")
def _tank_truck() -> Design:
    tank = mirrored((2.8, 0.6), (2.4, 1.15), (-5.0, 1.2), (-5.4, 0.6))
    layers = (
        Layer(slab(-5.4, -0.6, 5.4, 0.6), DARK),
        Layer(slab(3.3, -1.2, 5.4, 1.2), None, 0.95, 0.2, 0.4),
        Layer(slab(4.6, -1.05, 5.1, 1.05), GLASS, solid=False),
        Layer(tank, (198, 200, 204), 1.05, 0.4, 1.0),
    )
    return Design(10.8, 2.5, 0.1, layers)


@design("bus")
def _bus() -> Design:
    layers = (
        Layer(mirrored((6.0, 1.1), (5.8, 1.27), (-6.0, 1.27)), None, 1.0, 0.18, 0.35),
        Layer(slab(5.3, -1.1, 5.75, 1.1), GLASS, solid=False),
        Layer(slab(1.8, -0.7, 4.2, 0.7), None, 0.84, solid=False),
        Layer(slab(-4.6, -0.8, -2.6, 0.8), GREY, 1.1, 0.2, 0.3, solid=False),
    )
    return Design(12.0, 2.55, 0.1, layers)


def _hull(length: float, width: float, bow: float, stern: float = 0.85) -> tuple[tuple[float, float], ...]:
    """A hull: ``bow`` metres of taper, ``stern`` its relative width at the transom."""
    half, side = length / 2, width / 2
    return mirrored(
        (half, 0.0),
        (half - bow * 0.22, side * 0.42),
        (half - bow * 0.55, side * 0.8),
        (half - bow, side),
        (-half + length * 0.12, side),
        (-half, side * stern),
    )


@design("motorboat")
def _motorboat() -> Design:
    layers = (
        Layer(_hull(8.0, 2.7, 4.2), None, 1.0, 0.2, 0.5),
        Layer(mirrored((1.4, 0.35), (0.6, 0.85), (-0.4, 0.9)), GLASS, 1.0, solid=False),
        Layer(slab(-3.4, -0.85, -0.6, 0.85), (176, 160, 136), 1.0, 0.2, 0.3, solid=False),
    )
    return Design(8.0, 2.7, 0.09, layers)


@design("sailboat")
def _sailboat() -> Design:
    layers = (
        Layer(_hull(11.0, 3.4, 6.5, 0.7), None, 1.0, 0.14, 0.5),
        Layer(mirrored((2.4, 0.2), (1.4, 0.85), (-1.8, 0.9)), GREY, 1.1, 0.2, 0.3, solid=False),
        Layer(slab(-4.4, -0.14, 1.9, 0.14), (236, 236, 232)),
        Layer(slab(-4.6, -0.8, -2.6, 0.8), (150, 128, 100), solid=False),
    )
    return Design(11.0, 3.4, 0.1, layers)


@design("yacht")
def _yacht() -> Design:
    layers = (
        Layer(_hull(26.0, 6.2, 13.0), None, 1.0, 0.14, 0.8),
        Layer(mirrored((4.0, 0.4), (2.4, 2.1), (-7.5, 2.3)), None, 0.86, 0.1, 0.5, solid=False),
        Layer(mirrored((2.8, 0.4), (1.6, 1.6), (0.4, 1.8)), GLASS, solid=False),
        Layer(slab(-7.0, -1.7, -0.2, 1.7), None, 1.06, 0.14, 0.5, solid=False),
        Layer(slab(-12.4, -2.0, -8.4, 2.0), (182, 150, 112), 1.0, 0.1, 0.4, solid=False),
    )
    return Design(26.0, 6.2, 0.14, layers)


@design("fishing-boat")
def _fishing_boat() -> Design:
    layers = (
        Layer(_hull(18.0, 5.4, 6.0), None, 0.9, 0.3, 0.7),
        Layer(_hull(16.4, 4.2, 5.4), (150, 138, 118), 1.0, 0.1, 0.4, solid=False),
        Layer(slab(0.8, -1.6, 4.8, 1.6), WHITE, 1.0, 0.14, 0.4, solid=False),
        Layer(slab(4.1, -1.4, 4.7, 1.4), GLASS, solid=False),
        Layer(slab(-6.8, -1.2, -2.2, 1.2), DARK, 1.1, solid=False),
    )
    return Design(18.0, 5.4, 0.13, layers)


@design("tug")
def _tug() -> Design:
    layers = (
        Layer(_hull(28.0, 9.6, 9.0, 0.9), (58, 50, 48), 1.0, 0.1, 0.6),
        Layer(_hull(26.0, 7.6, 8.4, 0.9), None, 0.95, 0.14, 0.6, solid=False),
        Layer(slab(-1.0, -2.8, 7.0, 2.8), WHITE, 1.0, 0.12, 0.5, solid=False),
        Layer(slab(4.0, -2.0, 5.6, 2.0), GLASS, solid=False),
        Layer(oval(1.1, 1.1, -2.6), DARK, solid=False),
    )
    return Design(28.0, 9.6, 0.18, layers)


CONTAINERS = (
    (164, 66, 52),
    (62, 92, 138),
    (74, 116, 84),
    (186, 142, 70),
    (150, 152, 152),
    (112, 68, 58),
    (196, 190, 178),
)


def _cargo(length: float, width: float, loaded: bool) -> Design:
    """A container ship, or a bulk carrier with closed hatches."""
    half, side = length / 2, width / 2
    layers = [
        Layer(_hull(length, width, length * 0.17), None, 0.8, 0.2, 1.6),
        Layer(_hull(length * 0.975, width * 0.86, length * 0.165), (128, 98, 84), 1.0, 0.06, 1.0, solid=False),
        Layer(slab(-half * 0.93, -side * 0.86, -half * 0.78, side * 0.86), WHITE, 1.0, 0.12, 1.0, solid=False),
        Layer(slab(-half * 0.86, -side * 0.5, -half * 0.81, side * 0.5), DARK, solid=False),
    ]
    bays = 9 if loaded else 6
    start, stop = -half * 0.74, half * 0.7
    pitch = (stop - start) / bays
    for bay in range(bays):
        x1, x2 = start + bay * pitch + pitch * 0.06, start + (bay + 1) * pitch - pitch * 0.06
        if not loaded:
            layers.append(Layer(slab(x1, -side * 0.6, x2, side * 0.6), None, 1.1, 0.2, 0.8, solid=False))
            layers.append(Layer(slab(x1, -0.25, x2, 0.25), DARK, 1.2, solid=False))
            continue
        rows = 8
        for row in range(rows):
            y1 = -side * 0.84 + row * side * 1.68 / rows
            rgb = CONTAINERS[(bay * 5 + row * row * 3 + bay * row) % len(CONTAINERS)]
            layers.append(Layer(slab(x1, y1, x2, y1 + side * 1.55 / rows), rgb, 1.0, 0.18, 0.5, solid=False))
    return Design(length, width, length / 300, tuple(layers))


@design("container-ship")
def _container_ship() -> Design:
    return _cargo(150, 24, True)


@design("bulk-carrier")
def _bulk_carrier() -> Design:
    return _cargo(120, 19, False)


@design("tanker")
def _tanker() -> Design:
    layers = [
        Layer(_hull(110, 18, 15), None, 0.78, 0.2, 1.4),
        Layer(_hull(107, 15.6, 14.5), None, 1.0, 0.05, 1.0, solid=False),
        Layer(slab(-50, -7.6, -40, 7.6), WHITE, 1.0, 0.12, 1.0, solid=False),
        Layer(slab(-38, -1.0, 46, 1.0), GREY, 0.9, 0.25, 0.6, solid=False),
        Layer(slab(2, -7.4, 3.6, 7.4), GREY, 0.8, solid=False),
    ]
    layers += [Layer(slab(x, -7.6, x + 0.7, 7.6), DARK, 1.3, solid=False) for x in (-28, -14, 14, 28, 40)]
    return Design(110, 18, 0.36, tuple(layers))


@design("barge")
def _barge() -> Design:
    layers = (
        Layer(slab(-26, -6, 26, 6), None, 0.9, 0.24, 1.0),
        Layer(slab(-23, -4.8, 23, 4.8), (92, 84, 74), 1.0, 0.3, 1.4, solid=False),
        Layer(slab(-8.2, -4.8, -7.4, 4.8), None, 1.0, solid=False),
        Layer(slab(8.2, -4.8, 9.0, 4.8), None, 1.0, solid=False),
    )
    return Design(52, 12, 0.2, layers)
