"""Horizontal boxes as fractions of the image: LLaVA-1.5 (of the padded square) and Shikra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs.boxes import box_fields
from rsground.codecs.codec import box_of
from rsground.codecs.dialects.wording import BoxDialect, Wording
from rsground.codecs.fields import Field
from rsground.codecs.mend import clip, ordered
from rsground.codecs.quantise import quantise_box
from rsground.codecs.scan import Notes, Span
from rsground.types import HBB, Region, Size


@dataclass(frozen=True, slots=True)
class FractionBoxes(BoxDialect):
    """Base: x1, y1, x2, y2 between 0 and 1.

    Attributes:
        decimals: digits after the point.
        square: fractions of the image padded to a square about its centre, instead of the image itself.
        keep_area: widen a side that would collapse to one step.
    """

    carries: ClassVar[str] = "hbb"

    decimals: int = 3
    square: bool = False
    keep_area: bool = True

    def fields(self, size: Size) -> tuple[Field, ...]:
        """x1, y1, x2, y2 with leading zero and all decimals."""
        del size
        plain = box_fields(10**self.decimals, gap=int(self.keep_area))
        return tuple(
            Field(slot.low, slot.high, slot.above, slot.gap, width=self.decimals + 1, decimals=self.decimals)
            for slot in plain
        )

    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """The box in steps of the last decimal."""
        (left, top), frame = self._padding(size)
        x1, y1, x2, y2 = box_of(region, self.name)
        moved: HBB = (x1 + left, y1 + top, x2 + left, y2 + top)
        return quantise_box(moved, frame, 10**self.decimals, keep_area=self.keep_area)

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The box in pixels of the image, cut to it where it reaches into the padding."""
        x1, y1, x2, y2 = ordered(clip(values, 0, 1, notes, span), notes, span)
        (left, top), (tall, wide) = self._padding(size)
        height, width = size
        across = [min(max(value * wide - left, 0.0), float(width)) for value in (x1, x2)]
        down = [min(max(value * tall - top, 0.0), float(height)) for value in (y1, y2)]
        return Region(hbb=(across[0], down[0], across[1], down[1]))

    def holds(self, text: str) -> bool:
        """Whether four numbers with decimal points stand in brackets; whole numbers are another format's."""
        return any(all("." in number for number in numbers) for numbers, _, _ in self.found(text))

    def _padding(self, size: Size) -> tuple[tuple[float, float], Size]:
        """(left, top) margins and the size of what fractions refer to."""
        height, width = size
        if not self.square:
            return (0.0, 0.0), size
        side = max(size)
        return ((side - width) / 2, (side - height) / 2), (side, side)


@dataclass(frozen=True, slots=True)
class LLaVA(FractionBoxes):
    """``[0.31, 0.20, 0.55, 0.48]``: LLaVA-1.5, two decimals of the image padded to a square (from memory)."""

    name: ClassVar[str] = "llava"
    wording: ClassVar[Wording] = Wording(("[", ", ", ", ", ", ", "]"), joiner=", ", between=", ")

    decimals: int = 2
    square: bool = True


@dataclass(frozen=True, slots=True)
class Shikra(FractionBoxes):
    """``[0.310,0.200,0.550,0.480]``: Shikra, three decimals, several boxes apart by ``;`` (from memory)."""

    name: ClassVar[str] = "shikra"
    wording: ClassVar[Wording] = Wording(("", ",", ",", ",", ""), "[", "]", ";", between=" ")
