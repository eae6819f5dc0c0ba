"""Box, then mask (ours): the horizontal box, then the grid of what is inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rsground.codecs.boxes import MAX_REGIONS, box_template
from rsground.codecs.codec import Codec, Reading, box_of
from rsground.codecs.grammar import RuleGrammar
from rsground.codecs.grid_reading import read_grid
from rsground.codecs.grids import DOWNSAMPLES, Downsample, downsample, upsample
from rsground.codecs.mend import box_in_pixels, nothing_found, number_lists
from rsground.codecs.quantise import check_resolution, dequantise_box, quantise_box
from rsground.codecs.rules import Repeat, chain, either
from rsground.codecs.run_rule import Runs
from rsground.codecs.runs import ROW_END, write_rows
from rsground.codecs.scan import Notes, Span, between, cut
from rsground.errors import ShapeError
from rsground.types import HBB, Region, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABELS = ("0", "1")
_NOTHING = "<box>[]</box>"


@dataclass(frozen=True, slots=True)
class BoxMask(Codec):
    """One line of ``<box>[[x1,y1,x2,y2]]</box><seg>…</seg>`` per object; ``<box>[]</box>`` for none.

    The grid covers the box instead of the image, so small objects are drawn as finely as large ones, and several
    objects stay apart. The box is rounded outwards, so that it holds the whole object.

    Attributes:
        resolution: N, grid cells per side of the box.
        box_resolution: steps of the image sides for the box.
        downsample, threshold: how a cell is filled, see :func:`rsground.codecs.grids.downsample`.
    """

    name: ClassVar[str] = "box-mask"
    carries: ClassVar[str] = "mask"

    resolution: int = 12
    box_resolution: int = 1000
    downsample: Downsample = "coverage"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_resolution(self.resolution, "BoxMask")
        check_resolution(self.box_resolution, "BoxMask (box_resolution)")
        if self.resolution > 256 or self.downsample not in DOWNSAMPLES or not 0 < self.threshold <= 1:
            raise ShapeError(
                f"BoxMask: resolution must be at most 256, downsample one of {', '.join(DOWNSAMPLES)} and threshold "
                f"in (0, 1], got {self.resolution}, {self.downsample!r}, {self.threshold}"
            )

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """Box and grid of each region, in the order given."""
        return "\n".join(self._write_one(region, size) for region in regions) or _NOTHING

    def read(self, text: str, size: Size) -> Reading:
        """Each box with the grid that follows it; a box without one stays a box, noted as truncated."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        blocks = list(between(text, "<box>", "</box>", notes))
        for index, block in enumerate(blocks):
            if notes.is_full(index):
                break
            end = blocks[index + 1][0] if index + 1 < len(blocks) else len(text)
            regions.extend(self._read_one(text, block, end, size, notes))
        if regions:
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        if any(text[start:end].replace(" ", "") == "[]" for start, end in blocks):
            return Reading((), notes.done(), dialect=self.name)
        found, parsed = nothing_found(text, notes)
        return Reading(found, notes.done(), parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """A box with positive area, then exactly N rows whose counts sum to N; up to 200 of these."""
        del size
        n = self.resolution
        grid = chain("<seg>", Repeat(Runs(n, _LABELS), n, n, ROW_END), "\n</seg>")
        item = chain("<box>[", box_template(self.box_resolution), "]</box>", grid)
        return RuleGrammar(either(_NOTHING, Repeat(item, 1, MAX_REGIONS, "\n")))

    def _write_one(self, region: Region, size: Size) -> str:
        from rsground.regions import mask_of

        steps = quantise_box(box_of(region, self.name), size, self.box_resolution, "out")
        x1, y1, x2, y2 = pixel_window(dequantise_box(steps, size, self.box_resolution), size)
        inside = mask_of(region, size)[y1:y2, x1:x2]
        if not inside.any():  # thinner than a pixel: its box is all there is to draw
            inside = np.ones_like(inside)
        grid = downsample(inside, (self.resolution, self.resolution), self.downsample, self.threshold)
        if not grid.any():
            grid = downsample(inside, (self.resolution, self.resolution), "max")
        box = "[{},{},{},{}]".format(*steps)
        return f"<box>[{box}]</box><seg>{write_rows(grid, _LABELS)}\n</seg>"

    def _read_one(self, text: str, block: Span, end: int, size: Size, notes: Notes) -> list[Region]:
        found = list(number_lists(text, block, 4, notes))
        regions = [
            Region(hbb=box_in_pixels(values, size, self.box_resolution, notes, span), span=span)
            for values, span in found
        ]
        if not regions:
            return regions
        start = text.find("<seg>", block[1], end)
        if start < 0:
            notes.add("truncated", "a box without its grid", block)
            return regions
        start += len("<seg>")
        stop = text.find("</seg>", start, end)
        if stop < 0:
            notes.add("truncated", "no '</seg>' after '<seg>'", (start, end))
        span = (start, end if stop < 0 else stop)
        grid, _ = read_grid(text[slice(*span)], span, (self.resolution, self.resolution), notes)
        regions[-1] = self._filled(regions[-1], grid, size, notes)
        return regions

    def _filled(self, region: Region, grid: NDArray[np.bool_] | None, size: Size, notes: Notes) -> Region:
        from rsground.geometry import mask_to_rle

        assert region.hbb is not None
        if grid is None or not grid.any():
            notes.add("degenerate", "the grid of a box is empty", region.span)
            return region
        x1, y1, x2, y2 = pixel_window(region.hbb, size)
        mask = np.zeros(size, np.bool_)
        mask[y1:y2, x1:x2] = upsample(grid, (y2 - y1, x2 - x1))
        return Region(hbb=region.hbb, rle=mask_to_rle(mask), span=region.span)


def pixel_window(box: HBB, size: Size) -> tuple[int, int, int, int]:
    """Columns x1..x2-1 and rows y1..y2-1 whose centres lie in the box; at least one of each."""
    x1, x2 = _centres_in(box[0], box[2], size[1])
    y1, y2 = _centres_in(box[1], box[3], size[0])
    return x1, y1, x2, y2


def _centres_in(low: float, high: float, side: int) -> tuple[int, int]:
    first, last = (min(max(math.ceil(value - 0.5), 0), side) for value in (low, high))
    if last > first:
        return first, last
    first = min(max(math.floor((low + high) / 2), 0), side - 1)
    return first, first + 1
