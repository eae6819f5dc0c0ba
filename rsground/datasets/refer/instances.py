"""From annotated instances to a scene graph: names, forms, and which instances are too doubtful to refer to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from rsground.datasets.refer.lexicon import normalise
from rsground.datasets.refer.objects import SceneGraph, SceneObject
from rsground.geometry import iou_hbb_matrix
from rsground.regions import area_of, hbb_of
from rsground.types import HBB, Region, Size


@dataclass(frozen=True, slots=True)
class Doubts:
    """When an annotated instance is uncertain: it still counts as a distractor, but nothing refers to it.

    Attributes:
        border: an instance whose box comes this near to the image border may be cut off, pixels; None for images
            that are known to cut nothing.
        min_side: an instance with a shorter box side is too small to be seen, pixels.
        max_overlap: two instances of one category whose boxes overlap with a larger IoU may be one.
        visible: an instance whose annotation says that less than this share of it is in the image.
    """

    border: float | None = 1.5
    min_side: float = 4.0
    max_overlap: float = 0.7
    visible: float = 0.95


DEFAULT_DOUBTS = Doubts()


def scene_graph(
    size: Size,
    regions: Iterable[Region],
    complete: Collection[str],
    *,
    doubts: Doubts = DEFAULT_DOUBTS,
    gsd: float | None = None,
) -> SceneGraph:
    """The scene graph of one annotated image; object ids are the positions in ``regions``.

    Regions that lie nowhere are left out. Uncertain are instances that are difficult (DOTA's flag), crowds, cut off
    at the border, tiny, or annotated twice.

    Args:
        size: (H, W) of the image.
        regions: its instances, each with its category as ``label``.
        complete: categories (as in the labels, or as people say them) that the annotation lists exhaustively.
        doubts: when an instance is uncertain.
        gsd: metres per pixel.
    """
    found = [(i, region, box) for i, region in enumerate(regions) if region.label and (box := hbb_of(region))]
    names = [normalise(region.label or "") for _, region, _ in found]
    boxes = np.array([box for _, _, box in found], dtype=np.float64).reshape(-1, 4)
    doubtful = _doubtful(size, [region for _, region, _ in found], names, boxes, doubts)
    objects = tuple(
        SceneObject(
            id=i,
            category=name,
            hbb=_floats(box),
            area=area_of(region),
            region=region,
            quad=region.quad,
            certain=not unsure,
        )
        for (i, region, box), name, unsure in zip(found, names, doubtful, strict=True)
    )
    return SceneGraph(size[0], size[1], objects, frozenset(map(normalise, complete)), gsd=gsd)


def _doubtful(
    size: Size,
    regions: list[Region],
    names: list[str],
    boxes: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    doubts: Doubts,
) -> list[bool]:
    """One flag per instance."""
    if not regions:
        return []
    flagged = np.array([_is_flagged(region, doubts) for region in regions])
    small = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) < doubts.min_side
    doubtful = flagged | small | _twice(names, boxes, doubts.max_overlap)
    if doubts.border is not None:
        height, width = size
        room = np.minimum(boxes[:, :2].min(axis=1), np.minimum(width - boxes[:, 2], height - boxes[:, 3]))
        doubtful |= room < doubts.border
    return [bool(flag) for flag in doubtful]


def _is_flagged(region: Region, doubts: Doubts) -> bool:
    seen = region.attributes
    visible = seen.get("visible")
    cut = isinstance(visible, int | float) and visible < doubts.visible
    return cut or bool(seen.get("difficult")) or bool(seen.get("iscrowd"))


def _twice(
    names: list[str], boxes: np.ndarray[tuple[int, ...], np.dtype[np.float64]], most: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Instances whose box another one of the category nearly repeats; compared category by category."""
    twice = np.zeros(len(names), dtype=bool)
    for name in set(names):
        at = np.flatnonzero([other == name for other in names])
        for start in range(0, len(at), 1024):  # keeps a matrix over a crowded image small
            rows = at[start : start + 1024]
            overlap = iou_hbb_matrix(boxes[rows], boxes[at])
            overlap[np.arange(len(rows)), np.arange(start, start + len(rows))] = 0.0
            twice[rows] |= (overlap > most).any(axis=1)
    return twice


def _floats(box: HBB) -> HBB:
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1, y1, x2, y2)
