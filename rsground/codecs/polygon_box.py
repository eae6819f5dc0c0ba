"""Polygon within its box (ours): the box in plain numbers, then two short digits per vertex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rsground.codecs.boxes import MAX_REGIONS, box_fields
from rsground.codecs.codec import Codec, Reading, box_of
from rsground.codecs.fields import ALPHANUMERIC, Field, template
from rsground.codecs.grammar import RuleGrammar
from rsground.codecs.mend import box_in_pixels, usable
from rsground.codecs.outline import MAX_RINGS, Fit, Frame, Holes, fit_rings
from rsground.codecs.polygon import CLOSING, OBJECT_END, OPENING, as_ring, polygon_reading, split
from rsground.codecs.quantise import check_resolution, dequantise_box, quantise_box
from rsground.codecs.rules import Repeat, chain
from rsground.codecs.scan import Notes, Span, between, cut, groups
from rsground.errors import ShapeError
from rsground.types import HBB, Region, Ring, Size

RING_END = ";"


@dataclass(frozen=True, slots=True)
class PolygonBox(Codec):
    """``<poly>906,47,1000,141:00z0zz0z</poly>``: box, colon, then x and y of each vertex inside the box.

    A vertex costs two characters instead of about eight, and small objects are drawn as finely as large ones: the
    best ceiling per character of all our forms. ``;`` between the parts of an object, `` | `` between objects,
    ``<poly></poly>`` for none. The box is rounded outwards, digit 0 is its left or upper side, the last digit of the
    alphabet (0-9, A-Z, a-z) its right or lower one.

    Attributes:
        box_resolution: steps per image side for the box.
        base: digits used, from 2 to 62; 10 reads like ordinary numbers.
        digits: characters per coordinate, so that the box has ``base ** digits`` lattice lines per axis.
        target, max_vertices, refine, holes: as for :class:`rsground.codecs.PolygonText`.
    """

    name: ClassVar[str] = "polygon-box"
    carries: ClassVar[str] = "mask"

    box_resolution: int = 1000
    base: int = 62
    digits: int = 1
    target: float = 0.95
    max_vertices: int = 32
    refine: int = 0
    holes: Holes = "auto"

    def __post_init__(self) -> None:
        check_resolution(self.box_resolution, "PolygonBox")
        if not (2 <= self.base <= 62 and 1 <= self.digits <= 3 and self.base**self.digits >= 4):
            raise ShapeError(
                f"PolygonBox: base must be 2 to 62, digits 1 to 3 and base ** digits at least 4, "
                f"got {self.base} and {self.digits}"
            )
        self._fit()

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """All regions, in the order given."""
        return f"{OPENING}{OBJECT_END.join(self._write_one(region, size) for region in regions)}{CLOSING}"

    def read(self, text: str, size: Size) -> Reading:
        """Each box with its vertices; where these cannot be read, the box stays."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        blocks = list(between(text, OPENING, CLOSING, notes))
        for block in blocks:
            for span in split(text, block, "|", notes):
                regions.extend(self._read_one(text, span, size, notes))
        return polygon_reading(self.name, text, blocks, regions, notes)

    def grammar(self, size: Size) -> RuleGrammar:
        """A box with positive area, then 3 to :attr:`max_vertices` vertices a ring."""
        del size
        x1, y1, x2, y2 = box_fields(self.box_resolution)
        digit = self._digit()
        ring = Repeat(template(digit, digit), 3, self.max_vertices)
        item = chain(template(x1, ",", y1, ",", x2, ",", y2, ":"), Repeat(ring, 1, MAX_RINGS, RING_END))
        return RuleGrammar(chain(OPENING, Repeat(item, 0, MAX_REGIONS, OBJECT_END), CLOSING))

    def _fit(self) -> Fit:
        return Fit(self.target, self.max_vertices, self.refine, self.holes)

    def _digit(self) -> Field:
        return Field(0, self.base**self.digits - 1, width=self.digits, alphabet=ALPHANUMERIC[: self.base])

    def _frame(self, box: HBB) -> Frame:
        top = self.base**self.digits - 1
        return Frame(box[:2], ((box[2] - box[0]) / top, (box[3] - box[1]) / top), top)

    def _write_one(self, region: Region, size: Size) -> str:
        steps = quantise_box(box_of(region, self.name), size, self.box_resolution, "out")
        frame = self._frame(dequantise_box(steps, size, self.box_resolution))
        rings = fit_rings(region, size, frame, self._fit(), self.name)
        digit = self._digit()
        texts = ("".join(digit.write(value) for value in ring.ravel().tolist()) for ring in rings)
        return f"{','.join(map(str, steps))}:{RING_END.join(texts)}"

    def _read_one(self, text: str, span: Span, size: Size, notes: Notes) -> list[Region]:
        colon = text.find(":", *span)
        head = (span[0], span[1] if colon < 0 else colon)
        found = next(usable(groups(text, head)[:1], 4, notes, len(text)), None)
        if found is None:
            return []
        box = box_in_pixels(found[0], size, self.box_resolution, notes, found[1])
        if colon < 0:
            notes.add("truncated", "a box without vertices", span)
            return [Region(hbb=box, span=span)]
        frame = self._frame(box)
        parts = split(text, (colon + 1, span[1]), RING_END, notes)
        rings = [ring for part in parts if (ring := self._ring(text[slice(*part)], frame, notes, part)) is not None]
        return [Region(hbb=box, polygons=tuple(rings) if rings else None, span=span)]

    def _ring(self, typed: str, frame: Frame, notes: Notes, span: Span) -> Ring | None:
        typed = "".join(typed.split())
        alphabet = ALPHANUMERIC[: self.base]
        good = len(typed)
        for index, char in enumerate(typed):
            if char not in alphabet:
                notes.add("bad-number", f"{char!r} is no digit of base {self.base}", span)
                good = index
                break
        width = 2 * self.digits
        if good % width:
            notes.add("too-few-numbers", "a vertex has x but no y, left out", span)
        digit = self._digit()
        values = [digit.value(typed[at : at + self.digits]) for at in range(0, good - good % width, self.digits)]
        return as_ring(frame.pixels(np.array(values, np.float64).reshape(-1, 2)), notes, span)
