"""Head ``mmrotate``: reads a detector's findings and keeps those that the expression means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rsground.contracts import TextHead
from rsground.errors import ShapeError, UnknownNameError
from rsground.regions import quad_of, unmap_region
from rsground.types import Generation, Prediction, Region, Sample, Task, View
from rsground_mmrotate.choosing import choose, choose_category
from rsground_mmrotate.detections import Detection, read_detections, write_detections
from rsground_mmrotate.naming import Naming

REFERENT = "referent"
"""Category of a line that says itself that it is meant; what a perfect answer consists of."""
CHOICES = ("rule", "category")


class MMRotateHead(TextHead):
    """A specialist's answer: the detections of the category that the expression names, told apart by a rule.

    The words of the question are not shown to the detector. Which of its detections are meant is decided here, by
    :mod:`rsground_mmrotate.choosing`. Answers are oriented boxes with their score and category; upright boxes and
    masks are derived from them (a mask is the filled box).

    Args:
        threshold: score in [0, 1] from which a detection is believed.
        choose: ``"rule"``, or ``"category"`` for every detection of the named category, whatever else is said.
        synonyms: further names of the detector's categories: ``{"small-vehicle": ["sedan", "hatchback"]}``.

    Raises:
        ShapeError: the threshold is no score.
        UnknownNameError: ``choose`` is neither.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB, Task.MASK})

    def __init__(
        self,
        threshold: float = 0.3,
        choose: str = "rule",
        synonyms: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        if not 0.0 <= threshold <= 1.0:
            raise ShapeError(f"option 'threshold' must be a score in [0, 1], got {threshold}")
        if choose not in CHOICES:
            raise UnknownNameError("way to choose", choose, CHOICES)
        self.threshold, self.by_rule = threshold, choose == "rule"
        self.synonyms = {name: tuple(more) for name, more in (synonyms or {}).items()}

    def _ask(self, sample: Sample) -> str:
        del sample
        return "Detect all objects."

    def target(self, sample: Sample, view: View) -> str:
        """The annotated regions as detections of certain score that say themselves that they are meant."""
        quads = [quad_of(unmap_region(region, view)) for region in sample.targets or ()]
        return write_detections([REFERENT], [Detection(quad, REFERENT, 1.0) for quad in quads if quad is not None])

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        read = read_detections(generation.text)
        meant = [each for each in read.detections if each.category == REFERENT]
        if not meant:
            naming = Naming(read.classes, self.synonyms)
            believed = [each for each in read.detections if each.score >= self.threshold]
            if self.by_rule:
                meant = choose(sample.expression, believed, naming, view.size)
            else:
                meant = choose_category(sample.expression, believed, naming)
        regions = tuple(Region(quad=each.quad, score=each.score, label=each.category) for each in meant)
        return Prediction(regions=regions, parsed=read.parsed, issues=read.issues)
