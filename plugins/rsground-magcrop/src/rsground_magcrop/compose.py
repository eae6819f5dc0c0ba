"""What is shown: Eq. 2 and 3 of GeoMag on pixels, and how much of the image is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rsground.types import Size
from rsground_magcrop.choices import Resample, Rounding, Twice

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""(x1, y1, x2, y2) in whole pixels, half-open."""
Place = Sequence[Box]
"""The crops of one place, each within the one before."""

_ROUND: Mapping[Rounding, Callable[[float], int]] = {"nearest": round, "down": math.floor, "up": math.ceil}


@dataclass(frozen=True, slots=True)
class Compression:
    """How D of Eq. 3 is done, and how crops are put back; see :class:`rsground_magcrop.options.Options`."""

    factor: int = 4
    twice: Twice = "literal"
    resample: Resample = "bilinear"
    rounding: Rounding = "nearest"
    seam: int = 0


PAPER = Compression()


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


def compressed(image: Pixels, how: Compression = PAPER, factor: int | None = None) -> Pixels:
    """D of Eq. 3: down by ``factor`` (or that of ``how``) and back to the same size.

    A side that would vanish becomes one pixel.
    """
    height, width = image.shape[:2]
    whole = _ROUND[how.rounding]
    down, across = (max(1, whole(side / (factor or how.factor))) for side in (height, width))
    return resized(resized(image, (down, across), how.resample), (height, width), how.resample)


def stitched(image: Pixels, places: Sequence[Place], how: Compression = PAPER) -> Pixels:
    """Eq. 2 for places of one crop (region) or two (pixel), each put back to where it came from.

    - region: C1(I) on D(I);
    - pixel: C2(C1(I)) on D(C1(I)) on D(D(I)).

    Of several places each has its own crops on the one background, D(D(I)) where any has two.
    """
    background = compressed(image, how)
    if any(len(place) > 1 for place in places):
        compound = how.twice == "compound"
        background = compressed(image, how, how.factor**2) if compound else compressed(background, how)
    canvas = np.array(background)
    for place in places:
        for number, box in enumerate(place):
            x1, y1, x2, y2 = box
            part = image[y1:y2, x1:x2]
            _put(canvas, part if number == len(place) - 1 else compressed(part, how), box, how.seam)
    return canvas


def kept_pixels(size: Size, places: Sequence[Place], how: Compression = PAPER) -> float:
    """How many pixels' worth of detail :func:`stitched` leaves: all where nothing was compressed, else 1/factor².

    ``literal`` twice counts as once: the second compression to the same size takes away next to nothing. A seam counts
    as the crop that it fades out of. Places must be apart.
    """
    once = 1 / how.factor**2
    twice = how.twice == "compound" and any(len(place) > 1 for place in places)
    kept, left = 0.0, float(size[0] * size[1])
    for place in places:
        areas = [float((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in place]
        left -= areas[0]
        kept += sum((outer - inner) * once for outer, inner in pairwise(areas)) + areas[-1]
    return kept + left * (once**2 if twice else once)


def _put(canvas: Pixels, part: Pixels, box: Box, seam: int) -> None:
    """Write ``part`` into its place; the outermost ``seam`` pixels fade into what is there, not at the image's edge."""
    x1, y1, x2, y2 = box
    if seam:
        height, width = canvas.shape[:2]
        down, across = _ramp(y1, y2, height, seam), _ramp(x1, x2, width, seam)
        share = np.minimum.outer(down, across)[..., None]
        part = np.rint(share * part + (1.0 - share) * canvas[y1:y2, x1:x2]).astype(np.uint8)
    canvas[y1:y2, x1:x2] = part


def _ramp(start: int, stop: int, whole: int, seam: int) -> NDArray[np.float64]:
    """Shares of a crop along one side: rising from its edges within the image, 1 from ``seam`` pixels on.

    A seam takes at most a quarter of the side.
    """
    side = stop - start
    wide = min(seam, side // 4) + 1
    steps = np.arange(1.0, side + 1.0) / wide
    shares = np.ones(side)
    if start > 0:
        shares = np.minimum(shares, steps)
    if stop < whole:
        shares = np.minimum(shares, steps[::-1])
    return shares
