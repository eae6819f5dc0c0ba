"""Backbone ``mmrotate``: a detector that writes down what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsground.contracts import Backbone, Prompt
from rsground.errors import ContractError, ShapeError
from rsground.types import Generation
from rsground_mmrotate.detections import write_detections
from rsground_mmrotate.detector import Detector


class MMRotateBackbone(Backbone):
    """Detects everything in the last image of a view, whatever is asked; head ``mmrotate`` reads it.

    Args:
        checkpoint: weights, or a detector's folder: see :class:`~rsground_mmrotate.detector.Detector`.
        config: MMRotate config, where the folder has none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        classes: the categories, where neither weights nor config tell them.
        batch: different images in one forward pass. With 1 an answer does not depend on its neighbours.

    Raises:
        MissingExtraError, CheckpointError, DeviceError: as the detector.
        ShapeError: ``batch`` is below 1.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        config: str | Path | None = None,
        device: str = "auto",
        classes: Sequence[str] | None = None,
        batch: int = 1,
    ) -> None:
        if batch < 1:
            raise ShapeError(f"option 'batch' must be at least 1, got {batch}")
        self.batch = batch
        self.detector = Detector(checkpoint, config, device=device, classes=classes)

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        asked = {}
        for prompt in prompts:
            if prompt.answer is None:
                if prompt.view is None:
                    raise ContractError("a detector cannot answer a question without an image")
                asked[id(prompt.view.images[-1])] = prompt.view.images[-1]  # questions about one image share a pass
        texts: dict[int, str] = {}
        names = list(asked)
        for start in range(0, len(names), self.batch):
            part = names[start : start + self.batch]
            found = self.detector.detect([asked[name] for name in part])
            texts |= {
                name: write_detections(self.detector.classes, each) for name, each in zip(part, found, strict=True)
            }
        return [
            Generation(text=prompt.answer, finish="forced")
            if prompt.answer is not None
            else Generation(text=texts[id(prompt.view.images[-1])] if prompt.view is not None else "")
            for prompt in prompts
        ]
