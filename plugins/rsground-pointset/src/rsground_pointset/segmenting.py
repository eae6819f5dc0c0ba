"""Box and key points to a mask, by a promptable segmenter (GeoRSMLLM, equation 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rsground.contracts import MaskPrompt, Segmenter
from rsground.geometry import mask_to_rle
from rsground.regions import hbb_of, map_region, unmap_region
from rsground.types import Region, View


def segmented(segmenter: Segmenter, regions: Sequence[Region], view: View) -> tuple[Region, ...]:
    """Each region with the mask that its box and key points prompt, its box that of the mask.

    A region for which the segmenter finds nothing stays box and points.

    Args:
        segmenter: any promptable mask model.
        regions: in pixels of the original image.
        view: what the model saw.

    Returns:
        The regions, in pixels of the original image.
    """
    seen = view.source
    moved = [unmap_region(region, seen) for region in regions]
    prompts = [MaskPrompt(box=hbb_of(region), points=region.points or ()) for region in moved]
    masks, scores = segmenter.segment(segmenter.encode(seen.images[-1]), prompts, seen.size)
    found = list(regions)
    for index, (mask, score) in enumerate(zip(masks, scores, strict=True)):
        if mask.any():
            rle = map_region(Region(rle=mask_to_rle(mask)), seen).rle
            found[index] = replace(found[index], rle=rle, hbb=None, score=float(score))
    return tuple(found)
