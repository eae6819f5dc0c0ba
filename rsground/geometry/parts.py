"""The connected parts of a mask."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from rsground.geometry.checks import Bools, as_mask
from rsground.geometry.raster import polygons_to_mask
from rsground.geometry.trace import mask_to_polygons


def largest_part(mask: ArrayLike, *, connectivity: Literal[4, 8] = 8) -> Bools:
    """The connected part of a mask that has the most pixels; the topmost, then leftmost, of equals.

    Args:
        mask: ``(H, W)`` bool.
        connectivity: whether pixels that touch at a corner are joined (8) or not (4).

    Returns:
        ``(H, W)`` bool; an empty mask has no parts and comes back as it is.

    Raises:
        ShapeError: no mask, or an unknown connectivity.
    """
    pixels = as_mask(mask)
    rings = mask_to_polygons(pixels, holes="bridge", connectivity=connectivity)
    if len(rings) < 2:
        return pixels.copy()
    boxes = [float(np.ptp(ring, axis=0).prod()) for ring in rings]
    best, most, first = pixels, 0, len(rings)
    for number in sorted(range(len(rings)), key=lambda each: -boxes[each]):
        if boxes[number] < most:
            break  # no part has more pixels than its box
        part = polygons_to_mask([rings[number]], (pixels.shape[0], pixels.shape[1]))
        count = int(np.count_nonzero(part))
        if (count, -number) > (most, -first):
            best, most, first = part, count, number
    return best
