"""Photographs in other attitudes, with expressions that are made from their instances: more to read than was written.

A turned photograph has its own left and right, so what was written about it no longer holds; what the expression
engine says of its instances does. Nothing is asked about categories that an image's annotation does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsground.datasets.refer import expressions
from rsground.datasets.refer.instances import Doubts, scene_graph
from rsground.datasets.refer.margins import Margin
from rsground.geometry import mask_to_rle, rle_to_mask
from rsground.models.training.annotated import marked, source_of
from rsground.models.training.dense import turned
from rsground.models.training.objects import Objects
from rsground.models.training.steps import Steps, steps_of
from rsground.types import ImageRef, Region, Sample, Task

EXPRESSIONS = 12
"""Most expressions about one turned photograph."""
_MARGIN = Margin(pixels=2.0)
_DOUBTS = Doubts(border=1.0, min_side=4.0)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One photograph and what is annotated in it, both in the frame of the resized image.

    Attributes:
        pixels: ``(S, S, 3)`` uint8.
        objects: its N instances.
        regions: the same in the frame of the original image, with masks.
        names: their categories.
        uri: of the original.
    """

    pixels: NDArray[np.uint8]
    objects: Objects
    regions: Sequence[Region]
    names: Sequence[str]
    uri: str


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """A turned photograph, and expressions about it with the numbers of the instances they mean, and their steps."""

    pixels: NDArray[np.uint8]
    objects: Objects
    samples: list[Sample]
    meant: list[tuple[int, ...]]
    steps: list[Steps]


def turned_photo(photo: Photo, attitude: int, rng: np.random.Generator) -> Told:
    """A photograph after ``attitude % 4`` quarter turns and, from 4 on, a mirroring; see ``dense.turned``."""
    side = photo.pixels.shape[0]
    planes = [_resized(region, side) for region in photo.regions]
    together = np.concatenate([photo.pixels, *(plane[..., None] for plane in planes)], -1)
    together, objects = turned(together, photo.objects, attitude)
    masks = [together[..., 3 + number] > 0 for number in range(len(planes))]
    regions = [
        marked(objects.region(number, mask_to_rle(mask) if mask.any() else None, name), source_of(own))
        for number, (name, mask, own) in enumerate(zip(photo.names, masks, photo.regions, strict=True))
    ]
    graph = scene_graph((side, side), regions, set(photo.names), doubts=_DOUBTS)
    made = expressions(graph, rng, limit=EXPRESSIONS, margin=_MARGIN)
    image = ImageRef(f"{photo.uri}#turned{attitude}", side, side)
    samples = [
        Sample(f"{image.uri}/{number}", (image,), each.text, Task.HBB, tuple(regions[at] for at in each.target_ids))
        for number, each in enumerate(made)
    ]
    pixels = np.ascontiguousarray(together[..., :3])
    meant = [tuple(each.target_ids) for each in made]  # ids are numbers of instances
    return Told(pixels, objects, samples, meant, [steps_of(each, graph) for each in made])


def _resized(region: Region, side: int) -> NDArray[np.uint8]:
    assert region.rle is not None
    mask = Image.fromarray(rle_to_mask(region.rle).astype(np.uint8) * 255)
    return np.asarray(mask.resize((side, side), Image.Resampling.BOX)) // 128
