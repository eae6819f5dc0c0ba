"""What the text-mask heads ask, worded as in figure 2 of the GeoGround paper."""

from __future__ import annotations

from collections.abc import Mapping

from rsground.types import Task

QUESTIONS: Mapping[Task, str] = {
    Task.HBB: "Output the bounding box of <ref>{phrase}</ref>",
    Task.OBB: "Give me the oriented bounding box of <ref>{phrase}</ref>",
    Task.MASK: "Can you segment the <ref>{phrase}</ref> in the given image?",
}
"""One wording per signal; the paper prints these and no paraphrase."""

ALL_SIGNALS = "Output the bounding box, the oriented bounding box and the mask of <ref>{phrase}</ref>"
"""Ours: one question for the three signals at once, so that their agreement can be scored on one answer."""

BOX_AND_MASK = "Output the bounding box and the mask of <ref>{phrase}</ref>"
"""Ours: what ``box-mask`` asks for a mask, so that one model can learn both forms."""

GIVEN: Mapping[Task, str] = {
    Task.HBB: "its bounding box {signal}",
    Task.OBB: "its oriented bounding box {signal}",
    Task.MASK: "its mask {signal}",
}
"""How a signal that is already known is put into a question (PAL and GGL; the paper discloses no wording)."""


def question(task: Task, phrase: str) -> str:
    """The plain question for one signal."""
    return QUESTIONS[task].format(phrase=phrase.strip())


def assisted(task: Task, phrase: str, known: Task, signal: str) -> str:
    """PAL: the question, with the image and with a sparser signal given."""
    return f"{question(task, phrase)} Given {GIVEN[known].format(signal=signal)}."


def from_signal(task: Task, known: Task, signal: str) -> str:
    """GGL: a question about geometry alone; no image, no phrase."""
    wanted = {Task.HBB: "bounding box", Task.OBB: "oriented bounding box"}[task]
    return f"Convert to the {wanted} of the object: {GIVEN[known].format(signal=signal)}."
