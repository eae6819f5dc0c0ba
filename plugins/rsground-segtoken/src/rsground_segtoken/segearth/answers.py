"""From a map of probabilities to regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsground.geometry import mask_to_polygons, polygons_to_mask
from rsground.regions import region_from_mask
from rsground.types import Region

_MOST = 64
"""Parts looked at, largest first; a mask with more is noise."""


def regions_of(
    probability: NDArray[np.float32], *, split: bool = False, tidy: float = 0.0, presence: float = 1.0
) -> tuple[Region, ...]:
    """The foreground of ``(H, W)`` probabilities, above one half.

    Args:
        probability: in [0, 1].
        split: one region per 8-connected part, largest first, instead of one in all.
        tidy: parts smaller than this share of the largest one are dropped.
        presence: multiplies every score.

    Returns:
        Regions with mask, box and score (mean probability of their pixels times ``presence``); none where no pixel
        is foreground.
    """
    mask = probability > 0.5
    if not mask.any():
        return ()
    if not split and tidy == 0.0:
        return (_region(mask, probability, presence),)
    parts = _parts(mask, tidy)
    if not split:
        return (_region(np.logical_or.reduce(parts), probability, presence),)
    return tuple(_region(part, probability, presence) for part in parts)


def mean_probability(probability: NDArray[np.float32]) -> float:
    """Mean probability of the foreground's pixels; 0 without any."""
    inside = probability[probability > 0.5]
    return float(inside.mean()) if len(inside) else 0.0


def _region(mask: NDArray[np.bool_], probability: NDArray[np.float32], presence: float) -> Region:
    return region_from_mask(mask, score=min(1.0, float(probability[mask].mean()) * presence))


def _parts(mask: NDArray[np.bool_], tidy: float) -> list[NDArray[np.bool_]]:
    """8-connected parts, largest first."""
    rings = mask_to_polygons(mask, holes="fill")
    found = []
    for ring in sorted(rings, key=_ring_area, reverse=True)[:_MOST]:
        (x1, y1), (x2, y2) = ring.min(0).astype(int), ring.max(0).astype(int)
        inside = polygons_to_mask([ring - (x1, y1)], (int(y2 - y1), int(x2 - x1))) & mask[y1:y2, x1:x2]
        part = np.zeros_like(mask)
        part[y1:y2, x1:x2] = inside
        found.append(part)
    sizes = [int(part.sum()) for part in found]
    least = tidy * max(sizes)
    order = sorted(range(len(found)), key=lambda index: -sizes[index])
    return [found[index] for index in order if sizes[index] >= max(least, 1)]


def _ring_area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
