"""Pictures for the gallery: the part of the image that matters, small, with regions as vector outlines on top.

One JPEG per sample is shared by the tiles of all systems; what a system answered is a path of a few hundred bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from rsground.errors import RsgroundError
from rsground.geometry import mask_to_polygons, polygons_to_mask, rle_to_mask
from rsground.regions import hbb_of
from rsground.report.model import GalleryItem, Overlay
from rsground.report.text import shorten
from rsground.types import HBB, ImageRef, Point, Prediction, Region, Sample, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 360
"""Longer side of a picture, pixels."""
_CONTEXT = 0.6
_LEAST = 96.0
_REGIONS = 40
_TEXT = 400
_MASK_PIXELS = 64_000_000
"""Masks of larger images are drawn as their boxes: decoding one would take more memory than a report is worth."""
_PATH_LENGTH = 6_000
_RINGS = 400


@dataclass(frozen=True, slots=True)
class Window:
    """The part of an image that a picture shows.

    Attributes:
        x1, y1, x2, y2: whole original pixels, half-open.
        scale: picture pixels per original pixel.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    scale: float

    @property
    def picture(self) -> Size:
        """(height, width) of the picture."""
        return (max(1, round((self.y2 - self.y1) * self.scale)), max(1, round((self.x2 - self.x1) * self.scale)))


def gallery_item(
    sample: Sample, answers: Mapping[str, Prediction], scores: Mapping[str, float | None], picked: str = ""
) -> GalleryItem:
    """One sample, its picture, and every answer drawn on it. Never raises on a bad image or region.

    Args:
        sample: with its image and targets; target and answers are in original pixels.
        answers: system label → prediction.
        scores: system label → score of that answer, None where it does not apply.
        picked: why this sample is shown.
    """
    targets = sample.targets or ()
    regions = [*targets, *(region for answer in answers.values() for region in answer.regions[:_REGIONS])]
    window = window_around([box for region in regions if (box := box_of(region)) is not None], sample.size)
    jpeg, why = _picture(sample.image, window)
    height, width = window.picture
    overlays = tuple(_overlay(system, answer, scores.get(system), window) for system, answer in answers.items())
    return GalleryItem(
        sample=sample.id,
        image=image_name(sample.image),
        expression=sample.expression,
        jpeg=jpeg,
        width=width,
        height=height,
        window=(window.x1, window.y1, window.x2, window.y2),
        size=sample.size,
        target=outlines(targets, window),
        has_target=sample.targets is None or bool(targets),
        overlays=overlays,
        why=why,
        picked=picked,
    )


def image_name(image: ImageRef) -> str:
    """What people call an image: folder and file of a path, the whole name of a rendered one."""
    parts = PurePath(image.uri).parts
    return image.uri if image.render is not None or len(parts) < 3 else "/".join(parts[-2:])


def _overlay(system: str, answer: Prediction, score: float | None, window: Window) -> Overlay:
    return Overlay(
        system=system,
        paths=outlines(answer.regions, window),
        score=score,
        issues=tuple(dict.fromkeys(issue.code for issue in answer.issues)),
        text=shorten(answer.text, _TEXT),
        error=answer.error,
    )


def window_around(boxes: Sequence[HBB], size: Size) -> Window:
    """The window of an image around ``boxes`` with some context; the whole image without any.

    It is at least a quarter of the image's longer side wide and high (and at least 96 px), so that one sees where
    the object lies, and never leaves the image.
    """
    height, width = size
    if not boxes:
        return Window(0, 0, width, height, min(1.0, SIDE / max(height, width)))
    array = np.asarray(boxes, np.float64)
    least = max(_LEAST, max(height, width) / 4)
    x1, x2 = _span(float(array[:, 0].min()), float(array[:, 2].max()), least, width)
    y1, y2 = _span(float(array[:, 1].min()), float(array[:, 3].max()), least, height)
    return Window(x1, y1, x2, y2, min(4.0, SIDE / max(x2 - x1, y2 - y1)))


def _span(low: float, high: float, least: float, side: int) -> tuple[int, int]:
    low, high = min(max(low, 0.0), side), max(min(high, side), 0.0)
    wanted = min(float(side), max(least, (high - low) * (1 + _CONTEXT)))
    start = min(max(0.0, (low + high - wanted) / 2), side - wanted)
    return int(np.floor(start)), min(side, int(np.ceil(start + wanted)))


def box_of(region: Region) -> HBB | None:
    """The horizontal box around whatever form a region has, None where it has none or is not finite."""
    box = hbb_of(region)
    return box if box is not None and np.isfinite(box).all() and box[2] >= box[0] and box[3] >= box[1] else None


