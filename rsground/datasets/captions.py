"""UCM-Captions, Sydney-Captions and RSICD: images with five sentences each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rsground.datasets.fields import RecordError, as_list, as_map, as_text, field, text
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import find_below
from rsground.datasets.reader import Entry, Reader
from rsground.types import Sample, Task


class Captioned(NamedTuple):
    """An entry of a caption file in Karpathy's form.

    Attributes:
        filename: the image.
        split: as the file has it.
        sentences: the reference sentences, verbatim but for surrounding blanks.
    """

    filename: str
    split: str
    sentences: list[str]


def read_captioned(entry: Mapping[str, Any]) -> Captioned:
    """One entry.

    Raises:
        RecordError: a field is missing, or there is no sentence.
    """
    sentences = [
        text(as_map(sentence, "a sentence"), "raw").strip()
        for sentence in as_list(field(entry, "sentences"), "sentences")
    ]
    if not sentences:
        raise RecordError("missing-field", "the list of sentences is empty")
    return Captioned(text(entry, "filename"), as_text(field(entry, "split"), "split"), sentences)


class Captions(Reader):
    """A caption set: one sample per image, the first sentence as its answer, all of them as ``meta["references"]``.

    Layout: ``dataset.json`` (``dataset_rsicd.json``) with ``{"images": [{"filename", "split", "sentences"}]}``, images
    in ``images/``, ``imgs/`` or ``RSICD_images/``.
    """

    name = "captions"
    _files: tuple[str, ...] = ("dataset.json",)

    def __init__(
        self, root: str | Path | None, split: str = "test", *, task: str | None = None, need_images: bool = True
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.file = self.layout.file(*self._files)
        places = [self.layout.find_folder(name) for name in ("images", "imgs", "RSICD_images", ".")]
        self.folders = [place for place in places if place is not None]

    def annotation_files(self) -> list[Path]:
        """The caption file."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for element in scan(self.file):
            if isinstance(element.value, RecordError) or element.key in ("images", ""):
                yield Entry(self.file, element.number or None, partial(self._samples, element.value))

    def _samples(self, value: Any) -> Iterator[Sample]:
        if isinstance(value, RecordError):
            raise value
        found = read_captioned(as_map(value, "an entry of images"))
        if found.split != self.split:
            return
        image = self.image(find_below(self.folders, found.filename), found.filename)
        meta = {"references": found.sentences}
        question = "Describe the image in one sentence."
        name = Path(found.filename).stem
        yield Sample(name, (image,), question, self.task(Task.CAPTION), None, found.sentences[0], meta)


class UcmCaptions(Captions):
    """UCM-Captions: 2,100 images of UC Merced."""

    name = "ucm-captions"
    _files = ("dataset.json", "UCM_captions/dataset.json")


class SydneyCaptions(Captions):
    """Sydney-Captions: 613 images."""

    name = "sydney-captions"
    _files = ("dataset.json", "Sydney_captions/dataset.json")


class Rsicd(Captions):
    """RSICD: 10,921 images of 224 x 224."""

    name = "rsicd"
    _files = ("dataset_rsicd.json", "dataset.json", "annotations_rsicd/dataset_rsicd.json")
