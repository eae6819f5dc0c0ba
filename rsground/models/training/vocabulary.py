"""The small model's vocabulary, from what the heads ask and answer about the training images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

import numpy as np
from transformers import PreTrainedTokenizerFast

from rsground.contracts import Head
from rsground.models.tower_lm.tokenizer import make_tokenizer, runs
from rsground.types import Sample, View

_MARK = "\N{PILCROW SIGN}"
_FIXED = 96


def learn_vocabulary(heads: Sequence[Head], samples: Iterable[Sample], size: int = 3072) -> PreTrainedTokenizerFast:
    """Learn a tokenizer on samples with targets, each asked and answered by every head that serves its task.

    The fixed wording around an expression, and the marks that answers repeat, become one token each; so do the heads'
    special tokens. Of a sample that a head cannot ask or answer nothing is learned.
    """
    special = [token for head in heads for token in getattr(head, "special_tokens", ())]
    numbers_apart = re.compile("|".join([r"\d+", _MARK, *map(re.escape, special)]))
    texts: list[str] = []
    wordings: dict[str, None] = {}
    marks: Counter[str] = Counter()
    for sample in samples:
        texts.append(sample.expression)
        view = blank(sample)
        for head in heads:
            if sample.task not in head.tasks:
                continue
            with suppress(Exception):  # any part of it may be wrong in any way
                prompt = head.prompt(_renamed(sample), view)
                around = prompt.text.split(_MARK)
                wordings.update(dict.fromkeys(part for part in around if len(part) > 1))
                if prompt.answer is None:
                    answer = _without_runs(head.target(sample, view))
                    marks.update(part for part in numbers_apart.split(answer) if len(part) > 1)
    often = [mark for mark, count in marks.most_common(_FIXED) if count > len(texts) / 1000]
    tokenizer = make_tokenizer(texts, [*wordings, *often], size)
    tokenizer.add_tokens(list(dict.fromkeys(special)), special_tokens=True)
    return tokenizer


def blank(sample: Sample) -> View:
    """A view of the right size that shows nothing and takes no memory."""
    black = tuple(np.broadcast_to(np.uint8(0), (*image.size, 3)) for image in sample.images)
    return View(black, sample.size)


def _renamed(sample: Sample) -> Sample:
    from dataclasses import replace

    return replace(sample, expression=_MARK)


_RUN = re.compile("|".join(re.escape(run) for run in sorted(runs(), key=len, reverse=True)))


def _without_runs(answer: str) -> str:
    return _RUN.sub(_MARK, answer)
