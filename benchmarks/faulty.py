"""A plugin for ``fault_matrix.py``: a head that answers rightly, and once, at a given sample, goes wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

from rsground import HeadSpec, hookimpl
from rsground.contracts import TextHead
from rsground.types import Generation, Prediction, Region, Sample, Task, View


class FaultyHead(TextHead):
    """Reads boxes from text.

    Args:
        fault: ``oom`` or ``garbage``; empty for none.
        mark: a file with the number of the answer at which the fault happens; removed when it has happened.
        pace_s: seconds an answer takes.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB})

    def __init__(self, fault: str = "", mark: str = "", pace_s: float = 0.0) -> None:
        self.fault, self.mark, self.pace_s = fault, mark, pace_s
        self._answers = 0

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        return " ".join(",".join(f"{value:.1f}" for value in region.hbb or ()) for region in sample.targets or ())

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        time.sleep(self.pace_s)
        self._answers += 1
        if self.fault and os.path.exists(self.mark) and self._answers >= int(Path(self.mark).read_text()):
            os.unlink(self.mark)
            getattr(self, f"_{self.fault}")()
        boxes = [[float(value) for value in word.split(",")] for word in generation.text.split()]
        return Prediction(regions=tuple(Region(hbb=(x1, y1, x2, y2)) for x1, y1, x2, y2 in boxes))

    def _oom(self) -> None:
        held = []
        while True:
            held.append(os.urandom(1 << 20) * 8)

    def _garbage(self) -> None:
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"\x00\xffnot a frame" + os.urandom(100))
            except OSError:
                continue


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """The head."""
    return [HeadSpec(name="faulty", target="faulty:FaultyHead", summary="goes wrong on demand", tasks=("hbb",))]
