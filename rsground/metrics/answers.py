"""Short answers: visual question answering and scene classes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.errors import ShapeError
from rsground.metrics.forms import answered
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.metrics.wording import load_function
from rsground.types import Prediction, Sample, Task

Judge = Callable[[str, str, str], bool]
"""(question, reference, answer) → whether the answer means the same."""

_KINDS = {"presence": "P", "exist": "P", "comp": "C"}
_CLOSED = frozenset({"yes", "no", *(str(number) for number in range(100))})


class _Answers(SumMetric):
    """Right or wrong per sample, summed overall and per question type."""

    primary: ClassVar[str] = "accuracy"
    statistics: ClassVar[tuple[str, ...]] = ("correct", "parsed")
    payloads: ClassVar[tuple[str, ...]] = ("type",)
    paired: ClassVar[str | None] = "correct"

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Whether the answer is right; NaN where the sample has no reference answer."""
        wanted = self._reference(sample)
        kind = str(sample.meta.get("question_type") or sample.meta.get("type") or "")
        if wanted is None:
            return {"correct": math.nan, "parsed": math.nan, "type": kind}
        usable = answered(prediction)
        right = usable and self._is_right(sample, wanted, prediction.text)
        return {"correct": float(right), "parsed": float(usable), "type": kind}

    def _reference(self, sample: Sample) -> str | None:
        return sample.answer

    def _is_right(self, sample: Sample, wanted: str, text: str) -> bool:
        raise NotImplementedError

    def terms(self, columns: Columns) -> Terms:
        """Right answers and questions, overall and per type."""
        known = ~np.isnan(columns["correct"])
        right = masked(columns["correct"], known)
        found: Terms = {"n": known.astype(np.float64), "right": right, "parsed": masked(columns["parsed"], known)}
        kinds = np.array([str(kind) for kind in columns["type"]], object)
        for kind in sorted(set(kinds[known])):
            member = (known & (kinds == kind)).astype(np.float64)
            found[f"n/{kind}"], found[f"right/{kind}"] = member, member * right
        return found

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """accuracy, accuracy/<type>, parse_rate."""
        found = {"accuracy": ratio(sums["right"], sums["n"]), "parse_rate": ratio(sums["parsed"], sums["n"])}
        kinds = [name.removeprefix("n/") for name in sums if name.startswith("n/") and name != "n/"]
        return found | {f"accuracy/{kind}": ratio(sums[f"right/{kind}"], sums[f"n/{kind}"]) for kind in kinds}


