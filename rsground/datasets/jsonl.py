"""Our own form: JSON Lines, one sample a line. Whatever has no published layout is written and read in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.boxes import checked_size
from rsground.datasets.detection import richest
from rsground.datasets.fields import RecordError, as_int, as_key, as_list, as_map, as_text, field, json_able, text
from rsground.datasets.files import filled_lines, parse_json
from rsground.datasets.jsonl_region import region_from_json, region_to_json, regions_from_columns
from rsground.datasets.layout import Layout, find_image, is_file
from rsground.datasets.reader import Entry, Reader
from rsground.errors import DataError
from rsground.types import ImageRef, Region, Sample, Size, Task

_FILES = ("expressions.jsonl", "queries.jsonl", "samples.jsonl")
_OWN = {"id", "image", "images", "a", "b", "width", "height", "expression", "task", "targets", "answer", "meta"}
_COLUMNS = {"hbb", "obb", "rle", "polygons"}
_NOT_META = _OWN | _COLUMNS | {"rbox", "split"}


class Jsonl(Reader):
    """Samples in JSON Lines, UTF-8. The schema is in ``docs/reference/datasets.md``; in short:

    ``{"id", "image", "width", "height", "expression", "task", "targets": [{"hbb", "quad", "polygons", "rle",
    "points", "label", "span", "score", "attributes"}], "answer", "meta", "split"}``, with ``"a"`` and ``"b"`` in the
    place of ``"image"`` for a pair. ``id`` and ``expression`` are needed; ``"targets": []`` says that nothing is
    there, no ``targets`` that nothing is annotated. Paths are relative to the file, or absolute.

    The column form is read too: ``"hbb": [[x1, y1, x2, y2], ...]``, ``"obb": [[x1, y1, ... y4], ...]``, one per
    target, and ``"rle"``, the mask of all targets together. With several targets each gets the mask's pixels inside
    its oriented box, or its box where that loses pixels; where the boxes together do not cover the mask, the whole
    mask is one target. Keys that are not ours go to ``meta``.

    Args:
        root: a ``.jsonl`` file, or a folder with ``<split>.jsonl``, ``expressions.jsonl``, ``queries.jsonl`` or
            ``samples.jsonl`` (the first that is there).
        split: records with another ``split`` are left out, records without one belong to every split; ``all`` reads
            every record.
        task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        file: the file, below the root, where it has another name.
    """

    name = "jsonl"
    splits = ("train", "val", "test", "all")
    any_split = True

    def __init__(
        self,
        root: str | Path | None,
        split: str = "all",
        *,
        file: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        given = None if root is None else Path(root)
        is_one = given is not None and given.suffix == ".jsonl" and is_file(given)
        super().__init__(
            given.parent if is_one and given is not None else root, split, task=task, need_images=need_images
        )
        self.file = given if is_one and given is not None else self._find(self.layout, file)

    def _find(self, layout: Layout, file: str | None) -> Path:
        return layout.file(file) if file else layout.file(f"{self.split}.jsonl", *_FILES)

    def annotation_files(self) -> list[Path]:
        """The JSON Lines file."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for number, line in filled_lines(self.file):
            yield Entry(self.file, number, partial(self._samples, line))

    def _samples(self, line: str | RecordError) -> Iterator[Sample]:
        if isinstance(line, RecordError):
            raise line
        record = as_map(parse_json(line, "the line"), "the line")
        if self.split != "all" and record.get("split", self.split) != self.split:
            return
        name = str(as_key(field(record, "id"), "id"))
        images = tuple(self._file(path, size) for path, size in _pictures(record))
        if len({image.size for image in images}) > 1:
            raise RecordError("image-size", "the two images differ in size")
        targets = self._targets(record, images[-1])
        given = record.get("task")
        if given is not None and given not in list(Task):
            raise RecordError("bad-field", f"task {str(given)[:40]!r} is none of {', '.join(Task)}")
        answer = as_text(record["answer"], "answer") if record.get("answer") is not None else None
        task = self.task(Task(given) if given is not None else _task(record, images, targets, answer))
        yield Sample(name, images, text(record, "expression"), task, targets, answer, _meta(record))

    def _file(self, name: str, size: Size | None) -> ImageRef:
        folder = self.file.parent
        path = Path(name) if os.path.isabs(name) and "\0" not in name else find_image(folder, name)
        return self.image(path if path is not None else folder / name, name, size)

    def _targets(self, record: Any, image: ImageRef) -> tuple[Region, ...] | None:
        frame = self.frame(image)
        if "targets" in record:
            if record["targets"] is None:
                return None
            return tuple(region_from_json(row, frame) for row in as_list(record["targets"], "targets"))
        return regions_from_columns(record, frame) if _COLUMNS & record.keys() else None


