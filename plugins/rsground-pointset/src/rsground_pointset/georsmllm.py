"""GeoRSMLLM: regions as sets of points.

Zhao et al., "GeoRSMLLM: A Multimodal Large Language Model for Vision-Language Tasks in Geoscience and Remote Sensing"
(white paper, no code, no results). What it fixes: four corners for boxes, HBB + key points through SAM 2 for masks,
closed polygons for change, task tags at the beginning of the instruction. Everything else is an option here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from rsground.codecs import Codec, Grammar, PointSet
from rsground.contracts import Prompt, TextHead, Training
from rsground.errors import UnknownNameError
from rsground.geometry import canonical_quad
from rsground.regions import quad_of, unmap_region
from rsground.types import Generation, Prediction, Region, Sample, Task, View
from rsground_pointset import conditions, cyclic, selecting
from rsground_pointset.chained import Chained, added, chained
from rsground_pointset.segmenting import segmented

if TYPE_CHECKING:
    import numpy as np

TAGS: Mapping[Task, str] = {
    Task.HBB: "[detection]",
    Task.OBB: "[detection]",
    Task.MASK: "[seg]",
    Task.CHANGE: "[change]",
    Task.REGION_CAPTION: "[refer]",
}
"""Task tags at the beginning of the instruction, after GeoChat and SkySenseGPT."""

QUESTIONS: Mapping[Task, str] = {
    Task.HBB: "Give the corners of {phrase}.",
    Task.OBB: "Give the corners of {phrase}.",
    Task.MASK: "Give the box and key points of {phrase}.",
    Task.CHANGE: "Give the polygons of {phrase}.",
}


CANDIDATES = "{question} Candidates: {points}"
"""A question about the answer of the step before; see :mod:`rsground_pointset.condition_chain`."""


class GeoRsmllmHead(TextHead):
    """Four corners, box + key points, or polygons, by task.

    Args:
        resolution: coordinates are integers 0..resolution of the image's width and height (paper: not stated).
        points: key points per object at most (paper: not stated).
        first_corner: where the four corners begin: ``"best"``, DOTA's best begin point (the corner that is the box's
            upper left one), so that one box has one spelling; or ``"given"``, as listed (paper: not stated).
        cyclic_referring: also train to describe the region (paper: yes; ratio not stated, one per sample here).
        cyclic_form: how that region is written: ``"own"``, as the sample's own task is answered (paper: outputs become
            inputs), or ``"corners"`` always.
        condition_pairs: also train to split an instruction and to select among candidates (ours, for
            ``condition-chain``; the paper trains neither).

    Masks need a segmenter (SAM 2 in the paper). Without one, a mask answer leaves as its box and key points, and what
    a metric makes of that is the filled box: a floor, not the paradigm. The segmenter looks at the image that tiles
    were cut from.

    Raises:
        UnknownNameError: no such option.
    """

    tasks = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.CHANGE, Task.REGION_CAPTION})

    def __init__(
        self,
        resolution: int = 1000,
        points: int = 3,
        *,
        first_corner: Literal["best", "given"] = "best",
        cyclic_referring: bool = True,
        cyclic_form: Literal["own", "corners"] = "own",
        condition_pairs: bool = False,
    ) -> None:
        if first_corner not in ("best", "given"):
            raise UnknownNameError("first corner", first_corner, ("best", "given"))
        if cyclic_form not in ("own", "corners"):
            raise UnknownNameError("cyclic form", cyclic_form, ("own", "corners"))
        corners = PointSet(form="rbb", resolution=resolution)
        keys = PointSet(form="hbb-points", resolution=resolution, points=points)
        polygons = PointSet(form="polygon", resolution=resolution)
        self.codecs: Mapping[Task, Codec] = {
            Task.HBB: corners,
            Task.OBB: corners,
            Task.MASK: keys,
            Task.CHANGE: polygons,
            Task.REGION_CAPTION: corners,
        }
        self._best = first_corner == "best"
        self._cyclic, self._own_form = cyclic_referring, cyclic_form == "own"
        self._condition_pairs = condition_pairs

    def prompt(self, sample: Sample, view: View) -> Prompt:
        """The question; what depends on the view is written in its pixels: a region to describe, candidates."""
        return replace(super().prompt(sample, view), text=self._worded(sample, view))

    def _worded(self, sample: Sample, view: View) -> str:
        if sample.task is Task.REGION_CAPTION:
            return self._refer(sample, view, sample.task)
        state = chained(view)
        return self._ask(sample) if state is None or state.plain else self._step(sample, view, state)

    def _ask(self, sample: Sample) -> str:
        if sample.task is Task.REGION_CAPTION:
            return cyclic.question(sample.targets or (), self.codecs[sample.task], sample.size)
        return _question(sample.task, sample.expression)

    def _refer(self, sample: Sample, view: View, form: Task) -> str:
        regions = [unmap_region(region, view) for region in sample.targets or ()]
        return cyclic.question(regions, self.codecs[form], view.size, pair=len(sample.images) > 1)

    def _step(self, sample: Sample, view: View, state: Chained) -> str:
        """The last step of a chain, with the candidates it selects from."""
        question = _question(sample.task, state.steps[-1].text)
        seen = [unmap_region(region, view) for region in state.candidates]
        return self._selecting(question, seen, sample, view) if seen else question

    def _selecting(self, question: str, candidates: list[Region], sample: Sample, view: View) -> str:
        codec = self.codecs[sample.task if sample.task is Task.CHANGE else Task.OBB]
        return CANDIDATES.format(question=question, points=codec.write(candidates, view.size).replace("\n", "; "))

    def target(self, sample: Sample, view: View) -> str:
        """The point set of the sample's task, in ``view`` pixels; the expression itself for region captions."""
        if sample.task is Task.REGION_CAPTION:
            return sample.answer or sample.expression
        regions = [unmap_region(region, view) for region in sample.targets or ()]
        if self._best and sample.task in (Task.HBB, Task.OBB):
            regions = [_begun_well(region) for region in regions]
        return self.codecs[sample.task].write(regions, view.size)

    def grammar(self, sample: Sample, view: View) -> Grammar | None:
        """Valid answers for the sample's task; free text for region captions."""
        return None if sample.task is Task.REGION_CAPTION else self.codecs[sample.task].grammar(view.size)

    def training_pairs(self, sample: Sample, view: View, rng: np.random.Generator) -> Iterable[Training]:
        """The plain pair, its reversal where that is true, and the steps of its chain where they are asked for."""
        plain = Training(prompt=self._worded(sample, view), answer=self.target(sample, view))
        yield plain
        reverse = cyclic.reverse(sample) if self._cyclic else None
        if reverse is not None:
            asked = self._refer(reverse, view, sample.task if self._own_form else reverse.task)
            yield Training(prompt=asked, answer=self.target(reverse, view), kind="cyclic")
        if self._condition_pairs and sample.task in (Task.HBB, Task.OBB, Task.MASK):
            yield from self._conditions(sample, view, plain.answer, rng)

    def _conditions(self, sample: Sample, view: View, answer: str, rng: np.random.Generator) -> Iterable[Training]:
        """How the instruction is split (no image), and its last step."""
        steps = conditions.split(sample.expression)
        if len(steps) < 2:
            return
        asked = conditions.splitting_prompt(sample.expression)
        yield Training(prompt=asked, answer=conditions.worded(steps), use_image=False, kind="parse")
        targets = [unmap_region(region, view) for region in sample.targets or ()]
        if targets:
            among = list(selecting.candidates(targets, view.size, rng))
            question = _question(sample.task, steps[-1].text)
            yield Training(prompt=self._selecting(question, among, sample, view), answer=answer, kind="select")

    def read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """The answer in the original image's pixels, masks by the segmenter; the cost of a chain is counted."""
        found = super().read(generation, sample, view)
        if sample.task is Task.MASK and self.segmenter is not None and found.regions:
            found = replace(found, regions=segmented(self.segmenter, found.regions, view))
        state = chained(view)
        return found if state is None else replace(found, usage=added(found.usage, state.usage))

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        if sample.task is Task.REGION_CAPTION:
            return Prediction(text=generation.text.strip())
        reading = self.codecs[sample.task].read(generation.text, view.size)
        return Prediction(regions=reading.regions, issues=reading.issues, parsed=reading.parsed)


def _question(task: Task, phrase: str) -> str:
    return f"{TAGS[task]} {QUESTIONS[task].format(phrase=phrase.strip())}"


def _begun_well(region: Region) -> Region:
    """The region with its oriented box beginning at the best corner."""
    quad = quad_of(region)
    if quad is None:
        return region
    a, b, c, d = ((x, y) for x, y in canonical_quad(quad).tolist())
    return replace(region, quad=(a, b, c, d))
