"""Box, oriented box and mask of one answer's objects together, so that their agreement can be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rsground.codecs import Codec, Reading, RuleGrammar, TextBox, TextMask, TextOBB
from rsground.codecs.rules import chain
from rsground.geometry import mask_to_rle
from rsground.regions import hbb_of, mask_of
from rsground.types import RLE, Region, Size, Task

ORDER = (Task.HBB, Task.OBB, Task.MASK)
"""Sparse before dense, as prompt-assisted learning goes."""


@dataclass(frozen=True, slots=True)
class AllSignals(Codec):
    """The three signals after each other: ``<box>..</box><obb>..</obb><seg>..</seg>``."""

    name: ClassVar[str] = "geoground-all"
    carries: ClassVar[str] = "mask"
    box: TextBox
    oriented: TextOBB
    mask: TextMask

    @property
    def codecs(self) -> Mapping[Task, Codec]:
        """By the task whose signal each writes."""
        return {Task.HBB: self.box, Task.OBB: self.oriented, Task.MASK: self.mask}

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """All signals of all regions, in :data:`ORDER`."""
        return "".join(self.codecs[task].write(regions, size) for task in ORDER)

    def read(self, text: str, size: Size) -> Reading:
        """A region per object that carries each signal as it was *written*; a signal that is missing stays missing.

        The k-th box goes with the k-th oriented box. There is one mask for all: several objects share it out, each
        pixel to the object whose box it is in or nearest to, so that the union is the mask that was written.
        """
        found = {task: self.codecs[task].read(text, size) for task in ORDER}
        issues = tuple(issue for reading in found.values() for issue in reading.issues)
        parsed = any(reading.parsed for reading in found.values())
        boxes, quads = found[Task.HBB].regions, found[Task.OBB].regions
        mask = next((region.rle for region in found[Task.MASK].regions), None)
        count = max(len(boxes), len(quads), mask is not None)
        regions = [
            Region(
                hbb=boxes[index].hbb if index < len(boxes) else None,
                quad=quads[index].quad if index < len(quads) else None,
            )
            for index in range(count)
        ]
        if mask is not None:
            parts = [mask] if count == 1 else _shared_out(mask, regions, size)
            regions = [replace(region, rle=part) for region, part in zip(regions, parts, strict=True)]
        return Reading(tuple(regions), issues, parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """The three grammars after each other."""
        return RuleGrammar(chain(*(codec.grammar(size).start() for codec in (self.box, self.oriented, self.mask))))


def _shared_out(mask: RLE, regions: Sequence[Region], size: Size) -> list[RLE]:
    """The mask in as many parts as there are objects, by the nearest box."""
    whole = mask_of(Region(rle=mask), size)
    rows, columns = np.nonzero(whole)
    x, y = columns + 0.5, rows + 0.5
    nearest, least = np.zeros(len(x), np.intp), np.full(len(x), np.inf)
    for index, region in enumerate(regions):
        x1, y1, x2, y2 = hbb_of(region) or (0.0, 0.0, 0.0, 0.0)
        away = np.hypot(np.maximum(np.maximum(x1 - x, x - x2), 0.0), np.maximum(np.maximum(y1 - y, y - y2), 0.0))
        nearest[away < least] = index
        least = np.minimum(least, away)
    parts = []
    for index in range(len(regions)):
        part = np.zeros(size, bool)
        part[rows[nearest == index], columns[nearest == index]] = True
        parts.append(mask_to_rle(part))
    return parts
