"""COCO instance files, indexed: images and categories in memory, annotations by their place in the file."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rsground.datasets.boxes import Frame, checked_size
from rsground.datasets.fields import RecordError, as_int, as_key, as_map, as_text, field, json_able, short, text
from rsground.datasets.json_stream import read_element, scan
from rsground.errors import LayoutError
from rsground.types import Region, Size

Id = int | str
STANDS_IN = "segmentation_from"
"""Key of annotations whose ``segmentation`` is no mask but the outline of their ``"obb"`` or ``"bbox"``."""
_KEEP = ("id", "iscrowd", "area", "difficult", "visible", "source_ann_id")
"""Keys of an annotation that go along as attributes of its region."""


class CocoImage(NamedTuple):
    """One entry of ``images``.

    Attributes:
        id: as the file has it.
        file_name: path below the image folder.
        size: (H, W); None where the file does not say.
        split: the ``split`` of the entry, where there is one (an extension of COCO).
        row: place among the images of the file.
    """

    id: Id
    file_name: str
    size: Size | None
    split: str | None
    row: int


class CocoIndex:
    """A COCO file that was read once, element by element.

    Args:
        path: the JSON file.

    Raises:
        LayoutError: it has no ``images`` and ``annotations``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: dict[Id, CocoImage] = {}
        self.categories: dict[Id, str] = {}
        self.problems: list[tuple[int | None, RecordError]] = []
        """Records that could not be indexed: (record number in its list, why)."""
        self._row_of: dict[Id, int] = {}
        self._image_ids: list[Id] = []
        self._offsets, self._lengths, self._numbers = array("q"), array("q"), array("q")
        self._read()
        self._order, self._bounds = self._grouped()

    def _read(self) -> None:
        keys = set()
        for element in scan(self.path):
            keys.add(element.key)
            try:
                if isinstance(element.value, RecordError):
                    raise element.value
                if element.key == "images" and element.number:
                    self._add_image(element.value)
                elif element.key == "categories" and element.number:
                    self._add_category(element.value)
                elif element.key == "annotations" and element.number:
                    self._add_annotation(element.value, element.offset, element.length, element.number)
            except RecordError as broken:
                self.problems.append((element.number or None, broken))
        if not {"images", "annotations"} <= keys and not self.problems:
            found = ", ".join(sorted(map(short, keys))) or "nothing"
            raise LayoutError(f"a COCO file has 'images', 'annotations', 'categories'; found {found}", path=self.path)

    def _add_image(self, value: Any) -> None:
        entry = as_map(value, "an entry of images")
        key = as_key(field(entry, "id"), "images.id")
        if key in self.images:
            raise RecordError("duplicate-id", f"a second image has the id {short(key)}")
        width, height = entry.get("width"), entry.get("height")
        size = None
        if width is not None and height is not None:
            size = checked_size(as_int(height, "height"), as_int(width, "width"))
        split = as_text(entry["split"], "split") if entry.get("split") is not None else None
        self.images[key] = CocoImage(key, text(entry, "file_name"), size, split, len(self.images))

    def _add_category(self, value: Any) -> None:
        entry = as_map(value, "an entry of categories")
        self.categories[as_key(field(entry, "id"), "categories.id")] = text(entry, "name")

    def _add_annotation(self, value: Any, offset: int, length: int, number: int) -> None:
        entry = as_map(value, "an entry of annotations")
        image = as_key(field(entry, "image_id"), "image_id")
        if entry.get("id") is not None:
            key = as_key(entry["id"], "annotations.id")
            if key in self._row_of:
                raise RecordError("duplicate-id", f"a second annotation has the id {short(key)}")
            self._row_of[key] = len(self._offsets)
        self._image_ids.append(image)
        self._offsets.append(offset)
        self._lengths.append(length)
        self._numbers.append(number)

    def _grouped(self) -> tuple[np.ndarray[Any, np.dtype[np.intp]], np.ndarray[Any, np.dtype[np.intp]]]:
        """Annotations by image, and where each image's begin."""
        rows = np.array([self.images[key].row if key in self.images else -1 for key in self._image_ids], np.intp)
        for place in np.flatnonzero(rows < 0).tolist():
            image = short(self._image_ids[place])
            self.problems.append((self._numbers[place], RecordError("unknown-image", f"no image has the id {image}")))
        self._image_ids = []
        order = np.argsort(rows, kind="stable")
        return order, np.searchsorted(rows[order], np.arange(len(self.images) + 1))

    def of_image(self, image: CocoImage, stream: BinaryIO) -> Iterator[tuple[int, Any]]:
        """(record number, annotation) of every annotation of ``image``; the annotation may be :class:`RecordError`."""
        for place in self._order[self._bounds[image.row] : self._bounds[image.row + 1]].tolist():
            yield self._numbers[place], self._annotation(place, stream)

    def with_id(self, key: Id, stream: BinaryIO) -> Any:
        """The annotation with that id.

        Raises:
            RecordError: there is none.
        """
        if key not in self._row_of:
            raise RecordError("unknown-annotation", f"no annotation has the id {short(key)} in {self.path.name}")
        value = self._annotation(self._row_of[key], stream)
        if isinstance(value, RecordError):
            raise value
        return value

    def _annotation(self, place: int, stream: BinaryIO) -> Any:
        try:
            return read_element(stream, self._offsets[place], self._lengths[place])
        except RecordError as broken:
            return broken

    def region(self, annotation: Any, frame: Frame) -> Region:
        """One annotation as a region: box, polygons or mask, category, and ``obb`` (eight numbers) where there is one.
        A segmentation that stands in for a mask is none, see :data:`STANDS_IN`.

        Raises:
            RecordError: it has no usable form, an unknown category, or a form that breaks the rules of ``frame``.
        """
        if isinstance(annotation, RecordError):
            raise annotation
        entry = as_map(annotation, "an annotation")
        category = as_key(field(entry, "category_id"), "category_id")
        if category not in self.categories:
            raise RecordError("unknown-category", f"no category has the id {short(category)}")
        segmentation, bbox, obb = entry.get("segmentation"), entry.get("bbox"), entry.get("obb")
        masked = bool(segmentation) and STANDS_IN not in entry
        is_rle = masked and isinstance(segmentation[0] if isinstance(segmentation, list) else segmentation, dict)
        if not masked and not bbox:
            raise RecordError("missing-field", "an annotation needs a segmentation or a bbox")
        return Region(
            hbb=frame.xywh(bbox) if bbox else None,
            quad=frame.quad(obb, "obb") if obb else None,
            polygons=frame.polygons(segmentation) if masked and not is_rle else None,
            rle=frame.rle(segmentation, "segmentation") if is_rle else None,
            label=self.categories[category],
            attributes={key: json_able(entry[key], 1) for key in _KEEP if entry.get(key) is not None},
        )
