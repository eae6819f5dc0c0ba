"""RefSegRS and RISBench: a text file of ``<image> <phrase>`` lines, and one mask per image name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from rsground.datasets.fields import RecordError
from rsground.datasets.files import filled_lines
from rsground.datasets.layout import find_image
from rsground.datasets.masks import read_mask_rle
from rsground.datasets.reader import Entry, Reader
from rsground.types import Region, Sample, Task


class PhraseMasks(Reader):
    """What RefSegRS and RISBench share.

    A mask is where its image is not zero; one without any pixel is a sample without target. Ids are
    ``<image name>-<line>``, since nothing promises that an image has one phrase only.
    """

    _roots: ClassVar[tuple[str, ...]]
    _images: ClassVar[tuple[str, ...]]
    _masks: ClassVar[tuple[str, ...]]

    def __init__(
        self, root: str | Path | None, split: str = "test", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.file = self.layout.file(*(f"{place}output_phrase_{split}.txt" for place in self._roots))
        self.images = self.layout.folder(*(place + name for place in self._roots for name in self._images))
        self.masks = self.layout.folder(*(place + name for place in self._roots for name in self._masks))

    def annotation_files(self) -> list[Path]:
        """The split's phrase file (masks are not covered)."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for number, line in filled_lines(self.file):
            yield Entry(self.file, number, partial(self._samples, line, number))

    def _samples(self, line: str | RecordError, number: int) -> Iterator[Sample]:
        if isinstance(line, RecordError):
            raise line
        name, _, phrase = line.strip().partition(" ")
        phrase = phrase.strip()
        if not phrase:
            raise RecordError("bad-line", f"expected '<image> <phrase>', got {line[:60]!r}")
        mask_path = find_image(self.masks, name)
        if mask_path is None:
            raise RecordError("missing-mask", f"there is no {self.masks.name}/{name}")
        path = find_image(self.images, name)
        size = self.image(path, name).size if path is not None or self.need_images else None
        rle = read_mask_rle(mask_path, size)
        image = self.image(path, name, size if size is not None else rle.size if rle is not None else None)
        targets = (Region(rle=rle),) if rle is not None else ()
        yield Sample(f"{Path(name).stem}-{number}", (image,), phrase, self.task(Task.MASK), targets)


class RefSegRS(PhraseMasks):
    """RefSegRS: SkyScapes tiles of 512 x 512 at 0.13 m.

    Layout: ``RefSegRS/images/<id>.tif``, ``RefSegRS/masks/<id>.tif``, ``RefSegRS/output_phrase_<split>.txt`` (or all
    of it in the root). Masks are 0 and 255.
    """

    name = "refsegrs"
    _roots = ("", "RefSegRS/")
    _images = ("images",)
    _masks = ("masks",)


class RISBench(PhraseMasks):
    """RISBench: 512 x 512 images of DOTA and DIOR with masks made by SAM.

    The authors publish no description of the layout. What third-party loaders read, and what is read here:
    ``RISBench_dataset/img_rgb/``, ``RISBench_dataset/mask/`` with equal file names, and
    ``RISBench_dataset/output_phrase_<split>.txt`` with ``<file name> <phrase>`` lines (or all of it in the root).
    Copies converted to the REFER form are read by ``rrsis-d``.
    """

    name = "risbench"
    _roots = ("", "RISBench_dataset/", "RISBench/RISBench_dataset/", "RISBench/")
    _images = ("img_rgb", "images")
    _masks = ("mask", "masks")
