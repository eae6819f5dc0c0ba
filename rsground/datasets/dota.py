"""DOTA: oriented boxes in text files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.detection import check_grouping, detection_samples
from rsground.datasets.fields import RecordError, short
from rsground.datasets.files import lines
from rsground.datasets.layout import files_in, find_image
from rsground.datasets.reader import Entry, Reader
from rsground.types import Region, Sample

_FIELDS = 9
"""Eight coordinates and a category; ``difficult`` may be missing."""


class Dota(Reader):
    """DOTA v1.0, v1.5, v2.0 and patches cut from them.

    Layout: ``images/Pxxxx.png`` and ``labelTxt/Pxxxx.txt``, below ``<split>/`` or in the root (then every split but
    ``all`` is refused, for nothing tells them apart). A label file may begin with ``imagesource:`` and ``gsd:``; then
    one object a line, ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``. A ``difficult`` that is missing counts as 0; 2
    marks objects that a splitter cut. All are kept, with the number as an attribute.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        per: ``"object"``, ``"category"`` or ``"image"``: see :mod:`rsground.datasets.detection`.
        labels: the label folder, below the root or below ``<split>/``, where it has another name
            (``"labelTxt-v1.5/DOTA-v1.5_train"``).
        images: the image folder, likewise.
    """

    name = "dota"
    splits = ("all", "train", "val")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "all",
        *,
        per: str = "object",
        labels: str | None = None,
        images: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.per = check_grouping(per)
        places = ("",) if split == "all" else (f"{split}/",)
        names = (labels,) if labels else ("labelTxt", "labelTxt-v1.0", "labelTxt-v1.5", "annfiles", "labels")
        self.labels = self.layout.folder(*(place + name for place in places for name in names), *names[: bool(labels)])
        wanted = (f"{places[0]}{images}", images) if images else (f"{places[0]}images",)
        found = self.layout.find_folder(*wanted)
        self.images = found if found is not None or not need_images else self.layout.folder(*wanted)

    def annotation_files(self) -> list[Path]:
        """The label files."""
        return files_in(self.labels, ".txt")

    def _entries(self) -> Iterator[Entry]:
        for path in files_in(self.labels, ".txt"):
            yield Entry(path, None, partial(self._samples, path))

    def _samples(self, path: Path) -> Iterator[Sample]:
        file = find_image(self.images, f"{path.stem}.png") if self.images is not None else None
        image = self.image(file, f"{path.stem}.png")
        frame = self.frame(image)
        meta: dict[str, Any] = {}
        regions: list[Region] = []
        for number, line in lines(path):
            try:
                if isinstance(line, RecordError):
                    raise line
                words = line.split()
                if not words or _is_header(line, meta):
                    continue
                regions.append(self._region(words, frame))
            except RecordError as broken:
                self.report(path, number, broken)
        if regions or self.per == "image":
            yield from detection_samples(image, path.stem, regions, self.per, self._task, meta)

    @staticmethod
    def _region(words: list[str], frame: Any) -> Region:
        if len(words) < _FIELDS:
            raise RecordError("bad-line", f"expected eight coordinates and a category, got {short(' '.join(words))}")
        try:
            corners = [float(word) for word in words[:8]]
            difficult = int(words[9]) if len(words) > _FIELDS else 0
        except ValueError as error:
            raise RecordError("bad-line", f"{short(str(error))}") from None
        quad = frame.quad(corners, "object")
        return Region(hbb=frame.quad_hbb(quad), quad=quad, label=words[8], attributes={"difficult": difficult})


def _is_header(line: str, meta: dict[str, Any]) -> bool:
    """Whether the line is a header; its ground sampling distance goes to ``meta``."""
    key, colon, value = line.partition(":")
    if not colon or key.strip().lower() not in ("imagesource", "gsd", "acquisition dates", "acquisition_dates"):
        return False
    if key.strip().lower() == "gsd":
        try:
            gsd = float(value)
        except ValueError:
            return True
        if 0 < gsd < float("inf"):
            meta["gsd"] = gsd
    return True
