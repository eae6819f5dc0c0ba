"""The rules a region must meet to be used, and what is mended on the way.

Used as they are: boxes, quads and polygons of finite numbers with an area that touch the image. Mended, and counted
in :attr:`Frame.notes`: a box that reaches over the border is cut to the image (``clipped-box``); a quad given counter-
clockwise is turned round (``turned-quad``); corners in an order that crosses, or that make no convex shape, become
their hull or the least rectangle around them (``untangled-quad``); rings of fewer than three points are left out
(``short-ring``). Everything else is :class:`~rsground.datasets.fields.RecordError`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rsground.datasets.fields import RecordError, as_list, numbers, short
from rsground.errors import ShapeError
from rsground.geometry import convex_hull, min_area_rect, obb_to_quad, rle_area, rle_from_coco, rle_union
from rsground.types import HBB, RLE, Quad, Ring, Size

MAX_SIDE = 1_000_000
"""Pixels an image side may have; larger numbers are damage."""
MIN_REGION = 1e-6
"""Square pixels below which a region has no area."""
MAX_AREA = 2**32 - 1
"""Pixels an image may have: COCO's runs are 32-bit."""


def checked_size(height: int, width: int) -> Size:
    """(height, width) of an image.

    Raises:
        RecordError: not positive, or absurdly large.
    """
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE) or height * width > MAX_AREA:
        raise RecordError("bad-size", f"an image of {width} x {height} pixels")
    return (height, width)


