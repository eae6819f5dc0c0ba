"""Grounded conversation generation: masks, phrases and caption of one answer, after GLaMM and in a strict form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rsground.contracts import Columns
from rsground.geometry import rle_area, rle_iou_matrix
from rsground.metrics.captions import caption_scores, caption_terms, missing_scorers, references_of
from rsground.metrics.forms import answered, mask_answer
from rsground.metrics.matching import best_match, greedy_match
from rsground.metrics.precision import average_precision, match_image
from rsground.metrics.sums import Floats, SumMetric, Terms, masked, ratio
from rsground.metrics.wording import clean_caption, load_function, phrase_f1, phrases
from rsground.types import RLE, Prediction, Region, Sample, Size, Task

Similarity = Callable[[str, str], float]
"""(phrase, phrase) → similarity; 0.5 or more counts as the same thing."""


class Grounded(NamedTuple):
    """The grounded phrases of one description.

    Attributes:
        masks: one per grounded phrase; regions that share a span are one phrase.
        phrases: the phrases in order of the text; may be fewer or more than the masks.
        scores: confidence per mask, 1 where the source has none.
    """

    masks: list[RLE]
    phrases: list[str]
    scores: list[float]


def load_similarity(name: str | Similarity) -> Similarity:
    """``"token-f1"``, ``"package.module:function"``, or a function as it is.

    Raises:
        ShapeError: the name is of neither form.
    """
    if callable(name):
        return name
    loaded: Similarity = phrase_f1 if name == "token-f1" else load_function(name, "similarity")
    return loaded


def grounded(regions: Sequence[Region], text: str, size: Size) -> Grounded:
    """Masks and phrases of a description whose regions point into ``text`` by their spans.

    Phrases are what ``<p>...</p>`` encloses; a text without such tags takes the spans' words, then the labels.
    """
    groups: dict[Any, list[Region]] = {}
    for place, region in enumerate(regions):
        groups.setdefault(region.span or place, []).append(region)
    masks = [mask_answer(group, size).rle for group in groups.values()]
    scores = [max(1.0 if region.score is None else region.score for region in group) for group in groups.values()]
    named = phrases(text)
    if not named:
        named = [_name(group[0], text) for group in groups.values()]
    return Grounded(masks, named, scores)


def _name(region: Region, text: str) -> str:
    if region.span is not None:
        return clean_caption(text[region.span[0] : region.span[1]])
    return region.label or ""


def _iou(predicted: Sequence[RLE], targets: Sequence[RLE]) -> Floats:
    """IoU (P, T); a pair of empty masks counts 0."""
    if not predicted or not targets:
        return np.zeros((len(predicted), len(targets)))
    filled = np.array([rle_area(rle) > 0 for rle in targets])
    return np.where(filled[None], rle_iou_matrix(predicted, targets), 0.0)


class _Grounding(SumMetric):
    """What both protocols share: AP from stored matches, captions from stored texts."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.GCG})
    primary: ClassVar[str] = "mIoU"
    payloads: ClassVar[tuple[str, ...]] = ("matches", "candidate", "references")
    has_corpus = True
    real_scores: ClassVar[bool]

    def __init__(self, similarity: str | Similarity = "token-f1") -> None:
        self.similarity = load_similarity(similarity)

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """Matches, phrases and texts of one image; NaN and empty where the sample is not annotated."""
        if sample.targets is None:
            blank = {"matches": {"scores": [], "matched": [], "targets": 0}, "candidate": "", "references": []}
            return dict.fromkeys(self.statistics, math.nan) | blank
        text = prediction.text if answered(prediction) else ""
        found = grounded(prediction.regions if answered(prediction) else (), text, sample.size)
        wanted = grounded(sample.targets, sample.answer or "", sample.size)
        iou = _iou(found.masks, wanted.masks)
        scores = found.scores if self.real_scores else [1.0] * len(found.masks)
        texts = {"candidate": clean_caption(text), "references": [clean_caption(t) for t in references_of(sample)]}
        numbers = self._numbers(iou, found, wanted) | {"parsed": float(answered(prediction))}
        return numbers | texts | {"matches": match_image(iou, scores)}

    def _numbers(self, iou: Floats, found: Grounded, wanted: Grounded) -> dict[str, float]:
        raise NotImplementedError

    def corpus(self, columns: Columns, weights: Floats | None = None) -> dict[str, float]:
        """AP and AP50."""
        return average_precision(list(columns["matches"]), weights)

    def terms(self, columns: Columns) -> Terms:
        """All float columns, and the captions' quantities."""
        known = ~np.isnan(columns[self.statistics[0]])
        found = {name: masked(columns[name], known) for name in self.statistics}
        found |= caption_terms(list(columns["candidate"]), list(columns["references"]))
        return found | {"n": known.astype(np.float64)}

    def unavailable(self) -> dict[str, str]:
        """Scores of pycocoevalcap where it is absent."""
        return missing_scorers()