def outlines(regions: Sequence[Region], window: Window) -> tuple[str, ...]:
    """SVG path data of regions in picture pixels, at most forty of them; what cannot be drawn is left out."""
    paths = (_outline(region, window) for region in regions[:_REGIONS])
    return tuple(path for path in paths if path)


def _outline(region: Region, window: Window) -> str:
    if region.rle is not None and region.rle.size[0] * region.rle.size[1] <= _MASK_PIXELS:
        path = _mask_path(rle_to_mask(region.rle), window)
        if len(path) <= _PATH_LENGTH:
            return path
    if region.polygons is not None:
        return "".join(_ring(ring, window) for ring in region.polygons)[:_PATH_LENGTH]
    if region.quad is not None:
        return _ring(region.quad, window)
    box = box_of(region) if region.hbb is not None or region.rle is not None else None
    if box is not None:
        x1, y1, x2, y2 = box
        return _ring(((x1, y1), (x2, y1), (x2, y2), (x1, y2)), window)
    return "".join(_cross(point, window) for point in region.points or ())


def _mask_path(mask: NDArray[np.bool_], window: Window) -> str:
    """Outline of a mask's part in the window, traced at the picture's resolution where that is coarser."""
    part = mask[window.y1 : window.y2, window.x1 : window.x2]
    block = max(1, int(np.ceil(1 / window.scale)))
    step = window.scale * block
    rings = _rings(_shrunk(part, block))
    return "".join(_path([(float(x) * step, float(y) * step) for x, y in ring]) for ring in rings)


def _rings(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Rings that give the mask by the even-odd rule: outlines, then the holes in them, then islands in the holes ..."""
    rings: list[NDArray[np.float64]] = []
    rest = mask
    while rest.any() and len(rings) < _RINGS:
        outer = mask_to_polygons(rest)
        rings += outer
        rest = polygons_to_mask(outer, (rest.shape[0], rest.shape[1])) ^ rest
    return rings


def _shrunk(mask: NDArray[np.bool_], block: int) -> NDArray[np.bool_]:
    """The mask in blocks: set where half of a block is, or any of it if nothing would remain."""
    if block == 1:
        return mask
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % block), (0, -width % block)))
    share = padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block).mean(axis=(1, 3))
    coarse = share >= 0.5
    return np.asarray(coarse if coarse.any() else share > 0)


def _ring(points: Sequence[Point], window: Window) -> str:
    if not np.isfinite(np.asarray(points, np.float64)).all():
        return ""
    return _path([((x - window.x1) * window.scale, (y - window.y1) * window.scale) for x, y in points])


def _cross(point: Point, window: Window) -> str:
    if not np.isfinite(point).all():
        return ""
    x, y = (point[0] - window.x1) * window.scale, (point[1] - window.y1) * window.scale
    return f"M{_short(x - 4)} {_short(y)}h8M{_short(x)} {_short(y - 4)}v8"


def _path(points: Sequence[Point]) -> str:
    """A closed path; corners far outside the picture are brought near, so that no number grows without bound."""
    if len(points) < 2:
        return ""
    texts = [(_short(x), _short(y)) for x, y in points]
    parts = [f"M{texts[0][0]} {texts[0][1]}"]
    for (x0, y0), (x, y) in pairwise(texts):
        if (x, y) != (x0, y0):
            parts.append(f"V{y}" if x == x0 else f"H{x}" if y == y0 else f"L{x} {y}")
    return "".join([*parts, "Z"])


def _short(value: float) -> str:
    limited = min(max(value, -4.0 * SIDE), 5.0 * SIDE)
    return f"{limited:.1f}".removesuffix(".0")


def _picture(image: ImageRef, window: Window) -> tuple[bytes, str]:
    """(JPEG of the window, ""), or (nothing, why not)."""
    from PIL import Image

    from rsground.images import read_window

    try:
        pixels = read_window(image, window.x1, window.y1, window.x2, window.y2)
    except (RsgroundError, OSError, ValueError, MemoryError) as error:
        return b"", str(error)
    height, width = window.picture
    small = Image.fromarray(np.ascontiguousarray(pixels)).resize(
        (width, height), Image.Resampling.LANCZOS if window.scale < 1 else Image.Resampling.BICUBIC
    )
    out = io.BytesIO()
    small.save(out, "JPEG", quality=72, optimize=True)
    return out.getvalue(), ""


def within_budget(items: Sequence[GalleryItem], budget: int) -> tuple[GalleryItem, ...]:
    """The items, with the pictures of the last ones left out once all pictures together exceed ``budget`` bytes."""
    kept: list[GalleryItem] = []
    spent = 0
    for item in items:
        spent += len(item.jpeg)
        kept.append(item if spent <= budget else replace(item, jpeg=b"", why="left out to keep the file small"))
    return tuple(kept)
