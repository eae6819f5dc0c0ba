"""refGeo: the referring data GeoGround is trained and tested on, one JSON Lines file per member and split."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.boxes import checked_size
from rsground.datasets.fields import RecordError, as_int, as_key, as_map, field, text
from rsground.datasets.files import filled_lines, parse_json
from rsground.datasets.layout import below, find_image, is_file
from rsground.datasets.masks import read_mask_rle
from rsground.datasets.reader import Entry, Reader
from rsground.errors import LayoutError, UnknownNameError
from rsground.types import Region, Sample, Task

MEMBERS = {"rsvg": "RSVG", "dior_rsvg": "DIOR-RSVG", "geochat": "GeoChat", "vrsbench": "VRSBench", "avvg": "AVVG"}
"""Member, as its file is called → its image folder."""


class RefGeo(Reader):
    """refGeo (GeoGround): RSVG, DIOR-RSVG, GeoChat, VRSBench and AVVG in one form.

    The authors publish no description; this is what third-party code that uses the set reads, checked against no copy
    of it: ``metainfo/<member>_<split>.jsonl`` with ``image_id``, ``question_id``, ``dataset``, ``question``, ``bbox``
    (x1, y1, x2, y2 in pixels) and, for the oriented members, ``poly`` (four corners in pixels);
    ``images/<dataset>/<image_id>`` where the ending may be another one than written; and, where SAM made one,
    ``masks/<dataset>/<image stem>_<question_id>.png``.

    A sample is asked with the richest form of its member: OBB where a record has ``poly``, else HBB; with
    ``task="mask"`` only records that have a mask are read.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        member: one of :data:`MEMBERS`, or ``"all"`` that are there.
    """

    name = "refgeo"

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        member: str = "all",
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        if member not in ("all", *MEMBERS):
            raise UnknownNameError("member of refgeo", member, ["all", *MEMBERS])
        self.metainfo = self.layout.folder("metainfo", "refGeo/metainfo")
        self.base = self.metainfo.parent
        chosen = MEMBERS if member == "all" else (member,)
        self.files = {name: path for name in chosen if (path := self.metainfo / f"{name}_{split}.jsonl").is_file()}
        if not self.files:
            looked = ", ".join(f"metainfo/{name}_{split}.jsonl" for name in chosen)
            there = ", ".join(sorted(path.name for path in self.metainfo.iterdir())[:12]) or "nothing"
            raise LayoutError(f"data set {self.name!r} needs one of {looked}; metainfo holds {there}", path=self.root)

    def annotation_files(self) -> list[Path]:
        """The members' files of the split."""
        return list(self.files.values())

    def _entries(self) -> Iterator[Entry]:
        for member, path in self.files.items():
            for number, line in filled_lines(path):
                yield Entry(path, number, partial(self._samples, member, line, number))

    def _samples(self, member: str, line: str | RecordError, number: int) -> Iterator[Sample]:
        if isinstance(line, RecordError):
            raise line
        record = as_map(parse_json(line, "the line"), "the line")
        wanted = text(record, "image_id")
        folder = MEMBERS[member]
        image = self.image(find_image(self.base / "images" / folder, wanted), f"{folder}/{wanted}", _size(record))
        frame = self.frame(image)
        key = as_key(field(record, "question_id", default=number), "question_id")
        quad = frame.quad(record["poly"], "poly") if record.get("poly") else None
        mask = below(self.base / "masks" / folder, f"{Path(wanted).stem}_{key}.png")
        rle = read_mask_rle(mask, image.size) if mask is not None and is_file(mask) else None
        if rle is None and self._task is Task.MASK:
            return
        region = Region(hbb=frame.hbb(field(record, "bbox"), "bbox"), quad=quad, rle=rle)
        default = Task.OBB if quad is not None else Task.HBB
        meta = {"member": member, "question_id": key}
        name = f"{member}-{number}"
        yield Sample(name, (image,), text(record, "question"), self.task(default), (region,), meta=meta)


def _size(record: Any) -> tuple[int, int] | None:
    width, height = record.get("image_width"), record.get("image_height")
    if width is None or height is None:
        return None
    return checked_size(as_int(height, "image_height"), as_int(width, "image_width"))
