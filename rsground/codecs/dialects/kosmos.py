"""Kosmos-2: boxes as pairs of patch indices of a 32 x 32 grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs.codec import box_of
from rsground.codecs.dialects.wording import BoxDialect, Wording
from rsground.codecs.fields import Field, Ranges
from rsground.codecs.mend import clip
from rsground.codecs.scan import Notes, Span
from rsground.errors import ShapeError
from rsground.types import Region, Size

SIDE = 32


@dataclass(frozen=True, slots=True)
class LowerRight(Field):
    """The second index of a pair: neither above nor left of the first."""

    def ranges(self, values: tuple[int, ...]) -> Ranges:
        """One range per row from the first index's row down."""
        row, column = divmod(values[0], SIDE)
        return tuple((below * SIDE + column, below * SIDE + SIDE - 1) for below in range(row, SIDE))


@dataclass(frozen=True, slots=True)
class Kosmos2(BoxDialect):
    """``<phrase>a ship</phrase><object><patch_index_0355><patch_index_0561></object>``, as transformers has it.

    Upper-left cell floor(32 x1), floor(32 y1); lower-right cell ceil(32 x2 - 1), ceil(32 y2 - 1); index = row * 32 +
    column. Read back to the *centres* of the two cells, unless they share a row or a column: then to their outer
    edges.
    """

    name: ClassVar[str] = "kosmos-2"
    carries: ClassVar[str] = "hbb"
    wording: ClassVar[Wording] = Wording(
        ("<patch_index_", "><patch_index_", ">"),
        "<object>",
        "</object>",
        "</delimiter_of_multi_objects/>",
        phrase=("<phrase>", "</phrase>"),
        between=" ",
    )

    def fields(self, size: Size) -> tuple[Field, ...]:
        """Two indices of four digits."""
        del size
        last = SIDE * SIDE - 1
        return Field(0, last, width=4), LowerRight(0, last, width=4)

    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """The two cells."""
        height, width = size
        x1, y1, x2, y2 = box_of(region, self.name)
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            raise ShapeError(f"a coordinate must be finite to be written, got {(x1, y1, x2, y2)}")
        left, top = (_cell(math.floor(SIDE * v / side + 1e-9)) for v, side in ((x1, width), (y1, height)))
        right, bottom = (_cell(math.ceil(SIDE * v / side - 1 - 1e-9)) for v, side in ((x2, width), (y2, height)))
        return top * SIDE + left, max(bottom, top) * SIDE + max(right, left)

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The box between the cells' centres, or around them."""
        first, last = (int(value) for value in clip(values, 0, SIDE * SIDE - 1, notes, span))
        (top, left), (bottom, right) = divmod(first, SIDE), divmod(last, SIDE)
        if bottom < top or right < left:
            notes.add("swapped-corners", f"patch {last} lies above or left of patch {first}", span)
            top, bottom, left, right = min(top, bottom), max(top, bottom), min(left, right), max(left, right)
        inset = 0.0 if top == bottom or left == right else 0.5
        height, width = size
        across, down = width / SIDE, height / SIDE
        box = ((left + inset) * across, (top + inset) * down, (right + 1 - inset) * across, (bottom + 1 - inset) * down)
        return Region(hbb=box)


def _cell(index: int) -> int:
    return min(max(index, 0), SIDE - 1)
