"""What was asked and answered, as records and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rsground.errors import ImageError
from rsground.images import MAX_PIXELS, image_size, read_image, read_window
from rsground.models.asking import task_of
from rsground.types import ImageRef, Prediction, Region, Size, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsground.models.asking import Question

Window = tuple[int, int, int, int]
_FORMS = ("hbb", "quad", "polygons", "rle", "points")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The image asked about.

    Attributes:
        paths: its file; (before, after) for change.
        refs: what the system is shown: the files, or the windows of them. Regions are in pixels of the last one.
        whole: (H, W) of the last file.
        window: (x1, y1, x2, y2) of the part that is shown, in whole pixels; None for all of it.
    """

    paths: tuple[str, ...]
    refs: tuple[ImageRef, ...]
    whole: Size
    window: Window | None = None

    @property
    def size(self) -> Size:
        """(H, W) of what is shown."""
        return self.refs[-1].size

    @property
    def offset(self) -> tuple[int, int]:
        """(x, y) of the shown part's corner in the file."""
        return (0, 0) if self.window is None else self.window[:2]

    def pixels(self) -> NDArray[np.uint8]:
        """What is shown, ``(H, W, 3)`` uint8."""
        return read_image(self.refs[-1])


def open_scene(images: Sequence[str], window: Window | None = None) -> Scene:
    """The image, its header read.

    Raises:
        ImageError: a file is missing, no image or too large, or the window is not inside.
    """
    files = [ImageRef(path, *image_size(path)) for path in images]
    shown = tuple(_windowed(file, window) for file in files)
    for ref in shown:
        if ref.height * ref.width > MAX_PIXELS:
            raise ImageError(
                f"{ref.width}x{ref.height} = {ref.height * ref.width / 1e6:.0f} million pixels, more than the limit of "
                f"{MAX_PIXELS / 1e6:.0f}; ask about a part of it: --window X1,Y1,X2,Y2",
                ref.uri,
            )
    return Scene(tuple(images), shown, files[-1].size, window)


def _windowed(file: ImageRef, window: Window | None) -> ImageRef:
    if window is None:
        return file
    x1, y1, x2, y2 = window
    if x2 > file.width or y2 > file.height:
        raise ImageError(f"--window {x1},{y1},{x2},{y2} is not inside its {file.width}x{file.height} pixels", file.uri)
    name = f"{file.uri}[{x1},{y1},{x2},{y2}]"
    return ImageRef(name, y2 - y1, x2 - x1, partial(read_window, file, x1, y1, x2, y2))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One question and its answer.

    Attributes:
        expression, task, id: as they were asked; ``id`` is None where none was given.
        found: the answer, in pixels of what was shown.
    """

    expression: str
    task: Task
    id: str | None
    found: Prediction

    @classmethod
    def of(cls, question: Question, found: Prediction, served: Collection[Task]) -> Answer:
        """The answer to a question."""
        return cls(question.expression, task_of(question.task, served), question.id, found)

    def phrase(self, region: Region) -> str | None:
        """What the answer calls a region: its label, or its phrase in a grounded description; on one line."""
        text = region.label
        if text is None and self.task == Task.GCG and region.span is not None:
            text = self.found.text[slice(*region.span)]
        return " ".join((text or "").split()) or None


def to_json(system: str, scene: Scene, answers: Sequence[Answer]) -> dict[str, Any]:
    """Everything, JSON-able. Regions carry ``hbb``, ``quad`` and ``rle`` whatever the system answered (``given``
    names what it did), in pixels of what was shown."""
    return {
        "system": system,
        "image": {
            "path": scene.paths[-1],
            "before": scene.paths[0] if len(scene.paths) == 2 else None,
            "height": scene.whole[0],
            "width": scene.whole[1],
            "window": None if scene.window is None else list(scene.window),
        },
        "answers": [_answer(answer, scene.size) for answer in answers],
    }


def _answer(answer: Answer, size: Size) -> dict[str, Any]:
    found = answer.found
    return {
        "id": answer.id,
        "expression": answer.expression,
        "task": answer.task.value,
        "parsed": found.parsed,
        "error": found.error,
        "text": found.text,
        "issues": [{"code": issue.code, "detail": issue.detail, "span": issue.span} for issue in found.issues],
        "regions": [_region(region, size) for region in found.regions],
        "usage": asdict(found.usage),
    }


def _region(region: Region, size: Size) -> dict[str, Any]:
    from rsground.datasets.jsonl_region import region_to_json
    from rsground.regions import area_of, hbb_of, quad_of, rle_of

    given = [form for form in _FORMS if getattr(region, form) is not None]
    full = replace(region, hbb=hbb_of(region), quad=quad_of(region), rle=rle_of(region, size))
    return {**region_to_json(full), "area": area_of(region), "given": given}
