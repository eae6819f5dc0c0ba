"""What every reader of a published layout shares: one place where problems are reported and ids are kept apart."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from rsground.contracts.dataset import BrokenRecord, Dataset
from rsground.datasets.boxes import Frame, checked_size
from rsground.datasets.fields import RecordError
from rsground.datasets.layout import Layout, is_file
from rsground.errors import ImageError, LayoutError, MissingExtraError, UnknownNameError
from rsground.types import ImageRef, Sample, Size, Task

_HEADERS_KEPT = 4096
"""Image sizes that are remembered; samples of one image stand close together in every layout."""


class Entry(NamedTuple):
    """One record of an annotation file, not yet looked at.

    Attributes:
        path: the file it stands in.
        line: 1-based line or record number, None where the whole file is one record.
        make: answers its samples, or raises :class:`~rsground.datasets.fields.RecordError`.
    """

    path: Path
    line: int | None
    make: Callable[[], Iterable[Sample]]


class Reader(Dataset):
    """A data set in its published layout. A subclass finds its files and answers :meth:`_entries`; nothing else.

    Args:
        root: folder with the published layout.
        split: one of :attr:`splits` (any word where the layout names its splits itself).
        task: ask for this task instead of the layout's own (``"hbb"`` of a data set with masks).
        need_images: an image that is not there breaks the record. False lets annotations be used without their
            images, wherever they tell the image's size.

    Raises:
        LayoutError: the root is missing or has another layout.
        UnknownNameError: there is no such split or task.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    any_split: ClassVar[bool] = False

    def __init__(
        self, root: str | Path | None, split: str, *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split)
        if self.root is None:
            raise LayoutError(f"data set {self.name!r} is read from a folder: pass its root")
        if not self.any_split and split not in self.splits:
            raise UnknownNameError(f"split of {self.name}", split, self.splits)
        if task is not None and task not in list(Task):
            raise UnknownNameError("task", task, [known.value for known in Task])
        self.layout = Layout(self.name, self.root)
        self.need_images = need_images
        self.notes: Counter[str] = Counter()
        """What was mended while iterating, by kind (see :mod:`rsground.datasets.boxes`)."""
        self._task = Task(task) if task is not None else None
        self._headers: dict[Path, Size] = {}

    def __iter__(self) -> Iterator[Sample]:
        """All usable samples; broken records go to :attr:`on_broken` and are skipped."""
        seen: set[int] = set()
        for entry in self._entries():
            try:
                for sample in entry.make():
                    key = hash(sample.id)
                    if key in seen:
                        raise RecordError("duplicate-id", f"a sample {sample.id!r} came before; this one is left out")
                    seen.add(key)
                    yield sample
            except RecordError as broken:
                self.report(entry.path, entry.line, broken)

    @abstractmethod
    def _entries(self) -> Iterator[Entry]:
        """Every record of the split, in a fixed order; may raise nothing but :class:`RsgroundError`."""

    def report(self, path: Path, line: int | None, broken: RecordError) -> None:
        """Name a broken record."""
        self.on_broken(BrokenRecord(str(path), line, broken.code, broken.detail))

    def task(self, default: Task) -> Task:
        """The task that was asked for, else the layout's own."""
        return self._task or default

    def image(self, path: Path | None, name: str, size: Size | None = None) -> ImageRef:
        """An image by reference.

        Args:
            path: the file, None where it was not found.
            name: what the annotation calls it.
            size: (H, W) from the annotation; None reads the image's header.

        Raises:
            RecordError: the image is missing, its header cannot be read, or the size is absurd.
        """
        if path is None or not is_file(path):
            if self.need_images or size is None:
                raise RecordError("missing-image", f"there is no image {name!r}")
            return ImageRef(str(path if path is not None else name), *checked_size(*size))
        return ImageRef(str(path), *(checked_size(*size) if size is not None else self._header(path)))

    def frame(self, image: ImageRef) -> Frame:
        """The rules for regions in that image; what they mend is counted in :attr:`notes`."""
        return Frame(image.size, self.notes)

    def _header(self, path: Path) -> Size:
        if path not in self._headers:
            from rsground.images import image_size

            if len(self._headers) >= _HEADERS_KEPT:
                del self._headers[next(iter(self._headers))]
            try:
                self._headers[path] = checked_size(*image_size(path))
            except (ImageError, MissingExtraError) as error:
                said = error.message if isinstance(error, ImageError) else str(error)
                raise RecordError("bad-image", f"{path.name}: {said}") from None
        return self._headers[path]


def broken_entry(path: Path, line: int | None, broken: RecordError) -> Entry:
    """An entry that only says why it cannot be read."""

    def make() -> Iterable[Sample]:
        raise broken

    return Entry(path, line, make)
