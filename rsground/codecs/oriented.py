"""Text-OBB of GeoGround: oriented boxes as five integers, the angle convention always named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rsground.codecs.boxes import MAX_REGIONS
from rsground.codecs.codec import Codec, Reading, quad_in
from rsground.codecs.fields import Field, template
from rsground.codecs.grammar import RuleGrammar
from rsground.codecs.mend import clip, nothing_found, number_lists
from rsground.codecs.quantise import check_resolution, quantise, round_half_up
from rsground.codecs.rules import Repeat, chain
from rsground.codecs.scan import MAX_FOUND, Notes, Span, between, cut
from rsground.errors import ShapeError
from rsground.geometry import CONVENTIONS, Convention, canonical_quad, obb_to_quad, quad_to_obb
from rsground.types import Quad, Region, Size

ANGLES: dict[str, tuple[int, int]] = {"oc": (0, 90), "le90": (-90, 90), "le135": (-45, 135)}
"""Ends of each convention's range in degrees; ``oc`` leaves out its lower end, the others their upper."""


def unit_obb(quad: Quad, size: Size, convention: Convention) -> tuple[float, float, float, float, float]:
    """The rectangle of least area around the corners in the unit square: (cx, cy, w, h, degrees).

    Corners are divided by (W, H) first and the rectangle is fitted afterwards, as VRSBench does; w and h of a turned
    rectangle cannot be divided by W and H apart unless these are equal.
    """
    height, width = size
    cx, cy, w, h, theta = quad_to_obb(np.array(quad) / (width, height), convention=convention).tolist()
    return cx, cy, w, h, math.degrees(theta)


def quad_from_unit(cx: float, cy: float, w: float, h: float, degrees: float, size: Size) -> Quad:
    """Corners in pixels of a rectangle of the unit square; a parallelogram unless the image is square."""
    height, width = size
    corners = obb_to_quad(np.array([cx, cy, w, h, math.radians(degrees)])) * (width, height)
    a, b, c, d = ((x, y) for x, y in canonical_quad(corners).tolist())
    return a, b, c, d


@dataclass(frozen=True, slots=True)
class TextOBB(Codec):
    """GeoGround's Text-OBB: ``<obb>[[20,19,2,10,52]]</obb>``, centre, width, height, degrees; ``<obb>[]</obb>`` none.

    The paper says "long side 90-degree representation" and "theta ranges from 0 to 90", which contradict each other,
    and prints one example, w=2 < h=10, that is legal under ``oc`` only. ``oc`` is therefore the default: theta in
    (0, 90], w along theta, loss-free.

    Attributes:
        resolution: steps of the unit square for centre and sides; the paper uses 100.
        convention: how the angle is written, see :mod:`rsground.geometry.obb`.
        angle_resolution: angle steps per degree; the paper uses 1.
    """

    name: ClassVar[str] = "text-obb"
    carries: ClassVar[str] = "obb"

    resolution: int = 100
    convention: Convention = "oc"
    angle_resolution: int = 1

    def __post_init__(self) -> None:
        check_resolution(self.resolution, "TextOBB")
        check_resolution(self.angle_resolution, "TextOBB (angle_resolution)", least=1)
        if self.convention not in CONVENTIONS:
            raise ShapeError(f"TextOBB: convention must be one of {', '.join(CONVENTIONS)}, got {self.convention!r}")

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """The oriented boxes of all regions, in the order given; sides are at least one step."""
        rows = (",".join(map(str, self._steps(quad_in(region, self.name), size))) for region in regions)
        return f"<obb>[{', '.join(f'[{row}]' for row in rows)}]</obb>"

    def read(self, text: str, size: Size) -> Reading:
        """Five numbers each, from any brackets; an angle outside of the convention's range means what it says."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        blocks = list(between(text, "<obb>", "</obb>", notes))
        for block in blocks[:MAX_FOUND]:
            for values, span in number_lists(text, block, 5, notes):
                regions.append(Region(quad=self._quad(values, size, notes, span), span=span))
        if regions:
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        if any(text[start:end].replace(" ", "") == "[]" for start, end in blocks):
            return Reading((), notes.done(), dialect=self.name)
        found, parsed = nothing_found(text, notes)
        return Reading(found, notes.done(), parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """Centre in 0..resolution, sides 1..resolution * sqrt(2), angles in the convention's range."""
        del size
        low, high = self._angles()
        centre, side = Field(0, self.resolution), Field(1, self._longest_side())
        item = template("[", centre, ",", centre, ",", side, ",", side, ",", Field(low, high), "]")
        return RuleGrammar(chain("<obb>[", Repeat(item, 0, MAX_REGIONS, ", "), "]</obb>"))

    def _longest_side(self) -> int:
        return math.ceil(self.resolution * math.sqrt(2))

    def _angles(self) -> tuple[int, int]:
        """Inclusive range of angle steps."""
        low, high = (end * self.angle_resolution for end in ANGLES[self.convention])
        return (low + 1, high) if self.convention == "oc" else (low, high - 1)

    def _steps(self, quad: Quad, size: Size) -> tuple[int, int, int, int, int]:
        height, width = size
        inside: Quad = tuple((min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in quad)  # type: ignore[assignment]
        cx, cy, w, h, degrees = unit_obb(inside, size, self.convention)
        centre = quantise(cx, 1, self.resolution), quantise(cy, 1, self.resolution)
        w, h = (max(quantise(side, 1, self.resolution, top=self._longest_side()), 1) for side in (w, h))
        angle = round_half_up(degrees * self.angle_resolution)
        low, high = self._angles()
        if self.convention == "oc" and angle < low:  # a quarter turn further is the other side's direction
            return (*centre, h, w, angle + 90 * self.angle_resolution)
        return (*centre, w, h, angle if angle <= high else angle - 180 * self.angle_resolution)

    def _quad(self, values: list[float], size: Size, notes: Notes, span: Span) -> Quad:
        cx, cy = clip(values[:2], 0, self.resolution, notes, span)
        w, h = clip(values[2:4], 0, self._longest_side(), notes, span)
        if w == 0 or h == 0:
            notes.add("degenerate", "a side of length 0", span)
        low, high = self._angles()
        if not min(low, 0) <= values[4] <= high:
            notes.add("out-of-range", f"angle {values[4]:g} leaves {low}..{high}, taken as it is", span)
        degrees = math.fmod(values[4] / self.angle_resolution, 360)
        r = self.resolution
        return quad_from_unit(cx / r, cy / r, w / r, h / r, degrees, size)
