"""Text-Mask of GeoGround and the semantic descriptors of Text4Seg: a coarse grid of the image as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from rsground.codecs.codec import Codec, Reading
from rsground.codecs.grammar import CharSet, RuleGrammar
from rsground.codecs.grid_reading import read_grid
from rsground.codecs.grids import DOWNSAMPLES, Downsample, downsample, upsample
from rsground.codecs.mend import nothing_found
from rsground.codecs.quantise import check_resolution
from rsground.codecs.rules import Phrase, Repeat, chain
from rsground.codecs.run_rule import Runs
from rsground.codecs.runs import ROW_END, write_raw, write_rows
from rsground.codecs.scan import Notes, between, cut
from rsground.errors import ShapeError
from rsground.types import Region, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPENING, CLOSING = "<seg>", "</seg>"


@dataclass(frozen=True, slots=True)
class TextMask(Codec):
    """GeoGround's Text-Mask: the union of the targets on an N x N grid, rows as run lengths, labels 0 and 1.

    ``<seg>0 *4⏎ 0 *1| 1 *2| 0 *1⏎ 0 *4⏎ 0 *4⏎</seg>``; all rows ``0 *N`` say that nothing is there. GeoGround prints
    no compressed string and has no code: the grammar is Text4Seg's, inferred from its table 8 of answer lengths.

    Attributes:
        resolution: N, cells per side.
        downsample: how a cell is filled, see :func:`rsground.codecs.grids.downsample`; the paper uses ``"max"``.
        threshold: covered share of a cell for ``"coverage"``.
        form: ``"runs"``, or ``"raw"`` for the uncompressed matrix of the paper's figure 2.
        labels: of background and object cells.
    """

    name: ClassVar[str] = "text-mask"
    carries: ClassVar[str] = "mask"

    resolution: int = 32
    downsample: Downsample = "max"
    threshold: float = 0.25
    form: Literal["runs", "raw"] = "runs"
    labels: tuple[str, str] = ("0", "1")

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_resolution(self.resolution, owner)
        if self.resolution > 256 or self.downsample not in DOWNSAMPLES or self.form not in ("runs", "raw"):
            raise ShapeError(
                f"{owner}: resolution must be at most 256, downsample one of {', '.join(DOWNSAMPLES)} and form "
                f"'runs' or 'raw', got {self.resolution}, {self.downsample!r}, {self.form!r}"
            )
        if not 0 < self.threshold <= 1:
            raise ShapeError(f"{owner}: threshold must be in (0, 1], got {self.threshold}")
        object.__setattr__(self, "labels", tuple(self.labels))
        if len(self.labels) != 2 or any(not label or set(label) & set("|*\n\r;<") for label in self.labels):
            raise ShapeError(f"{owner}: labels must be two texts without | * ; < and newlines, got {self.labels!r}")

    def encode(self, what: Region | Sequence[Region] | NDArray[Any], size: Size | None = None) -> str:
        """The answer for regions, or for a ``(H, W)`` bool mask."""
        if isinstance(what, np.ndarray) and what.ndim == 2 and what.dtype == np.bool_:
            return self._write_mask(what)
        if isinstance(what, np.ndarray) and what.dtype.kind == "u":
            raise ShapeError(f"{type(self).__name__}.encode takes a bool mask (H, W), got {what.dtype} {what.shape}")
        return Codec.encode(self, what, size)

    def decode(self, text: str, size: Size) -> NDArray[np.bool_]:
        """The ``(H, W)`` bool mask that the text says; all false where it says nothing."""
        mask, _, _ = self._read_mask(text, size, Notes())
        return np.zeros(size, np.bool_) if mask is None else mask

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """The union of all regions as one grid."""
        from rsground.regions import union_mask

        return self._write_mask(union_mask(regions, size))

    def read(self, text: str, size: Size) -> Reading:
        """One region (the union), or none for an empty grid. Broken rows are mended one by one, see
        :mod:`rsground.codecs.grid_reading`."""
        from rsground.geometry import mask_to_rle

        notes = Notes()
        mask, label, span = self._read_mask(text, size, notes)
        if mask is None:
            found, parsed = nothing_found(text, notes)
            return Reading(found, notes.done(), parsed, self.name)
        regions = (Region(rle=mask_to_rle(mask), label=label or None, span=span),) if mask.any() else ()
        return Reading(regions, notes.done(), dialect=self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """Exactly N rows; in run form the counts of every row sum to N and labels alternate."""
        del size
        n = self.resolution
        if self.form == "raw":
            bit = Phrase(CharSet(frozenset("01")), 1, 1)
            return RuleGrammar(chain(OPENING, Repeat(Repeat(bit, n, n, ", "), n, n, "; "), CLOSING))
        row = Runs(n, self.labels)
        return RuleGrammar(chain(OPENING, Repeat(row, n, n, ROW_END), "\n", CLOSING))

    def _write_mask(self, mask: NDArray[np.bool_]) -> str:
        grid = downsample(mask, (self.resolution, self.resolution), self.downsample, self.threshold)
        if self.form == "raw":
            return f"{OPENING}{write_raw(grid)}{CLOSING}"
        return f"{OPENING}{write_rows(grid, self.labels)}\n{CLOSING}"

    def _read_mask(
        self, text: str, size: Size, notes: Notes
    ) -> tuple[NDArray[np.bool_] | None, str, tuple[int, int] | None]:
        text = cut(text, notes)
        start, end = next(between(text, OPENING, CLOSING, notes))
        shape = (self.resolution, self.resolution)
        grid, label = read_grid(text[start:end], (start, end), shape, notes)
        return (None if grid is None else upsample(grid, size)), label, (start, end)


@dataclass(frozen=True, slots=True)
class Text4Seg(TextMask):
    """Text4Seg's semantic descriptors: nearest sampling, 16 x 16, background ``others``, the object by its phrase.

    Lan et al. 2024; characters as their released code writes them. Give the referring expression as the second
    label: ``Text4Seg(labels=("others", "the white ship"))``.
    """

    name: ClassVar[str] = "text4seg"

    resolution: int = 16
    downsample: Downsample = "nearest"
    labels: tuple[str, str] = ("others", "object")
