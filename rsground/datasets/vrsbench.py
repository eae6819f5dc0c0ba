"""VRSBench: boxes, captions and questions on 512 x 512 patches of DOTA and DIOR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.boxes import Frame
from rsground.datasets.conversations import Conversations
from rsground.datasets.fields import RecordError, as_key, as_list, as_map, as_text, field, json_able, numbers, text
from rsground.datasets.files import read_json
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import files_in, find_below
from rsground.datasets.reader import Entry, Reader, broken_entry
from rsground.datasets.vrsbench_boxes import corners, published_box
from rsground.errors import DataError, UnknownNameError
from rsground.types import ImageRef, Region, Sample, Task

_ASKS = {"refer": "VRSBench_EVAL_referring.json", "vqa": "VRSBench_EVAL_vqa.json", "caption": "VRSBench_EVAL_Cap.json"}
_SIZE = (512, 512)
_CAPTION = "Describe the image in detail."


class VRSBench(Reader):
    """VRSBench: referring, captions and questions.

    Layout: ``Annotations_train/*.json`` and ``Annotations_val/*.json``, one per image; the evaluation files
    ``VRSBench_EVAL_referring.json``, ``VRSBench_EVAL_vqa.json``, ``VRSBench_EVAL_Cap.json`` for ``val``; images in
    ``Images_train/`` and ``Images_val/``. The evaluation files are the published test and what ``val`` reads;
    ``source="annotations"`` reads the per-image files instead.

    Referring boxes: ``boxes="published"`` takes the evaluation's ``{<x1><y1><x2><y2>}``, hundredths cut off, which
    the published scores are computed with (13 of them have no area and are reported); ``"exact"`` takes the bounds of
    the eight ``obj_corner`` numbers. The quad is always ``obj_corner``. ``is_unique`` (``unique`` in the evaluation
    file) means: the only instance of its category in the patch.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        ask: ``"refer"``, ``"vqa"`` or ``"caption"``.
        source: ``"eval"`` or ``"annotations"``; None takes the evaluation file for ``val`` where it is there.
        boxes: ``"published"`` or ``"exact"``.
    """

    name = "vrsbench"
    splits = ("train", "val")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "val",
        *,
        ask: str = "refer",
        source: str | None = None,
        boxes: str = "published",
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        if ask not in _ASKS:
            raise UnknownNameError("question kind of vrsbench (ask=)", ask, _ASKS)
        if source not in (None, "eval", "annotations") or boxes not in ("published", "exact"):
            raise DataError(
                "source must be 'eval' or 'annotations', boxes 'published' or 'exact'; "
                f"got source={source!r}, boxes={boxes!r}"
            )
        self.ask, self.exact = ask, boxes == "exact"
        found = self.layout.find_file(_ASKS[ask]) if split == "val" else None
        if source == "eval" or (source is None and found is not None):
            self.file: Path | None = found if found is not None else self.layout.file(_ASKS[ask])
            self.files = [self.file]
        else:
            self.file = None
            self.files = files_in(self.layout.folder(f"Annotations_{split}", f"annotations/{split}"), ".json")
        places = [self.layout.find_folder(name) for name in (f"Images_{split}", f"images/{split}", "images", ".")]
        self.folders = [place for place in places if place is not None]

    def annotation_files(self) -> list[Path]:
        """The evaluation file, or the per-image files of the split."""
        return self.files

    def _entries(self) -> Iterator[Entry]:
        if self.file is None:
            for path in self.files:
                yield Entry(path, None, partial(self._from_annotations, path))
            return
        for element in scan(self.file):
            if isinstance(element.value, RecordError):
                yield broken_entry(self.file, element.number or None, element.value)
            elif element.number:
                make = partial(self._from_eval, element.value, element.number)
                yield Entry(self.file, element.number, make)

    def _picture(self, wanted: str) -> ImageRef:
        path = find_below(self.folders, wanted)
        return self.image(path, wanted, None if path is not None or self.need_images else _SIZE)

    def _from_eval(self, value: Any, number: int) -> Iterator[Sample]:
        record = as_map(value, "a record")
        image = self._picture(text(record, "image_id", "image"))
        key = as_key(field(record, "question_id", default=number), "question_id")
        name = f"{Path(image.uri).stem}-{key}-{number}"
        kept = ("type", "obj_cls", "size_group")
        meta = {key: json_able(record[key], 1) for key in kept if record.get(key) is not None}
        question = text(record, "question")
        if self.ask == "refer":
            box = published_box(as_text(field(record, "ground_truth"), "ground_truth"))
            region = self._region(self.frame(image), box, record)
            meta |= {"category": region.label, "is_unique": bool(record.get("unique", record.get("is_unique")))}
            yield Sample(name, (image,), question, self.task(Task.HBB), (region,), meta=meta)
            return
        answer = as_text(field(record, "ground_truth", "answer"), "ground_truth")
        default = Task.CAPTION if self.ask == "caption" else Task.VQA
        yield Sample(name, (image,), question, self.task(default), None, answer, meta)

    def _from_annotations(self, path: Path) -> Iterator[Sample]:
        record = as_map(read_json(path), path.name)
        image = self._picture(text(record, "image"))
        if self.ask == "caption":
            answer = text(record, "caption")
            yield Sample(f"{path.stem}-caption", (image,), _CAPTION, self.task(Task.CAPTION), None, answer)
        rows = {"refer": "objects", "vqa": "qa_pairs"}.get(self.ask)
        for place, row in enumerate(as_list(field(record, rows, default=[]), rows) if rows else []):
            try:
                yield from self._from_row(f"{path.stem}-{place}", image, as_map(row, "an entry"))
            except RecordError as broken:
                self.report(path, place + 1, broken)

    def _from_row(self, name: str, image: ImageRef, row: Mapping[str, Any]) -> Iterator[Sample]:
        if self.ask == "vqa":
            meta = {"type": json_able(row.get("type"), 1)}
            answer = as_text(field(row, "answer"), "answer")
            yield Sample(name, (image,), text(row, "question"), self.task(Task.VQA), None, answer, meta)
        elif row.get("referring_sentence"):
            box = numbers(field(row, "obj_coord"), "obj_coord", 4)
            region = self._region(self.frame(image), box, row)
            meta = {"category": region.label, "is_unique": bool(row.get("is_unique"))}
            expression = text(row, "referring_sentence")
            yield Sample(name, (image,), expression, self.task(Task.HBB), (region,), meta=meta)

    def _region(self, frame: Frame, box: list[float], record: Mapping[str, Any]) -> Region:
        """``box`` and ``obj_corner`` are fractions of the image's sides."""
        height, width = frame.size
        label = as_text(field(record, "obj_cls", default=""), "obj_cls") or None
        quad = None
        if record.get("obj_corner"):
            quad = frame.quad(corners(record["obj_corner"], frame.size), "obj_corner")
        if self.exact and quad is not None:
            return Region(hbb=frame.quad_hbb(quad), quad=quad, label=label)
        pixels = [value * side for value, side in zip(box, (width, height) * 2, strict=True)]
        return Region(hbb=frame.hbb(pixels, "the referring box"), quad=quad, label=label)


class VRSBenchTrain(Conversations):
    """VRSBench's training conversations: ``VRSBench_train.json``, images in ``Images_train/``."""

    name = "vrsbench-train"
    splits = ("train",)

    def __init__(
        self, root: str | Path | None, split: str = "train", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.file = self.layout.file("VRSBench_train.json")
        places = [self.layout.find_folder(name) for name in ("Images_train", "images/train", "images", ".")]
        self.folders = [place for place in places if place is not None]
