"""What the annotation of a photograph's instances tells, where masks were filled in for those that have none."""

from __future__ import annotations

from dataclasses import replace

from rsground.regions import rle_of
from rsground.types import Region, Sample, Size, Task

FILLED = "filled"
"""Attribute of a region whose mask was filled in: from its ``"obb"`` or its ``"hbb"``."""
_UNTOLD = {"obb": frozenset({Task.MASK}), "hbb": frozenset({Task.MASK, Task.OBB})}


def with_mask(region: Region, size: Size) -> Region:
    """The region with a mask of an image of ``size`` (H, W); one that tells none is filled, and says so."""
    if region.rle is not None:
        return region
    filled = replace(region, rle=rle_of(region, size))
    if region.polygons is not None:
        return filled
    return marked(filled, "hbb" if region.quad is None else "obb")


def marked(region: Region, source: str | None) -> Region:
    """The region, said to have its mask from ``source``; None for a mask of its own."""
    return region if source is None else replace(region, attributes={**region.attributes, FILLED: source})


def source_of(region: Region) -> str | None:
    """What the region's mask was filled from; None where it was annotated."""
    return region.attributes.get(FILLED)


def untold(sample: Sample) -> frozenset[Task]:
    """Tasks whose right answer some target's annotation does not tell: a mask, and an oriented box where all that is
    known is an upright one."""
    return frozenset[Task]().union(*(_UNTOLD.get(source_of(each) or "", ()) for each in sample.targets or ()))
