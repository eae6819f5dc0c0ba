"""Instance data sets as a stream of annotated images, read through the registered readers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsground.contracts.dataset import BrokenRecord, Dataset
from rsground.datasets.refer.lexicon import normalise
from rsground.errors import DataError, LayoutError, UnknownNameError
from rsground.types import Region, Sample, Size

SOURCES: tuple[str, ...] = ("coco", "isaid", "dota", "vhr10")
"""Data sets of instances that are read."""
_SPLITS = ("train", "val", "test")
DOTA_CLASSES = (
    "plane", "ship", "storage-tank", "baseball-diamond", "tennis-court", "basketball-court", "ground-track-field",
    "harbor", "bridge", "large-vehicle", "small-vehicle", "helicopter", "roundabout", "soccer-ball-field",
    "swimming-pool",
)  # fmt: skip
"""The classes of DOTA 1.0: its label files hold no list of them."""
_PATCH = re.compile(r"^(?P<scene>.+?)(_\d+_\d+_\d+_\d+|__[\d.]+__-?\d+___-?\d+)$")


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """One annotated image.

    Attributes:
        name: unique in the source; also the file stem in written layouts.
        path: the image file.
        size: (H, W).
        regions: its instances with their labels.
        split: of the source, None where the source has none.
        gsd: metres per pixel, None where unknown.
    """

    name: str
    path: str
    size: Size
    regions: tuple[Region, ...]
    split: str | None
    gsd: float | None = None

    @property
    def scene(self) -> str:
        """The picture a patch was cut from: patches of one picture overlap, so they stay in one split."""
        return scene_of(self.name)


def scene_of(name: str) -> str:
    """``"P0003"`` of ``"P0003_0_800_347_1147"`` (iSAID) or ``"P0003__1__0___512"`` (DOTA); other names as they are."""
    found = _PATCH.match(name)
    return found["scene"] if found else name


@dataclass(eq=False)
class Source:
    """The annotated images of a data set.

    Args:
        name: registered data set.
        root: its folder.
        splits: splits to read; None for ``all``, or for those that are there where the layout keeps them apart.
        images: folder of the images, where it is not where the layout has it.
        incomplete: categories whose instances are not all annotated: nothing will be said about them.
        need_images: whether an image that is missing breaks its record.

    Raises:
        LayoutError: no split is there, or not one that was asked for.
        UnknownNameError: no such data set, or ``incomplete`` names no category of it.
    """

    name: str
    root: Path
    splits: tuple[str, ...] | None = None
    images: str | None = None
    incomplete: tuple[str, ...] = ()
    need_images: bool = True
    on_broken: Callable[[BrokenRecord], None] = field(default=lambda record: None)

    def __post_init__(self) -> None:
        self.readers = self._open()
        self.categories = self._categories()
        left_out = {normalise(name) for name in self.incomplete}
        for name in left_out - self.categories:
            raise UnknownNameError("category", name, self.categories)
        self.complete = frozenset(self.categories - left_out)

    def _open(self) -> list[Dataset]:
        if self.name not in SOURCES:
            raise UnknownNameError("instance data set", self.name, SOURCES)
        if self.splits:
            return [self._reader(split) for split in self.splits]
        try:
            return [self._reader("all")]
        except (LayoutError, UnknownNameError) as error:
            found = [reader for split in _SPLITS if (reader := self._reader_or_none(split)) is not None]
            if not found:
                raise error
            return found

    def _reader(self, split: str) -> Dataset:
        from rsground.registry import load_dataset

        options: dict[str, Any] = {"per": "image", "need_images": self.need_images}
        if self.images is not None:
            options["images"] = self.images
        reader: Dataset = load_dataset(self.name, self.root, split, **options)
        return reader

    def _reader_or_none(self, split: str) -> Dataset | None:
        try:
            return self._reader(split)
        except (LayoutError, UnknownNameError):
            return None

    def _categories(self) -> set[str]:
        names: set[str] = set(DOTA_CLASSES) if self.name == "dota" else set()
        for reader in self.readers:
            index = getattr(reader, "index", None)
            names.update(index.categories.values() if index is not None else ())
        return {normalise(name) for name in names}

    def total(self) -> int | None:
        """Number of images where the readers know it."""
        hints = [reader.size_hint() for reader in self.readers]
        return sum(hint for hint in hints if hint is not None) if None not in hints else None

    def __iter__(self) -> Iterator[Annotated]:
        """All images, in a fixed order."""
        seen: set[str] = set()
        for reader in self.readers:
            reader.on_broken = self.on_broken
            for sample in reader:
                image = _annotated(sample, None if reader.split == "all" else reader.split)
                if image.name in seen:
                    raise DataError(f"two images are named {image.name!r}: names must differ across splits and folders")
                seen.add(image.name)
                yield image


def _annotated(sample: Sample, split: str | None) -> Annotated:
    own = sample.meta.get("split")
    gsd = sample.meta.get("gsd")
    return Annotated(
        name=sample.id,
        path=sample.image.uri,
        size=sample.size,
        regions=sample.targets or (),
        split=own if isinstance(own, str) else split,
        gsd=float(gsd) if isinstance(gsd, int | float) and gsd > 0 else None,
    )


def hashed_split(scene: str, shares: Iterable[tuple[str, float]]) -> str:
    """A split by the hash of the picture's name: the same on every machine, whatever else the data set holds."""
    parts = list(shares)
    at = zlib.crc32(b"split:" + scene.encode()) / 2**32 * sum(share for _, share in parts)
    for name, share in parts:
        at -= share
        if at < 0:
            return name
    return parts[-1][0]
