"""RSVG (GeoVG): the first referring boxes in remote sensing images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.boxes import checked_size
from rsground.datasets.fields import RecordError, as_int, as_key, as_map, field, text
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import find_below
from rsground.datasets.reader import Entry, Reader
from rsground.types import Region, Sample, Task


class Rsvg(Reader):
    """RSVG (GeoVG), horizontal boxes.

    **Not checked against a copy of the data.** What is read: ``rsvg_<split>.json`` or ``<split>.json`` (also below
    ``annotations/`` or ``RSVG/``), a list of records with the image's file name (``image``, ``image_id``,
    ``img_name`` or ``file_name``), the expression (``expression``, ``question``, ``text`` or ``sentence``) and its
    box in pixels (``bbox`` as x1, y1, x2, y2, or as ``xywh``); images in ``images/``, ``image/`` or the root. Another
    layout gives broken records or a :class:`~rsground.errors.LayoutError`, never wrong boxes in silence. The copy of
    RSVG inside refGeo is read by ``refgeo`` with ``member="rsvg"``.
    """

    name = "rsvg"

    def __init__(
        self, root: str | Path | None, split: str = "test", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        names = [f"rsvg_{split}.json", f"{split}.json", f"RSVG_{split}.json"]
        self.file = self.layout.file(*(place + name for place in ("", "annotations/", "RSVG/") for name in names))
        places = [self.layout.find_folder(name) for name in ("images", "image", "RSVG/images", "JPEGImages", ".")]
        self.folders = [place for place in places if place is not None]

    def annotation_files(self) -> list[Path]:
        """The split's JSON file."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for element in scan(self.file):
            if element.number or isinstance(element.value, RecordError):
                yield Entry(self.file, element.number or None, partial(self._samples, element.value, element.number))

    def _samples(self, value: Any, number: int) -> Iterator[Sample]:
        if isinstance(value, RecordError):
            raise value
        record = as_map(value, "a record")
        wanted = text(record, "image", "image_id", "img_name", "file_name")
        size = None
        if record.get("width") is not None and record.get("height") is not None:
            size = checked_size(as_int(record["height"], "height"), as_int(record["width"], "width"))
        image = self.image(find_below(self.folders, wanted), wanted, size)
        frame = self.frame(image)
        box = frame.hbb(record["bbox"], "bbox") if record.get("bbox") else frame.xywh(field(record, "xywh"), "xywh")
        expression = text(record, "expression", "question", "text", "sentence")
        key = as_key(field(record, "id", "question_id", default=number), "id")
        yield Sample(f"{key}", (image,), expression, self.task(Task.HBB), (Region(hbb=box),))
