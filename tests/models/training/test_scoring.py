"""Validation by a metric: what a metric must give, and what is said where it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from rsground.builtin.codec_head import CodecHead
from rsground.contracts import Backbone, Columns
from rsground.errors import ContractError
from rsground.metrics.rec import BoxAccuracy
from rsground.models.training.scoring import Scoring
from rsground.pipeline import Pipeline
from rsground.registry import load, registry
from rsground.testing import miniature, miniatures
from rsground.types import Sample, Task


class Nameless(BoxAccuracy):
    """A plugin's metric whose primary score goes by another name in what it answers."""

    primary: ClassVar[str] = "Acc@50"


class Shy(BoxAccuracy):
    """A plugin's metric that drops its primary score as soon as anything is right."""

    def summarise(self, columns: Columns, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
        found = super().summarise(columns, weights)
        return {name: value for name, value in found.items() if name != self.primary or not value}


def perfect() -> Pipeline:
    backbone: Backbone = load("backbone", "oracle")
    return Pipeline(CodecHead("text-hbb"), backbone)


def boxes(count: int = 3) -> list[Sample]:
    return [miniature(Task.HBB, name=f"box-{place}") for place in range(count)]


def test_the_score_that_decides_comes_first() -> None:
    found = Scoring(BoxAccuracy(), boxes(), "squares", batch=2).scores(perfect())
    assert next(iter(found)) == "Acc@0.5"
    assert found["Acc@0.5"] == 1.0
    assert found["mIoU"] > 0.9


def test_a_metric_without_its_primary_score_is_named_before_anything_is_asked() -> None:
    named = r"data\.val, Nameless, gives no 'Acc@50', its primary score, on 'squares'"
    with pytest.raises(ContractError, match=named + r", but .*Acc@0\.5 0, .*data\.val.*plugin"):
        Scoring(Nameless(), boxes(), "squares")


def test_scores_that_came_are_told_where_the_primary_one_is_lost_later() -> None:
    scoring = Scoring(Shy(), boxes(), "squares")
    with pytest.raises(ContractError, match=r"Shy, gives no 'Acc@0\.5', .*Acc@0\.7 1, .*mIoU 0\.9"):
        scoring.scores(perfect())


@pytest.mark.parametrize("name", sorted(registry().offers("metric")))
def test_every_registered_metric_scores_what_was_not_answered(name: str) -> None:
    metric = load("metric", name)
    samples = [sample for task in sorted(metric.tasks) for sample in miniatures(task)]
    Scoring(metric, [replace(sample, answer=sample.answer or "a tank") for sample in samples], "miniatures")