def write_jsonl(samples: Iterable[Sample], path: str | Path) -> int:
    """Write samples in the form that :class:`Jsonl` reads, and answer how many.

    Image paths become relative to the file where the image lies beside or below it, absolute elsewhere. The file
    appears whole or not at all.

    Raises:
        DataError: a sample shows a rendered image (save it first), or holds something that JSON cannot.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    count = 0
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as stream:
            for sample in samples:
                stream.write(f"{_line(sample, target.parent)}\n")
                count += 1
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def sample_to_json(sample: Sample, folder: str | Path) -> dict[str, Any]:
    """A sample as JSON-able values, paths relative to ``folder`` where they lie below it.

    Raises:
        DataError: it shows a rendered image.
    """
    paths = [_relative(image, sample, Path(folder)) for image in sample.images]
    record: dict[str, Any] = {"id": sample.id}
    record |= {"image": paths[0]} if len(paths) == 1 else {"a": paths[0], "b": paths[1]}
    record |= {"width": sample.image.width, "height": sample.image.height}
    record |= {"expression": sample.expression, "task": str(sample.task)}
    if sample.targets is not None:
        record["targets"] = [region_to_json(region) for region in sample.targets]
    if sample.answer is not None:
        record["answer"] = sample.answer
    split = sample.meta.get("split")
    if isinstance(split, str):
        record["split"] = split
    meta = {key: value for key, value in sample.meta.items() if key != "split" or not isinstance(split, str)}
    return record | ({"meta": meta} if meta else {})


def _line(sample: Sample, folder: Path) -> str:
    try:
        line = json.dumps(sample_to_json(sample, folder), ensure_ascii=False, allow_nan=False)
        line.encode("utf-8")
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"sample {sample.id!r} cannot be written as JSON: {error}") from error
    return line


def _relative(image: ImageRef, sample: Sample, folder: Path) -> str:
    if image.render is not None:
        raise DataError(f"sample {sample.id!r} shows the rendered image {image.uri!r}: save it to a file first")
    path, base = Path(os.path.abspath(image.uri)), Path(os.path.abspath(folder))
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


def _pictures(record: Mapping[str, Any]) -> list[tuple[str, Size | None]]:
    """(path, size) of the record's image, or of its two."""
    if record.get("a") is not None or record.get("b") is not None:
        return [_picture(field(record, key), record) for key in ("a", "b")]
    if record.get("images") is not None:
        found = [_picture(value, record) for value in as_list(record["images"], "images")]
        if len(found) not in (1, 2):
            raise RecordError("bad-field", f"images must be one, or two for change, got {len(found)}")
        return found
    return [_picture(field(record, "image"), record)]


def _picture(value: Any, record: Mapping[str, Any]) -> tuple[str, Size | None]:
    """An image given by its path, or as ``{"path", "width", "height"}``; the record may hold the size as well."""
    given = value if isinstance(value, dict) else {"path": value}
    width = given.get("width", record.get("width"))
    height = given.get("height", record.get("height"))
    known = width is not None and height is not None
    size = checked_size(as_int(height, "height"), as_int(width, "width")) if known else None
    return text(given, "path"), size


def _task(record: Any, images: tuple[ImageRef, ...], targets: tuple[Region, ...] | None, answer: str | None) -> Task:
    """What a record without a ``task`` asks: the most that its targets can answer."""
    if targets is None:
        return Task.VQA if answer is not None else Task.HBB
    if len(images) == 2:
        return Task.CHANGE
    if not targets:
        filled = (name for name in ("rle", "obb", "hbb") if record.get(name) is not None)
        return {"obb": Task.OBB, "hbb": Task.HBB}.get(next(filled, "rle"), Task.MASK)
    return richest(targets)


def _meta(record: Any) -> dict[str, Any]:
    meta = {key: json_able(value) for key, value in record.items() if key not in _NOT_META}
    if record.get("meta") is not None:
        meta |= {key: json_able(value) for key, value in as_map(record["meta"], "meta").items()}
    if isinstance(record.get("split"), str):
        meta["split"] = record["split"]
    return meta
