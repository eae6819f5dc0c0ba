"""GeoGround: one model, three signals, each as plain text.

Zhou et al., "GeoGround: A Unified Large Vision-Language Model for Remote Sensing Visual Grounding", arXiv 2411.11904v3,
section 3. No code was released; where the paper leaves a choice open it is an option here, with its default stated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from rsground.codecs import Codec, Grammar, TextBox, TextMask, TextOBB
from rsground.contracts import TextHead, Training
from rsground.errors import DataError, UnknownNameError
from rsground.regions import unmap_region
from rsground.types import Generation, Prediction, Region, Sample, Task, View
from rsground_textmask import prompts
from rsground_textmask.refinement import Hints, check_hints, refined
from rsground_textmask.signals import AllSignals
from rsground_textmask.supervision import Supervision, signals_told

if TYPE_CHECKING:
    import numpy as np


class GeoGroundHead(TextHead):
    """Text-HBB, Text-OBB or Text-Mask, by task.

    Args:
        resolution: N of the N x N mask grid (the paper trains 16 and 32).
        downsample: how a cell becomes 1: ``"max"`` as in the paper, or ``"nearest"``, ``"coverage"``.
        box_resolution: steps of a box coordinate (paper: 1000).
        obb_resolution: steps of an oriented box coordinate (paper: 100).
        convention: angle convention of oriented boxes. The paper's "0 to 90" is loss-free only as ``"oc"``.
        signals: ``"task"`` asks for the task's signal; ``"all"`` asks for box, oriented box and mask in one answer,
            which the ``bcs`` metric needs (ours; the paper asks three times).
        supervision: what is taught beside the plain question: ``"base"`` nothing, ``"pal"``, ``"ggl"`` or
            ``"hybrid"`` (both, as in the paper's table 6), of what the annotation tells.
        refine: what a segmenter, when the system has one, is told to refine a mask from: ``"box+mask"``, the grid and
            its box (paper: "HBB and coarse mask to prompt SAM", details open), ``"box"`` or ``"mask"`` alone. It looks
            at the image that tiles were cut from.

    Raises:
        UnknownNameError: no such option.
    """

    tasks = frozenset({Task.HBB, Task.OBB, Task.MASK})

    def __init__(
        self,
        resolution: int = 32,
        downsample: Literal["max", "nearest", "coverage"] = "max",
        box_resolution: int = 1000,
        obb_resolution: int = 100,
        convention: Literal["oc", "le90", "le135"] = "oc",
        signals: Literal["task", "all"] = "task",
        supervision: Literal["base", "pal", "ggl", "hybrid"] = "hybrid",
        refine: Hints = "box+mask",
    ) -> None:
        if signals not in ("task", "all"):
            raise UnknownNameError("signals", signals, ("task", "all"))
        together = AllSignals(
            TextBox(resolution=box_resolution),
            TextOBB(resolution=obb_resolution, convention=convention),
            TextMask(resolution=resolution, downsample=downsample),
        )
        self.codecs: Mapping[Task, Codec] = together.codecs
        self._all = together if signals == "all" else None
        self._supervision = Supervision(self.codecs, supervision)
        self._refine = check_hints(refine)

    def _ask(self, sample: Sample) -> str:
        if self._all is not None:
            return prompts.ALL_SIGNALS.format(phrase=sample.expression.strip())
        return prompts.question(sample.task, sample.expression)

    def target(self, sample: Sample, view: View) -> str:
        """The signal of the sample's task, in ``view`` pixels."""
        return self._codec(sample).write(_seen(sample, view), view.size)

    def grammar(self, sample: Sample, view: View) -> Grammar:
        """Valid answers for the sample's task."""
        return self._codec(sample).grammar(view.size)

    def training_pairs(self, sample: Sample, view: View, rng: np.random.Generator) -> Iterable[Training]:
        """The plain pair, then what hybrid supervision adds for a sample with targets, as far as those tell of it.

        Raises:
            DataError: all signals are asked for at once, and a target has no mask.
        """
        if self._all is not None and sample.targets and Task.MASK not in signals_told(sample.targets):
            raise DataError(
                f'sample {sample.id!r}: signals = "all" teaches box, oriented box and mask together, and not every '
                'target of it has a mask; train on annotated masks, or with signals = "task"'
            )
        yield Training(prompt=self._ask(sample), answer=self.target(sample, view))
        if sample.targets:
            yield from self._supervision.pairs(sample.expression, _seen(sample, view), view.size, rng)

    def read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """The answer in the original image's pixels, masks refined where the system has a segmenter."""
        found = super().read(generation, sample, view)
        if self.segmenter is None or sample.task is not Task.MASK:
            return found
        keep_box = self._all is not None  # as written: the agreement of the signals is what is asked for
        return replace(found, regions=refined(self.segmenter, found.regions, view, self._refine, keep_box=keep_box))

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        reading = self._codec(sample).read(generation.text, view.size)
        return Prediction(regions=reading.regions, issues=reading.issues, parsed=reading.parsed)

    def _codec(self, sample: Sample) -> Codec:
        return self._all if self._all is not None else self.codecs[sample.task]


def _seen(sample: Sample, view: View) -> list[Region]:
    """The targets in view pixels."""
    return [unmap_region(region, view) for region in sample.targets or ()]