class ExactAnswer(_Answers):
    """RSVQA: an answer is right if it equals the reference, both lower-cased and stripped of blanks and full stops.

    ``P`` = accuracy of presence questions, ``C`` of comparisons (by ``meta["question_type"]``), ``average`` = mean of
    the two (as GeoChat's and GeoMag's tables average), ``accuracy`` over all questions, ``accuracy/<type>`` each.
    Unparsable and failed answers are wrong.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.VQA})

    def _is_right(self, sample: Sample, wanted: str, text: str) -> bool:
        return text.strip().strip(".").strip().lower() == wanted.strip().strip(".").strip().lower()

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """accuracy, P, C, average, accuracy/<type>, parse_rate."""
        found = super().scores(sums)
        for short in ("P", "C"):
            names = [n for n in sums if n.startswith("n/") and _short(n) == short]
            total = sum((sums[name] for name in names), start=np.zeros_like(sums["n"]))
            right = sum((sums[f"right/{name.removeprefix('n/')}"] for name in names), start=np.zeros_like(sums["n"]))
            found[short] = ratio(right, total)
        found["average"] = np.asarray((found["P"] + found["C"]) / 2.0)
        return found


def _short(name: str) -> str:
    kind = name.removeprefix("n/").lower()
    return next((short for start, short in _KINDS.items() if kind.startswith(start)), "")


class VRSBenchAnswer(_Answers):
    """VRSBench VQA: right if the lower-cased reference is a substring of the lower-cased answer.

    Otherwise a reference among yes, no and 0..99 needs equality (and so is wrong), and any other goes to a judge
    (upstream: a language model that allows synonyms). Without a judge such answers are wrong and ``undecided`` tells
    their share, so accuracy is a lower bound. ``accuracy`` is the micro mean over questions, ``macro`` the mean over
    question types; published "All" columns mix the two. Unparsable and failed answers are wrong.

    Args:
        judge: a function (question, reference, answer) → bool, or its name ``"package.module:function"``.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.VQA})
    statistics: ClassVar[tuple[str, ...]] = ("correct", "parsed", "undecided")

    def __init__(self, judge: Judge | str | None = None) -> None:
        self.judge = load_function(judge, "judge") if isinstance(judge, str) else judge

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Whether the answer is right, and whether only a judge could tell."""
        found = super().measure(sample, prediction)
        open_question = found["correct"] == 0.0 and found["parsed"] == 1.0 and self.judge is None
        closed = (sample.answer or "").strip().lower() in _CLOSED
        return found | {"undecided": math.nan if sample.answer is None else float(open_question and not closed)}

    def _is_right(self, sample: Sample, wanted: str, text: str) -> bool:
        reference, said = wanted.strip().lower(), text.strip().lower()
        if reference in said:
            return True
        if reference in _CLOSED or self.judge is None:
            return False
        return bool(self.judge(sample.expression, reference, said))

    def terms(self, columns: Columns) -> Terms:
        """Right and undecided answers."""
        undecided = np.asarray(columns["undecided"], np.float64)
        return super().terms(columns) | {"undecided": masked(undecided, ~np.isnan(undecided))}

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """accuracy, macro, accuracy/<type>, undecided, parse_rate."""
        found = super().scores(sums)
        kinds = [value for name, value in found.items() if name.startswith("accuracy/")]
        table = np.stack(kinds) if kinds else np.full((1, *np.shape(sums["n"])), np.nan)
        found["macro"] = ratio(np.nansum(table, axis=0), np.isfinite(table).sum(axis=0))
        found["undecided"] = ratio(sums["undecided"], sums["n"])
        return found


class SceneClass(_Answers):
    """Scene classification: the answer must be the class name and nothing else.

    Strict: equal after lower-casing and dropping everything but letters and digits. ``rule="geochat"``: the answer
    lower-cased without blanks and full stops must equal the lower-cased folder name (``meta["folder"]``, else
    ``meta["category"]``, else the reference), in which blanks and underscores stay. ``macro`` = mean over the classes.
    Unparsable is wrong.

    Args:
        rule: ``"strict"`` or ``"geochat"``.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SCENE})

    def __init__(self, rule: str = "strict") -> None:
        if rule not in ("strict", "geochat"):
            raise ShapeError(f"option 'rule' must be 'strict' or 'geochat', got {rule!r}")
        self.rule = rule

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Whether the class is right; ``type`` is the class."""
        return super().measure(sample, prediction) | {"type": self._reference(sample) or ""}

    def _reference(self, sample: Sample) -> str | None:
        folder = sample.meta.get("folder", sample.meta.get("category")) if self.rule == "geochat" else None
        named = folder or sample.answer
        return str(named) if named else None

    def _is_right(self, sample: Sample, wanted: str, text: str) -> bool:
        if self.rule == "geochat":
            return text.lower().replace(" ", "").replace(".", "").strip() == wanted.lower()
        return _letters(text) == _letters(wanted) != ""

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """accuracy, macro, accuracy/<class>, parse_rate."""
        found = super().scores(sums)
        kinds = [value for name, value in found.items() if name.startswith("accuracy/")]
        table = np.stack(kinds) if kinds else np.full((1, *np.shape(sums["n"])), np.nan)
        found["macro"] = ratio(np.nansum(table, axis=0), np.isfinite(table).sum(axis=0))
        return found


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())
