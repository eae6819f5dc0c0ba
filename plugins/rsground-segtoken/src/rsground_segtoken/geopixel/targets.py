"""Which mask the k-th [SEG] of a right answer stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsground.errors import DataError
from rsground.regions import mask_of, union_mask, unmap_region
from rsground.types import Region, Sample, Task, View
from rsground_segtoken.geopixel.wording import SEG

if TYPE_CHECKING:
    from numpy.typing import NDArray


def target_masks(sample: Sample, view: View) -> NDArray[np.bool_]:
    """Masks ``(K, h, w)`` in ``view`` pixels, k-th for the k-th [SEG] of the right answer.

    Raises:
        DataError: the sample is not annotated, or a [SEG] of its description has no target.
    """
    groups = [[region] for region in annotated(sample)]
    if sample.task is Task.GCG:
        groups = _described(sample)
    masks = np.zeros((len(groups), *view.size), bool)
    for mask, group in zip(masks, groups, strict=True):
        seen = [unmap_region(region, view) for region in group]
        mask[:] = mask_of(seen[0], view.size) if len(seen) == 1 else union_mask(seen, view.size)
    return masks


def annotated(sample: Sample) -> tuple[Region, ...]:
    """The targets.

    Raises:
        DataError: there is no annotation.
    """
    if sample.targets is None:
        raise DataError(f"sample {sample.id!r} is not annotated, so it has no right answer")
    return sample.targets


def description(sample: Sample) -> str:
    """The reference description.

    Raises:
        DataError: there is none.
    """
    if sample.answer is None:
        raise DataError(f"sample {sample.id!r} has no description with <p> phrase </p> {SEG} to learn from")
    return sample.answer


def _described(sample: Sample) -> list[list[Region]]:
    """The targets of each [SEG]: those whose span covers it; without any spans, the k-th target alone."""
    regions, text = annotated(sample), description(sample)
    places = [place for place in range(len(text)) if text.startswith(SEG, place)]
    if all(region.span is None for region in regions) and len(regions) == len(places):
        return [[region] for region in regions]
    groups = [[region for region in regions if _covers(region.span, place)] for place in places]
    for number, group in enumerate(groups, start=1):
        if not group:
            raise DataError(f"sample {sample.id!r}: no target covers the {SEG} number {number} of its description")
    return groups


def _covers(span: tuple[int, int] | None, place: int) -> bool:
    return span is not None and span[0] <= place and place + len(SEG) <= span[1]
