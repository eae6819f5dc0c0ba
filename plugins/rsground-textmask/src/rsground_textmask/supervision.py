"""Hybrid supervision: training pairs that tie the three signals together (GeoGround section 3.3).

* prompt-assisted learning (PAL): with the image, and with a sparser signal in the question, answer the denser one:
  t_dense = F(I, {q, t_sparse}); HBB → OBB, HBB → mask, OBB → mask.
* geometry-guided learning (GGL): without the image, answer the sparser signal from the denser one:
  t_sparse = F({q, t_dense}); OBB → HBB, mask → HBB.

The paper discloses neither mixing ratios nor wording: one pair of each kind is drawn per sample, uniformly. Targets of
GGL are computed from the *written* signal, not from the annotation, so that the text-to-text map is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rsground.codecs import Codec
from rsground.contracts import Training
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
    """

    def __init__(self, codecs: Mapping[Task, Codec], kind: str = "hybrid") -> None:
        if kind not in ("base", "pal", "ggl", "hybrid"):
            raise ValueError(f"supervision must be base, pal, ggl or hybrid, got {kind!r}")
        self._codecs = codecs
        self._assisted = kind in ("pal", "hybrid")
        self._guided = kind in ("ggl", "hybrid")

    def pairs(self, phrase: str, regions: Sequence[Region], size: Size, rng: np.random.Generator) -> Iterator[Training]:
        """One PAL and one GGL pair, as far as they are switched on.

        Args:
            phrase: the referring expression.
            regions: its targets, in pixels of an image of ``size``.
            size: (H, W) of what the model sees.
            rng: draws which signals are given and asked.
        """
        if self._assisted:
            given, asked = ASSISTED[rng.integers(len(ASSISTED))]
            signal = self._codecs[given].write(regions, size)
            question = prompts.assisted(asked, phrase, given, signal)
            yield Training(prompt=question, answer=self._codecs[asked].write(regions, size), kind="pal")
        if self._guided:
            given, asked = GUIDED[rng.integers(len(GUIDED))]
            signal = self._codecs[given].write(regions, size)
            boxes = [Region(hbb=box) for region in self._read(given, signal, size) if (box := hbb_of(region))]
            answer = self._codecs[asked].write(boxes, size)
            yield Training(prompt=prompts.from_signal(asked, given, signal), answer=answer, use_image=False, kind="ggl")

    def _read(self, task: Task, signal: str, size: Size) -> Sequence[Region]:
        return self._codecs[task].read(signal, size).regions
