"""Readers of COCO instance files: any of them, iSAID's patches, and NWPU VHR-10."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from rsground.datasets.coco import CocoImage, CocoIndex
from rsground.datasets.detection import check_grouping, detection_samples
from rsground.datasets.fields import RecordError, as_map, field, json_able
from rsground.datasets.files import read_json
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import find_below
from rsground.datasets.reader import Entry, Reader, broken_entry
from rsground.errors import LayoutError
from rsground.types import Region, Sample


class CocoInstances(Reader):
    """Instances of any data set with a COCO file.

    Layout: ``annotations/instances_<split>.json``, ``instances_<split>.json``, ``<split>.json``,
    ``instances.json`` or ``annotations.json`` (the first that is there), images in ``images/<split>``, ``<split>``,
    ``images``, ``JPEGImages`` or the root. Where the file's images carry a ``split`` of their own, only those of the
    split are read; the split ``all`` reads every image.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        per: ``"object"``, ``"category"`` or ``"image"``: see :mod:`rsground.datasets.detection`.
        annotations: the COCO file, below the root, where it has another name.
        images: the image folder, below the root or absolute, where it has another name.
    """

    name = "coco"
    splits: ClassVar[tuple[str, ...]] = ("all", "train", "val", "test")
    any_split: ClassVar[bool] = True
    _files: tuple[str, ...] = (
        "annotations/instances_{split}.json",
        "instances_{split}.json",
        "{split}.json",
        "instances.json",
        "annotations.json",
        "annotations/instances.json",
    )
    _folders: tuple[str, ...] = ("images/{split}", "{split}/images", "{split}", "images", "JPEGImages")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "all",
        *,
        per: str = "object",
        annotations: str | None = None,
        images: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.per = check_grouping(per)
        names = (annotations,) if annotations else tuple(name.format(split=split) for name in self._files)
        self.file = self.layout.file(*names)
        self.folders = [self.layout.folder(images)] if images else self._image_folders()
        self._index: CocoIndex | None = None
        self._check_split()

    def _check_split(self) -> None:
        """A split needs a file of its own, or images that tell theirs."""
        own = self.split in self.file.relative_to(self.layout.root).as_posix()
        if self.split == "all" or own or _tells_split(self.file):
            return
        raise LayoutError(
            f"data set {self.name!r} has no split {self.split!r}: there is no file of that name, and the images of "
            f"{self.file.name} carry no 'split'; use the split 'all'",
            path=self.file,
        )

    def _image_folders(self) -> list[Path]:
        names = [name.format(split=self.split) for name in self._folders]
        return [*(self.layout.root / name for name in names if (self.layout.root / name).is_dir()), self.layout.root]

    def annotation_files(self) -> list[Path]:
        """The COCO file."""
        return [self.file]

    @property
    def index(self) -> CocoIndex:
        """The file's index, read at the first use."""
        if self._index is None:
            self._index = CocoIndex(self.file)
        return self._index

    def size_hint(self) -> int | None:
        """Number of images with ``per="image"``, once the index is read; unknown otherwise."""
        if self.per != "image" or self._index is None:
            return None
        return sum(self._in_split(image) for image in self._index.images.values())

    def _in_split(self, image: CocoImage) -> bool:
        return self.split == "all" or image.split is None or image.split == self.split

    def _entries(self) -> Iterator[Entry]:
        for line, problem in self.index.problems:
            yield broken_entry(self.file, line, problem)
        for image in self.index.images.values():
            if self._in_split(image):
                yield Entry(self.file, image.row + 1, partial(self._samples, image))

    def _samples(self, image: CocoImage) -> Iterator[Sample]:
        ref = self.image(find_below(self.folders, image.file_name), image.file_name, image.size)
        frame, regions = self.frame(ref), list[Region]()
        with self.file.open("rb") as stream:
            for number, annotation in self.index.of_image(image, stream):
                try:
                    regions.append(self.index.region(annotation, frame))
                except RecordError as broken:
                    self.report(self.file, number, broken)
        meta = {"image_id": image.id, **({"split": image.split} if image.split else {})}
        if regions or self.per == "image":
            yield from detection_samples(ref, Path(image.file_name).stem, regions, self.per, self._task, meta)


def _tells_split(path: Path) -> bool:
    """Whether the first image of a COCO file has a ``split``."""
    first = next((element.value for element in scan(path) if element.key == "images" and element.number), None)
    return isinstance(first, dict) and first.get("split") is not None


class Isaid(CocoInstances):
    """iSAID patches as the devkit writes them.

    Layout: ``<split>/instancesonly_filtered_<split>.json`` (the README writes ``instance_only_filtered_``) and
    ``<split>/images/Pxxxx_<y0>_<y1>_<x0>_<x1>.png``. Image ids restart in every split's file. A plain
    ``instances.json`` with ``images/`` serves every split.
    """

    name = "isaid"
    splits = ("train", "val", "all")
    _files = (
        "{split}/instancesonly_filtered_{split}.json",
        "{split}/instance_only_filtered_{split}.json",
        "annotations/instancesonly_filtered_{split}.json",
        "instancesonly_filtered_{split}.json",
        "instances.json",
    )
    _folders = ("{split}/images", "images/{split}", "{split}", "images")

    def _check_split(self) -> None:
        """Nothing to check: the devkit's files are named by their split."""


class Vhr10(CocoInstances):
    """NWPU VHR-10 with the masks of chaozhong2010.

    Layout: ``annotations.json`` (also below ``NWPU VHR-10_dataset_coco/``), images in ``positive image set/``. There
    is no official split: ``all`` is the one to use, unless a ``split.json`` (file name → ``{"split": ...}``) lies
    beside the annotations.
    """

    name = "vhr10"
    splits = ("all", "train", "val", "test")
    any_split = False
    _files = (
        "NWPU VHR-10_dataset_coco/annotations.json",
        "annotations.json",
        "VHR-10_dataset_coco/NWPU VHR-10_dataset_coco/annotations.json",
        "instances.json",
    )
    _folders = (
        "positive image set",
        "NWPU VHR-10 dataset/positive image set",
        "NWPU VHR-10_dataset_coco/positive image set",
        "JPEGImages",
        "images",
    )

    def __init__(
        self,
        root: str | Path | None,
        split: str = "all",
        *,
        per: str = "object",
        annotations: str | None = None,
        images: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(
            root, split, per=per, annotations=annotations, images=images, task=task, need_images=need_images
        )
        self._split_of = {} if split == "all" else self._read_split()

    def _check_split(self) -> None:
        """``split.json`` tells; see :meth:`_read_split`."""

    def _read_split(self) -> dict[str, object]:
        path = self.file.parent / "split.json"
        if not path.is_file():
            raise LayoutError(
                f"data set {self.name!r} has no official split: use 'all', or put a split.json beside the annotations",
                path=self.root,
            )
        try:
            rows = as_map(read_json(path), "split.json")
            return {name: field(as_map(row, "a row"), "split", default=None) for name, row in rows.items()}
        except RecordError as broken:
            raise LayoutError(f"{broken.detail}", path=path) from None

    def _in_split(self, image: CocoImage) -> bool:
        return self.split == "all" or json_able(self._split_of.get(image.file_name)) == self.split
