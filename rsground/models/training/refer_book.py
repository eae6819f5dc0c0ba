"""A referring set in the REFER form as training images: resized pixels, instances, expressions and their targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsground.datasets.fields import RecordError
from rsground.errors import DataError, ImageError
from rsground.images import read_image
from rsground.models.tower_lm.config import CATEGORIES
from rsground.models.training.annotated import with_mask
from rsground.models.training.objects import Objects
from rsground.models.training.refusal import Refusal
from rsground.models.training.steps import Steps
from rsground.models.training.turned_book import Photo, turned_photo
from rsground.pipeline import describe
from rsground.regions import hbb_of, quad_of
from rsground.registry import load_dataset
from rsground.types import ImageRef, Quad, Region, Sample, Task, View


@dataclass(frozen=True)
class ReferBook:
    """Real images with every annotated instance, and the expressions about them.

    Attributes:
        images: ``(N, S, S, 3)`` uint8, each resized without regard to its aspect.
        objects: instances in the frame of the resized images.
        questions: per image, samples in the frame of the original one, or of the resized one where it is turned.
        meant: per image and sample, numbers of the instances meant.
        steps: per image and sample, see :mod:`rsground.models.training.steps`; None for what people wrote.
        refused: images that cannot be read.
    """

    images: NDArray[np.uint8]
    objects: list[Objects]
    questions: list[list[Sample]]
    meant: list[list[tuple[int, ...]]]
    steps: list[list[Steps | None]]
    refused: tuple[Refusal, ...] = ()

    def __len__(self) -> int:
        return len(self.objects)

    @cached_property
    def expressions(self) -> list[list[tuple[str, tuple[int, ...]]]]:
        """Per image, (text, numbers of the instances meant)."""
        return [
            [(sample.expression, meant) for sample, meant in zip(samples, numbers, strict=True)]
            for samples, numbers in zip(self.questions, self.meant, strict=True)
        ]

    def samples(self, at: int, task: Task) -> list[Sample]:
        """The expressions about one image as samples of a task."""
        return [replace(sample, task=task) for sample in self.questions[at]]

    def view(self, at: int) -> View:
        """A resized image, and the way back to the original."""
        height, width = self.questions[at][0].size
        image = self.images[at]
        across, down = width / image.shape[1], height / image.shape[0]
        return View((image,), (height, width), (across, 0.0, 0.0, 0.0, down, 0.0), {"uri": f"training/{at}"})


def refer_book(
    root: str, split: str = "train", refs: str = "grefs(unc).json", size: int = 256, turns: int = 0, seed: int = 0
) -> ReferBook:
    """Read a set in the REFER form (RRSIS-D's layout).

    Args:
        root: folder with ``rrsisd/instances.json`` and ``images/rrsisd/JPEGImages``.
        split: of its expressions.
        refs: file with the expressions, in ``rrsisd/``.
        size: side of the resized images, pixels.
        turns: in how many of the seven other attitudes of a square each image comes again, with expressions made from
            its instances; see :mod:`rsground.models.training.turned_book`.
        seed: of those attitudes and expressions.

    Raises:
        LayoutError: the files are not there.
        DataError: the split holds nothing, or most of its images cannot be read; the others are passed over.
    """
    images, objects, questions, meant = [], [], [], []
    steps: list[list[Steps | None]] = []
    refused: list[Refusal] = []
    rng = np.random.default_rng(seed)
    found = photographs(root, split, refs)
    for samples, own in found:
        try:
            images.append(_resized(samples[0].image, size))
        except ImageError as error:
            refused.append(_refusal(error, samples[0].image.uri, refused, len(found)))
            continue
        objects.append(_objects(own, samples[0].size, size))
        numbers = {region.rle: number for number, (region, _) in enumerate(own)}
        questions.append(samples)
        meant.append([tuple(numbers[each.rle] for each in s.targets or () if each.rle in numbers) for s in samples])
        steps.append([None] * len(samples))
        regions, names = zip(*own, strict=True) if own else ((), ())
        photo = Photo(images[-1], objects[-1], regions, names, samples[0].image.uri)
        for attitude in sorted(rng.permutation(range(1, 8))[:turns].tolist()):
            told = turned_photo(photo, attitude, rng)
            if told.samples:
                images.append(told.pixels)
                objects.append(told.objects)
                questions.append(told.samples)
                meant.append(told.meant)
                steps.append(list(told.steps))
    return ReferBook(np.stack(images), objects, questions, meant, steps, tuple(refused))


def _refusal(error: ImageError, uri: str, before: Sequence[Refusal], images: int) -> Refusal:
    if 2 * (len(before) + 1) > images:
        raise DataError(f"most of the {images} images cannot be read, such as {uri}: {error}") from error
    return Refusal(uri, describe(error))


def photographs(
    root: str, split: str = "train", refs: str = "grefs(unc).json"
) -> list[tuple[list[Sample], list[tuple[Region, str]]]]:
    """Every image of a split: the expressions about it, and its annotated instances with their categories.

    Each instance and each target has a mask: its own, or what its polygons cover; else what its oriented box or its box
    covers, and then it says so (:mod:`rsground.models.training.annotated`). An annotation that cannot be read is left
    out, as the data set's reader leaves it out.

    Raises:
        LayoutError: the files are not there.
        DataError: the split holds nothing.
    """
    dataset: Any = load_dataset("rrsis-d", root, split, refs=refs)
    by_image: dict[str, list[Sample]] = defaultdict(list)
    for sample in dataset:
        targets = tuple(with_mask(each, sample.size) for each in sample.targets or ())
        by_image[sample.image.uri].append(replace(sample, targets=targets))
    if not by_image:
        raise DataError(
            f"holds no expressions of the split {split!r}: give each reference a 'split'", path=dataset.refs
        )
    index = dataset.index
    found = []
    with dataset.instances.open("rb") as stream:
        for samples in by_image.values():
            frame = dataset.frame(samples[0].image)
            own = []
            for _, annotation in index.of_image(index.images[samples[0].meta["image_id"]], stream):
                with suppress(RecordError):
                    region = with_mask(index.region(annotation, frame), samples[0].size)
                    own.append((region, str(region.label).replace("_", " ")))
            found.append((samples, own))
    return found


def _objects(own: list[tuple[Region, str]], original: tuple[int, int], size: int) -> Objects:
    scale = np.array([size / original[1], size / original[0]], dtype=np.float32)
    quads = np.array([_quad(region) for region, _ in own], dtype=np.float32).reshape(-1, 4, 2) * scale
    boxes = np.array([hbb_of(region) for region, _ in own], dtype=np.float32).reshape(-1, 2, 2) * scale
    categories = [CATEGORIES.index(name) if name in CATEGORIES else -1 for _, name in own]
    none = np.full(len(own), -1)
    return Objects(
        boxes.reshape(-1, 4),
        quads,
        np.array(categories, dtype=np.int64),
        none,
        np.arange(len(own), dtype=np.int64),
        none,
    )


def _quad(region: Region) -> Quad:
    quad = quad_of(region)
    assert quad is not None
    return quad


def _resized(image: ImageRef, size: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(read_image(image)).resize((size, size), Image.Resampling.BILINEAR))
