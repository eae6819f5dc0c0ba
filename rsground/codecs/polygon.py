"""Regions as polygons of few vertices: in image coordinates, or within their box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rsground.codecs.boxes import MAX_REGIONS
from rsground.codecs.codec import Codec, Reading
from rsground.codecs.fields import Field, template
from rsground.codecs.grammar import RuleGrammar
from rsground.codecs.mend import clip, nothing_found
from rsground.codecs.outline import MAX_RINGS, Fit, Frame, Holes, fit_rings
from rsground.codecs.quantise import check_resolution
from rsground.codecs.rules import Repeat, chain
from rsground.codecs.scan import Notes, Span, between, cut, groups
from rsground.types import Region, Ring, Size

OPENING, CLOSING = "<poly>", "</poly>"
OBJECT_END, RING_END = " | ", "; "


@dataclass(frozen=True, slots=True)
class PolygonText(Codec):
    """``<poly>906,47 1000,47 1000,141</poly>``: vertices in image coordinates; ``; `` between the parts of an object,
    `` | `` between objects, ``<poly></poly>`` for none.

    Rings run clockwise from their topmost, then leftmost, vertex and are closed without repeating it.

    Attributes:
        resolution: steps per image side.
        target: IoU with the mask that is enough; each ring has the fewest vertices that reach it.
        max_vertices: per ring.
        refine: passes of moving single vertices to raise the IoU further; slower, same length.
        holes: ``"auto"``, ``"fill"`` or ``"bridge"``, see :class:`rsground.codecs.outline.Fit`.
    """

    name: ClassVar[str] = "polygon"
    carries: ClassVar[str] = "mask"

    resolution: int = 1000
    target: float = 0.95
    max_vertices: int = 32
    refine: int = 0
    holes: Holes = "auto"

    def __post_init__(self) -> None:
        check_resolution(self.resolution, "PolygonText")
        self._fit()

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """All regions, in the order given."""
        height, width = size
        frame = Frame((0.0, 0.0), (width / self.resolution, height / self.resolution), self.resolution)
        parts = []
        for region in regions:
            rings = fit_rings(region, size, frame, self._fit(), self.name)
            parts.append(RING_END.join(" ".join(f"{x},{y}" for x, y in ring.tolist()) for ring in rings))
        return f"{OPENING}{OBJECT_END.join(parts)}{CLOSING}"

    def read(self, text: str, size: Size) -> Reading:
        """Vertices from any brackets and separators, open or closed; rings of fewer than three are dropped."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        blocks = list(between(text, OPENING, CLOSING, notes))
        for block in blocks:
            for span in split(text, block, "|", notes):
                parts = split(text, span, ";", notes)
                rings = [ring for part in parts for ring in self._rings(text, part, size, notes)]
                if rings:
                    regions.append(Region(polygons=tuple(rings), span=span))
        return polygon_reading(self.name, text, blocks, regions, notes)

    def grammar(self, size: Size) -> RuleGrammar:
        """Vertices in range; at most :attr:`max_vertices` a ring."""
        del size
        step = Field(0, self.resolution)
        ring = Repeat(template(step, ",", step), 3, self.max_vertices, " ")
        item = Repeat(ring, 1, MAX_RINGS, RING_END)
        return RuleGrammar(chain(OPENING, Repeat(item, 0, MAX_REGIONS, OBJECT_END), CLOSING))

    def _fit(self) -> Fit:
        return Fit(self.target, self.max_vertices, self.refine, self.holes)

    def _rings(self, text: str, span: Span, size: Size, notes: Notes) -> list[Ring]:
        found = groups(text, span)
        for group in found:
            if group.bad:
                notes.add("bad-number", f"{group.bad[0]!r} is no usable number", group.span)
        lists = [group.numbers for group in found]
        if not any(len(numbers) >= 6 for numbers in lists):  # vertices in brackets of their own
            lists = [[value for numbers in lists for value in numbers]]
        rings = (self._ring(numbers, span, size, notes) for numbers in lists if numbers)
        return [ring for ring in rings if ring is not None]

    def _ring(self, numbers: list[float], span: Span, size: Size, notes: Notes) -> Ring | None:
        if len(numbers) % 2:
            notes.add("too-few-numbers", "a vertex has x but no y, left out", span)
            numbers = numbers[:-1]
        inside = clip(numbers, 0, self.resolution, notes, span)
        frame = Frame((0.0, 0.0), (size[1] / self.resolution, size[0] / self.resolution), self.resolution)
        return as_ring(frame.pixels(np.array(inside).reshape(-1, 2)), notes, span)


def as_ring(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]], notes: Notes, span: Span) -> Ring | None:
    """Points ``(K, 2)`` as an open ring; None, noted, where they enclose nothing."""
    ring: Ring = tuple((x, y) for x, y in points.tolist())
    if len(ring) > 1 and ring[0] == ring[-1]:
        ring = ring[:-1]
    x, y = (points - points.min(axis=0)).T if len(points) else (np.zeros(0), np.zeros(0))
    is_flat = abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) < 1e-9
    if len(set(ring)) < 3 or (is_flat and _on_a_line(points)):
        notes.add("degenerate", f"{len(set(ring))} different vertices enclose nothing", span)
        return None
    return ring


def _on_a_line(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    """Whether all points lie on one line (a figure of eight has no signed area, yet an inside)."""
    away = points - points[0]
    far = away[int(np.argmax((away**2).sum(axis=1)))]
    return bool(np.all(np.abs(away[:, 0] * far[1] - away[:, 1] * far[0]) < 1e-9))


def split(text: str, span: Span, mark: str, notes: Notes) -> list[Span]:
    """Spans of the parts between a separator."""
    found: list[Span] = []
    start = span[0]
    while not notes.is_full(len(found)):
        end = text.find(mark, start, span[1])
        if end < 0:
            found.append((start, span[1]))
            return found
        found.append((start, end))
        start = end + 1
    return found


def polygon_reading(name: str, text: str, blocks: list[Span], regions: list[Region], notes: Notes) -> Reading:
    """The reading of a polygon codec: regions, a valid "nothing there", or the reason why neither."""
    codes = {issue.code for issue in notes.issues}
    if regions or ("missing-tag" not in codes and any(not text[slice(*block)].strip() for block in blocks)):
        parsed = bool(regions) or "truncated" not in codes
        return Reading(tuple(regions), notes.done(), parsed, name)
    found, parsed = nothing_found(text, notes)
    return Reading(found, notes.done(), parsed, name)
