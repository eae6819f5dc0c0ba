"""The RRSIS-D (REFER) layout, and the gRefCOCO file beside it that also holds several and no targets."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rsground.datasets.coco import STANDS_IN
from rsground.datasets.refer.placing import file_name, place_image
from rsground.datasets.refer.records import ImageRecord, Ref
from rsground.regions import area_of
from rsground.types import Region

_PROTOCOL = 2
"""Pickle protocol of the published file: Python 2 can read it, and it needs no class of ours."""


def write_rrsisd(root: Path, records: Iterable[ImageRecord], images: str) -> int:
    """Write ``rrsisd/instances.json``, ``rrsisd/refs(unc).p``, ``rrsisd/grefs(unc).json`` and the images.

    The pickle holds single targets only, as RRSIS-D does, one reference per instance with all its sentences;
    ``grefs(unc).json`` holds everything. ``instances.json`` lists all instances; where no mask is known, the polygon
    of the oriented box, else of the box, stands in for it, and the key ``segmentation_from`` says which.

    Returns:
        Number of expressions in ``grefs(unc).json``.
    """
    folder, pictures = root / "rrsisd", root / "images" / "rrsisd" / "JPEGImages"
    folder.mkdir(parents=True)
    pictures.mkdir(parents=True)
    writer = _Refer()
    with (folder / "images.tmp").open("w") as rows, (folder / "annotations.tmp").open("w") as annotations:
        for record in records:
            writer.add(record, rows, annotations)
            place_image(record, pictures, images)
    categories = [{"id": number, "name": name} for name, number in writer.categories.items()]
    with (folder / "instances.json").open("w") as out:
        out.write('{"info": {"description": "made by rsground data refer"},\n"images": [\n')
        _append(out, folder / "images.tmp")
        out.write('],\n"annotations": [\n')
        _append(out, folder / "annotations.tmp")
        out.write('],\n"categories": ' + json.dumps(categories) + "}\n")
    with (folder / "refs(unc).p").open("wb") as stream:
        pickle.dump(writer.refs, stream, protocol=_PROTOCOL)
    with (folder / "grefs(unc).json").open("w") as out:
        out.write("[\n" + ",\n".join(json.dumps(gref) for gref in writer.grefs) + "\n]\n")
    return len(writer.grefs)


def _append(out: TextIO, part: Path) -> None:
    """Copy a file of rows into a JSON list, and remove it."""
    with part.open() as rows:
        for number, row in enumerate(rows):
            out.write(("," if number else "") + row)
    part.unlink()


class _Refer:
    """Hands out ids and collects references; instances go to disk at once."""

    def __init__(self) -> None:
        self.images = self.annotations = self.sentences = 0
        self.categories: dict[str, int] = {}
        self.refs: list[dict[str, Any]] = []
        self.grefs: list[dict[str, Any]] = []

    def add(self, record: ImageRecord, images: TextIO, annotations: TextIO) -> None:
        """One image with its instances and expressions."""
        height, width = record.size
        entry = {"id": self.images, "file_name": file_name(record), "height": height, "width": width}
        images.write(json.dumps({**entry, "split": record.split}) + "\n")
        first = self.annotations
        for region in record.regions:
            annotations.write(json.dumps(self._annotation(region)) + "\n")
            self.annotations += 1
        singles: dict[int, dict[str, Any]] = {}
        for ref in record.refs:
            sentence = self._sentence(ref.text)
            ids = [first + k for k in ref.targets]
            kinds = [self._category(record.regions[k].label) for k in ref.targets]
            self.grefs.append(self._gref(record, ref, ids, kinds, sentence))
            if len(ids) == 1:
                self._add_single(record, singles, ids[0], kinds[0], sentence)
        self.images += 1

    def _annotation(self, region: Region) -> dict[str, Any]:
        assert region.hbb is not None
        x1, y1, x2, y2 = region.hbb
        row: dict[str, Any] = {
            "id": self.annotations,
            "image_id": self.images,
            "category_id": self._category(region.label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": area_of(region),
            "iscrowd": 0,
            "segmentation": _segmentation(region),
        }
        if region.quad is not None:
            row["obb"] = _flat(region.quad)
        if region.rle is None and region.polygons is None:
            row[STANDS_IN] = "bbox" if region.quad is None else "obb"
        return row

    def _category(self, label: str | None) -> int:
        return self.categories.setdefault(label or "object", len(self.categories) + 1)

    def _sentence(self, text: str) -> dict[str, Any]:
        lower = text.lower()
        number, self.sentences = self.sentences, self.sentences + 1
        return {"sent_id": number, "raw": text, "sent": lower, "tokens": re.findall(r"\w+", lower)}

    def _add_single(
        self, record: ImageRecord, singles: dict[int, dict[str, Any]], ann: int, category: int, sentence: dict[str, Any]
    ) -> None:
        if ann not in singles:
            singles[ann] = {
                "ref_id": len(self.refs),
                "ann_id": ann,
                "image_id": self.images,
                "category_id": category,
                "file_name": file_name(record),
                "split": record.split,
                "sentences": [],
                "sent_ids": [],
            }
            self.refs.append(singles[ann])
        singles[ann]["sentences"].append(dict(sentence))
        singles[ann]["sent_ids"].append(sentence["sent_id"])

    def _gref(
        self, record: ImageRecord, ref: Ref, ids: list[int], categories: list[int], sentence: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "ref_id": len(self.grefs),
            "ann_id": ids or [-1],
            "category_id": categories or [-1],
            "image_id": self.images,
            "file_name": file_name(record),
            "split": record.split,
            "no_target": not ids,
            "kind": ref.kind,
            "axes": list(ref.axes),
            "sent_ids": [sentence["sent_id"]],
            "sentences": [{**sentence, "exist": bool(ids)}],
        }


def _segmentation(region: Region) -> list[Any]:
    """A list of one RLE, as REFER's loaders need it, or of flat polygons."""
    if region.rle is not None:
        return [{"size": list(region.rle.size), "counts": region.rle.counts.decode("ascii")}]
    if region.polygons is not None:
        return [_flat(ring) for ring in region.polygons]
    if region.quad is not None:
        return [_flat(region.quad)]
    assert region.hbb is not None
    x1, y1, x2, y2 = region.hbb
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def _flat(points: Iterable[tuple[float, float]]) -> list[float]:
    return [value for point in points for value in point]
