"""Oriented boxes as hundredths and an angle: GeoChat and the two forms of VRSBench."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rsground.codecs.codec import Reading, quad_in
from rsground.codecs.dialects.scaled import VRSBench
from rsground.codecs.dialects.wording import BoxDialect, Wording
from rsground.codecs.fields import Field
from rsground.codecs.mend import clip
from rsground.codecs.oriented import quad_from_unit, unit_obb
from rsground.codecs.quantise import Rounding, quantise, round_half_up
from rsground.codecs.scan import Notes, Span, cut
from rsground.types import Region, Size

_TURNED = ("{<", "><", "><", "><", ">|<", ">}")


@dataclass(frozen=True, slots=True)
class GeoChat(BoxDialect):
    """``<p>phrase</p> {<x1><y1><x2><y2>|<angle>}``: the corners of the box before it is turned about its centre.

    Several boxes of a phrase are apart by ``<delim>``. Hundredths of the image sides, degrees. Which way the angle
    turns is not settled: GeoChat's demo draws counter-clockwise, another helper of the same file and third-party
    converters clockwise. We write the turn of least angle, -45..45, so that a reader that ignores the angle (as
    GeoChat's single-box mode does) is least wrong.

    Attributes:
        clockwise: whether positive angles turn clockwise on screen.
        resolution: steps per image side.
    """

    name: ClassVar[str] = "geochat"
    carries: ClassVar[str] = "obb"
    wording: ClassVar[Wording] = Wording(_TURNED, joiner="<delim>", phrase=("<p>", "</p> "))

    clockwise: bool = True
    resolution: int = 100

    def fields(self, size: Size) -> tuple[Field, ...]:
        """x1, y1, x2, y2, angle."""
        del size
        low, top = Field(0, self.resolution - 1), self.resolution
        return low, low, Field(0, top, above=0), Field(0, top, above=1), Field(-90, 90)

    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """The unturned box, at least one step a side, and the angle."""
        cx, cy, w, h, degrees = unit_obb(quad_in(region, self.name), size, "oc")
        if degrees > 45:
            w, h, degrees = h, w, degrees - 90
        low_x, high_x = self._span(cx, w)
        low_y, high_y = self._span(cy, h)
        angle = round_half_up(degrees if self.clockwise else -degrees)
        return low_x, low_y, high_x, high_y, angle

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The turned box as four corners."""
        x1, y1, x2, y2 = clip(values[:4], 0, self.resolution, notes, span)
        if x1 == x2 or y1 == y2:
            notes.add("degenerate", "a box without area", span)
        if x2 < x1 or y2 < y1:
            notes.add("swapped-corners", "corners were swapped", span)
        r = self.resolution
        angle = math.fmod(values[4], 360) * (1 if self.clockwise else -1)
        centre = (x1 + x2) / 2 / r, (y1 + y2) / 2 / r
        return Region(quad=quad_from_unit(*centre, abs(x2 - x1) / r, abs(y2 - y1) / r, angle, size))

    def read(self, text: str, size: Size) -> Reading:
        """As any dialect; boxes without an angle are read as upright, and noted."""
        reading = BoxDialect.read(self, text, size)
        if reading.regions:
            return reading
        notes = Notes()
        regions: list[Region] = []
        for values, _, span in VRSBench().found(cut(text, notes)):
            if notes.is_full(len(regions)):
                break
            notes.add("too-few-numbers", "no angle, read as 0", span)
            region = self.region([*(float(value) for value in values), 0.0], size, notes, span)
            regions.append(replace(region, span=span))
        return Reading(tuple(regions), notes.done(), dialect=self.name) if regions else reading

    def _span(self, centre: float, side: float) -> tuple[int, int]:
        low = min(quantise(centre - side / 2, 1, self.resolution), self.resolution - 1)
        return low, max(quantise(centre + side / 2, 1, self.resolution), low + 1)


@dataclass(frozen=True, slots=True)
class VRSBenchOBB(BoxDialect):
    """``{<cx><cy><w><h>|<angle>}``, VRSBench's first form: hundredths of the unit square, truncated; w >= h; the angle
    in whole degrees, positive counter-clockwise.

    Attributes:
        rounding: how centre and sides become hundredths.
    """

    name: ClassVar[str] = "vrsbench-obb-v1"
    carries: ClassVar[str] = "obb"
    wording: ClassVar[Wording] = Wording(_TURNED)

    rounding: Rounding = "floor"

    def fields(self, size: Size) -> tuple[Field, ...]:
        """cx, cy, w, h, angle."""
        del size
        centre, side = Field(0, 100), Field(1, 142)
        return centre, centre, side, side, Field(-90, 90)

    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """Sides are at least one step (upstream writes 0)."""
        cx, cy, w, h, degrees = unit_obb(quad_in(region, self.name), size, "le90")
        centre = quantise(cx, 1, 100, self.rounding), quantise(cy, 1, 100, self.rounding)
        sides = (max(quantise(side, 1, 100, self.rounding, top=142), 1) for side in (w, h))
        return (*centre, *sides, round_half_up(-degrees))

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The rectangle of the unit square, as corners in pixels."""
        cx, cy = clip(values[:2], 0, 100, notes, span)
        w, h = clip(values[2:4], 0, 142, notes, span)
        if w == 0 or h == 0:
            notes.add("degenerate", "a side of length 0", span)
        return Region(quad=quad_from_unit(cx / 100, cy / 100, w / 100, h / 100, -math.fmod(values[4], 360), size))


@dataclass(frozen=True, slots=True)
class VRSBenchCorners(BoxDialect):
    """``{<xtl><ytl><xbr><ybr>|<angle>}``, VRSBench's second form: the corners nearest to and furthest from the image's
    origin, truncated hundredths, and the angle of the first form.

    Two opposite corners and an angle fix the rectangle. The nearest and the furthest corner need not be opposite,
    though; then the form cannot be read back, and the ceiling shows it.

    Attributes:
        rounding: how corners become hundredths.
    """

    name: ClassVar[str] = "vrsbench-obb-v2"
    carries: ClassVar[str] = "obb"
    wording: ClassVar[Wording] = Wording(_TURNED)

    rounding: Rounding = "floor"

    def fields(self, size: Size) -> tuple[Field, ...]:
        """x, y of both corners, angle."""
        del size
        step = Field(0, 100)
        return step, step, step, step, Field(-90, 90)

    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """The two corners and the angle."""
        height, width = size
        quad = quad_in(region, self.name)
        corners = sorted(((x / width, y / height) for x, y in quad), key=lambda c: c[0] ** 2 + c[1] ** 2)
        degrees = unit_obb(quad, size, "le90")[4]
        ends = (quantise(value, 1, 100, self.rounding) for corner in (corners[0], corners[-1]) for value in corner)
        return (*ends, round_half_up(-degrees))

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The rectangle that has these as opposite corners and a side along the angle."""
        x1, y1, x2, y2 = (value / 100 for value in clip(values[:4], 0, 100, notes, span))
        degrees = -math.fmod(values[4], 360)
        along = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        w = abs((x2 - x1) * along[0] + (y2 - y1) * along[1])
        h = abs((y2 - y1) * along[0] - (x2 - x1) * along[1])
        if min(w, h) < 1e-9:
            notes.add("degenerate", "the two corners span no rectangle at this angle", span)
        return Region(quad=quad_from_unit((x1 + x2) / 2, (y1 + y2) / 2, w, h, degrees, size))
