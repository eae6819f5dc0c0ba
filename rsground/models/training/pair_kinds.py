"""Which of the pairs that a head makes of a sample are taught, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from rsground.contracts import Head, Training
from rsground.errors import SuiteError
from rsground.models.training.vocabulary import blank
from rsground.pipeline import without_answer
from rsground.types import Sample

_LOOKED_AT = 256


def drawn(offered: Sequence[Training], kinds: Mapping[str, float] | None, rng: np.random.Generator) -> Training | None:
    """One pair, by chance: a kind as often as ``kinds`` says, any pair of that kind as often as any other.

    Args:
        offered: what the head makes of one sample.
        kinds: how often each kind is drawn, relative to the others, one that is not named never; None for all alike.
        rng: of the chances.

    Returns:
        The pair; None where no pair is of a kind that is drawn.
    """
    many = Counter(each.kind for each in offered)
    chances = np.array([(1.0 if kinds is None else kinds.get(each.kind, 0.0)) / many[each.kind] for each in offered])
    if not chances.sum() > 0:
        return None
    return offered[int(rng.choice(len(offered), p=chances / chances.sum()))]


def kinds_offered(head: Head, samples: Sequence[Sample], seed: int = 0) -> frozenset[str]:
    """The kinds of pairs that a head makes of samples: of at most 256, evenly spread, without their images.

    A sample that the head cannot teach makes none; it is passed over when its turn comes.
    """
    kinds: set[str] = set()
    for sample in samples[:: -(-len(samples) // _LOOKED_AT)]:
        view = blank(sample)
        with suppress(Exception):  # any part of it may be wrong in any way
            if head.prompt(without_answer(sample), view).answer is not None:
                kinds.add("base")  # an answer that the head brings along
            else:
                kinds |= {each.kind for each in head.training_pairs(sample, view, np.random.default_rng(seed))}
    return frozenset(kinds)


def weighed(said: Any, offered: frozenset[str], where: str) -> dict[str, float]:
    """How often each kind is drawn: as a recipe says, else all that are offered alike.

    Args:
        said: of the recipe, None where it says nothing.
        offered: see :func:`kinds_offered`.
        where: the recipe's key, for messages.

    Raises:
        SuiteError: that is no table of numbers from 0 on, or asks for a kind that no sample gives.
    """
    if said is None:
        return dict.fromkeys(sorted(offered), 1.0)
    if not isinstance(said, Mapping) or not all(_is_weight(often) for often in said.values()):
        raise SuiteError(
            f"{where} says how often each kind of pair is drawn, in numbers from 0 on, such as "
            f"{{ base = 1, pal = 0.5 }}; got {said!r}"
        )
    lost = ", ".join(sorted(kind for kind, often in said.items() if often > 0 and kind not in offered))
    if lost:
        raise SuiteError(
            f"{where} asks for {lost}; of the samples that were looked at the head makes "
            f"{', '.join(sorted(offered)) or 'nothing'}. Leave {lost} out, or see the head's options, and what must be "
            "annotated for such pairs"
        )
    return {str(kind): float(often) for kind, often in said.items()}


def _is_weight(often: Any) -> bool:
    return isinstance(often, int | float) and not isinstance(often, bool) and often >= 0
