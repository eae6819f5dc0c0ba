"""Training conversations in LLaVA's form: GeoChat_Instruct and VRSBench_train, streamed turn by turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rsground.datasets.box_text import WrittenBox, written_boxes
from rsground.datasets.boxes import Frame
from rsground.datasets.fields import RecordError, as_key, as_list, as_map, field, text
from rsground.datasets.json_stream import scan
from rsground.datasets.layout import find_below
from rsground.datasets.reader import Entry, Reader
from rsground.types import ImageRef, Region, Sample, Task

_TAG = re.compile(r"\[(refer|grounding|identify|caption|vqa|detection)\]", re.IGNORECASE)
_PHRASE = re.compile(r"<p>(.*?)</p>\s*$", re.DOTALL)


class Conversations(Reader):
    """One sample per question and answer of a conversation; what both sets share.

    The task follows the task word of the question: ``[refer]`` asks for boxes (OBB where the answer writes angles),
    ``[grounding]`` for a grounded description, ``[identify]`` for the name of a region written in the question,
    ``[caption]`` for a caption; without one it is a question with a text answer. The question loses ``<image>`` and
    the task word (kept as ``meta["tag"]``); the answer is verbatim. Ids are ``<record>-<turn>``, both from 0: the
    published ids are not unique.
    """

    file: Path
    folders: list[Path]
    _boxes_without_angle: Task = Task.HBB

    def annotation_files(self) -> list[Path]:
        """The conversation file."""
        return [self.file]

    def _entries(self) -> Iterator[Entry]:
        for element in scan(self.file):
            make = partial(self._samples, element.value, element.number)
            yield Entry(self.file, element.number or None, make)

    def _samples(self, value: Any, number: int) -> Iterator[Sample]:
        if isinstance(value, RecordError):
            raise value
        record = as_map(value, "a record")
        turns = [as_map(turn, "a turn") for turn in as_list(field(record, "conversations"), "conversations")]
        if len(turns) < 2:
            raise RecordError("missing-field", f"a conversation needs a question and an answer, got {len(turns)} turns")
        wanted = text(record, "image")
        image = self.image(find_below(self.folders, wanted), wanted)
        published = as_key(field(record, "id", default=number - 1), "id")
        for place in range(0, len(turns) - 1, 2):
            try:
                question, answer = text(turns[place], "value"), text(turns[place + 1], "value")
                yield self._sample(f"{number - 1}-{place // 2}", image, question, answer, published)
            except RecordError as broken:
                self.report(self.file, number, broken)

    def _sample(self, name: str, image: ImageRef, question: str, answer: str, published: int | str) -> Sample:
        tag = _TAG.search(question)
        word = tag[1].lower() if tag else ""
        asked = _TAG.sub("", question.replace("<image>", ""), count=1).strip() or question.strip()
        frame = self.frame(image)
        source = asked if word == "identify" else answer
        targets = tuple(_region(box, source, frame) for box in written_boxes(source, image.size))
        if word in ("refer", "detection"):
            if not targets:
                raise RecordError("no-box", f"a [{word}] answer without a box: {answer[:60]!r}")
            default = Task.OBB if any(region.quad for region in targets) else self._boxes_without_angle
        elif word == "identify":
            default = Task.REGION_CAPTION
        elif targets:
            default = Task.GCG
        else:
            default = Task.CAPTION if word in ("caption", "grounding") else Task.VQA
        known = targets if targets or word == "identify" else None
        meta = {"tag": word, "source_id": published}
        return Sample(name, (image,), asked, self.task(default), known, answer, meta)


def _region(box: WrittenBox, source: str, frame: Frame) -> Region:
    phrase = _PHRASE.search(source[: box.span[0]])
    label = phrase[1].strip() if phrase else None
    if box.quad is not None:
        quad = frame.quad(box.quad, "a written box")
        return Region(hbb=frame.quad_hbb(quad), quad=quad, label=label, span=box.span)
    return Region(hbb=frame.hbb(box.hbb, "a written box"), label=label, span=box.span)
