"""Kinds of places: each module fills an area of the drawing board with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rsground.datasets.scenes.archetypes import air, country, industry, leisure, port, roads, streets, water
from rsground.datasets.scenes.builder import Area, Builder


class Archetype(NamedTuple):
    """A kind of place.

    Attributes:
        fill: draws it into an area.
        gsd: (finest, coarsest) metres per pixel it is seen at.
        weight: how often it comes.
    """

    fill: Callable[[Builder, Area], None]
    gsd: tuple[float, float]
    weight: float


ARCHETYPES: dict[str, Archetype] = {
    "airport": Archetype(air.airport, (0.35, 1.0), 1.2),
    "airfield": Archetype(air.airfield, (0.25, 0.6), 0.7),
    "heliport": Archetype(air.heliport, (0.2, 0.45), 0.6),
    "port": Archetype(port.port, (0.4, 1.1), 1.0),
    "marina": Archetype(water.marina, (0.2, 0.5), 1.0),
    "coast": Archetype(water.coast, (0.35, 1.0), 0.8),
    "oil-terminal": Archetype(port.tanker_berth, (0.4, 1.0), 0.5),
    "river": Archetype(water.river, (0.3, 0.9), 0.9),
    "residential": Archetype(streets.residential, (0.22, 0.55), 1.4),
    "town": Archetype(streets.town, (0.25, 0.6), 1.0),
    "parking": Archetype(streets.parking, (0.18, 0.4), 0.9),
    "highway": Archetype(roads.highway, (0.25, 0.7), 1.0),
    "roundabout": Archetype(roads.roundabout, (0.22, 0.5), 0.7),
    "tank-farm": Archetype(industry.tank_farm, (0.3, 0.9), 1.0),
    "industrial": Archetype(industry.industrial, (0.3, 0.7), 1.0),
    "sports": Archetype(leisure.sports, (0.5, 1.2), 1.2),
    "courts": Archetype(leisure.courts, (0.2, 0.5), 0.9),
    "farmland": Archetype(country.farmland, (0.4, 1.2), 0.9),
}
"""Name -> archetype."""
