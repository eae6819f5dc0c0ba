"""box-mask (ours): the box first, then a grid of what is inside it.

A grid over the whole image spends its cells on background; a grid over the object's box spends them on its outline.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rsground.codecs import BoxMask, Codec, Grammar, TextBox
from rsground.contracts import TextHead
from rsground.regions import unmap_region
from rsground.types import Generation, Prediction, Sample, Task, View
from rsground_textmask import prompts
from rsground_textmask.refinement import Hints, check_hints, refined


class BoxMaskHead(TextHead):
    """HBB, or HBB and the grid inside it, by task.

    Args:
        box_resolution: steps of a box coordinate.
        refine: as of :class:`rsground_textmask.geoground.GeoGroundHead`; the box is the one that was written.
        options: further options of :class:`rsground.codecs.BoxMask` (``resolution``, ``downsample`` ...).

    Raises:
        UnknownNameError: no such way to refine.
    """

    tasks = frozenset({Task.HBB, Task.MASK})

    def __init__(self, box_resolution: int = 1000, refine: Hints = "box+mask", **options: Any) -> None:
        self._refine = check_hints(refine)
        self.codecs: dict[Task, Codec] = {Task.HBB: TextBox(resolution=box_resolution), Task.MASK: BoxMask(**options)}

    def _ask(self, sample: Sample) -> str:
        if sample.task is Task.MASK:
            return prompts.BOX_AND_MASK.format(phrase=sample.expression.strip())
        return prompts.question(sample.task, sample.expression)

    def target(self, sample: Sample, view: View) -> str:
        """Box, or box and grid, in ``view`` pixels."""
        return self.codecs[sample.task].write(
            [unmap_region(region, view) for region in sample.targets or ()], view.size
        )

    def grammar(self, sample: Sample, view: View) -> Grammar:
        """Valid answers for the sample's task."""
        return self.codecs[sample.task].grammar(view.size)

    def read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """The answer in the original image's pixels, masks refined where the system has a segmenter."""
        found = super().read(generation, sample, view)
        if self.segmenter is None or sample.task is not Task.MASK:
            return found
        return replace(found, regions=refined(self.segmenter, found.regions, view, self._refine))

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        reading = self.codecs[sample.task].read(generation.text, view.size)
        return Prediction(regions=reading.regions, issues=reading.issues, parsed=reading.parsed)
