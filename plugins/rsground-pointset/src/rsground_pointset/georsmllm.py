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
from rsground.contracts import MaskPrompt, TextHead, Training
from rsground.errors import UnknownNameError
from rsground.geometry import canonical_quad, mask_to_rle
from rsground.regions import hbb_of, quad_of, unmap_region
from rsground.types import Generation, Prediction, Region, Sample, Task, View
from rsground_pointset import cyclic

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


class GeoRsmllmHead(TextHead):
    """Four corners, box + key points, or polygons, by task.

    Args:
        resolution: coordinates are integers 0..resolution of the image's width and height (paper: not stated).
        points: key points per object at most (paper: not stated).
        first_corner: where the four corners begin: ``"best"``, DOTA's best begin point (the corner that is the box's
            upper left one), so that one box has one spelling; or ``"given"``, as listed (paper: not stated).
        cyclic_referring: also train to describe the region (paper: yes; ratio not stated, one per sample here).

    Masks need a segmenter (SAM 2 in the paper). Without one, a mask answer leaves as its box and key points, and what
    a metric makes of that is the filled box: a floor, not the paradigm.
    """

    tasks = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.CHANGE, Task.REGION_CAPTION})

    def __init__(
        self,
        resolution: int = 1000,
        points: int = 3,
        *,
        first_corner: Literal["best", "given"] = "best",
        cyclic_referring: bool = True,
    ) -> None:
        if first_corner not in ("best", "given"):
            raise UnknownNameError("first corner", first_corner, ("best", "given"))
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
        self._cyclic = cyclic_referring

    def _ask(self, sample: Sample) -> str:
        if sample.task is Task.REGION_CAPTION:
            return cyclic.question(sample.targets or (), self.codecs[sample.task], sample.size)
        return f"{TAGS[sample.task]} {QUESTIONS[sample.task].format(phrase=sample.expression.strip())}"

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
        """The plain pair, and its reversal where that is true of one region."""
        yield Training(prompt=self._ask(sample), answer=self.target(sample, view))
        reverse = cyclic.reverse(sample) if self._cyclic else None
        if reverse is not None:
            yield Training(prompt=self._ask(reverse), answer=self.target(reverse, view), kind="cyclic")

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        if sample.task is Task.REGION_CAPTION:
            return Prediction(text=generation.text.strip())
        reading = self.codecs[sample.task].read(generation.text, view.size)
        regions = reading.regions
        if sample.task is Task.MASK and self.segmenter is not None and regions:
            regions = self._segmented(regions, view)
        return Prediction(regions=regions, issues=reading.issues, parsed=reading.parsed)

    def _segmented(self, regions: tuple[Region, ...], view: View) -> tuple[Region, ...]:
        """Each region with the mask its box and key points prompt."""
        assert self.segmenter is not None
        image = view.images[-1]
        prompts = [MaskPrompt(box=hbb_of(region), points=region.points or ()) for region in regions]
        masks, scores = self.segmenter.segment(self.segmenter.encode(image), prompts, view.size)
        return tuple(
            replace(region, rle=mask_to_rle(mask), hbb=None, score=float(score))
            for region, mask, score in zip(regions, masks, scores, strict=True)
        )


def _begun_well(region: Region) -> Region:
    """The region with its oriented box beginning at the best corner."""
    quad = quad_of(region)
    if quad is None:
        return region
    a, b, c, d = ((x, y) for x, y in canonical_quad(quad).tolist())
    return replace(region, quad=(a, b, c, d))
