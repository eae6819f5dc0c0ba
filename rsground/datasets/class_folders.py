"""Scene classification: AID, NWPU-RESISC45, UC Merced; a folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rsground.datasets.fields import RecordError
from rsground.datasets.files import filled_lines
from rsground.datasets.layout import IMAGE_ENDINGS, below, files_in
from rsground.datasets.noun import noun
from rsground.datasets.reader import Entry, Reader
from rsground.errors import LayoutError
from rsground.types import Sample, Task

_PROMPT = "Classify the image from the following classes. Answer in one word or a short phrase."
"""The prompt GeoChat evaluates scenes with; the classes are in ``meta["classes"]``."""


class ClassFolders(Reader):
    """Any data set of one folder per class.

    Layout: ``<class>/*.{jpg,png,tif,bmp}`` below the root or a well-known sub-folder. No split is published with the
    images: the split ``all`` reads everything; any other needs ``<split>.txt`` with a line ``<class>/<file>`` per
    image in the root.
    """

    name = "class-folders"
    splits = ("all",)
    any_split = True
    _folders: tuple[str, ...] = (".",)

    def __init__(
        self, root: str | Path | None, split: str = "all", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.list_file = None if split == "all" else self.layout.file(f"{split}.txt", f"splits/{split}.txt")
        self.folder = next((place for place in self._candidates() if _classes(place)), self.layout.root)
        self.classes = _classes(self.folder)
        if not self.classes:
            expected = " or ".join(f"{name}/<class>/<image>" for name in self._folders)
            raise LayoutError(f"data set {self.name!r} needs a folder of images per class: {expected}", path=self.root)

    def _candidates(self) -> list[Path]:
        return [place for name in self._folders if (place := self.layout.find_folder(name)) is not None]

    def annotation_files(self) -> list[Path]:
        """The split's list; nothing for ``all``, where folder names are the annotation."""
        return [self.list_file] if self.list_file is not None else []

    def fingerprint(self) -> str:
        """Covers the class folders' names too."""
        import hashlib

        return hashlib.blake2b("\0".join([super().fingerprint(), *self.classes]).encode(), digest_size=16).hexdigest()

    def _entries(self) -> Iterator[Entry]:
        if self.list_file is None:
            for name in self.classes:
                for path in files_in(self.folder / name, *IMAGE_ENDINGS):
                    yield Entry(path, None, partial(self._samples, path))
            return
        for number, line in filled_lines(self.list_file):
            yield Entry(self.list_file, number, partial(self._from_line, line))

    def _from_line(self, line: str | RecordError) -> Iterator[Sample]:
        if isinstance(line, RecordError):
            raise line
        path = below(self.folder, line.strip())
        if path is None or path.parent.name not in self.classes:
            raise RecordError("bad-line", f"expected '<class>/<file>', got {line.strip()[:60]!r}")
        yield from self._samples(path)

    def _samples(self, path: Path) -> Iterator[Sample]:
        label = path.parent.name
        image = self.image(path, f"{label}/{path.name}")
        meta = {"category": label, "classes": self.classes}
        yield Sample(f"{label}/{path.stem}", (image,), _PROMPT, self.task(Task.SCENE), None, noun(label), meta)


class Aid(ClassFolders):
    """AID: 10,000 images of 600 x 600, 30 classes."""

    name = "aid"
    _folders = (".", "AID", "AID_dataset/AID")


class Resisc45(ClassFolders):
    """NWPU-RESISC45: 31,500 images of 256 x 256, 45 classes."""

    name = "resisc45"
    _folders = (".", "NWPU-RESISC45")


class UCMerced(ClassFolders):
    """UC Merced: 2,100 images of 256 x 256, 21 classes."""

    name = "ucmerced"
    _folders = (".", "UCMerced_LandUse/Images", "Images")


def _classes(folder: Path) -> list[str]:
    """Sub-folders with at least one image, sorted."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [name for name in names if _has_image(folder / name)]


def _has_image(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(IMAGE_ENDINGS) for entry in entries)