class Frame:
    """The pixels of one image, in which regions are checked.

    Args:
        size: (H, W) of the image.
        notes: counts what was mended.
    """

    def __init__(self, size: Size, notes: Counter[str]) -> None:
        self.size, self.notes = size, notes

    def hbb(self, values: Any, what: str = "box") -> HBB:
        """A box given as x1, y1, x2, y2, cut to the image.

        Raises:
            RecordError: no four finite numbers, no area, or outside the image.
        """
        x1, y1, x2, y2 = self._finite(values, what, 4)
        if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) < MIN_REGION:
            raise RecordError("bad-box", f"{what} {short([x1, y1, x2, y2])} has no area")
        height, width = self.size
        cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        if cut[2] <= cut[0] or cut[3] <= cut[1] or (cut[2] - cut[0]) * (cut[3] - cut[1]) < MIN_REGION:
            raise RecordError("bad-box", f"{what} {short([x1, y1, x2, y2])} lies outside the {width} x {height} image")
        if cut != (x1, y1, x2, y2):
            self.notes["clipped-box"] += 1
        return cut

    def xywh(self, values: Any, what: str = "bbox") -> HBB:
        """A box given as COCO does: x, y, width, height."""
        x, y, w, h = self._finite(values, what, 4)
        return self.hbb((x, y, x + w, y + h), what)

    def quad(self, values: Any, what: str = "quad") -> Quad:
        """Four corners, eight numbers or four pairs, clockwise on screen; they may reach over the border.

        Raises:
            RecordError: no eight finite numbers, no area, or outside the image.
        """
        flat = self._finite(values, what, 8)
        corners = list(zip(flat[::2], flat[1::2], strict=True))
        quad = self._clockwise(corners)
        if quad is None or _area(quad) < 2 * MIN_REGION:
            raise RecordError("bad-box", f"{what} {short(flat)} has no area")
        height, width = self.size
        if max(flat[::2]) <= 0 or min(flat[::2]) >= width or max(flat[1::2]) <= 0 or min(flat[1::2]) >= height:
            raise RecordError("bad-box", f"{what} {short(flat)} lies outside the {width} x {height} image")
        return quad

    def quad_hbb(self, quad: Quad) -> HBB:
        """The bounding box of a quad, cut to the image."""
        xs, ys = [x for x, _ in quad], [y for _, y in quad]
        height, width = self.size
        return (max(min(xs), 0.0), max(min(ys), 0.0), min(max(xs), float(width)), min(max(ys), float(height)))

    def _clockwise(self, corners: list[tuple[float, float]]) -> Quad | None:
        turns = [
            (bx - ax) * (cy - by) - (by - ay) * (cx - bx)
            for (ax, ay), (bx, by), (cx, cy) in zip(
                corners, corners[1:] + corners[:1], corners[2:] + corners[:2], strict=True
            )
        ]
        a, b, c, d = corners
        if any(turn > 0 for turn in turns) and min(turns) >= 0:
            return (a, b, c, d)
        if any(turn < 0 for turn in turns) and max(turns) <= 0:
            self.notes["turned-quad"] += 1
            return (a, d, c, b)
        hull = [(float(x), float(y)) for x, y in convex_hull(np.array(corners))]
        if len(hull) < 3:
            return None
        self.notes["untangled-quad"] += 1
        if len(hull) == 3:
            hull = [(float(x), float(y)) for x, y in obb_to_quad(min_area_rect(np.array(corners), convention="le90"))]
        first = min(range(4), key=lambda k: math.dist(hull[k], a))
        e, f, g, h = hull[first:] + hull[:first]
        return (e, f, g, h)

    def polygons(self, rings: Any, what: str = "segmentation") -> tuple[Ring, ...]:
        """Rings given as flat lists ``[x, y, x, y, ...]`` or as lists of pairs.

        Raises:
            RecordError: no ring has three points and an area, a number is not finite, or a ring lies outside.
        """
        kept: list[Ring] = []
        for ring in as_list(rings, what):
            points = self._ring(ring, what)
            if len(points) < 3:
                self.notes["short-ring"] += 1
            else:
                kept.append(points)
        if not kept or all(abs(_area(ring)) < 2 * MIN_REGION for ring in kept):
            raise RecordError("bad-polygon", f"{what} has no ring with an area: {short(rings)}")
        return tuple(kept)

    def _ring(self, ring: Any, what: str) -> Ring:
        flat = self._finite(ring, what)
        if len(flat) % 2:
            raise RecordError("bad-polygon", f"{what} has an odd number of coordinates: {len(flat)}")
        points = list(zip(flat[::2], flat[1::2], strict=True))
        while len(points) > 1 and points[0] == points[-1]:
            points.pop()
        height, width = self.size
        if points and (
            min(flat) < -max(self.size) or max(flat[::2]) > 2 * width + 1 or max(flat[1::2]) > 2 * height + 1
        ):
            raise RecordError("bad-polygon", f"{what} reaches far outside the {width} x {height} image")
        if len(points) >= 3 and (
            max(flat[::2]) <= 0 or min(flat[::2]) >= width or max(flat[1::2]) <= 0 or min(flat[1::2]) >= height
        ):
            raise RecordError("bad-polygon", f"a ring of {what} lies outside the {width} x {height} image")
        return tuple(points)

    def rle(self, value: Any, what: str = "rle", *, empty: bool = False) -> RLE:
        """A mask given as ``{"size": [H, W], "counts": ...}`` or a list of those (their union).

        Raises:
            RecordError: malformed, of another size than the image, or without a pixel unless ``empty`` is allowed.
        """
        planes = value if isinstance(value, list) else [value]
        if not planes or len(planes) > 10_000:
            raise RecordError("bad-rle", f"{what} holds {len(planes)} masks")
        read = [self._plane(plane, what) for plane in planes]
        mask = read[0] if len(read) == 1 else rle_union(read)
        if not empty and rle_area(mask) == 0:
            raise RecordError("empty-mask", f"{what} has no pixel")
        return mask

    def _plane(self, value: Any, what: str) -> RLE:
        if not isinstance(value, Mapping):
            raise RecordError("bad-rle", f"{what} must be an object with size and counts, got {short(value)}")
        size = numbers(value.get("size", []), f"{what}.size")
        if size != [float(side) for side in self.size]:
            raise RecordError(
                "mask-size", f"{what} is of {short(size)} (rows, columns), the image of {list(self.size)}"
            )
        try:
            return rle_from_coco(value)
        except ShapeError as error:
            raise RecordError("bad-rle", f"{what}: {error}") from None

    def _finite(self, values: Any, what: str, count: int | None = None) -> list[float]:
        flat = _fast_numbers(values)
        if flat is None or (count is not None and len(flat) != count):
            try:
                flat = numbers(values, what, count)
            except RecordError as error:
                raise RecordError("bad-box" if count else "bad-polygon", error.detail) from None
        if flat and max(map(abs, flat)) > 2 * MAX_SIDE:
            raise RecordError("bad-box" if count else "bad-polygon", f"{what} holds an absurd number: {short(flat)}")
        return flat


def _fast_numbers(values: Any) -> list[float] | None:
    """Flat lists of plain finite numbers, without a check per number; None leaves the case to the slow way."""
    if not isinstance(values, list | tuple) or {type(value) for value in values} - {int, float}:
        return None
    try:
        flat = [float(value) for value in values]
    except OverflowError:
        return None
    return flat if math.isfinite(sum(map(abs, flat))) else None


def _area(ring: Sequence[tuple[float, float]]) -> float:
    """Twice the signed area."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True))
