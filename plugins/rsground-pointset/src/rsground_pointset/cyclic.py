"""Cyclic referring: the region goes into the question and the expression becomes the answer.

GeoRSMLLM calls this self-augmentation: every referring sample also teaches to describe what its points enclose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rsground.codecs import Codec
from rsground.types import Region, Sample, Size, Task

QUESTION = "[refer] Describe the object at {points} so that it can be told from all others."
CHANGED = "[refer] Describe what changed at {points}."
"""Ours; the paper prints one pseudo-example, "Could you describe the object at {...}?"."""

REFERRING = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.CHANGE})


def reverse(sample: Sample) -> Sample | None:
    """The region-caption sample behind a referring one.

    None where reversing would teach something false: no target, no expression, or several targets (the expression
    names a set, each region alone is not it; a change is the set of its regions and may have several).
    """
    count = len(sample.targets or ())
    if sample.task not in REFERRING or not count or not sample.expression.strip():
        return None
    if count > 1 and sample.task is not Task.CHANGE:
        return None
    return replace(sample, id=f"{sample.id}/cyclic", task=Task.REGION_CAPTION, answer=sample.expression)


def question(regions: Sequence[Region], codec: Codec, size: Size, *, pair: bool = False) -> str:
    """The question with the regions written in it.

    Args:
        regions: in pixels of an image of ``size``.
        codec: how they are written.
        size: (H, W).
        pair: whether two images are shown.
    """
    return (CHANGED if pair else QUESTION).format(points=codec.write(regions, size).replace("\n", "; "))
