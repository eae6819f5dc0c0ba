"""Oriented boxes in answers as the tower tells them, so that what is taught is what can be copied.

A width, a height and an angle can be written in two ways near the angle where their convention begins anew, and on
photographs that is where most objects lie: along the image's sides. Written from the annotation, half of such answers
would name as width what the tower calls height, and no word could learn which number to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from rsground.geometry import iou_quad
from rsground.models.tower_lm.facts import Facts
from rsground.regions import quad_of
from rsground.types import Quad, Region, Sample, Task

_ALIKE = 0.5
"""IoU of oriented boxes from which what the tower tells is written instead of what is annotated."""
_CORNERS = slice(8, 16)


@dataclass(frozen=True, slots=True)
class AsTold:
    """Rewrites oriented boxes of training samples.

    Attributes:
        facts: of the N training images, see :class:`rsground.models.training.fact_cache.FactCache`.
        shows: ``(N, V)``, likewise.
    """

    facts: Facts
    shows: Tensor

    def __call__(self, at: int, sample: Sample, targets: Sequence[int]) -> Sample:
        """The sample with the corners that the tower tells of those targets that it sees; masks and boxes stay.

        Args:
            at: number of the image.
            sample: a question about it, in any frame that covers the whole image.
            targets: numbers of the objects meant, one for each of the sample's targets.
        """
        regions = sample.targets or ()
        if sample.task is not Task.OBB or len(regions) != len(targets):
            return sample
        told = (self._quad(at, target, sample.size) for target in targets)
        rewritten = (_rewritten(region, quad) for region, quad in zip(regions, told, strict=True))
        return replace(sample, targets=tuple(rewritten))

    def _quad(self, at: int, target: int, size: tuple[int, int]) -> Quad | None:
        """Corners in pixels of the surest visual token that shows an object."""
        tokens = (self.shows[at] == target).nonzero()[:, 0]
        if not len(tokens):
            return None
        surest = tokens[self.facts.told[at, tokens, -1].argmax()]
        corners = self.facts.numbers[at, surest, _CORNERS].float().numpy().reshape(4, 2)
        a, b, c, d = ((x, y) for x, y in (corners * (size[1], size[0])).tolist())
        return a, b, c, d


def _rewritten(region: Region, told: Quad | None) -> Region:
    own = quad_of(region)
    if told is None or own is None or not iou_quad(np.array(told), np.array(own)).item() >= _ALIKE:
        return region
    return replace(region, quad=told)
