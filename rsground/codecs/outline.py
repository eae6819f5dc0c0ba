"""The fewest whole-number vertices that draw a region well enough; no region is ever lost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from rsground.codecs.codec import box_of
from rsground.codecs.simplify import Collapses
from rsground.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.types import Region, Size

    Floats = NDArray[np.float64]
    Steps = NDArray[np.int64]

Holes = Literal["auto", "fill", "bridge"]
MAX_RINGS = 32
_HOLES_MATTER = 0.98
_NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))


@dataclass(frozen=True, slots=True)
class Frame:
    """The lattice that vertices are written on: pixel = origin + step * scale.

    Attributes:
        origin: (x, y) of step 0, in pixels.
        scale: pixels per step, (x, y).
        top: largest step.
    """

    origin: tuple[float, float]
    scale: tuple[float, float]
    top: int

    def pixels(self, steps: Steps | Floats) -> Floats:
        """``(K, 2)`` steps as pixels."""
        return np.asarray(steps * np.array(self.scale) + np.array(self.origin), np.float64)

    def steps(self, points: Floats) -> Steps:
        """``(K, 2)`` pixels as the nearest steps, clipped to the lattice."""
        found = np.floor((points - np.array(self.origin)) / np.array(self.scale) + 0.5)
        return np.asarray(np.clip(found, 0, self.top), np.int64)


@dataclass(frozen=True, slots=True)
class Fit:
    """How well, and how, to draw.

    Attributes:
        target: IoU with the region's mask that is enough; fewer vertices are not tried once it is missed.
        most: vertices a ring may have; the best of that many is taken where the target is out of reach.
        refine: passes in which each vertex tries its eight neighbours and keeps what raises the IoU (0: none).
        holes: ``"fill"`` them, ``"bridge"`` them by a cut of no width, or ``"auto"``: bridge only where filling
            alone costs more than 2 % of IoU.
        least_part: rings of less than this share of the area are left out; the largest never is.
    """

    target: float = 0.95
    most: int = 32
    refine: int = 0
    holes: Holes = "auto"
    least_part: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1 or self.most < 4 or self.refine < 0 or self.holes not in ("auto", "fill", "bridge"):
            raise ShapeError(
                "polygons need 0 < target <= 1, at least 4 vertices, refine >= 0 and holes 'auto', 'fill' or "
                f"'bridge', got {self.target}, {self.most}, {self.refine}, {self.holes!r}"
            )


class _Canvas:
    """A mask's bounding box within its image, to score rings against it.

    Args:
        mask: ``(h, w)`` bool, the crop.
        left, top: where it lies in the image.
        size: (H, W) of the image.
    """

    def __init__(self, mask: NDArray[np.bool_], left: int, top: int, size: Size) -> None:
        self.mask, self.offset, self.size = mask, np.array([left, top]), size
        self.area = int(np.count_nonzero(mask))

    def draw(self, rings: list[Floats]) -> tuple[int, int]:
        """Pixels that the rings (image coordinates) share with the mask, and those they have anywhere in the image."""
        from rsground.geometry import polygons_to_mask

        height, width = self.mask.shape
        points = np.concatenate(rings)
        low = np.maximum(np.minimum(np.floor(points.min(axis=0)).astype(int), self.offset), 0)
        high = np.maximum(np.ceil(points.max(axis=0)).astype(int), self.offset + np.array([width, height]))
        high = np.minimum(high, (self.size[1], self.size[0]))
        drawn = polygons_to_mask([ring - low for ring in rings], (int(high[1] - low[1]), int(high[0] - low[0])))
        x, y = (self.offset - low).tolist()
        common = np.count_nonzero(drawn[y : y + height, x : x + width] & self.mask)
        return int(common), int(np.count_nonzero(drawn))

    def iou(self, rings: list[Floats]) -> float:
        """Overlap of the rings, filled, with the mask."""
        common, drawn = self.draw(rings)
        return common / (self.area + drawn - common)


def fit_rings(region: Region, size: Size, frame: Frame, fit: Fit, codec: str) -> list[Steps]:
    """Rings of lattice vertices ``(K, 2)`` that draw the region, largest part first; at least one.

    Raises:
        ShapeError: the region is nowhere.
    """
    box = _box_ring(region, size, frame, codec)
    canvas, outlines = _outlines(region, size, fit)
    if canvas is None:
        return [box]
    rings = []
    for outline, own in outlines:
        ring = _fit_ring(outline, own, frame, fit)
        if ring is not None:
            rings.append(ring)
    drawn = canvas.iou([frame.pixels(ring) for ring in rings]) if rings else 0.0
    if drawn == 0.0 or (drawn < canvas.iou([frame.pixels(box)]) and len(rings) == 1):
        return [box]
    return rings


def _box_ring(region: Region, size: Size, frame: Frame, codec: str) -> Steps:
    """The bounding box on the lattice, rounded outwards and never empty: what is drawn when nothing else can be."""
    height, width = size
    x1, y1, x2, y2 = box_of(region, codec)
    corners = []
    for axis, (low, high, side) in enumerate(((x1, x2, width), (y1, y2, height))):
        ends = (min(max(value, 0.0), side) for value in (low, high))
        first, last = ((value - frame.origin[axis]) / frame.scale[axis] for value in ends)
        start = min(max(math.floor(first + 1e-9), 0), frame.top - 1)
        corners.append((start, min(max(math.ceil(last - 1e-9), start + 1), frame.top)))
    (left, right), (top, bottom) = corners
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _outlines(region: Region, size: Size, fit: Fit) -> tuple[_Canvas | None, list[tuple[Floats, _Canvas]]]:
    """The region's canvas, and its parts with theirs, largest first; None where no pixel is set."""
    from rsground.geometry import mask_to_hbb, polygons_to_mask
    from rsground.regions import mask_of

    mask = mask_of(region, size)
    if not mask.any():
        return None, []
    left, top, right, bottom = (int(value) for value in mask_to_hbb(mask))
    crop = mask[top:bottom, left:right]
    canvas = _Canvas(crop, left, top, size)
    if region.rle is None and region.polygons is not None:
        rings = [np.array(ring, np.float64).reshape(-1, 2) for ring in region.polygons if len(ring) >= 3]
    else:
        rings = [ring + canvas.offset for ring in _traced(crop, fit.holes)]
    if len(rings) == 1:
        return canvas, [(rings[0], canvas)]
    parts = [
        (ring, _Canvas(polygons_to_mask([ring - canvas.offset], (crop.shape[0], crop.shape[1])), left, top, size))
        for ring in rings
    ]
    parts.sort(key=lambda part: -part[1].area)
    kept = [part for part in parts[:MAX_RINGS] if part[1].area > fit.least_part * canvas.area]
    return canvas, kept or parts[:1]


