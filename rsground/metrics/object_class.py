"""Naming a given region: word overlap and sentence similarity with its class."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.metrics.forms import answered
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.metrics.wording import load_function, tokens, word_iou
from rsground.types import Prediction, Sample, Task


class ObjectClass(SumMetric):
    """Referring object classification as Osprey scores it (Yuan et al., CVPR 2024): SIoU, and SS with a model.

    ``SIoU`` = shared / all words of answer and class name, as sets of lower-cased blank-separated words. Before that
    the answer keeps what follows its first colon, and ``. : ,`` become blanks; ``_`` and ``:`` of the class name
    become blanks. An empty, unparsable or failed answer scores 0. ``SS`` = the similarity function's value (upstream:
    cosine of all-MiniLM-L6-v2 sentence embeddings), left out unless one is given. ``accuracy`` (ours) = equal words.

    Args:
        similarity: a function of two texts, or its name ``"package.module:function"``, for SS.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.REGION_CAPTION})
    primary: ClassVar[str] = "SIoU"
    statistics: ClassVar[tuple[str, ...]] = ("siou", "ss", "correct", "parsed")
    paired: ClassVar[str | None] = "siou"

    def __init__(self, similarity: Callable[[str, str], float] | str | None = None) -> None:
        self.similarity = load_function(similarity, "similarity") if isinstance(similarity, str) else similarity

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Word overlap and similarity of one answer; NaN where the sample has no class name."""
        named = sample.answer or sample.meta.get("category")
        if not named:
            return dict.fromkeys(self.statistics, math.nan)
        wanted = " ".join(str(named).replace("_", " ").replace(":", " ").split())
        said = clean_class(prediction.text) if answered(prediction) else ""
        similar = float(self.similarity(said, wanted)) if self.similarity is not None else math.nan
        return {
            "siou": word_iou(said, wanted),
            "ss": similar,
            "correct": float(tokens(said) == tokens(wanted)),
            "parsed": float(answered(prediction)),
        }

    def terms(self, columns: Columns) -> Terms:
        """Sums of both similarities."""
        known, compared = ~np.isnan(columns["siou"]), ~np.isnan(columns["ss"])
        found = {name: masked(columns[name], known) for name in self.statistics}
        return found | {"n": known.astype(np.float64), "compared": compared.astype(np.float64)}

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """SIoU, SS, accuracy, parse_rate."""
        found = {"SIoU": ratio(sums["siou"], sums["n"]), "SS": ratio(sums["ss"], sums["compared"])}
        return found | {"accuracy": ratio(sums["correct"], sums["n"]), "parse_rate": ratio(sums["parsed"], sums["n"])}

    def unavailable(self) -> dict[str, str]:
        """SS where no similarity is given."""
        if self.similarity is not None:
            return {}
        return {"SS": "needs a sentence model: give the option similarity='package.module:function'"}


def clean_class(text: str) -> str:
    """An answer as Osprey's scorer cleans it."""
    _, colon, rest = text.partition(":")
    kept = rest if colon else text
    return " ".join(re.sub(r"[.:,]", " ", kept).split())
