"""What GeoPixel is asked and how it answers: sentences around ``[SEG]``, and phrases marked ``<p> .. </p>``."""

from __future__ import annotations

from rsground.codecs import CharSet, Grammar, RuleGrammar
from rsground.codecs.rules import Phrase, Repeat, Text, chain, either

SEG = "[SEG]"
OPEN, CLOSE = "<p>", "</p>"

REFER = "Could you provide a segmentation mask for {phrase} in this image?"
"""The paper's question for one expression (section 5.3)."""
DESCRIBE = (
    "Can you provide a thorough description of this image? "
    "Please output with interleaved segmentation masks for the corresponding phrases."
)
"""The published question for a grounded description; asked where a sample brings none of its own."""

ONE = f"Sure, it is {SEG}."
"""The paper's answer for one object."""
MANY_BEGIN, MANY_BETWEEN, MANY_LAST, MANY_END = "Sure, they are ", ", ", " and ", "."
"""Ours: the paper prints no answer for several objects."""
NONE = "There is no such object in this image."
"""Ours: upstream answers some text without ``[SEG]``, worded as the model likes."""

_JOINS = ("", " ", ", ", " , ", " and ", ", and ", " , and ")
"""What may stand between two ``[SEG]`` of one phrase."""


def answer(masks: int) -> str:
    """The referring answer with that many ``[SEG]``."""
    if masks < 1:
        return NONE
    if masks == 1:
        return ONE
    return MANY_BEGIN + MANY_BETWEEN.join([SEG] * (masks - 1)) + MANY_LAST + SEG + MANY_END


def says_none(text: str) -> bool:
    """Whether an answer without ``[SEG]`` says that nothing is there."""
    return "no such object" in " ".join(text.lower().split())


def referring_grammar() -> Grammar:
    """The three sentences of :func:`answer`, for any number of masks."""
    several = chain(MANY_BEGIN, Repeat(Text(SEG), 1, None, MANY_BETWEEN), MANY_LAST, SEG, MANY_END)
    return RuleGrammar(either(NONE, ONE, several))


def description_grammar() -> Grammar:
    """Free text in which every phrase is closed and has its mask: ``text <p> phrase </p> [SEG] text``.

    ``<`` and ``[`` occur in marks only; a phrase may have several ``[SEG]``.
    """
    plain = CharSet(frozenset("<["), negated=True)
    text = Repeat(Phrase(plain, 1, 1), 0, None)
    more = Repeat(chain(either(*_JOINS), SEG), 0, None)
    mark = chain(OPEN, Repeat(Phrase(plain, 1, 1), 1, None), CLOSE, Repeat(Text(" "), 0, 2), SEG, more)
    return RuleGrammar(chain(text, Repeat(chain(mark, text), 0, None)))
