"""GeoChat: its instruction data, and its benchmark files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.conversations import Conversations
from rsground.datasets.fields import RecordError, as_key, as_list, as_map, field, json_able, text
from rsground.datasets.files import filled_lines, parse_json
from rsground.datasets.layout import find_below
from rsground.datasets.reader import Entry, Reader
from rsground.errors import UnknownNameError
from rsground.types import Region, Sample, Task

_IMAGES = (
    "final_images_llava",
    "images/final_images_llava",
    "images",
    ".",
)


class GeoChatInstruct(Conversations):
    """GeoChat_Instruct: 318 k instructions.

    Layout: ``GeoChat_Instruct.json``, a list of ``{"id", "image", "conversations"}``; images in
    ``final_images_llava/`` (the folder inside the published zip), ``images/`` or the root. There is one split,
    ``train``. Boxes are read as :func:`rsground.datasets.box_text.written_boxes` tells, angle sign included.
    """

    name = "geochat-instruct"
    splits = ("train",)
    _boxes_without_angle = Task.HBB

    def __init__(
        self, root: str | Path | None, split: str = "train", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.file = self.layout.file("GeoChat_Instruct.json", "GeoChat_Instruct/GeoChat_Instruct.json")
        places = [self.layout.find_folder(name) for name in _IMAGES]
        self.folders = [place for place in places if place is not None]


_SCENES = ("aid", "UCmerced")
_FILES = ("referring", "region_captioning", *_SCENES, "lrben", "hrben")


class GeoChatBench(Reader):
    """GeoChat-Bench: one JSON Lines file per task.

    Layout: ``<file>.jsonl`` in the root or ``GeoChat-Bench/``; images, which the benchmark does not bring along, in
    ``images/`` or the root, or wherever ``images`` says.

    ``referring``: ``question_id``, ``image_id`` (without an ending), ``question``, ``ground_truth`` (corners of one
    or more oriented boxes, in pixels, as third-party evaluators read it; checked against no copy), ``type``,
    ``dataset``, ``obj_ids``, ``size_group``. ``region_captioning`` is the same with boxes in the question and text as
    truth. ``aid`` and ``UCmerced``: scene classes, the truth being the folder part of ``question_id``. ``lrben`` and
    ``hrben``: questions with a text answer, where ``ground_truth`` is there.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`; the only split is ``test``.
        file: ``referring`` (the default), ``region_captioning``, ``aid``, ``UCmerced``, ``lrben`` or ``hrben``.
        images: image folder, below the root or absolute.
    """

    name = "geochat-bench"
    splits = ("test",)

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        file: str = "referring",
        images: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        if file not in _FILES:
            raise UnknownNameError("file of geochat-bench", file, _FILES)
        self.kind = file
        self.file = self.layout.file(f"{file}.jsonl", f"GeoChat-Bench/{file}.jsonl")
        places = [self.layout.find_folder(name) for name in ((images,) if images else ("images", "Images", *_IMAGES))]
        self.folders = [place for place in places if place is not None]

    def annotation_files(self) -> list[Path]:
        """The chosen file."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for number, line in filled_lines(self.file):
            yield Entry(self.file, number, partial(self._samples, line, number))

    def _samples(self, line: str | RecordError, number: int) -> Iterator[Sample]:
        if isinstance(line, RecordError):
            raise line
        record = as_map(parse_json(line, "the line"), "the line")
        wanted = text(record, "image_id", "image")
        image = self.image(find_below(self.folders, wanted), wanted)
        question = text(record, "question", "text")
        kept = ("question_id", "type", "dataset", "size_group")
        meta = {key: json_able(record[key], 2) for key in kept if record.get(key) is not None}
        if self.kind == "referring":
            frame = self.frame(image)
            quads = [frame.quad(corners, "ground_truth") for corners in _quads(field(record, "ground_truth"))]
            targets = tuple(Region(hbb=frame.quad_hbb(quad), quad=quad) for quad in quads)
            yield Sample(f"{number}", (image,), question, self.task(Task.OBB), targets, meta=meta)
            return
        answer = self._answer(record)
        default = {"region_captioning": Task.REGION_CAPTION, "aid": Task.SCENE, "UCmerced": Task.SCENE}
        yield Sample(f"{number}", (image,), question, self.task(default.get(self.kind, Task.VQA)), None, answer, meta)

    def _answer(self, record: Mapping[str, Any]) -> str | None:
        if self.kind in _SCENES:
            folder, _, _ = str(as_key(field(record, "question_id"), "question_id")).rpartition("/")
            return folder.rpartition("/")[2] or None
        truth = record.get("ground_truth", record.get("answer"))
        return None if truth is None else truth if isinstance(truth, str) else f"{json_able(truth, 2)}"


def _quads(value: Any) -> list[Any]:
    """One or several quads: four points, or a list of those."""
    items = as_list(value, "ground_truth")
    if not items:
        raise RecordError("bad-box", "ground_truth is empty")
    is_one = len(items) in (4, 8) and not (isinstance(items[0], list) and items[0] and isinstance(items[0][0], list))
    return [items] if is_one and not (len(items) == 4 and _has(items[0], 8)) else items


def _has(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count
