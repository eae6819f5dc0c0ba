"""BCS as a metric: do the box, the oriented box and the mask of one answer agree?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rsground.contracts import Columns, Metric
from rsground.metrics.consistency import box_consistency
from rsground.types import Prediction, Sample, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BoxConsistency(Metric):
    """BBox consistency score (GeoGround, equation 6): mean of the three pairwise HBB IoUs of one answer's signals.

    The annotation plays no part. A signal that is missing or unparsable makes every IoU it enters 0; read the parse
    rate beside it. Only the first region counts; an answer without regions scores 0 where the target is not empty and
    does not apply where it is.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.MASK})
    primary: ClassVar[str] = "BCS"
    statistics: ClassVar[tuple[str, ...]] = ("bcs",)
    paired: ClassVar[str | None] = "bcs"

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, float]:
        """``bcs`` in [0, 1]; nan for a sample without targets."""
        if not sample.targets:
            return {"bcs": float("nan")}
        if not prediction.regions:
            return {"bcs": 0.0}
        return {"bcs": box_consistency(prediction.regions[0])}

    def summarise(self, columns: Columns, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
        """``BCS``: mean over samples with targets; nan where there are none."""
        scores = np.asarray(columns["bcs"], float)
        counts = np.isfinite(scores) * (1.0 if weights is None else weights)
        total = counts.sum()
        return {"BCS": float(np.nansum(scores * counts) / total) if total else float("nan")}
