"""DIOR-RSVG and OPT-RSVG: expressions in VOC files; the splits number the objects of all files together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

from rsground.datasets.fields import RecordError
from rsground.datasets.files import lines, read_bytes
from rsground.datasets.layout import files_in, find_image
from rsground.datasets.reader import Entry, Reader, broken_entry
from rsground.datasets.voc import VocFile, box_of, read_voc, text_of
from rsground.types import Region, Sample, Task


class DiorRsvg(Reader):
    """DIOR-RSVG: one box per expression, 800 x 800 images.

    Layout: ``Annotations/*.xml``, ``JPEGImages/``, ``<split>.txt``, in the root or below ``DIOR_RSVG/``. A split file
    holds numbers of objects, counted from 0 over all XML files **sorted by name** (older loaders walk the folder in
    whatever order the disk gives, which makes another split on every machine). An XML file that cannot be read still
    counts the objects its text shows, so that it does not shift the ones after it.

    Boxes are taken as written, as pixel edges. Expressions are verbatim (the published loader lower-cases them).
    Ids are ``<XML stem>-<global object number>``.
    """

    name = "dior-rsvg"
    _roots: tuple[str, ...] = ("", "DIOR_RSVG/", "DIOR-RSVG/")

    def __init__(
        self, root: str | Path | None, split: str = "test", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.file = self.layout.file(*(place + f"{split}.txt" for place in self._roots))
        self.annotations = self.layout.folder(*(place + "Annotations" for place in self._roots))
        names = [place + "JPEGImages" for place in self._roots]
        self.images = self.layout.folder(*names) if need_images else self.layout.find_folder(*names)

    def annotation_files(self) -> list[Path]:
        """The split file and all XML files."""
        return [self.file, *files_in(self.annotations, ".xml")]

    def _entries(self) -> Iterator[Entry]:
        wanted: dict[int, int] = {}
        for number, line in lines(self.file):
            word = line if isinstance(line, RecordError) else line.strip()
            if isinstance(word, RecordError):
                yield broken_entry(self.file, number, word)
            elif word.isascii() and word.isdigit() and len(word) < 12:
                wanted.setdefault(int(word), number)
            elif word:
                yield broken_entry(
                    self.file, number, RecordError("bad-line", f"expected an object number, got {word[:40]!r}")
                )
        count = 0
        for path in files_in(self.annotations, ".xml"):
            try:
                found = read_voc(path)
            except RecordError as broken:
                yield broken_entry(path, None, broken)
                count += _objects_in_text(path)
                continue
            for place, element in enumerate(found.objects):
                if wanted.pop(count, None) is not None:
                    yield Entry(path, place + 1, partial(self._samples, path, found, element, count))
                count += 1
        for index, number in wanted.items():
            if index >= count:
                missing = RecordError("unknown-object", f"object {index} is asked for, the files hold {count}")
                yield broken_entry(self.file, number, missing)

    def _samples(self, path: Path, found: VocFile, element: Element, index: int) -> Iterator[Sample]:
        file = find_image(self.images, found.image) if self.images is not None else None
        if file is None and self.images is not None:
            file = find_image(self.images, path.stem)
        image = self.image(file, found.image, found.size)
        label = text_of(element, "name")
        region = Region(hbb=self.frame(image).hbb(box_of(element), "bndbox"), label=label)
        expression = text_of(element, "description")
        meta = {"category": label, "object": index}
        yield Sample(f"{path.stem}-{index}", (image,), expression, self.task(Task.HBB), (region,), meta=meta)


class OptRsvg(DiorRsvg):
    """OPT-RSVG: the layout of DIOR-RSVG, with fractional boxes and 14 categories."""

    name = "opt-rsvg"
    _roots = ("", "OPT-RSVG/", "OPT_RSVG/", "RSVG-OPT/")


def _objects_in_text(path: Path) -> int:
    """How many objects a damaged file seems to have."""
    try:
        return read_bytes(path).count(b"<object>")
    except RecordError:
        return 0