class GlammGCG(_Grounding):
    """GLaMM's scorer (Rasheed et al., CVPR 2024), as GeoPixel uses it.

    - ``mIoU``: per image the largest entry of the IoU matrix, its row and column struck out, and again, while above
      0; the image's value is the mean over the *matched pairs only* (0 if there are none), so missed objects and
      spurious masks cost nothing. Mean over images.
    - ``mask_recall``: the same greedy order, but a pair counts only if IoU >= 0.5 and phrase similarity >= 0.5, and
      the loop *stops* at the first pair that fails. Phrase i belongs to mask i; an answer with fewer phrases than
      masks finds nothing. Sum over images / number of annotated phrases.
    - ``AP``, ``AP50``: COCO segmentation AP of one category with every score 1.0, so ties are in the order of the
      samples; at most 100 masks an image.
    - captions without tags: ``CIDEr``, ``BLEU-k``, ``ROUGE-L``, ``token-F1`` (:mod:`rsground.metrics.captions`).

    Differences from upstream: phrase similarity is token F1 without articles unless another is given (upstream:
    cosine of mean-pooled BERT states), and two empty masks have IoU 0 (upstream: NaN, which passes the recall tests).
    An unparsable answer has no masks and an empty caption.

    Args:
        similarity: ``"token-f1"``, ``"package.module:function"`` or a function of two phrases.
    """

    statistics: ClassVar[tuple[str, ...]] = ("miou", "recalled", "labels", "parsed")
    paired: ClassVar[str | None] = "miou"
    real_scores = False

    def _numbers(self, iou: Floats, found: Grounded, wanted: Grounded) -> dict[str, float]:
        pairs = greedy_match(iou)
        miou = float(np.mean([iou[pair] for pair in pairs])) if pairs else 0.0
        recalled = 0
        named = len(found.phrases) >= len(found.masks) and len(wanted.phrases) >= len(wanted.masks)
        for row, column in greedy_match(iou.T) if named else []:
            alike = self.similarity(found.phrases[column], wanted.phrases[row])
            if iou[column, row] < 0.5 or alike < 0.5:
                break
            recalled += 1
        return {"miou": miou, "recalled": float(recalled), "labels": float(len(wanted.phrases))}

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """mIoU, mask_recall, caption scores, parse_rate."""
        found = {"mIoU": ratio(sums["miou"], sums["n"]), "mask_recall": ratio(sums["recalled"], sums["labels"])}
        return found | caption_scores(sums) | {"parse_rate": ratio(sums["parsed"], sums["n"])}


class StrictGCG(_Grounding):
    """Grounded descriptions without loopholes: what is missed or made up counts against the answer.

    Masks are matched one-to-one so that the summed IoU is largest (Hungarian method), pairs without overlap left out.
    ``mIoU`` per image = sum of matched IoUs / (pairs + unmatched targets + unmatched predictions), 1 where both sides
    are empty and the answer could be read; mean over images. ``F1@0.5`` = 2 TP / (predicted + annotated phrases) over
    all images, TP = pairs with IoU >= 0.5; ``Phrase-F1@0.5`` also needs phrase similarity >= 0.5. ``AP``, ``AP50``:
    COCO segmentation AP with the regions' own scores (1 where there are none). Captions as in
    :class:`GlammGCG`. An unparsable answer has no masks, mIoU 0 and an empty caption.

    Args:
        similarity: ``"token-f1"``, ``"package.module:function"`` or a function of two phrases.
    """

    statistics: ClassVar[tuple[str, ...]] = ("miou", "tp", "named", "predicted", "labels", "parsed")
    paired: ClassVar[str | None] = "miou"
    real_scores = True

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        """As the base; an unparsable answer to a description without regions is wrong, too."""
        found = super().measure(sample, prediction)
        return found if answered(prediction) or sample.targets is None else found | {"miou": 0.0}

    def _numbers(self, iou: Floats, found: Grounded, wanted: Grounded) -> dict[str, float]:
        pairs = best_match(iou)
        entries = len(found.masks) + len(wanted.masks) - len(pairs)
        hits = [pair for pair in pairs if iou[pair] >= 0.5]
        named = [
            (row, column)
            for row, column in hits
            if row < len(found.phrases)
            and column < len(wanted.phrases)
            and self.similarity(found.phrases[row], wanted.phrases[column]) >= 0.5
        ]
        return {
            "miou": float(sum(iou[pair] for pair in pairs)) / entries if entries else 1.0,
            "tp": float(len(hits)),
            "named": float(len(named)),
            "predicted": float(len(found.masks)),
            "labels": float(len(wanted.masks)),
        }

    def scores(self, sums: Mapping[str, Floats]) -> Terms:
        """mIoU, F1@0.5, Phrase-F1@0.5, caption scores, parse_rate."""
        masks = sums["predicted"] + sums["labels"]
        found = {
            "mIoU": ratio(sums["miou"], sums["n"]),
            "F1@0.5": ratio(2.0 * sums["tp"], masks),
            "Phrase-F1@0.5": ratio(2.0 * sums["named"], masks),
        }
        return found | caption_scores(sums) | {"parse_rate": ratio(sums["parsed"], sums["n"])}
