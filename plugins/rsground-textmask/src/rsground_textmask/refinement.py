"""Optional refinement of a coarse grid by a promptable mask model.

GeoGround says "HBB and coarse mask to prompt SAM" and no more; the logit of a set cell follows Text4Seg:
ln(0.999 / 0.001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from rsground.contracts import MaskPrompt, Segmenter
from rsground.errors import UnknownNameError
from rsground.geometry import mask_to_rle
from rsground.regions import hbb_of, map_region, mask_of, unmap_region
from rsground.types import Region, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

Hints = Literal["box+mask", "box", "mask"]
CERTAIN = float(np.log(0.999 / 0.001))
"""Logit of a cell that the grid sets; a cell it leaves out has the negative."""


def check_hints(hints: str) -> Hints:
    """The value of an option.

    Raises:
        UnknownNameError: there is no such value.
    """
    for known in get_args(Hints):
        if hints == known:
            return known  # type: ignore[no-any-return]
    raise UnknownNameError("refinement", hints, get_args(Hints))


def refined(
    segmenter: Segmenter, regions: Sequence[Region], view: View, hints: Hints = "box+mask", *, keep_box: bool = False
) -> tuple[Region, ...]:
    """Each region with its mask replaced by the segmenter's; one for which it finds nothing stays as it was.

    The box is the one that was written beside the mask, else the mask's own.

    Args:
        segmenter: any promptable mask model.
        regions: coarse masks, in pixels of the original image.
        view: what the model saw.
        hints: what the segmenter is told.
        keep_box: whether a written box stays; else the box is that of the new mask.

    Returns:
        The regions, in pixels of the original image.
    """
    seen = view.source
    moved = [unmap_region(region, seen) for region in regions]
    coarse = [mask_of(region, seen.size) for region in moved]
    kept = [index for index, mask in enumerate(coarse) if mask.any()]
    if not kept:
        return tuple(regions)
    prompts = [_prompt(moved[index], coarse[index], hints) for index in kept]
    masks, scores = segmenter.segment(segmenter.encode(seen.images[-1]), prompts, seen.size)
    found = list(regions)
    for index, mask, score in zip(kept, masks, scores, strict=True):
        if mask.any():
            rle = map_region(Region(rle=mask_to_rle(mask)), seen).rle
            box = found[index].hbb if keep_box else None
            found[index] = replace(found[index], hbb=box, rle=rle, score=float(score))
    return tuple(found)


def _prompt(region: Region, mask: NDArray[np.bool_], hints: Hints) -> MaskPrompt:
    logits = np.where(mask, CERTAIN, -CERTAIN).astype(np.float32)
    return MaskPrompt(
        box=hbb_of(region) if "box" in hints else None,
        mask=logits if "mask" in hints else None,
    )
