"""Optional refinement of a coarse grid by a promptable mask model.

GeoGround says "HBB and coarse mask to prompt SAM"; the logit of a set cell follows Text4Seg: ln(0.999 / 0.001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rsground.contracts import MaskPrompt, Segmenter
from rsground.geometry import mask_to_rle
from rsground.regions import hbb_of, mask_of
from rsground.types import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

CERTAIN = float(np.log(0.999 / 0.001))
"""Logit of a cell that the grid sets; a cell it leaves out has the negative."""


def refine(segmenter: Segmenter, image: NDArray[np.uint8], regions: Sequence[Region]) -> tuple[Region, ...]:
    """Each region with its mask replaced by the segmenter's; empty regions are left alone.

    Args:
        segmenter: any promptable mask model.
        image: ``(H, W, 3)`` uint8 RGB, the frame of ``regions``.
        regions: coarse masks.
    """
    size = (image.shape[0], image.shape[1])
    coarse = [mask_of(region, size) for region in regions]
    kept = [index for index, mask in enumerate(coarse) if mask.any()]
    if not kept:
        return tuple(regions)
    prompts = [
        MaskPrompt(box=hbb_of(regions[index]), mask=np.where(coarse[index], CERTAIN, -CERTAIN).astype(np.float32))
        for index in kept
    ]
    masks, scores = segmenter.segment(segmenter.encode(image), prompts, size)
    refined = list(regions)
    for index, mask, score in zip(kept, masks, scores, strict=True):
        refined[index] = replace(refined[index], hbb=None, rle=mask_to_rle(mask), score=float(score))
    return tuple(refined)
