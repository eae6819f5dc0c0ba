"""YOLO label files: upright boxes as fractions, one text file beside each image."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rsground.datasets.boxes import Frame
from rsground.datasets.detection import check_grouping, detection_samples
from rsground.datasets.fields import RecordError, short
from rsground.datasets.files import lines
from rsground.datasets.layout import files_in, find_image
from rsground.datasets.reader import Entry, Reader
from rsground.errors import DataError, LayoutError
from rsground.types import Region, Sample


class Yolo(Reader):
    """Any YOLO data set.

    Layout: ``labels/<split>/*.txt`` with ``images/<split>/``, or text files and images side by side in ``<split>/``
    or the root (the split ``all``); category names, one a line, in a ``*.names`` file or ``classes.txt`` in the root.
    A line reads ``class x y w h``: centre and size as fractions of the image's sides. Images without a label file are
    left out.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        per: ``"object"``, ``"category"`` or ``"image"``: see :mod:`rsground.datasets.detection`.
    """

    name = "yolo"
    splits = ("all", "train", "val", "test")
    any_split = True

    def __init__(
        self,
        root: str | Path | None,
        split: str = "all",
        *,
        per: str = "object",
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.per = check_grouping(per)
        self.labels = self.layout.folder(f"labels/{split}", split, *(("labels", ".") if split == "all" else ()))
        images = (
            self.layout.root / "images" / self.labels.relative_to(self.layout.root / "labels")
            if (self.labels.is_relative_to(self.layout.root / "labels"))
            else self.labels
        )
        self.images = images if images.is_dir() else self.labels
        self.names_file = self._find_names()
        self.categories = [line.strip() for _, line in lines(self.names_file) if isinstance(line, str) and line.strip()]
        if not self.annotation_files():
            raise LayoutError(f"data set {self.name!r}: no label file (*.txt) in {str(self.labels)!r}", path=self.root)

    def _find_names(self) -> Path:
        found = files_in(self.layout.root, ".names")
        if len(found) > 1:
            raise DataError(
                f"several files of category names: {', '.join(path.name for path in found)}", path=self.root
            )
        return found[0] if found else self.layout.file("classes.txt", "obj.names")

    def annotation_files(self) -> list[Path]:
        """The label files."""
        return [path for path in files_in(self.labels, ".txt") if path != self.names_file]

    def _entries(self) -> Iterator[Entry]:
        for path in self.annotation_files():
            yield Entry(path, None, partial(self._samples, path))

    def _samples(self, path: Path) -> Iterator[Sample]:
        image = self.image(find_image(self.images, f"{path.stem}.jpg"), f"{path.stem}.jpg")
        frame, regions = self.frame(image), list[Region]()
        for number, line in lines(path):
            try:
                if isinstance(line, RecordError):
                    raise line
                if line.strip():
                    regions.append(self._region(line.split(), frame))
            except RecordError as broken:
                self.report(path, number, broken)
        if regions or self.per == "image":
            yield from detection_samples(image, path.stem, regions, self.per, self._task, {})

    def _region(self, words: list[str], frame: Frame) -> Region:
        try:
            category = int(words[0])
            x, y, w, h = (float(word) for word in words[1:5])
        except ValueError:
            raise RecordError("bad-line", f"expected 'class x y w h', got {short(' '.join(words))}") from None
        if not 0 <= category < len(self.categories):
            raise RecordError("unknown-category", f"class {category}; there are {len(self.categories)} names")
        height, width = frame.size
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        return Region(hbb=frame.hbb(box), label=self.categories[category])
