"""The condition parser: one instruction with several conditions becomes steps that are solved one after another.

GeoRSMLLM lets an independent language model split the instruction ("detect all planes", then "select the one on the
east bank of the river"). :func:`split` is a rule-based parser that needs no model; :func:`splitting_prompt` and
:func:`read_steps` are the two ends of the same step with a language model in between. The steps are asked by
:mod:`rsground_pointset.condition_chain`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_VERBS = r"(?:please\s+)?(?:detect|find|locate|segment|mark|show|select|keep|outline|list|point to|give me)\b"
_THEN = re.compile(rf"\s*(?:[;.]\s+|,?\s*\b(?:and then|then|after that|next)\b[,:]?\s+|,?\s+and\s+(?={_VERBS}))", re.I)
_VERB = re.compile(rf"^\s*{_VERBS}\s*", re.I)
_LINKS = (
    r"that|which|who|whose|located|parked|moored|docked|standing|lying|situated|next|near(?:est)?|closest|beside|"
    r"behind|between|above|below|under|over|inside|outside|within|along|across|opposite|left|right|north|south|east|"
    r"west|top|bottom|on|in|at|by|of|to|with|without|from|around|facing|pointing|surrounded|adjacent|far(?:thest)?"
)
_MODIFIER = re.compile(rf"\s+(?=(?:(?:immediately|directly|just)\s+)?(?:to\s+the\s+)?(?:{_LINKS})\b)", re.I)
_RANK = re.compile(
    r"^(?:the\s+)?((?:\w+most)|(?:larg|small|bigg|tall|wid|long|short|bright|dark)(?:est|er)|first|second|third|fourth|"
    r"fifth|last|upper|lower|left|right|top|bottom|two|three|four|five)\s+(?=\w)",
    re.I,
)
_ARTICLE = re.compile(r"^(?:the|a|an|all(?:\s+the)?|every|each|any)\s+", re.I)
_NUMBERED = re.compile(r"^\s*(?:step\s*)?(?:\d+[.):]|[-*•])\s*(.+?)\s*$", re.I | re.M)

MAX_STEPS = 8
"""Longer chains are cut: a model that writes more is not splitting but rambling."""


class Step(NamedTuple):
    """One sub-instruction.

    Attributes:
        kind: ``"detect"`` finds candidates in the image, ``"select"`` keeps some of the candidates so far.
        text: the sub-instruction.
    """

    kind: str
    text: str


def split(instruction: str) -> tuple[Step, ...]:
    """Steps of an instruction, at least one; the first detects, the others select.

    >>> split("the plane on the east bank of the river")
    (Step(kind='detect', text='all plane'), Step(kind='select', text='the one on the east bank of the river'))
    """
    steps: list[Step] = []
    for number, clause in enumerate(part for part in _THEN.split(instruction.strip()) if part.strip()):
        body = _VERB.sub("", clause).strip(" .;,")
        if not body:
            continue
        steps.extend(_of_phrase(body) if number == 0 or not steps else [Step("select", body)])
    return tuple(steps[:MAX_STEPS]) or (Step("detect", instruction.strip()),)


def _of_phrase(phrase: str) -> list[Step]:
    """Candidates by their noun, then what singles them out."""
    words = _ARTICLE.sub("", phrase)
    rank = _RANK.match(words)
    noun, *modifiers = _MODIFIER.split(words[rank.end() :] if rank else words, maxsplit=1)
    if not rank and not modifiers:
        return [Step("detect", f"all {noun}")]
    steps = [Step("detect", f"all {noun}")]
    if modifiers:
        steps.append(Step("select", f"the one {modifiers[0]}"))
    if rank:
        steps.append(Step("select", f"the {rank.group(1)} one"))
    return steps


def splitting_prompt(instruction: str) -> str:
    """What to ask a language model so that :func:`read_steps` can read its answer."""
    return (
        "Split the instruction into numbered steps, one a line. The first step detects all candidates, each later "
        "step keeps some of them. Use the instruction's own words.\n"
        "Instruction: Segment the largest ship left of the pier.\n"
        "1. detect all ship\n2. select the one left of the pier\n3. select the largest one\n"
        f"Instruction: {instruction.strip()}\n"
    )


def read_steps(answer: str, instruction: str) -> tuple[Step, ...]:
    """Steps a language model wrote; the rule-based ones where it wrote none. Never raises."""
    found = [match.group(1) for match in _NUMBERED.finditer(answer[:4000])][:MAX_STEPS]
    steps = []
    for number, line in enumerate(found):
        kind = "detect" if number == 0 else "select"
        steps.append(Step(kind, re.sub(r"^(?:detect|select|keep)\s+", "", line, flags=re.I)))
    return tuple(steps) or split(instruction)


def worded(steps: Sequence[Step]) -> str:
    """Steps as :func:`read_steps` reads them: what a parser is taught to answer."""
    return "\n".join(f"{number}. {step.kind} {step.text}" for number, step in enumerate(steps, 1))
