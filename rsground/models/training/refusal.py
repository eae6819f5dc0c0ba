"""Why a sample is passed over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A sample that nothing can be learned from.

    Attributes:
        sample: its id.
        reason: in a line.
    """

    sample: str
    reason: str
