"""LEVIR-CC and LEVIR-MCI: pairs with five sentences about what changed, MCI with masks of roads and buildings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rsground.datasets.captions import Captioned, read_captioned
from rsground.datasets.change import pair
from rsground.datasets.fields import RecordError, as_map
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import find_image
from rsground.datasets.masks import read_labels
from rsground.datasets.reader import Entry, Reader
from rsground.errors import DataError
from rsground.geometry import mask_to_rle
from rsground.types import Region, Sample, Size, Task

_VALUES = {128: "road", 255: "building"}
"""Value of the label's first channel → class."""


class LevirMCI(Reader):
    """LEVIR-MCI, and LEVIR-CC, which is the same without masks.

    Layout: ``LevirCCcaptions.json`` and ``images/<split>/{A,B,label}/<split>_NNNNNN.png``. The label is an image whose
    first channel is 0, 128 (road) or 255 (building): one target per class that occurs.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        ask: ``"mask"`` for what changed (needs labels), ``"caption"`` for the sentences.
    """

    name = "levir-mci"

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        ask: str = "mask",
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        if ask not in ("mask", "caption"):
            raise DataError(f"ask must be 'mask' or 'caption', got {ask!r}")
        self.ask = ask
        self.file = self.layout.file("LevirCCcaptions.json", "LEVIR-MCI-dataset/LevirCCcaptions.json")
        base = self.file.parent.relative_to(self.layout.root).as_posix()
        self.folder = self.layout.folder(f"{base}/images/{split}", f"{base}/{split}")
        if ask == "mask":
            self.layout.folder(f"{self.folder.relative_to(self.layout.root).as_posix()}/label")

    def annotation_files(self) -> list[Path]:
        """The caption file (labels are not covered)."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for element in scan(self.file):
            if isinstance(element.value, RecordError) or element.key in ("images", ""):
                make = partial(self._samples, element.value)
                yield Entry(self.file, element.number or None, make)

    def _samples(self, value: Any) -> Iterator[Sample]:
        if isinstance(value, RecordError):
            raise value
        found = read_captioned(as_map(value, "an entry of images"))
        if found.split != self.split:
            return
        name = Path(found.filename).name
        images = pair(self, find_image(self.folder / "A", name), find_image(self.folder / "B", name), name)
        stem = Path(name).stem
        meta = {"references": found.sentences}
        if self.ask == "caption":
            question = "Describe what changed between the two images."
            yield Sample(stem, images, question, self.task(Task.CAPTION), None, _first(found), meta)
            return
        label = find_image(self.folder / "label", name)
        if label is None:
            raise RecordError("missing-mask", f"there is no label/{name}")
        question = "the roads and buildings that changed between the two images"
        targets = _targets(label, images[1].size)
        yield Sample(stem, images, question, self.task(Task.CHANGE), targets, _first(found), meta)


def _first(found: Captioned) -> str | None:
    return found.sentences[0] if found.sentences else None


def _targets(path: Path, size: Size) -> tuple[Region, ...]:
    pixels = read_labels(path, size)
    values = pixels[..., 0] if pixels.ndim == 3 else pixels
    unknown = set(np.unique(values).tolist()) - {0, *_VALUES}
    if unknown:
        raise RecordError("bad-mask", f"{path.name} holds the values {sorted(unknown)[:6]}; known are 0, 128 and 255")
    masks = {label: values == value for value, label in _VALUES.items()}
    return tuple(Region(rle=mask_to_rle(mask), label=label) for label, mask in masks.items() if mask.any())
