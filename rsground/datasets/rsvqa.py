"""RSVQA, low and high resolution: questions and answers in three parallel JSON files per split."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rsground.datasets.fields import RecordError, as_int, as_list, as_map, as_text, field, text
from rsground.datasets.json_stream import Element, scan
from rsground.datasets.layout import find_image
from rsground.datasets.reader import Entry, Reader, broken_entry
from rsground.types import Sample, Task

_MAX_ID = 20_000_000
"""Ids are places in a list of at most a million; a larger one is damage."""


class _Answers:
    """Answer texts by id: one number per answer, since a handful of texts make up a million answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[tuple[int | None, RecordError]] = []
        self._texts: dict[str, int] = {}
        self._of_id = array("i")
        for element in _rows(path, "answers"):
            try:
                self._add(_row(element))
            except RecordError as broken:
                self.problems.append((element.number or None, broken))
        self._known = list(self._texts)

    def _add(self, row: Mapping[str, Any]) -> None:
        if row.get("active") is not True:
            return
        key = _id(row, "id")
        value = field(row, "answer")
        answer = value if isinstance(value, str) else str(as_int(value, "answer"))
        if key >= len(self._of_id):
            self._of_id.extend(array("i", [-1]) * (key + 1 - len(self._of_id)))
        self._of_id[key] = self._texts.setdefault(as_text(answer, "answer"), len(self._texts))

    def __getitem__(self, key: int) -> str:
        if key >= len(self._of_id) or self._of_id[key] < 0:
            raise RecordError("missing-answer", f"no active answer has the id {key} in {self.path.name}")
        return self._known[self._of_id[key]]


class RsvqaLR(Reader):
    """RSVQA-LR: 256 x 256 Sentinel-2 tiles.

    Layout: ``Images_LR/<id>.tif`` and ``LR_split_<split>_{questions,answers}.json`` (the third file,
    ``..._images.json``, adds nothing that is needed). Only entries with ``"active": true`` belong to a split; the
    others are stubs. ``meta["type"]`` is the question's kind (``count``, ``presence``, ``comp``, ``rural_urban``).
    """

    name = "rsvqa-lr"
    _prefix: ClassVar[str] = "LR_split_"
    _images: ClassVar[tuple[str, ...]] = ("Images_LR", "images")

    def __init__(
        self, root: str | Path | None, split: str = "test", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.questions = self.layout.file(f"{self._prefix}{split}_questions.json")
        self.answers = self.layout.file(f"{self._prefix}{split}_answers.json")
        self.images = self.layout.folder(*self._images)

    def annotation_files(self) -> list[Path]:
        """Questions and answers of the split."""
        return [self.questions, self.answers]

    def _entries(self) -> Iterator[Entry]:
        answers = _Answers(self.answers)
        for line, problem in answers.problems:
            yield broken_entry(self.answers, line, problem)
        for element in _rows(self.questions, "questions"):
            yield Entry(self.questions, element.number or None, partial(self._samples, element, answers))

    def _samples(self, element: Element, answers: _Answers) -> Iterator[Sample]:
        row = _row(element)
        if row.get("active") is not True:
            return
        key = _id(row, "id")
        ids = as_list(field(row, "answers_ids"), "answers_ids")
        if not ids:
            raise RecordError("missing-answer", f"question {key} has no answer")
        answer = answers[_id({"id": ids[0]}, "id")]
        number = _id(row, "img_id")
        image = self.image(find_image(self.images, f"{number}.tif"), f"{number}.tif")
        meta = {"type": as_text(field(row, "type", default=""), "type")}
        yield Sample(f"{key}", (image,), text(row, "question"), self.task(Task.VQA), None, answer, meta)


class RsvqaHR(RsvqaLR):
    """RSVQA-HR: 512 x 512 aerial tiles.

    Layout: ``Data/<id>.tif`` and ``USGS_split_<split>_{questions,answers}.json``; ``test_phili`` is test set 2.
    """

    name = "rsvqa-hr"
    splits = ("train", "val", "test", "test_phili")
    _prefix = "USGS_split_"
    _images = ("Data", "images")


def _rows(path: Path, key: str) -> Iterator[Element]:
    """The elements of the list ``key`` of a file, and what says that the file is damaged."""
    for element in scan(path):
        if isinstance(element.value, RecordError) or (element.key == key and element.number):
            yield element


def _row(element: Element) -> Mapping[str, Any]:
    if isinstance(element.value, RecordError):
        raise element.value
    return as_map(element.value, "an entry")


def _id(row: Mapping[str, Any], name: str) -> int:
    value = as_int(field(row, name), name)
    if not 0 <= value <= _MAX_ID:
        raise RecordError("bad-field", f"{name} must be between 0 and {_MAX_ID}, got {value}")
    return value
