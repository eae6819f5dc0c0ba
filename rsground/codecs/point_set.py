"""GeoRSMLLM's set of points: oriented boxes, boxes with key points, and closed polygons, all as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from rsground.codecs.boxes import MAX_REGIONS, box_fields
from rsground.codecs.codec import Codec, Reading, box_of, quad_in
from rsground.codecs.fields import Field, Template, template
from rsground.codecs.grammar import Rule, RuleGrammar
from rsground.codecs.keypoints import key_points
from rsground.codecs.mend import clip, nothing_found, ordered
from rsground.codecs.outline import MAX_RINGS, Fit, Frame, fit_rings
from rsground.codecs.polygon import as_ring
from rsground.codecs.quantise import check_resolution, dequantise_box, quantise_box
from rsground.codecs.rules import Repeat, chain, either
from rsground.codecs.scan import Notes, Span, cut, groups
from rsground.errors import ShapeError
from rsground.types import Point, Region, Size

Form = Literal["rbb", "hbb-points", "polygon"]
_NOTHING = "{}"


@dataclass(frozen=True, slots=True)
class PointSet(Codec):
    """Points in curly braces, ``{(100, 100), (100, 200), (200, 200), (200, 100)}``; one target a line, ``{}`` for none.

    The white paper fixes the forms and prints this one string; ranges, order and number of key points are ours:
    coordinates 0..1000, corners clockwise from the best begin point, key points as :mod:`rsground.codecs.keypoints`
    chooses them, rings clockwise with the first vertex repeated at the end.

    Attributes:
        form: ``"rbb"``, four corners of the oriented box; ``"hbb-points"``, two corners of the box in braces, then
            key points in braces (SAM 2 turns both into a mask); ``"polygon"``, a closed ring, further parts of the
            target in braces of their own on the same line.
        resolution: steps per image side.
        points: key points per target, at most.
        target, max_vertices: for ``"polygon"``, as :class:`rsground.codecs.PolygonText`.
    """

    name: ClassVar[str] = "point-set"

    form: Form = "rbb"
    resolution: int = 1000
    points: int = 3
    target: float = 0.95
    max_vertices: int = 32

    def __post_init__(self) -> None:
        check_resolution(self.resolution, "PointSet")
        check_resolution(self.points, "PointSet (points)", least=1)
        if self.form not in ("rbb", "hbb-points", "polygon"):
            raise ShapeError(f"PointSet: form must be 'rbb', 'hbb-points' or 'polygon', got {self.form!r}")
        Fit(self.target, self.max_vertices)

    @property
    def carries(self) -> str:  # type: ignore[override]
        """The richest form that survives; depends on :attr:`form`."""
        return {"rbb": "obb", "hbb-points": "points", "polygon": "mask"}[self.form]

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """All regions, one a line, in the order given."""
        return "\n".join(" ".join(self._sets(region, size)) for region in regions) or _NOTHING

    def read(self, text: str, size: Size) -> Reading:
        """Sets in curly, square or no braces; rings open or closed; what has another number of points is noted."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        start = 0
        for line in text.splitlines(keepends=True):
            if notes.is_full(len(regions)):
                break
            sets = _point_sets(text, (start, start + len(line)), notes)
            start += len(line)
            regions.extend(self._regions(sets, size, notes))
        if regions or text.strip() == _NOTHING:
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        found, parsed = nothing_found(text, notes)
        return Reading(found, notes.done(), parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """As many points as the form has, each in range."""
        del size
        point = self._point()
        item: Rule
        if self.form == "rbb":
            item = chain("{", Repeat(point, 4, 4, ", "), "}")
        elif self.form == "hbb-points":
            x1, y1, x2, y2 = box_fields(self.resolution)
            box = template("{(", x1, ", ", y1, "), (", x2, ", ", y2, ")} ")
            item = chain(box, "{", Repeat(point, 1, self.points, ", "), "}")
        else:
            ring = chain("{", Repeat(point, 4, self.max_vertices + 1, ", "), "}")
            item = Repeat(ring, 1, MAX_RINGS, " ")
        return RuleGrammar(either(_NOTHING, Repeat(item, 1, MAX_REGIONS, "\n")))

    def _point(self) -> Template:
        step = Field(0, self.resolution)
        return template("(", step, ", ", step, ")")

    def _frame(self, size: Size) -> Frame:
        return Frame((0.0, 0.0), (size[1] / self.resolution, size[0] / self.resolution), self.resolution)

    def _sets(self, region: Region, size: Size) -> list[str]:
        frame = self._frame(size)
        if self.form == "rbb":
            return [_braced(frame.steps(np.array(quad_in(region, self.name))).tolist())]
        if self.form == "polygon":
            fit = Fit(self.target, self.max_vertices)
            rings = (ring.tolist() for ring in fit_rings(region, size, frame, fit, self.name))
            return [_braced([*ring, ring[0]]) for ring in rings]
        x1, y1, x2, y2 = quantise_box(box_of(region, self.name), size, self.resolution)
        return [_braced([[x1, y1], [x2, y2]]), _braced(self._key_steps(region, size))]

    def _key_steps(self, region: Region, size: Size) -> list[list[int]]:
        from rsground.regions import mask_of

        frame = self._frame(size)
        given = np.array(region.points or (), np.float64).reshape(-1, 2)
        if not len(given):
            given = key_points(mask_of(region, size), self.points, lambda points: frame.pixels(frame.steps(points)))
        if not len(given):  # thinner than a pixel
            x1, y1, x2, y2 = box_of(region, self.name)
            given = np.array([[(x1 + x2) / 2, (y1 + y2) / 2]])
        steps: list[list[int]] = frame.steps(given[: self.points]).tolist()
        return steps

    def _regions(self, sets: list[tuple[list[float], Span]], size: Size, notes: Notes) -> list[Region]:
        if self.form == "hbb-points":
            return self._boxes_with_points(sets, size, notes)
        rings: list[Region] = []
        for numbers, span in sets:
            inside = clip(numbers, 0, self.resolution, notes, span)
            pixels = self._frame(size).pixels(np.array(inside).reshape(-1, 2))
            if self.form == "rbb":
                rings.extend(self._quad(pixels, notes, span))
            elif (ring := as_ring(pixels, notes, span)) is not None:
                rings.append(Region(polygons=(ring,), span=span))
        if self.form == "polygon" and len(rings) > 1:  # the parts of one target
            parts = tuple(ring for region in rings for ring in region.polygons or ())
            return [Region(polygons=parts, span=rings[0].span)]
        return rings

    def _quad(
        self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]], notes: Notes, span: Span
    ) -> list[Region]:
        from rsground.geometry import canonical_quad, quad_area

        if len(pixels) == 5 and (pixels[0] == pixels[4]).all():
            pixels = pixels[:4]
        if len(pixels) != 4:
            code = "too-few-numbers" if len(pixels) < 4 else "too-many-numbers"
            notes.add(code, f"{len(pixels)} corners, 4 are needed", span)
            if len(pixels) < 4:
                return []
        corners = canonical_quad(pixels[:4])
        if float(quad_area(corners)) == 0.0:
            notes.add("degenerate", "the four corners enclose nothing", span)
        a, b, c, d = ((x, y) for x, y in corners.tolist())
        return [Region(quad=(a, b, c, d), span=span)]

    def _boxes_with_points(self, sets: list[tuple[list[float], Span]], size: Size, notes: Notes) -> list[Region]:
        found: list[Region] = []
        frame = self._frame(size)
        for at in range(0, len(sets), 2):
            numbers, span = sets[at]
            if len(numbers) < 4:
                notes.add("too-few-numbers", "a box needs two corners", span)
                continue
            steps = ordered(clip(numbers[:4], 0, self.resolution, notes, span), notes, span)
            points: tuple[Point, ...] | None = None
            if at + 1 < len(sets):
                inside = clip(sets[at + 1][0], 0, self.resolution, notes, sets[at + 1][1])
                points = tuple((x, y) for x, y in frame.pixels(np.array(inside).reshape(-1, 2)).tolist())
            else:
                notes.add("truncated", "a box without key points", span)
            box = dequantise_box(steps, size, self.resolution)
            found.append(Region(hbb=box, points=points, span=span))
        return found


