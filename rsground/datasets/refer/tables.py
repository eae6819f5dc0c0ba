"""The scene as arrays and bit sets: what the resolver looks up instead of comparing objects one by one.

A set of objects is one Python integer, bit ``i`` for object ``i``; a relation is one such set per object.
Every comparison comes in two strengths: ``sure`` holds however the margin is used up, ``possible`` holds for some use
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.datasets.refer.areas import AREAS, Band
from rsground.datasets.refer.lexicon import alike_colours, is_a, parent_chain
from rsground.datasets.refer.margins import HEADING_SECTOR, Margin
from rsground.datasets.refer.objects import SceneGraph

HEADINGS: dict[str, float] = {"up": 0.0, "right": 90.0, "down": 180.0, "left": 270.0}
"""Heading word → degrees clockwise from up."""

SURE_CONE = 0.6
"""An object is surely left of another if its box leaves the other's rows by at most 0.6 of the gap between them. The
plain meaning allows 1; and whatever has its centre on that side possibly is, since some readers mean just that."""

REACHES_IN = 0.4
"""A box reaches into a part of the image if more than a tenth of its side (0.5 - 0.4) lies there."""

AT_ONCE = 512
"""A relation is computed at once among so many objects; of more objects only the rows that are asked for, in blocks of
as many pairs: a scene of 20,000 objects has 400 million."""

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Places = NDArray[np.intp]


class Verdict(NamedTuple):
    """What a query denotes under doubt: the bits that surely belong, and those that possibly do (a superset)."""

    sure: int
    possible: int

    @property
    def decided(self) -> bool:
        """Whether no doubt is left."""
        return self.sure == self.possible


Rows = dict[int, Verdict]
"""A relation: of object ``i`` the objects ``j`` for which (j, i) holds, for those ``i`` that were asked about."""


def bits(row: Bool) -> int:
    """The set of true positions of a ``(N,)`` bool array."""
    return int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little")


def bit_rows(matrix: Bool) -> list[int]:
    """One set per row of an ``(M, N)`` bool array."""
    if matrix.shape[1] < 63:  # fits a machine word: one product instead of one conversion per row
        return [int(row) for row in (matrix @ (1 << np.arange(matrix.shape[1], dtype=np.int64))).tolist()]
    packed = np.packbits(matrix, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def members(mask: int) -> list[int]:
    """The positions in a set, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


