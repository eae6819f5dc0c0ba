"""Change detection: two images and the mask of what changed between them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rsground.datasets.fields import RecordError
from rsground.datasets.files import filled_lines
from rsground.datasets.layout import IMAGE_ENDINGS, below, files_in, find_image, is_file
from rsground.datasets.masks import read_mask_rle
from rsground.datasets.reader import Entry, Reader
from rsground.errors import LayoutError
from rsground.types import ImageRef, Region, Sample, Task

_PROMPT = "the buildings that changed between the two images"


class LevirCD(Reader):
    """LEVIR-CD, LEVIR-CD+ and sets in the same form (DSIFN, WHU-CD ...): one sample per pair.

    Layout, the first that fits: ``list/<split>.txt`` naming files of ``A/``, ``B/`` and ``label/`` (cropped copies);
    ``<split>/A``, ``<split>/B``, ``<split>/label`` (LEVIR-CD+ and the original archives); ``A/``, ``B/``, ``label/``
    with file names that begin with the split (``train_1.png``). The split ``all`` reads every pair of the last form.
    Labels are where the label image is not zero; a label without any is a pair without change (targets ``()``).

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        expression: what is asked of every pair; the data set has no expressions of its own.
    """

    name = "levir-cd"
    splits = ("train", "val", "test", "all")
    any_split = True

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        expression: str = _PROMPT,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.expression = expression
        self.list_file = self.layout.find_file(f"list/{split}.txt")
        inside = self.list_file is None and self.layout.find_folder(f"{split}/A") is not None
        place = f"{split}/" if inside else ""
        self.before = self.layout.folder(f"{place}A")
        self.after = self.layout.folder(f"{place}B")
        self.labels = self.layout.folder(f"{place}label")
        self.prefix = "" if inside or split == "all" else f"{split}_"
        if self.list_file is None and not self._names():
            raise LayoutError(
                f"data set {self.name!r} has no split {split!r}: neither list/{split}.txt, nor {split}/A, nor a file "
                f"A/{split}_*",
                path=self.root,
            )

    def annotation_files(self) -> list[Path]:
        """The labels of the split, and its list where there is one."""
        labels = [below(self.labels, name) for _, name in self._listed() if isinstance(name, str)]
        there = [path for path in labels if path is not None and is_file(path)]
        return there + ([self.list_file] if self.list_file is not None else [])

    def _names(self) -> list[str]:
        """File names in ``A``, ``B`` or ``label`` that belong to the split."""
        found = {path.name for folder in (self.before, self.after) for path in files_in(folder, *IMAGE_ENDINGS)}
        return sorted(name for name in found if name.startswith(self.prefix))

    def _listed(self) -> Iterator[tuple[int, str | RecordError]]:
        if self.list_file is None:
            yield from enumerate(self._names(), 1)
            return
        for number, line in filled_lines(self.list_file):
            yield number, line.strip() if isinstance(line, str) else line

    def _entries(self) -> Iterator[Entry]:
        for number, name in self._listed():
            make = partial(self._samples, name)
            if self.list_file is not None:
                yield Entry(self.list_file, number, make)
            else:
                yield Entry(self.before / str(name), None, make)

    def _samples(self, name: str | RecordError) -> Iterator[Sample]:
        if isinstance(name, RecordError):
            raise name
        images = pair(self, find_image(self.before, name), find_image(self.after, name), name)
        label = find_image(self.labels, name)
        if label is None:
            raise RecordError("missing-mask", f"there is no label/{name}")
        rle = read_mask_rle(label, images[1].size)
        targets = (Region(rle=rle, label="change"),) if rle is not None else ()
        yield Sample(Path(name).stem, images, self.expression, self.task(Task.CHANGE), targets)


def pair(reader: Reader, before: Path | None, after: Path | None, name: str) -> tuple[ImageRef, ImageRef]:
    """Both images of a pair.

    Raises:
        RecordError: one is missing, or they differ in size.
    """
    first, second = reader.image(before, f"A/{name}"), reader.image(after, f"B/{name}")
    if first.size != second.size:
        sizes = " and ".join(f"{image.width} x {image.height}" for image in (first, second))
        raise RecordError("image-size", f"the two images of {name} differ in size: {sizes}")
    return first, second
