"""RRSIS-D and the REFER form: a pickle (or JSON) of references beside a COCO file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

from rsground.datasets.coco import CocoIndex
from rsground.datasets.fields import RecordError, as_key, as_list, as_map, as_text, field, json_able, short, text
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import find_below
from rsground.datasets.pickle_safe import load_plain_pickle
from rsground.datasets.reader import Entry, Reader, broken_entry
from rsground.errors import DataError
from rsground.types import ImageRef, Region, Sample, Task


class Rrsisd(Reader):
    """RRSIS-D: one referred object per reference, its mask as RLE; one sample per sentence.

    Layout: ``rrsisd/refs(unc).p`` and ``rrsisd/instances.json`` (a published note spells the folder ``rrssid``; both
    are taken, and the files may lie in the root), images in ``images/rrsisd/JPEGImages/``. The pickle is read by
    :func:`~rsground.datasets.pickle_safe.load_plain_pickle`: a malicious one runs nothing.

    A mask of several planes is their union. (A published loader keeps the pixels that are covered exactly once, which
    punches holes where planes overlap.) Sample ids are ``<ref_id>-<sent_id>``.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        refs: the reference file; ``"grefs(unc).json"`` reads the gRefCOCO form, where a reference has any number of
            targets, none included.
        sentences: ``"all"`` of a reference, as RMSIN evaluates, or its ``"first"``, as SegEarth-R1 does.
        images: image folder, below the root, where it has another name.
    """

    name = "rrsis-d"

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        refs: str = "refs(unc).p",
        sentences: str = "all",
        images: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        if sentences not in ("all", "first"):
            raise DataError(f"sentences must be 'all' or 'first', got {sentences!r}")
        self.first_only = sentences == "first"
        self.refs = self.layout.file(f"rrsisd/{refs}", f"rrssid/{refs}", refs)
        self.instances = self.layout.file("rrsisd/instances.json", "rrssid/instances.json", "instances.json")
        names = ("images/rrsisd/JPEGImages", "images/rrssid/JPEGImages", "images/rrsisd", "JPEGImages", "images")
        found = self.layout.folder(images) if images else self.layout.find_folder(*names)
        self.folders = [found if found is not None else self.layout.folder(names[0])] if need_images else []
        self.folders += [found] if found is not None and not self.folders else []

    @cached_property
    def index(self) -> CocoIndex:
        """All annotated instances, read once."""
        return CocoIndex(self.instances)

    def annotation_files(self) -> list[Path]:
        """References and instances."""
        return [self.refs, self.instances]

    def _entries(self) -> Iterator[Entry]:
        for line, problem in self.index.problems:
            yield broken_entry(self.instances, line, problem)
        with self.instances.open("rb") as stream:
            for number, ref in self._references():
                yield Entry(self.refs, number, partial(self._samples, ref, number, stream))

    def _references(self) -> Iterator[tuple[int, Any]]:
        """(1-based record number, reference) of every reference in the file."""
        if self.refs.suffix == ".json":
            for element in scan(self.refs):
                yield element.number, element.value
            return
        loaded = load_plain_pickle(self.refs)
        if not isinstance(loaded, list):
            raise DataError(f"references must be a list of dicts, got {short(loaded)}", path=self.refs)
        yield from enumerate(loaded, 1)

    def _samples(self, value: Any, number: int, stream: BinaryIO) -> Iterator[Sample]:
        if isinstance(value, RecordError):
            raise value
        ref = as_map(value, "a reference")
        if as_text(field(ref, "split"), "split") != self.split:
            return
        key = as_key(field(ref, "image_id"), "image_id")
        entry = self.index.images.get(key)
        if entry is None:
            raise RecordError("unknown-image", f"no image has the id {short(key)} in {self.instances.name}")
        image = self.image(find_below(self.folders, entry.file_name), entry.file_name, entry.size)
        regions = self._targets(ref, image, stream)
        name = as_key(field(ref, "ref_id"), "ref_id")
        meta = {"ref_id": name, "image_id": key, "category": _category(regions)}
        if "no_target" in ref:
            meta["no_target"] = json_able(ref["no_target"], 1)
        sentences = as_list(field(ref, "sentences"), "sentences")
        for place, sentence in enumerate(sentences[:1] if self.first_only else sentences):
            try:
                yield self._sample(f"{name}", place, as_map(sentence, "a sentence"), image, regions, meta)
            except RecordError as broken:
                self.report(self.refs, number, broken)

    def _sample(
        self,
        name: str,
        place: int,
        sentence: Mapping[str, Any],
        image: ImageRef,
        regions: tuple[Region, ...],
        meta: Mapping[str, Any],
    ) -> Sample:
        number = sentence.get("sent_id")
        suffix = as_key(number, "sent_id") if number is not None else f"s{place}"
        expression = text(sentence, "raw", "sent")
        return Sample(f"{name}-{suffix}", (image,), expression, self.task(Task.MASK), regions, meta=meta)

    def _targets(self, ref: Mapping[str, Any], image: ImageRef, stream: BinaryIO) -> tuple[Region, ...]:
        """The instances a reference names; gRefCOCO writes ``[-1]`` or ``no_target`` for none."""
        named = field(ref, "ann_id")
        ids = as_list(named, "ann_id") if isinstance(named, list | tuple) else [named]
        frame = self.frame(image)
        keys = [as_key(one, "ann_id") for one in ids]
        return tuple(
            self.index.region(self.index.with_id(key, stream), frame) for key in keys if key != -1 or len(keys) > 1
        )


def _category(regions: tuple[Region, ...]) -> Any:
    labels = list(dict.fromkeys(region.label for region in regions))
    return labels[0] if len(labels) == 1 else labels or None
