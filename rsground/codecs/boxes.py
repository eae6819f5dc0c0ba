"""Text-HBB of GeoGround: horizontal boxes as integers per mille of the image sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs.codec import Codec, Reading, box_of
from rsground.codecs.fields import Field, Template, template
from rsground.codecs.grammar import RuleGrammar
from rsground.codecs.mend import box_in_pixels, nothing_found, number_lists
from rsground.codecs.quantise import check_resolution, quantise_box
from rsground.codecs.rules import Repeat, chain
from rsground.codecs.scan import MAX_FOUND, Notes, between, cut
from rsground.types import Region, Size

MAX_REGIONS = 200
"""Regions in the longest valid answer of any codec."""


def box_fields(top: int, gap: int = 1) -> tuple[Field, Field, Field, Field]:
    """Slots for x1, y1, x2, y2 in 0..top with x2 and y2 at least ``gap`` larger.

    They must be the first four slots of their template.
    """
    low = Field(0, top - gap)
    return low, low, Field(0, top, above=0, gap=gap), Field(0, top, above=1, gap=gap)


def box_template(top: int, opening: str = "[", comma: str = ",", closing: str = "]", gap: int = 1) -> Template:
    """The rule of one box ``[x1,y1,x2,y2]``."""
    x1, y1, x2, y2 = box_fields(top, gap)
    return template(opening, x1, comma, y1, comma, x2, comma, y2, closing)


@dataclass(frozen=True, slots=True)
class TextBox(Codec):
    """GeoGround's Text-HBB: ``<box>[[906,47,1000,141]]</box>``, ``, `` between boxes, ``<box>[]</box>`` for none.

    Coordinates are divided by the image's width or height, multiplied by ``resolution`` and rounded (halves up), so
    the error is at most half a step of the side: GeoGround (Zhou et al. 2024) section 3.1.

    Attributes:
        resolution: steps per side; ``resolution`` itself is a legal coordinate.
        keep_area: widen a side that would round to nothing to one step (we differ from the paper here, which is
            silent: without it, objects smaller than half a step are lost).
    """

    name: ClassVar[str] = "text-hbb"
    carries: ClassVar[str] = "hbb"

    resolution: int = 1000
    keep_area: bool = True

    def __post_init__(self) -> None:
        check_resolution(self.resolution, "TextBox")

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """The boxes of all regions, in the order given."""
        boxes = (
            quantise_box(box_of(region, self.name), size, self.resolution, keep_area=self.keep_area)
            for region in regions
        )
        return f"<box>[{', '.join('[{},{},{},{}]'.format(*box) for box in boxes)}]</box>"

    def read(self, text: str, size: Size) -> Reading:
        """Boxes from any brackets, tags optional, floats welcome, corners swapped back, clipped to the range."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        blocks = list(between(text, "<box>", "</box>", notes))
        for block in blocks[:MAX_FOUND]:
            for values, span in number_lists(text, block, 4, notes):
                box = box_in_pixels(values, size, self.resolution, notes, span)
                regions.append(Region(hbb=box, span=span))
        if regions:
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        if any(text[start:end].replace(" ", "") == "[]" for start, end in blocks):
            return Reading((), notes.done(), dialect=self.name)
        found, parsed = nothing_found(text, notes)
        return Reading(found, notes.done(), parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """Up to :data:`MAX_REGIONS` boxes with positive area (area may be zero without ``keep_area``)."""
        del size
        item = box_template(self.resolution, gap=int(self.keep_area))
        return RuleGrammar(chain("<box>[", Repeat(item, 0, MAX_REGIONS, ", "), "]</box>"))