def _braced(points: list[list[int]]) -> str:
    return "{" + ", ".join(f"({x}, {y})" for x, y in points) + "}"


def _point_sets(text: str, span: Span, notes: Notes) -> list[tuple[list[float], Span]]:
    """Numbers of each set of points in a part of the text, an even number of them.

    A set ends where a curly or square bracket closes; points have brackets of their own, or none.
    """
    found: list[tuple[list[float], Span]] = []
    start, depth = span[0], 0
    marks = [at for at in range(*span) if text[at] in "{}[]"] or []
    pieces = [(start, span[1])] if not marks else []
    for at in marks:
        if text[at] in "{[":
            depth, start = depth + 1, at + 1
        elif start <= at:
            pieces.append((start, at))
            depth, start = max(depth - 1, 0), at + 1
    if marks and depth and text[marks[-1]] in "{[":
        pieces.append((start, span[1]))
        notes.add("truncated", "a set of points is not closed", (start, span[1]))
    for seen, piece in enumerate(pieces):
        if notes.is_full(seen):
            break
        listed = groups(text, piece)
        numbers = [value for group in listed for value in group.numbers]
        bad = next((group.bad[0] for group in listed if group.bad), None)
        if bad is not None:
            notes.add("bad-number", f"{bad!r} is no usable number", piece)
        if len(numbers) % 2:
            notes.add("too-few-numbers", "a point has x but no y, left out", piece)
        if len(numbers) > 1:
            found.append((numbers[: len(numbers) // 2 * 2], piece))
    return found
