"""EarthReason: implicit questions about a scene, answered by a mask."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rsground.datasets.fields import RecordError, as_list, as_map, as_text, field
from rsground.datasets.files import read_json
from rsground.datasets.layout import files_in, find_image
from rsground.datasets.masks import read_mask_rle
from rsground.datasets.reader import Entry, Reader
from rsground.errors import DataError
from rsground.types import Region, Sample, Task


class EarthReason(Reader):
    """EarthReason (geospatial pixel reasoning).

    Layout: ``<split>/images/*.{jpg,jpeg,png}``, ``<split>/labels/*.png`` (any value but 0 is the target) and
    ``<split>/QAs/*.json`` (or ``.txt`` holding JSON), below ``rs_reason_seg/RSReasonSeg/``, ``RSReasonSeg/`` or the
    root. The published loader pairs the three folders by sorted order; here a file must have its partners by name,
    so one missing file cannot shift all others. An empty ``answer`` list marks an image without target.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`.
        questions: ``"all"`` of an image, or the ``"first"``, as SegEarth-R1 evaluates.
    """

    name = "earthreason"

    def __init__(
        self,
        root: str | Path | None,
        split: str = "test",
        *,
        questions: str = "all",
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        if questions not in ("all", "first"):
            raise DataError(f"questions must be 'all' or 'first', got {questions!r}")
        self.first_only = questions == "first"
        base = self.layout.folder(f"rs_reason_seg/RSReasonSeg/{split}", f"RSReasonSeg/{split}", split)
        relative = base.relative_to(self.layout.root).as_posix()
        self.images = self.layout.folder(f"{relative}/images")
        self.labels = self.layout.folder(f"{relative}/labels")
        self.questions = files_in(self.layout.folder(f"{relative}/QAs"), ".json", ".txt")

    def annotation_files(self) -> list[Path]:
        """The question files (label images are not covered)."""
        return self.questions

    def _entries(self) -> Iterator[Entry]:
        for path in self.questions:
            yield Entry(path, None, partial(self._samples, path))

    def _samples(self, path: Path) -> Iterator[Sample]:
        record = as_map(read_json(path), path.name)
        questions = [as_text(one, "a question") for one in as_list(field(record, "questions"), "questions")]
        answers = [as_text(one, "an answer") for one in as_list(field(record, "answer", default=[]), "answer")]
        if not questions:
            raise RecordError("missing-field", "the list of questions is empty")
        label = find_image(self.labels, f"{path.stem}.png")
        if label is None:
            raise RecordError("missing-mask", f"there is no labels/{path.stem}.png")
        image = self.image(find_image(self.images, f"{path.stem}.jpg"), f"{path.stem}.jpg")
        rle = read_mask_rle(label, image.size)
        if rle is None and answers:
            self.notes["answer-without-mask"] += 1
        targets = (Region(rle=rle),) if rle is not None else ()
        answer = answers[0] if answers else "There is no target object in the image."
        for number, question in enumerate(questions[:1] if self.first_only else questions):
            if not question.strip():
                self.report(path, None, RecordError("empty-text", f"question {number + 1} is blank"))
                continue
            name = f"{path.stem}-q{number}"
            meta = {"references": answers}
            yield Sample(name, (image,), question, self.task(Task.MASK), targets, answer, meta)
