"""Hybrid supervision: training pairs that tie the three signals together (GeoGround section 3.3).

* prompt-assisted learning (PAL): with the image, and with a sparser signal in the question, answer the denser one:
  t_dense = F(I, {q, t_sparse}) (equation 2); HBB → OBB, HBB → mask, OBB → mask.
* geometry-guided learning (GGL): without the image, answer the sparser signal from the denser one:
  t_sparse = F({q, t_dense}) (equation 3); OBB → HBB, mask → HBB.

The paper discloses neither mixing ratios nor wording: one pair of each kind is drawn per sample, uniformly. Targets of
GGL are computed from the *written* signal, not from the annotation, so that the text-to-text map is exact; its question
is about geometry alone, so q names no object.

Only what the annotation tells is taught. A denser signal tells the sparser ones (mask → OBB → HBB), never the other way
round: the filled box of an object is not its mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rsground.codecs import Codec
from rsground.contracts import Training
from rsground.errors import UnknownNameError
from rsground.regions import hbb_of
from rsground.types import Region, Size, Task
from rsground_textmask import prompts

if TYPE_CHECKING:
    import numpy as np

ASSISTED = ((Task.HBB, Task.OBB), (Task.HBB, Task.MASK), (Task.OBB, Task.MASK))
"""PAL: (given, asked), sparse to dense."""
GUIDED = ((Task.OBB, Task.HBB), (Task.MASK, Task.HBB))
"""GGL: (given, asked), dense to sparse."""


class Supervision:
    """Draws the extra pairs of one sample.

    Args:
        codecs: how each signal is written.
        kind: ``"base"`` (none), ``"pal"``, ``"ggl"`` or ``"hybrid"`` (both).

    Raises:
        UnknownNameError: no such kind.
    """

    def __init__(self, codecs: Mapping[Task, Codec], kind: str = "hybrid") -> None:
        if kind not in ("base", "pal", "ggl", "hybrid"):
            raise UnknownNameError("supervision", kind, ("base", "pal", "ggl", "hybrid"))
        self._codecs = codecs
        self._assisted = ASSISTED if kind in ("pal", "hybrid") else ()
        self._guided = GUIDED if kind in ("ggl", "hybrid") else ()

    def pairs(self, phrase: str, regions: Sequence[Region], size: Size, rng: np.random.Generator) -> Iterator[Training]:
        """One PAL and one GGL pair, as far as they are switched on and the annotation tells both of their signals.

        Args:
            phrase: the referring expression.
            regions: its targets, at least one, in pixels of an image of ``size``.
            size: (H, W) of what the model sees.
            rng: draws which signals are given and asked.
        """
        told = signals_told(regions)
        assisted, guided = ([pair for pair in some if told >= {*pair}] for some in (self._assisted, self._guided))
        if assisted:
            given, asked = assisted[rng.integers(len(assisted))]
            signal = self._codecs[given].write(regions, size)
            question = prompts.assisted(asked, phrase, given, signal)
            yield Training(prompt=question, answer=self._codecs[asked].write(regions, size), kind="pal")
        if guided:
            given, asked = guided[rng.integers(len(guided))]
            signal = self._codecs[given].write(regions, size)
            boxes = [Region(hbb=box) for region in self._read(given, signal, size) if (box := hbb_of(region))]
            answer = self._codecs[asked].write(boxes, size)
            yield Training(prompt=prompts.from_signal(asked, given, signal), answer=answer, use_image=False, kind="ggl")

    def _read(self, task: Task, signal: str, size: Size) -> Sequence[Region]:
        return self._codecs[task].read(signal, size).regions


def signals_told(regions: Sequence[Region]) -> frozenset[Task]:
    """The signals that every region's annotation tells: that of its densest form, and the sparser ones.

    Args:
        regions: at least one.
    """
    return frozenset[Task].intersection(*map(_told, regions))


def _told(region: Region) -> frozenset[Task]:
    if region.rle is not None or region.polygons is not None:
        return frozenset({Task.HBB, Task.OBB, Task.MASK})
    if region.quad is not None:
        return frozenset({Task.HBB, Task.OBB})
    return frozenset() if region.hbb is None else frozenset({Task.HBB})
