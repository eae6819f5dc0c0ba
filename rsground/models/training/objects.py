"""The objects of an image as arrays: what the tower is taught densely, and what an expression is matched to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rsground.datasets.refer import SceneGraph
from rsground.models.tower_lm.config import CATEGORIES, COLOURS, DIRECTIONS
from rsground.types import RLE, Region


@dataclass(frozen=True, slots=True)
class Objects:
    """N objects of one image, in its pixels.

    Attributes:
        boxes: ``(N, 4)`` float32 x1, y1, x2, y2.
        quads: ``(N, 4, 2)`` float32 corners, clockwise on screen.
        categories: ``(N,)`` int64 index into ``CATEGORIES``, -1 where the tower has no such class.
        colours: ``(N,)`` int64 index into ``COLOURS``, -1 where none is told.
        ids: ``(N,)`` int64 as in the scene graph.
        headings: ``(N,)`` int64 which of the ``DIRECTIONS`` it points in, -1 where it points nowhere or none is told.
    """

    boxes: NDArray[np.float32]
    quads: NDArray[np.float32]
    categories: NDArray[np.int64]
    colours: NDArray[np.int64]
    ids: NDArray[np.int64]
    headings: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    def region(self, number: int, rle: RLE | None, label: str | None = None) -> Region:
        """One of them in every form, its mask given."""
        x1, y1, x2, y2 = self.boxes[number].tolist()
        a, b, c, d = ((x, y) for x, y in self.quads[number].tolist())
        return Region(hbb=(x1, y1, x2, y2), quad=(a, b, c, d), rle=rle, label=label)

    @classmethod
    def unstack(cls, held: Mapping[str, NDArray[np.generic]]) -> list[Objects]:
        """The objects of each image, from the arrays of :func:`stack_objects`."""
        ends = np.cumsum(held["counts"])[:-1]
        parts = {field.name: np.split(held[field.name], ends) for field in fields(cls)}
        return [cls(**{name: part[at] for name, part in parts.items()}) for at in range(len(held["counts"]))]


def stack_objects(images: Sequence[Objects]) -> dict[str, NDArray[np.generic]]:
    """Arrays over all images, and ``counts``, how many objects each has."""
    stacked: dict[str, NDArray[np.generic]] = {
        field.name: np.concatenate([getattr(objects, field.name) for objects in images]) for field in fields(Objects)
    }
    return {**stacked, "counts": np.array([len(objects) for objects in images], dtype=np.int64)}


def objects_of(graph: SceneGraph) -> Objects:
    """The objects and places of a scene graph."""
    things = (*graph.objects, *graph.places)
    boxes = np.array([thing.hbb for thing in things], dtype=np.float32).reshape(-1, 4)
    corners = [thing.quad if thing.quad is not None else _corners(thing.hbb) for thing in things]
    return Objects(
        boxes,
        np.array(corners, dtype=np.float32).reshape(-1, 4, 2),
        np.array([_index(CATEGORIES, thing.category) for thing in things], dtype=np.int64),
        np.array([_index(COLOURS, thing.attributes.get("colour")) for thing in things], dtype=np.int64),
        np.array([thing.id for thing in things], dtype=np.int64),
        np.array([_direction(thing.attributes.get("heading")) for thing in things], dtype=np.int64),
    )


def _direction(degrees: float | None) -> int:
    return -1 if degrees is None else int(degrees % 360 // (360 / DIRECTIONS))


def _index(names: Sequence[str], name: str | None) -> int:
    return names.index(name) if name in names else -1


def _corners(box: tuple[float, float, float, float]) -> tuple[tuple[float, float], ...]:
    x1, y1, x2, y2 = box
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
