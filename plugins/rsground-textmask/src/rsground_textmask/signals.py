"""Box, oriented box and mask of one object in one answer, so that their agreement can be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs import Codec, Reading, RuleGrammar, TextBox, TextMask, TextOBB
from rsground.codecs.rules import chain
from rsground.types import Region, Size, Task

ORDER = (Task.HBB, Task.OBB, Task.MASK)
"""Sparse before dense, as prompt-assisted learning goes."""


@dataclass(frozen=True)
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
        """One region that carries each signal as it was *written*; a signal that is missing stays missing."""
        found = {task: self.codecs[task].read(text, size) for task in ORDER}
        issues = tuple(issue for reading in found.values() for issue in reading.issues)
        firsts = {task: reading.regions[0] for task, reading in found.items() if reading.regions}
        parsed = any(reading.parsed for reading in found.values())
        if not firsts:
            return Reading((), issues, parsed, self.name)
        box, oriented, mask = (firsts.get(task, Region()) for task in ORDER)
        return Reading((Region(hbb=box.hbb, quad=oriented.quad, rle=mask.rle),), issues, parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """The three grammars after each other."""
        return RuleGrammar(chain(*(codec.grammar(size).start() for codec in (self.box, self.oriented, self.mask))))
