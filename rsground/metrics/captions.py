"""BLEU, ROUGE-L and CIDEr-D of texts, by pycocoevalcap (extra ``captions``), from additive per-sample quantities."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from rsground.contracts import Columns
from rsground.errors import MissingExtraError
from rsground.metrics.forms import answered
from rsground.metrics.sums import Floats, SumMetric, Terms, ratio
from rsground.metrics.wording import clean_caption, token_f1, tokens
from rsground.types import Prediction, Sample, Task

MAX_WORDS = 512
"""Words of an answer that are scored; more would make the LCS of ROUGE-L quadratic in a model's babble."""
BLEU_ORDER = 4
_TINY, _SMALL = 1e-15, 1e-9


def has_scorers() -> bool:
    """Whether pycocoevalcap is installed."""
    return importlib.util.find_spec("pycocoevalcap") is not None


def missing_scorers() -> dict[str, str]:
    """Score → why it is left out, for every score that needs pycocoevalcap; empty where it is installed."""
    if has_scorers():
        return {}
    reason = str(MissingExtraError("this caption score", "captions", "pycocoevalcap"))
    return dict.fromkeys([*(f"BLEU-{k}" for k in range(1, BLEU_ORDER + 1)), "ROUGE-L", "CIDEr"], reason)


def caption_terms(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Terms:
    """Additive quantities ``(n,)`` behind BLEU, ROUGE-L and CIDEr-D; a sample without references holds zeros.

    CIDEr-D's document frequencies are those of all the references given here, whatever weights come later: a
    bootstrap or a breakdown weighs the per-sample scores and keeps the idf.
    """
    count = len(candidates)
    found = {name: np.zeros(count) for name in ("captions", "token-f1", *_term_names())}
    scored = [k for k in range(count) if references[k]]
    for k in scored:
        found["captions"][k] = 1.0
        found["token-f1"][k] = max(token_f1(candidates[k], reference) for reference in references[k])
    if not has_scorers() or not scored:
        return found
    said = {k: " ".join(tokens(candidates[k])[:MAX_WORDS]) for k in scored}
    wanted = {k: [" ".join(tokens(reference)[:MAX_WORDS]) for reference in references[k]] for k in scored}
    for k in scored:
        for name, value in _bleu_parts(said[k], wanted[k]).items():
            found[name][k] = value
        found["rouge"][k] = _rouge(said[k], wanted[k])
    found["cider"][scored] = _cider([said[k] for k in scored], [wanted[k] for k in scored])
    return found


def caption_scores(sums: Mapping[str, Floats]) -> Terms:
    """BLEU-1..4, ROUGE-L, CIDEr (D variant, 10 is a perfect match) and token-F1 of summed :func:`caption_terms`."""
    n = sums["captions"]
    found = {"token-F1": ratio(sums["token-f1"], n)}
    if not has_scorers():
        return found
    length, wanted = sums["test-length"], sums["reference-length"]
    log_precision = np.zeros(np.shape(n))
    with np.errstate(divide="ignore", invalid="ignore"):
        penalty = np.exp(np.minimum(0.0, 1.0 - (wanted + _SMALL) / (length + _TINY)))
        for k in range(1, BLEU_ORDER + 1):
            log_precision = log_precision + np.log((sums[f"correct-{k}"] + _TINY) / (sums[f"guess-{k}"] + _SMALL))
            found[f"BLEU-{k}"] = np.where(n > 0, np.exp(log_precision / k) * penalty, np.nan)
    found["ROUGE-L"] = ratio(sums["rouge"], n)
    found["CIDEr"] = ratio(sums["cider"], n)
    return found


def _term_names() -> list[str]:
    parts = [f"{part}-{k}" for k in range(1, BLEU_ORDER + 1) for part in ("guess", "correct")]
    return [*parts, "test-length", "reference-length", "rouge", "cider"]


def _bleu_parts(candidate: str, references: list[str]) -> dict[str, float]:
    """n-gram counts of one sample; the reference length is the one closest to the candidate's."""
    from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

    cooked = cook_test(candidate, cook_refs(references, n=BLEU_ORDER), eff="closest", n=BLEU_ORDER)
    parts = {f"guess-{k + 1}": float(value) for k, value in enumerate(cooked["guess"])}
    parts |= {f"correct-{k + 1}": float(value) for k, value in enumerate(cooked["correct"])}
    return parts | {"test-length": float(cooked["testlen"]), "reference-length": float(cooked["reflen"])}


def _rouge(candidate: str, references: list[str]) -> float:
    from pycocoevalcap.rouge.rouge import Rouge

    if not candidate or not all(references):
        return 0.0
    return float(Rouge().calc_score([candidate], references))


def _cider(candidates: list[str], references: list[list[str]]) -> Floats:
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer()
    for candidate, wanted in zip(candidates, references, strict=True):
        scorer += (candidate, wanted)
    scorer.compute_doc_freq()
    return np.asarray(scorer.compute_cider(), np.float64)


def references_of(sample: Sample) -> list[str]:
    """The reference texts of a sample: ``meta["references"]``, else its answer; empty where there are none."""
    listed = sample.meta.get("references")
    texts = [str(text) for text in listed] if isinstance(listed, list | tuple) else []
    return texts or ([sample.answer] if sample.answer else [])


class Captions(SumMetric):
    """BLEU-1..4, ROUGE-L and CIDEr-D as pycocoevalcap computes them, and token-F1, against all references.

    Texts are lower-cased and split into words and numbers by our own tokenizer (no Java), so values differ slightly
    from scorers that use the PTB tokenizer; METEOR and SPICE need Java and are not computed. BLEU is corpus BLEU with
    the closest reference length; CIDEr is CIDEr-D (10 for a match in every n-gram) with document frequencies of the
    samples scored; token-F1 = best token overlap F1 with any reference, and needs no extra. An unparsable or failed
    answer is an empty caption. Only the first 512 words of a text count.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.CAPTION, Task.REGION_CAPTION})
    primary: ClassVar[str] = "CIDEr" if has_scorers() else "token-F1"
    statistics: ClassVar[tuple[str, ...]] = ("token_f1", "parsed")
    payloads: ClassVar[tuple[str, ...]] = ("candidate", "references")
    paired: ClassVar[str | None] = "token_f1"

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """The cleaned texts, and their token overlap."""
        references = [clean_caption(text) for text in references_of(sample)]
        said = clean_caption(prediction.text) if answered(prediction) else ""
        overlap = max((token_f1(said, text) for text in references), default=math.nan)
        parsed = float(answered(prediction)) if references else math.nan
        return {"token_f1": overlap, "parsed": parsed, "candidate": said, "references": references}

    def terms(self, columns: Columns) -> Terms:
        """n-gram counts, per-sample CIDEr and ROUGE-L."""
        found = caption_terms(list(columns["candidate"]), list(columns["references"]))
        found["parsed"] = np.nan_to_num(np.asarray(columns["parsed"], np.float64), nan=0.0)
        return found

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """BLEU-k, ROUGE-L, CIDEr, token-F1, parse_rate."""
        return caption_scores(sums) | {"parse_rate": ratio(sums["parsed"], sums["captions"])}

    def unavailable(self) -> dict[str, str]:
        """Scores of pycocoevalcap where it is absent."""
        return missing_scorers()
