"""Colours by the word a person would use, how often each kind of thing has them, and what things are called."""

from __future__ import annotations

from typing import NamedTuple

from rsground.datasets.scenes.materials import RGB

COLOURS: dict[str, RGB] = {
    "white": (226.0, 226.0, 222.0),
    "grey": (150.0, 152.0, 154.0),
    "black": (42.0, 43.0, 46.0),
    "red": (172.0, 44.0, 42.0),
    "blue": (48.0, 82.0, 152.0),
    "green": (58.0, 112.0, 72.0),
    "yellow": (214.0, 180.0, 62.0),
    "orange": (206.0, 108.0, 46.0),
    "brown": (118.0, 82.0, 60.0),
    "beige": (202.0, 186.0, 152.0),
    "turquoise": (84.0, 172.0, 182.0),
}
"""Word -> RGB. Hues are far enough apart to survive haze and a colour cast."""

Weighted = dict[str, float]

CAR: Weighted = {"white": 30, "grey": 28, "black": 18, "red": 9, "blue": 9, "yellow": 2, "brown": 2, "green": 2}
LORRY: Weighted = {"white": 45, "grey": 10, "red": 12, "blue": 14, "yellow": 8, "green": 6, "orange": 5}
BUS: Weighted = {"white": 35, "red": 15, "yellow": 22, "blue": 14, "green": 14}
PLANE: Weighted = {"white": 78, "grey": 22}
LIGHT_PLANE: Weighted = {"white": 70, "yellow": 10, "red": 10, "blue": 10}
FIGHTER: Weighted = {"grey": 100}
HELICOPTER: Weighted = {"white": 35, "red": 20, "blue": 15, "yellow": 10, "green": 12, "grey": 8}
BOAT: Weighted = {"white": 78, "blue": 9, "red": 6, "beige": 7}
CARGO: Weighted = {"red": 32, "blue": 22, "green": 18, "grey": 12, "black": 16}
WORKBOAT: Weighted = {"red": 30, "blue": 25, "green": 18, "orange": 27}
TANK: Weighted = {"white": 62, "grey": 18, "beige": 12, "brown": 8}
HOUSE: Weighted = {"grey": 34, "brown": 28, "red": 16, "beige": 14, "black": 8}
HALL: Weighted = {"white": 40, "grey": 34, "beige": 12, "blue": 9, "green": 5}
OFFICE: Weighted = {"grey": 45, "white": 30, "beige": 25}
TENNIS: Weighted = {"green": 45, "blue": 30, "red": 15, "grey": 10}
BASKETBALL: Weighted = {"grey": 25, "red": 25, "green": 22, "blue": 28}
PAD: Weighted = {"grey": 60, "green": 20, "blue": 20}

SOFTER: dict[str, dict[str, RGB]] = {
    "building": {
        "red": (158.0, 92.0, 74.0),
        "brown": (124.0, 98.0, 82.0),
        "grey": (138.0, 136.0, 134.0),
        "black": (74.0, 74.0, 78.0),
        "white": (206.0, 206.0, 202.0),
        "beige": (190.0, 174.0, 146.0),
        "blue": (92.0, 122.0, 160.0),
        "green": (104.0, 132.0, 112.0),
    },
    "court": {
        "red": (154.0, 86.0, 70.0),
        "green": (84.0, 122.0, 88.0),
        "blue": (70.0, 104.0, 150.0),
        "grey": (132.0, 132.0, 132.0),
    },
    "helipad": {"grey": (140.0, 138.0, 134.0), "green": (86.0, 112.0, 84.0), "blue": (80.0, 106.0, 148.0)},
}
"""Weathered versions of the same words."""


class Kind(NamedTuple):
    """What a sprite is.

    Attributes:
        category: its category.
        colours: how often it has which colour.
        height: metres, for its shadow.
        directed: whether it has a front that can be seen.
        family: entry of :data:`SOFTER`, or "".
    """

    category: str
    colours: Weighted
    height: float
    directed: bool = True
    family: str = ""


KINDS: dict[str, Kind] = {
    "airliner-blue": Kind("airplane", PLANE, 5.0),
    "airliner-red": Kind("airplane", PLANE, 5.0),
    "widebody": Kind("airplane", PLANE, 8.0),
    "four-engine": Kind("airplane", PLANE, 8.0),
    "business-jet": Kind("airplane", PLANE, 2.8),
    "fighter": Kind("airplane", FIGHTER, 2.2),
    "propeller": Kind("airplane", LIGHT_PLANE, 2.0),
    "helicopter": Kind("helicopter", HELICOPTER, 2.6),
    "heavy-helicopter": Kind("helicopter", HELICOPTER, 3.6),
    "helipad-round": Kind("helipad", PAD, 0.0, False, "helipad"),
    "helipad-square": Kind("helipad", PAD, 0.0, False, "helipad"),
    "car": Kind("small vehicle", CAR, 1.5),
    "hatchback": Kind("small vehicle", CAR, 1.5),
    "suv": Kind("small vehicle", CAR, 1.8),
    "van": Kind("small vehicle", CAR, 2.2),
    "pickup": Kind("small vehicle", CAR, 1.8),
    "truck": Kind("large vehicle", LORRY, 3.2),
    "semi": Kind("large vehicle", LORRY, 3.8),
    "tank-truck": Kind("large vehicle", LORRY, 3.2),
    "bus": Kind("large vehicle", BUS, 3.1),
    "motorboat": Kind("ship", BOAT, 1.6),
    "sailboat": Kind("ship", BOAT, 2.2),
    "yacht": Kind("ship", BOAT, 5.0),
    "fishing-boat": Kind("ship", WORKBOAT, 4.0),
    "tug": Kind("ship", WORKBOAT, 7.0),
    "container-ship": Kind("ship", CARGO, 16.0),
    "bulk-carrier": Kind("ship", CARGO, 11.0),
    "tanker": Kind("ship", CARGO, 10.0),
    "barge": Kind("ship", CARGO, 3.0, False),
    "tennis-plain": Kind("tennis court", TENNIS, 0.0, False, "court"),
    "tennis-blue": Kind("tennis court", {"green": 1.0}, 0.0, False, "court"),
    "tennis-green": Kind("tennis court", {"red": 1.0}, 0.0, False, "court"),
    "basketball": Kind("basketball court", BASKETBALL, 0.0, False, "court"),
    "soccer": Kind("soccer field", {"turf": 1.0}, 0.0, False),
    "small-soccer": Kind("soccer field", {"turf": 1.0}, 0.0, False),
    "baseball": Kind("baseball diamond", {"turf": 1.0}, 0.0, False),
}
"""Design name -> what it is."""

TURF_RGB: RGB = (88.0, 128.0, 66.0)


def rgb_of(colour: str, family: str = "") -> RGB:
    """The RGB of a colour word in a family of things."""
    if colour == "turf":
        return TURF_RGB
    return SOFTER.get(family, {}).get(colour) or COLOURS[colour]
