"""Another data set as SegEarth-R1's evaluation sees it: images and masks in the padded 1024 x 1024 square.

Upstream never maps a mask back to its image: what it compares is the square, so that false pixels in the padding count
and small images are scored enlarged. A sample whose image *is* that square is scored so by every system and metric.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsground.contracts import BrokenRecord, Dataset
from rsground.errors import ShapeError
from rsground.images import read_image
from rsground.regions import region_from_mask, union_mask
from rsground.registry import load_dataset
from rsground.types import ImageRef, Sample, Task
from rsground_segtoken.segearth.frame import Frame, framed_mask, framed_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 1024


class UpstreamFrame(Dataset):
    """The mask samples of a data set, framed: long side to 1024, other side truncated, centred black padding.

    Images are resized bilinearly without antialiasing, masks (the union of a sample's targets) by nearest neighbour, as
    upstream does. Score with ``res-segearth``, whose own letterbox leaves a square of this size as it is.

    Args:
        root: of the data set that is framed.
        split: of it.
        of: its registered name.
        options: of it.

    Raises:
        RsgroundError: what that data set says.
    """

    name = "segearth-1024"

    def __init__(self, root: str | Path | None, split: str = "test", *, of: str, **options: Any) -> None:
        super().__init__(root, split)
        self.inner: Dataset = load_dataset(of, root, split, **options)

    def __iter__(self) -> Iterator[Sample]:
        """Framed samples of task ``mask``, in the order of the data set; others are left out.

        An image too thin for the square is reported as broken.
        """
        self.inner.on_broken = self._report
        for sample in self.inner:
            if sample.task is not Task.MASK:
                continue
            try:
                framed = framed_sample(sample)
            except ShapeError as error:
                self._report(BrokenRecord(sample.image.uri, None, "bad-image", f"sample {sample.id!r}: {error}"))
            else:
                yield framed

    def fingerprint(self) -> str:
        """That of the data set, marked as framed."""
        return f"{self.inner.fingerprint()}-{SIDE}"

    def annotation_files(self) -> list[Path]:
        """Those of the data set."""
        return self.inner.annotation_files()

    def _report(self, record: BrokenRecord) -> None:
        self.on_broken(record)


def framed_sample(sample: Sample) -> Sample:
    """A sample with its image and targets in the square, and ``gsd`` of that.

    Raises:
        ShapeError: the image is too thin.
    """
    frame = Frame.of(sample.size, SIDE)
    image = ImageRef(f"{sample.image.uri}#{SIDE}", SIDE, SIDE, render=partial(_drawn, sample.image))
    targets = sample.targets
    if targets:
        mask = framed_mask(union_mask(targets, sample.size), frame)
        targets = (region_from_mask(mask.numpy() > 0),)
    meta, pitch = sample.meta, sample.meta.get("gsd")
    if isinstance(pitch, int | float):
        meta = {**meta, "gsd": pitch * max(sample.size) / SIDE}
    return replace(sample, images=(image,), targets=targets, meta=meta)


def _drawn(image: ImageRef) -> NDArray[np.uint8]:
    return framed_pixels(read_image(image), Frame.of(image.size, SIDE))
