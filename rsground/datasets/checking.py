"""Reading a data set to the end, only to see what is in it and what is broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsground.contracts.dataset import BrokenRecord, Dataset
from rsground.datasets.layout import is_file
from rsground.errors import RsgroundError
from rsground.types import ImageRef


@dataclass(slots=True)
class SplitCheck:
    """What one split holds.

    Attributes:
        split: its name.
        samples, images, targets: how many; images are counted once each.
        without_target: samples that say that nothing is there.
        unannotated: samples without any annotated region (questions, captions).
        tasks: samples by task.
        mended: regions that were mended, by kind (see :mod:`rsground.datasets.boxes`).
        broken: every record that was skipped.
        files: annotation files.
        fingerprint: content key of the annotation files.
        absent: why the split is not there, None where it is.
    """

    split: str
    samples: int = 0
    images: int = 0
    targets: int = 0
    without_target: int = 0
    unannotated: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    broken: list[BrokenRecord] = field(default_factory=list)
    files: int = 0
    fingerprint: str = ""
    absent: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON-able values; broken records as objects."""
        return {
            "split": self.split,
            "samples": self.samples,
            "images": self.images,
            "targets": self.targets,
            "without_target": self.without_target,
            "unannotated": self.unannotated,
            "tasks": dict(self.tasks),
            "mended": dict(self.mended),
            "files": self.files,
            "fingerprint": self.fingerprint,
            "absent": self.absent,
            "broken": [record._asdict() for record in self.broken],
        }


def check_split(
    dataset: Dataset, *, images: bool = False, limit: int | None = None, tick: Callable[[], object] = lambda: None
) -> SplitCheck:
    """Read a split, count, and collect every broken record.

    Args:
        dataset: an opened split; its ``on_broken`` is replaced.
        images: decode every image too and compare its size with the annotation's. A broken image is reported once,
            its samples are counted all the same.
        limit: stop after so many samples.
        tick: called after every sample.
    """
    found = SplitCheck(dataset.split)
    dataset.on_broken = found.broken.append
    seen: set[str] = set()
    for sample in dataset:
        found.samples += 1
        found.tasks[str(sample.task)] += 1
        if sample.targets is None:
            found.unannotated += 1
        else:
            found.targets += len(sample.targets)
            found.without_target += not sample.targets
        for image in sample.images:
            if image.uri not in seen:
                seen.add(image.uri)
                found.broken.extend(_image_problems(image) if images else ())
        tick()
        if limit is not None and found.samples >= limit:
            break
    found.images = len(seen)
    found.mended.update(getattr(dataset, "notes", {}))
    files = [file for file in dataset.annotation_files() if is_file(Path(file))]
    found.files, found.fingerprint = len(files), dataset.fingerprint()
    return found


def _image_problems(image: ImageRef) -> Iterator[BrokenRecord]:
    from rsground.images import read_image

    try:
        read_image(image)
    except RsgroundError as error:
        detail = getattr(error, "message", str(error))
        yield BrokenRecord(image.uri, None, "bad-image", str(detail).replace("\n", " ")[:200])
