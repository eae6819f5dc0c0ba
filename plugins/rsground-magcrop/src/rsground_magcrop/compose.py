"""What is shown: Eq. 2 and 3 of GeoMag on pixels, and how much of the image is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsground.types import Size
from rsground_magcrop.choices import Resample, Twice

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in whole pixels, half-open."""


def resized(image: Pixels, size: Size, resample: Resample = "bilinear", gap: float | None = None) -> Pixels:
    """``(h, w, 3)`` of another size; reducing averages over what a pixel then covers (except ``nearest``).

    Args:
        gap: what the filter is left to reduce by at least; beyond twice that, whole blocks of pixels are averaged
            before, which is faster and nearly the same. None for the filter alone.
    """
    from PIL import Image

    if image.shape[:2] == size:
        return image
    kind = Image.Resampling[resample.upper()]
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((size[1], size[0]), kind, reducing_gap=gap))


def compressed(image: Pixels, factor: int = 4, resample: Resample = "bilinear") -> Pixels:
    """D of Eq. 3: down by ``factor`` and back to the same size. A side that would vanish becomes one pixel."""
    height, width = image.shape[:2]
    small = (max(1, round(height / factor)), max(1, round(width / factor)))
    return resized(resized(image, small, resample), (height, width), resample)


def stitched(
    image: Pixels, boxes: Sequence[Box], factor: int = 4, twice: Twice = "literal", resample: Resample = "bilinear"
) -> Pixels:
    """Eq. 2 for one crop (region) or two (pixel), each put back to where it came from.

    - region: C1(I) on D(I);
    - pixel: C2(C1(I)) on D(C1(I)) on D(D(I)).

    Args:
        boxes: the crops, each within the one before.
    """
    background = compressed(image, factor, resample)
    if len(boxes) > 1:
        compound = twice == "compound"
        background = compressed(image if compound else background, factor**2 if compound else factor, resample)
    canvas = np.array(background)
    for place, (x1, y1, x2, y2) in enumerate(boxes):
        part = image[y1:y2, x1:x2]
        canvas[y1:y2, x1:x2] = part if place == len(boxes) - 1 else compressed(part, factor, resample)
    return canvas


def kept_pixels(size: Size, boxes: Sequence[Box], factor: int = 4, twice: Twice = "literal") -> float:
    """How many pixels' worth of detail :func:`stitched` leaves: all where nothing was compressed, else 1/factor².

    ``literal`` twice counts as once: the second compression to the same size takes away next to nothing.
    """
    areas = [float(size[0] * size[1]), *(float((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in boxes)]
    outermost = factor ** (4 if twice == "compound" and len(boxes) > 1 else 2)
    shares = [1 / outermost, *([1 / factor**2] * (len(boxes) - 1)), 1.0]
    rings = [area - inner for area, inner in zip(areas, [*areas[1:], 0.0], strict=True)]
    return sum(ring * share for ring, share in zip(rings, shares, strict=True))
