"""Ground materials: colours, the noise that breaks them up, and what a person would call them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import TILE, noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

RGB = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Material:
    """How a kind of ground looks.

    Attributes:
        base: mean RGB, 0-255.
        fine: (bank, relative strength) of the pixel-scale texture.
        coarse: (bank, relative strength) of the blotches.
        hue: RGB that the blotches lean towards, added at noise +1.
        noun: what something stands on, as attribute ``on`` says it.
        open: whether it is flat open ground where a helicopter could land.
        trees: density of trees that grow on it, 0 to 1.
    """

    base: RGB
    fine: tuple[str, float] = ("grain", 0.08)
    coarse: tuple[str, float] = ("patches", 0.06)
    hue: RGB = (0.0, 0.0, 0.0)
    noun: str = "ground"
    open: bool = False
    trees: float = 0.0


MATERIALS: dict[str, Material] = {
    "lawn": Material((92, 112, 66), ("grain", 0.08), ("clouds", 0.10), (10, 4, -2), "grass", open=True, trees=0.0),
    "yard": Material((98, 110, 70), ("rough", 0.14), ("patches", 0.14), (16, 6, 2), "grass", trees=0.34),
    "meadow": Material((112, 118, 74), ("rough", 0.10), ("patches", 0.12), (18, 8, 0), "grass", open=True, trees=0.015),
    "dry": Material((150, 138, 100), ("rough", 0.09), ("patches", 0.10), (12, 4, -4), "grass", open=True, trees=0.01),
    "park": Material((86, 104, 60), ("rough", 0.12), ("patches", 0.10), (12, 6, 0), "grass", trees=0.45),
    "forest": Material((48, 60, 38), ("rough", 0.20), ("clouds", 0.12), (6, 4, 0), "forest", trees=1.0),
    "scrub": Material((134, 124, 90), ("rough", 0.15), ("patches", 0.12), (14, 6, 0), "scrub", trees=0.10),
    "soil": Material((138, 112, 84), ("rough", 0.08), ("clouds", 0.10), (12, 6, 2), "bare soil", open=True),
    "tilled": Material((118, 96, 74), ("rough", 0.07), ("clouds", 0.10), (10, 6, 4), "field"),
    "crop": Material((84, 108, 56), ("grain", 0.09), ("clouds", 0.12), (18, 6, -4), "field"),
    "pale-crop": Material((140, 140, 84), ("grain", 0.08), ("clouds", 0.12), (14, 2, -6), "field"),
    "ripe-crop": Material((176, 154, 98), ("grain", 0.07), ("clouds", 0.09), (8, 4, 0), "field"),
    "sand": Material((206, 188, 150), ("grain", 0.04), ("patches", 0.05), (6, 2, -2), "sand", open=True),
    "sea": Material((34, 66, 86), ("ripples", 0.10), ("clouds", 0.12), (-2, 8, 10), "water"),
    "shallows": Material((70, 122, 126), ("ripples", 0.08), ("shore", 0.16), (12, 10, 0), "water"),
    "basin": Material((44, 70, 78), ("ripples", 0.07), ("clouds", 0.10), (2, 6, 4), "water"),
    "river": Material((72, 84, 68), ("ripples", 0.07), ("clouds", 0.10), (8, 4, -2), "water"),
    "asphalt": Material((92, 92, 94), ("grain", 0.07), ("patches", 0.07), (4, 3, 1), "road"),
    "old-asphalt": Material((120, 117, 112), ("grain", 0.06), ("patches", 0.08), (6, 4, 2), "road"),
    "lot": Material((100, 100, 102), ("grain", 0.06), ("patches", 0.10), (4, 3, 2), "parking lot"),
    "runway": Material((104, 104, 106), ("streaks", 0.09), ("patches", 0.06), (4, 3, 2), "runway"),
    "apron": Material((166, 163, 155), ("grain", 0.04), ("patches", 0.06), (4, 3, 0), "apron"),
    "quay": Material((150, 146, 138), ("grain", 0.06), ("patches", 0.09), (6, 4, 0), "quay"),
    "paving": Material((146, 140, 130), ("rough", 0.09), ("patches", 0.08), (8, 5, 2), "pavement"),
    "yard-gravel": Material((158, 148, 132), ("rough", 0.08), ("patches", 0.11), (8, 5, 2), "gravel"),
    "dirt": Material((164, 142, 112), ("rough", 0.08), ("patches", 0.08), (8, 5, 2), "dirt road"),
    "sidewalk": Material((168, 164, 156), ("grain", 0.06), ("patches", 0.05), (3, 2, 0), "pavement"),
    "clay": Material((172, 108, 78), ("grain", 0.05), ("patches", 0.05), (4, 2, 0), "clay"),
    "turf": Material((74, 122, 60), ("grain", 0.05), ("patches", 0.06), (8, 2, -2), "grass", open=True),
    "foam": Material((206, 214, 210), ("grain", 0.10), ("patches", 0.15), (4, 4, 4), "water"),
    "shade": Material((60, 62, 62), ("grain", 0.10), ("patches", 0.10), (4, 4, 4), "ground"),
    "green-roof": Material((112, 118, 112), ("grain", 0.05), ("patches", 0.06), (2, 2, 0), "roof"),
}


@lru_cache(maxsize=len(MATERIALS))
def texture(name: str) -> NDArray[np.float32]:
    """The seamless tile of a material, ``(3, TILE, TILE)`` float32 RGB about 0-255; shared, not to be written."""
    material = MATERIALS[name]
    fine, coarse = noise(material.fine[0]), noise(material.coarse[0])
    blotches = np.roll(coarse, (97, 211), axis=(0, 1))
    light = 1 + np.float32(material.fine[1]) * fine + np.float32(material.coarse[1]) * coarse
    tile = np.empty((3, TILE, TILE), np.float32)
    for band in range(3):
        tile[band] = light * np.float32(material.base[band]) + blotches * np.float32(material.hue[band])
    return tile
