"""How far an annotation may be off, or a reader's taste may differ, without changing what an expression picks."""

from __future__ import annotations

from dataclasses import dataclass

from rsground.errors import ShapeError

HEADING_SECTOR = 45.0
"""Half the sector of a heading word (``up`` = within 45 degrees of up)."""


@dataclass(frozen=True, slots=True)
class Margin:
    """Slack that every kept expression survives.

    An expression is kept only if it picks the same objects however each box is shifted or each of its edges moved by
    up to ``max(pixels, share * size)`` (size is the square root of the box area), each area changed by up to the
    factor ``1 + area`` and each heading turned by up to ``heading`` degrees. So "leftmost" needs a gap of that much
    for *both* objects, between their centres and between their left edges.

    Attributes:
        pixels: least slack of a box edge, pixels.
        share: slack of a box edge as a share of the object's size.
        area: relative slack of an area; "largest" needs a ratio above ``(1 + area) ** 2``.
        heading: slack of a heading, degrees.
    """

    pixels: float = 4.0
    share: float = 0.1
    area: float = 0.15
    heading: float = 15.0

    def __post_init__(self) -> None:
        if not (
            0 <= self.pixels < float("inf") and 0 <= self.share < 0.5 and self.area >= 0 and 0 <= self.heading < 45
        ):
            raise ShapeError(
                "a margin has pixels >= 0, 0 <= share < 0.5, area >= 0 and 0 <= heading < 45 degrees, got "
                f"pixels={self.pixels}, share={self.share}, area={self.area}, heading={self.heading}"
            )
