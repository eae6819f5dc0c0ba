"""A scene before it is drawn: what lies where, and under which light it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from rsground.datasets.scenes.canvas import Look
from rsground.datasets.scenes.frames import Window
from rsground.datasets.scenes.paints import Paint
from rsground.datasets.scenes.shapes import Shape


class Layer(IntEnum):
    """Painting order; later ones hide earlier ones. Trees stand between LOW and HIGH."""

    GROUND = 0
    FLAT = 1
    MARK = 2
    LOW = 3
    HIGH = 4
    TOP = 5


CATEGORIES: frozenset[str] = frozenset(
    {
        "airplane",
        "baseball diamond",
        "basketball court",
        "bridge",
        "building",
        "ground track field",
        "helicopter",
        "helipad",
        "large vehicle",
        "pier",
        "roundabout",
        "ship",
        "small vehicle",
        "soccer field",
        "storage tank",
        "swimming pool",
        "tennis court",
    }
)
"""Everything the generator annotates: an instance of these is never drawn without being listed."""


class Thing(NamedTuple):
    """One drawable: a piece of ground, decoration or an annotated object.

    Attributes:
        shape: where it is, in pixels.
        win: the pixels of the image its shape can touch.
        paint: how it looks.
        layer: when it is painted.
        category: one of :data:`CATEGORIES`, None for ground and decoration.
        height: metres above what it stands on; sets its shadow.
        labelled: whether it takes the pixels it covers; markings, stains and wakes do not.
        noun: what something that stands on it stands on.
        open: whether it is open ground where a helicopter could land.
        trees: density of trees growing on it.
        attributes: what a person could see (colour, heading, group, on).
        steady: whether it stays in every picture of the place (a ship that leaves a wake, a bridge that roads lead to).
    """

    shape: Shape
    win: Window
    paint: Paint
    layer: Layer
    category: str | None = None
    height: float = 0.0
    labelled: bool = True
    noun: str = "ground"
    open: bool = False
    trees: float = 0.0
    attributes: Mapping[str, Any] = MappingProxyType({})
    steady: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A whole scene.

    Attributes:
        size: side in pixels.
        gsd: metres per pixel.
        archetype: the kind of place, e.g. ``"airport"``.
        things: in painting order; ``things[0]`` is the base ground and covers everything.
        look: light, air and sensor.
        hidden: indices of things that are not there in this picture; trees keep clear of them all the same.
    """

    size: int
    gsd: float
    archetype: str
    things: tuple[Thing, ...]
    look: Look
    hidden: frozenset[int] = frozenset()
