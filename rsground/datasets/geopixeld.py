"""GeoPixelD: descriptions of 800 x 800 iSAID patches, every phrase with its mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.boxes import Frame
from rsground.datasets.fields import RecordError, as_list, as_map, as_text, field, text
from rsground.datasets.files import read_json
from rsground.datasets.gcg_text import Mention, mentions
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import files_in, find_below, is_file
from rsground.datasets.reader import Entry, Reader
from rsground.types import Region, Sample, Task

_PROMPT = "Describe the image in detail, with interleaved segmentation masks for the objects you mention."
"""Asked where a file holds a description only (the test split)."""


class GeoPixelD(Reader):
    """GeoPixelD (grounded conversation generation, RS-GCG).

    Layout: ``GeoPixelD.json`` with conversations for training; for other splits, the per-image files
    ``GeoPixelD/<split>/Pxxxx_<y0>_<y1>_<x0>_<x1>.json``. An entry names its image and a JSON file with ``polygons``:
    one list of rings per ``[SEG]`` of the description; ``segmentation`` (COCO RLEs) may stand in its place. Their
    number must equal that of the ``[SEG]``. Paths are taken below the root, the root's parent, or with leading folders
    removed. Entries with a ``split`` of their own are filtered by it.

    Target k has the phrase before the k-th ``[SEG]`` as its label and covers it with its ``span``.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        annotations: the conversation file, where it has another name.
    """

    name = "geopixeld"
    splits = ("train", "val", "test", "all")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        annotations: str | None = None,
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        named = [annotations] if annotations else [f"GeoPixelD_{split}.json", f"{split}.json"]
        folder = self.layout.find_folder(f"GeoPixelD/{split}", split, f"data/GeoPixelD/{split}")
        general = ["GeoPixelD.json", "data/GeoPixelD.json", "GeoPixelD_mini.json"]
        self.file: Path | None = self.layout.find_file(*named)
        if self.file is None and folder is not None and split not in ("train", "all"):
            self.files = files_in(folder, ".json")
        else:
            self.file = self.layout.file(*named, *(() if annotations else general))
            self.files = [self.file]
        self.places = [self.layout.root, self.layout.root / "data", self.layout.root.parent]

    def annotation_files(self) -> list[Path]:
        """The conversation file, or the per-image files of the split."""
        return self.files

    def _entries(self) -> Iterator[Entry]:
        if self.file is None:
            for path in self.files:
                yield Entry(path, None, partial(self._from_file, path))
            return
        for element in scan(self.file):
            yield Entry(self.file, element.number or None, partial(self._from_entry, element.value, element.number))

    def _from_entry(self, value: Any, number: int) -> Iterator[Sample]:
        if isinstance(value, RecordError):
            raise value
        entry = as_map(value, "an entry")
        if self.split != "all" and entry.get("split", self.split) != self.split:
            return
        turns = as_list(field(entry, "conversations"), "conversations")
        said = [text(as_map(turn, "a turn"), "value") for turn in turns]
        if len(said) < 2:
            raise RecordError("missing-field", "a conversation needs a question and an answer")
        record = entry if "segmentation" in entry else as_map(read_json(self._beside(entry)), "the polygon file")
        question = said[0].replace("<image>", "").strip()
        yield self._sample(f"{number - 1}-{Path(text(entry, 'image')).stem}", entry, record, question, said[1])

    def _from_file(self, path: Path) -> Iterator[Sample]:
        record = as_map(read_json(path), path.name)
        yield self._sample(path.stem, record, record, _PROMPT, text(record, "gcg_description"))

    def _beside(self, entry: Mapping[str, Any]) -> Path:
        """The per-image file an entry names."""
        name = as_text(field(entry, "polygons"), "polygons")
        parts = Path(name).parts
        if ".." in parts or "\0" in name:
            raise RecordError("bad-field", f"the path {name[:60]!r} leaves the data set")
        tails = [Path(*parts[start:]) for start in range(1 if name.startswith("/") else 0, len(parts))][:16]
        found = next((place / tail for tail in tails for place in self.places if is_file(place / tail)), None)
        if found is None:
            raise RecordError("missing-file", f"there is no polygon file {name!r}")
        return found

    def _sample(
        self, name: str, entry: Mapping[str, Any], record: Mapping[str, Any], question: str, answer: str
    ) -> Sample:
        wanted = text(entry, "image", "img")
        path = find_below(self.places, wanted)
        size = _patch_size(Path(wanted).stem) if path is None and not self.need_images else None
        image = self.image(path, wanted, size)
        named = mentions(answer)
        forms = as_list(field(record, "segmentation", "polygons"), "polygons")
        if len(forms) != len(named):
            raise RecordError("seg-count", f"{len(named)} [SEG] in the text, {len(forms)} regions in the file")
        frame = self.frame(image)
        targets = tuple(
            _region(form, mention, frame, "segmentation" in record and record["segmentation"] is not None)
            for form, mention in zip(forms, named, strict=True)
        )
        return Sample(name, (image,), question or _PROMPT, self.task(Task.GCG), targets, answer)


def _region(form: Any, mention: Mention, frame: Frame, encoded: bool) -> Region:
    label = mention.phrase or None
    if encoded:
        return Region(rle=frame.rle(form), label=label, span=mention.span)
    return Region(polygons=frame.polygons(form, "polygons"), label=label, span=mention.span)


def _patch_size(stem: str) -> tuple[int, int] | None:
    """(H, W) from a patch name ``Pxxxx_<y0>_<y1>_<x0>_<x1>``: rows first."""
    parts = stem.split("_")[1:5]
    if len(parts) < 4 or not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        return None
    y0, y1, x0, x1 = (int(part) for part in parts)
    return (y1 - y0, x1 - x0)