def _traced(crop: NDArray[np.bool_], holes: Holes) -> list[Floats]:
    from rsground.geometry import mask_to_polygons, polygons_to_mask

    if holes == "bridge":
        return mask_to_polygons(crop, holes="bridge")
    rings = mask_to_polygons(crop, holes="fill")
    if holes == "fill":
        return rings
    filled = np.count_nonzero(polygons_to_mask(rings, (crop.shape[0], crop.shape[1])))
    return rings if np.count_nonzero(crop) >= _HOLES_MATTER * filled else mask_to_polygons(crop, holes="bridge")


def _fit_ring(outline: Floats, canvas: _Canvas, frame: Frame, fit: Fit) -> Steps | None:
    """The ring of fewest vertices that reaches the target, refined; None where it has no area on the lattice."""
    found = Collapses(outline)

    def score(count: int) -> tuple[float, Steps]:
        ring = found.ring(count)
        if len(ring) > fit.most:
            ring = ring[np.linspace(0, len(ring), fit.most, endpoint=False).astype(int)]
        steps = _distinct(frame.steps(ring))
        return (canvas.iou([frame.pixels(steps)]) if len(steps) >= 3 else 0.0), steps

    low, high = found.counts.start, min(max(fit.most, found.counts.start), found.counts.stop - 1)
    best = score(high)
    while low < high:
        middle = (low + high) // 2
        tried = score(middle)
        if tried[0] >= min(fit.target, best[0]):
            high, best = middle, tried
        else:
            low = middle + 1
    value, steps = best
    for _ in range(fit.refine if len(steps) >= 3 else 0):
        improved, steps = _refined(steps, value, canvas, frame)
        if improved <= value:
            break
        value = improved
    return _canonical(steps) if len(steps) >= 3 else None


def _refined(steps: Steps, value: float, canvas: _Canvas, frame: Frame) -> tuple[float, Steps]:
    """One pass of moving each vertex by one step wherever that raises the IoU."""
    for index in range(len(steps)):
        for shift in _NEIGHBOURS:
            moved = steps.copy()
            moved[index] += shift
            if moved[index].min() < 0 or moved[index].max() > frame.top:
                continue
            tried = canvas.iou([frame.pixels(moved)])
            if tried > value:
                value, steps = tried, moved
    return value, steps


def _distinct(steps: Steps) -> Steps:
    """Without repeated neighbours, the last and the first included."""
    kept: Steps = steps[(steps != np.roll(steps, 1, axis=0)).any(axis=1)]
    return kept


def _canonical(steps: Steps) -> Steps:
    """Clockwise on screen, from the topmost, then leftmost vertex."""
    x, y = steps.T
    doubled = int(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    ring = steps[::-1] if doubled < 0 else steps
    start = int(np.lexsort((ring[:, 0], ring[:, 1]))[0])
    return np.roll(ring, -start, axis=0)