class SceneTables:
    """Lazily computed arrays and relations of one :class:`SceneGraph` under one margin.

    Positions ``0 .. N-1`` are ``graph.objects`` in order, then come the places.
    """

    def __init__(self, graph: SceneGraph, margin: Margin) -> None:
        self.graph, self.margin = graph, margin
        self.items = (*graph.objects, *graph.places)
        self.n_objects, n = len(graph.objects), len(self.items)
        boxes = np.array([item.hbb for item in self.items], dtype=np.float64).reshape(n, 4)
        self.x1, self.y1, self.x2, self.y2 = boxes.T
        self.cx, self.cy = (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2
        self.w, self.h = self.x2 - self.x1, self.y2 - self.y1
        self.size: Float = np.sqrt(np.maximum(self.w * self.h, 0.0))
        self.slack: Float = np.maximum(margin.pixels, margin.share * self.size)
        self.area: Float = np.array([item.area for item in self.items], dtype=np.float64)
        self.certain = bits(np.array([item.certain for item in self.items], dtype=bool))
        self.objects = (1 << self.n_objects) - 1
        self._orders: dict[str, Rows] = {}
        self._sides: dict[str, Rows] = {}
        self._areas: dict[str, Verdict] = {}
        self._attributes: dict[tuple[str, str], Verdict] = {}
        self._categories: dict[str, Verdict] = {}

    def ids(self, mask: int) -> tuple[int, ...]:
        """The object ids of a set, in the graph's order."""
        return tuple(self.items[i].id for i in members(mask))

    def category(self, name: str, among: int | None = None) -> Verdict:
        """Who is a ``name``; one whose annotated category is wider than ``name`` possibly is."""
        found = self._categories.get(name)
        if found is None:
            wider = set(parent_chain(name)[1:])
            sure = possible = 0
            for position, item in enumerate(self.items):
                if is_a(item.category, name):
                    sure |= 1 << position
                elif item.category in wider:
                    possible |= 1 << position
            found = self._categories[name] = Verdict(sure & self.certain, sure | possible)
        scope = self.objects if among is None else among
        return Verdict(found.sure & scope, found.possible & scope)

    def attribute(self, key: str, value: str) -> Verdict:
        """Who has an attribute; one whose attribute is unknown, or alike, possibly has it."""
        found = self._attributes.get((key, value))
        if found is None:
            sure = possible = 0
            for position, item in enumerate(self.items):
                yes, maybe = self._has(item.attributes.get(key), key, value)
                sure |= yes << position
                possible |= maybe << position
            found = self._attributes[key, value] = Verdict(sure, possible | sure)
        return found

    def _has(self, known: object, key: str, value: str) -> tuple[bool, bool]:
        if known is None:
            return False, True
        if key == "heading":
            return self._heads(float(known), value)  # type: ignore[arg-type]
        same = str(known) == value
        return same, same or (key == "colour" and alike_colours(str(known), value))

    def _heads(self, degrees: float, word: str) -> tuple[bool, bool]:
        off = abs((degrees - HEADINGS[word] + 180.0) % 360.0 - 180.0)
        return off <= HEADING_SECTOR - self.margin.heading, off <= HEADING_SECTOR + self.margin.heading

    def in_area(self, name: str) -> Verdict:
        """Whose centre lies in a named part of the image; one that reaches into its core possibly does."""
        found = self._areas.get(name)
        if found is None:
            along_x, along_y = AREAS[name]
            sure_x, centre_x, box_x = self._in_band(along_x, self.cx, self.w, self.graph.width)
            sure_y, centre_y, box_y = self._in_band(along_y, self.cy, self.h, self.graph.height)
            sure, possible = sure_x & sure_y, (centre_x & centre_y) | (box_x & box_y)
            found = self._areas[name] = Verdict(bits(sure), bits(sure | possible))
        return found

    def _in_band(self, band: Band, centre: Float, side: Float, length: int) -> tuple[Bool, Bool, Bool]:
        """Per object: surely inside; centre possibly inside; box reaching in, by more than a sliver."""
        reach = np.maximum(self.slack, band.spill * side)
        low, high = band.core[0] * length, band.core[1] * length
        sure = (centre - reach >= low) & (centre + reach <= high)
        box = (centre + REACHES_IN * side > low) & (centre - REACHES_IN * side < high)
        # what the slack may carry over the plain border is in doubt, even where the rim is narrower than that
        low = min(band.rim[0], band.plain[0]) * length
        high = max(band.rim[1], band.plain[1]) * length
        possible = (centre + self.slack >= low) & (centre - self.slack <= high)
        return sure, possible, box

    def order(self, name: str, among: int) -> Rows:
        """Of each of ``among``, ``sure``: the objects that come surely before it; ``possible``: those that may."""

        def before(at: Places) -> tuple[Bool, Bool]:
            return self._before(name, at), ~self._before(name, at, turned=True)

        return self._rows(self._orders.setdefault(name, {}), among, before)

    def _before(self, name: str, at: Places, turned: bool = False) -> Bool:
        """``[i, j]``: whether j comes surely before ``at[i]``; ``turned``: whether ``at[i]`` comes surely before j."""
        if name in ("large", "small"):
            grown, shrunk = self.area * (1 + self.margin.area), self.area / (1 + self.margin.area)
            certain = np.array([item.certain for item in self.items], dtype=bool)  # of others, part may be hidden
            known = certain[at, None] & certain[None, :]
            larger = (name == "large") != turned
            ahead = shrunk[None, :] > grown[at, None] if larger else grown[None, :] < shrunk[at, None]
            return np.asarray(ahead & known)
        centre, edge, sign = {
            "left": (self.cx, self.x1, 1.0),
            "right": (self.cx, self.x2, -1.0),
            "top": (self.cy, self.y1, 1.0),
            "bottom": (self.cy, self.y2, -1.0),
        }[name]
        sign = -sign if turned else sign
        gap = self.slack[at, None] + self.slack[None, :]
        by_centre = sign * (centre[at, None] - centre[None, :]) > gap
        return np.asarray(by_centre & (sign * (edge[at, None] - edge[None, :]) > gap))

    def side(self, relation: str, anchor: int) -> Verdict:
        """The objects ``relation`` (``left``, ``right``, ``above``, ``below``) of object ``anchor``."""

        def beside(at: Places) -> tuple[Bool, Bool]:
            x1, y1, x2, y2, slack = self.x1, self.y1, self.x2, self.y2, self.slack[at, None] + self.slack[None, :]
            gap_x = np.maximum(x1[at, None] - x2[None, :], x1[None, :] - x2[at, None])  # negative: overlap
            gap_y = np.maximum(y1[at, None] - y2[None, :], y1[None, :] - y2[at, None])
            along, across = (gap_x, gap_y) if relation in ("left", "right") else (gap_y, gap_x)
            centre, sign = (self.cx if relation in ("left", "right") else self.cy), 1.0
            if relation in ("right", "below"):
                sign = -1.0
            ahead = sign * (centre[at, None] - centre[None, :])  # [a, j]: how far j's centre is on the asked side of a
            clear = along - slack
            sure = (ahead > slack) & (clear >= 0) & (np.maximum(across + slack, 0) <= SURE_CONE * clear)
            return sure, (ahead > -slack) | sure

        return self._rows(self._sides.setdefault(relation, {}), 1 << anchor, beside)[anchor]

    def _rows(self, known: Rows, among: int, relate: Callable[[Places], tuple[Bool, Bool]]) -> Rows:
        """``known`` with a row for each of ``among``; ``relate``: ``(M, N)`` sure and possible of M of them."""
        if len(known) == len(self.items):
            return known
        few = len(self.items) <= AT_ONCE
        wanted = range(len(self.items)) if few else [i for i in members(among) if i not in known]
        step = max(1, AT_ONCE * AT_ONCE // len(self.items))
        for start in range(0, len(wanted), step):
            at = np.array(wanted[start : start + step])
            sure, possible = relate(at)
            possible[np.arange(len(at)), at] = False
            known.update(zip(at.tolist(), map(Verdict, bit_rows(sure), bit_rows(possible)), strict=True))
        return known

    def distances(self, anchor: int) -> tuple[Float, Float, Float]:
        """``(N,)`` distances from object ``anchor``: between centres, between boxes, and the slack of both."""
        centres = np.hypot(self.cx - self.cx[anchor], self.cy - self.cy[anchor])
        gap_x = np.maximum(self.x1[anchor] - self.x2, self.x1 - self.x2[anchor])
        gap_y = np.maximum(self.y1[anchor] - self.y2, self.y1 - self.y2[anchor])
        boxes = np.hypot(np.maximum(gap_x, 0), np.maximum(gap_y, 0))
        return centres, boxes, np.sqrt(2.0) * (self.slack + self.slack[anchor])
