"""From what people have in hand (a path, a picture, an array; an expression; a task) to a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ContractError, ShapeError, UnknownNameError
from rsground.images import image_size
from rsground.types import ImageRef, Sample, Task

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "str | PathLike[str] | NDArray[np.uint8] | Image.Image | ImageRef"
"""A file, ``(H, W, 3)`` or ``(H, W)`` uint8, a Pillow image, or an image by reference."""

_PREFERRED = (Task.MASK, Task.OBB, Task.HBB, Task.CHANGE, Task.GCG)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One thing to ask a system.

    Attributes:
        image: what it is about; (before, after) for change.
        expression: referring expression, instruction or question.
        task: what is asked; None for the first that the system serves of mask, obb, hbb, change, gcg, others.
        id: name of the question; None for ``"<file name>: <expression>"``.
        meta: facts that heads may use, as :attr:`rsground.types.Sample.meta`.
    """

    image: Picture | tuple[Picture, Picture]
    expression: str
    task: Task | str | None = None
    id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def task_of(task: Task | str | None, served: Collection[Task]) -> Task:
    """The task that is meant.

    Raises:
        UnknownNameError: there is no such task.
        ContractError: it is not among those ``served``.
    """
    if task is None:
        return next(one for one in (*_PREFERRED, *sorted(served)) if one in served)
    if task not in list(Task):
        raise UnknownNameError("task", str(task), list(Task))
    if task not in served:
        raise ContractError(f"this system serves {', '.join(sorted(served))}, not {Task(task).value!r}")
    return Task(task)


def sample_of(question: Question, served: Collection[Task]) -> Sample:
    """The sample that a question is.

    Raises:
        UnknownNameError, ContractError: as :func:`task_of`.
        ShapeError: the expression is empty, an array is no image, or the number of images does not fit the task.
        ImageError: a file is missing or no image.
    """
    task = task_of(question.task, served)
    if not question.expression.strip() and task in _PREFERRED:
        raise ShapeError("the expression must not be empty")
    pictures = question.image if isinstance(question.image, tuple | list) else (question.image,)
    if (len(pictures) == 2) != (task == Task.CHANGE) or len(pictures) not in (1, 2):
        wanted = "two images, (before, after)" if task == Task.CHANGE else "one image"
        raise ShapeError(f"task {task.value!r} needs {wanted}, got {len(pictures)}")
    images = _refs(pictures)
    name = question.id or f"{PurePath(images[-1].uri).name}: {question.expression}"
    return Sample(name, images, question.expression, task, meta=question.meta)


def _refs(pictures: Sequence[Picture]) -> tuple[ImageRef, ...]:
    return tuple(_ref(picture) for picture in pictures)


def _ref(picture: Picture) -> ImageRef:
    if isinstance(picture, ImageRef):
        return picture
    if isinstance(picture, str | PathLike):
        return ImageRef(fspath(picture), *image_size(fspath(picture)))
    pixels = _pixels(picture)
    digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=8).hexdigest()
    height, width = pixels.shape[:2]
    return ImageRef(f"array:{height}x{width}-{digest}", height, width, partial(_itself, pixels))


def _pixels(picture: Any) -> NDArray[np.uint8]:
    """Pixels ``(H, W, 3)`` of an array or a Pillow image."""
    if hasattr(picture, "convert"):
        picture = np.asarray(picture.convert("RGB"))
    array = np.asarray(picture)
    if array.ndim == 2 and array.dtype == np.uint8:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise ShapeError(
            f"an image must be a path, a Pillow image, or uint8 (H, W, 3) RGB, got {array.dtype} of {array.shape}"
        )
    return array


def _itself(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels.copy()
