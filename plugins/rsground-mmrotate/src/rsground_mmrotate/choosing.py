"""From an expression to the detections that it means: a rule, not a model.

1. The noun is the first category that the expression names; detections of its categories are the candidates.
2. ``closest to``, ``next to``, ``left of``, ``above`` ... before another category: that part is resolved alone, its
   best detection is the anchor, and candidates are compared with it.
3. A named part of the image (``in the upper left``) keeps the candidates whose centre lies there.
4. An order (``leftmost``, ``two largest``, ``second from the top``, ``left one of the two``) picks by place or area.
5. Otherwise a number keeps that many with the highest scores, a plural or ``all`` keeps all, a singular the best one.

Colours, headings, what something stands on and what it is good for are not seen: a detector knows categories and places
only, which is the point of the baseline. Words that are not understood are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rsground.datasets.refer.areas import AREAS
from rsground.types import Size
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.naming import Mention, Naming, words_of
from rsground_mmrotate.phrases import area_of, count_of, means_all, order_of

_RELATIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("to", "the", "left", "of"), "left"),
    (("to", "the", "right", "of"), "right"),
    (("on", "the", "left", "of"), "left"),
    (("on", "the", "right", "of"), "right"),
    (("left", "of"), "left"),
    (("right", "of"), "right"),
    (("above",), "above"),
    (("below",), "below"),
    (("closest", "to"), "nearest"),
    (("nearest", "to"), "nearest"),
    (("next", "to"), "nearest"),
    (("near",), "nearest"),
    (("beside",), "nearest"),
    (("by",), "nearest"),
)
_KEYS: dict[str, Callable[[Detection], float]] = {
    "left": lambda each: each.centre[0],
    "right": lambda each: -each.centre[0],
    "top": lambda each: each.centre[1],
    "bottom": lambda each: -each.centre[1],
    "large": lambda each: -each.area,
    "small": lambda each: each.area,
}
_DEEPEST = 4


class _Split(NamedTuple):
    """A noun phrase, and what follows its first relation.

    Attributes:
        phrase: words before the relation.
        relation: ``left``, ``right``, ``above``, ``below`` or ``nearest``; None where there is none.
        anchor: words after it.
    """

    phrase: tuple[str, ...]
    relation: str | None
    anchor: tuple[str, ...]


def choose(expression: str, detections: Sequence[Detection], naming: Naming, size: Size) -> list[Detection]:
    """The detections that an expression means, best first or in the order it asks for.

    Args:
        expression: what is looked for.
        detections: of one image, those worth believing.
        naming: of the detector's categories.
        size: (H, W) of the image the detections lie in.
    """
    ranked = sorted(detections, key=lambda each: -each.score)
    return _resolve(words_of(expression), ranked, naming, size, _DEEPEST)


def choose_category(expression: str, detections: Sequence[Detection], naming: Naming) -> list[Detection]:
    """Every detection of the category that the expression names first, best first."""
    mentions = naming.mentions(words_of(expression))
    wanted = naming.categories(mentions[0].noun) if mentions else frozenset()
    return sorted((each for each in detections if each.category in wanted), key=lambda each: -each.score)


def _resolve(
    words: tuple[str, ...], ranked: Sequence[Detection], naming: Naming, size: Size, deepest: int
) -> list[Detection]:
    mentions = naming.mentions(words)
    if not mentions:
        return []
    noun = mentions[0]
    wanted = naming.categories(noun.noun)
    found = [each for each in ranked if each.category in wanted]
    split = _split(words, mentions)
    if split.relation is not None and deepest:
        anchors = _resolve(split.anchor, ranked, naming, size, deepest - 1)
        found = _related(found, split.relation, anchors)
        if split.relation == "nearest":
            return found
    return _pick(found, split.phrase, noun, size)


def _split(words: tuple[str, ...], mentions: Sequence[Mention]) -> _Split:
    """Cut at the first relation that stands between the noun and another category."""
    last = mentions[-1].start
    for place in range(mentions[0].stop, last):
        for phrase, relation in _RELATIONS:
            stop = place + len(phrase)
            if words[place:stop] == phrase and stop <= last:
                return _Split(words[:place], relation, words[stop:])
    return _Split(words, None, ())


def _related(found: list[Detection], relation: str, anchors: Sequence[Detection]) -> list[Detection]:
    """Candidates that stand so to the best anchor; none without an anchor."""
    if not anchors:
        return []
    anchor = anchors[0]
    x, y = anchor.centre
    others = [each for each in found if each is not anchor]
    match relation:
        case "left":
            return [each for each in others if each.centre[0] < x]
        case "right":
            return [each for each in others if each.centre[0] > x]
        case "above":
            return [each for each in others if each.centre[1] < y]
        case "below":
            return [each for each in others if each.centre[1] > y]
    return sorted(others, key=lambda each: math.dist(each.centre, (x, y)))[:1]


def _pick(found: list[Detection], words: tuple[str, ...], noun: Mention, size: Size) -> list[Detection]:
    area = area_of(words)
    if area is not None:
        found = [each for each in found if _lies_in(each, area, size)]
    order = order_of(words, (noun.start, noun.stop))
    if order is not None:
        return sorted(found[: order.among], key=_KEYS[order.key])[order.first - 1 : order.last]
    count = count_of(words)
    if count is not None:
        return found[:count]
    return found if noun.is_plural or means_all(words) else found[:1]


def _lies_in(each: Detection, area: str, size: Size) -> bool:
    across, along = AREAS[area]
    x, y = each.centre[0] / size[1], each.centre[1] / size[0]
    return across.plain[0] <= x < across.plain[1] and along.plain[0] <= y < along.plain[1]
