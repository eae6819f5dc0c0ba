"""Cyclic referring: the region goes into the question and the expression becomes the answer.

GeoRSMLLM calls this self-augmentation: every referring sample also teaches to describe what its points enclose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rsground.codecs import Codec
from rsground.types import Region, Sample, Size, Task

QUESTION = "[refer] Describe the object at {points} so that it can be told from all others."
"""Ours; the paper prints no wording."""

REFERRING = frozenset({Task.HBB, Task.OBB, Task.MASK})


def reverse(sample: Sample) -> Sample | None:
    """The region-caption sample behind a referring one.

    None where reversing would teach something false: no target, several targets (the expression names a set, each
    region alone is not it), or no expression.
    """
    if sample.task not in REFERRING or len(sample.targets or ()) != 1 or not sample.expression.strip():
        return None
    return replace(sample, id=f"{sample.id}/cyclic", task=Task.REGION_CAPTION, answer=sample.expression)


def question(regions: Sequence[Region], codec: Codec, size: Size) -> str:
    """The question with the regions written in it, in pixels of an image of ``size``."""
    return QUESTION.format(points=codec.write(regions, size))
