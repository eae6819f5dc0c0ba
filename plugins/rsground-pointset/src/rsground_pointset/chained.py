"""What a chain of questions has found out by the time the last one is asked; it travels in ``view.meta``."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from rsground.types import Region, Usage, View
from rsground_pointset.conditions import Step

KEY = "conditions"
NO_COST = Usage(**dict.fromkeys((each.name for each in fields(Usage)), 0))
"""What no question costs: adding to it changes nothing."""


@dataclass(frozen=True, slots=True)
class Chained:
    """The state of a chain.

    Attributes:
        steps: what the instruction was split into, the one to be asked now last.
        candidates: what the steps before it answered, in ORIGINAL pixels: whatever changes the view afterwards, they
            can be written in its frame.
        said: raw answers so far: the parser's, where a model parsed, then one per step.
        usage: what the questions so far cost.
        plain: why the instruction is asked as it is instead, None where it is not: ``"no-backbone"``,
            ``"needs-answer"`` (a backbone that repeats right answers; steps have none), ``"one-condition"``,
            ``"no-candidates"`` (a step found nothing to select from).
    """

    steps: tuple[Step, ...] = ()
    candidates: tuple[Region, ...] = ()
    said: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    plain: str | None = None


def chained(view: View) -> Chained | None:
    """The chain behind a view, None where there is none."""
    found = view.meta.get(KEY)
    return found if isinstance(found, Chained) else None


def added(one: Usage, other: Usage) -> Usage:
    """What two questions cost together: peaks are the higher one, what either does not know is not known."""
    made = {}
    for each in fields(Usage):
        pair = (getattr(one, each.name), getattr(other, each.name))
        if None not in pair:
            made[each.name] = max(pair) if each.name == "peak_memory_bytes" else sum(pair)
    return Usage(**made)
