"""Parts at work: sample to view to prompt to generation to prediction, whatever the parts do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import Backbone, Head, Preprocessor, Prompt
from rsground.errors import DataError
from rsground.images import read_image
from rsground.types import ImageRef, Prediction, Sample, Task, View

_IMAGES_KEPT = 4
"""Images kept decoded: samples of one image stand together, and several systems ask for the same one."""


class Images:
    """The images read last, by uri, so that neighbours in a data set decode them once."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    @property
    def held(self) -> dict[str, NDArray[np.uint8]]:
        """The images that need not be read again, by uri."""
        return dict(self._kept)

    def read(self, ref: ImageRef) -> NDArray[np.uint8]:
        """Pixels ``(H, W, 3)`` uint8, not writable.

        Raises:
            ImageError: as :func:`rsground.images.read_image`.
        """
        if ref.uri not in self._kept:
            if len(self._kept) >= _IMAGES_KEPT:
                del self._kept[next(iter(self._kept))]
            pixels = read_image(ref)
            pixels.flags.writeable = False
            self._kept[ref.uri] = pixels
        return self._kept[ref.uri]


class Pipeline:
    """Head, backbone and preprocessors, joined.

    Args:
        head: with its segmenter, where it has one.
        backbone: what answers.
        steps: preprocessors in the order they are applied.
        seed: handed to the backbone with every prompt, as ``options["seed"]``.
        images: pixels by uri, shared between the systems of one process.
    """

    def __init__(
        self,
        head: Head,
        backbone: Backbone,
        steps: Sequence[Preprocessor] = (),
        *,
        seed: int = 0,
        images: Images | None = None,
    ) -> None:
        self.head, self.backbone, self.steps, self.seed = head, backbone, list(steps), seed
        self.images = Images() if images is None else images
        self.looks = backbone.needs_pixels or bool(steps) or head.segmenter is not None

    @property
    def tasks(self) -> frozenset[Task]:
        """The tasks its head serves."""
        return frozenset(self.head.tasks)

    def serves(self, sample: Sample) -> bool:
        """Whether the head serves the sample's task."""
        return sample.task in self.head.tasks

    def answer(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction per sample, in order. Never raises: what goes wrong is in the prediction's ``error``.

        Latency is measured where one sample is asked; each sample of a batch has its share of the batch's time. A batch
        that fails is asked again in halves, so that a sample costs nobody but itself, and a batch too large for memory
        becomes one that fits.
        """
        if not samples:
            return []
        if len(samples) == 1:
            return [self._alone(samples[0])]
        try:
            return self._together(samples)
        except Exception:  # whoever is at fault is found, with the reason, at the end of the halving
            pass  # the failed attempt's memory is free only once its traceback is
        middle = len(samples) // 2
        return [*self.answer(samples[:middle]), *self.answer(samples[middle:])]

    def close(self) -> None:
        """Free what the backbone holds."""
        self.backbone.close()

    def _alone(self, sample: Sample) -> Prediction:
        try:
            (found,), took = self._clocked([sample])
        except Exception as error:  # any part may fail in any way; the reason is counted and shown
            return Prediction.failure(describe(error))
        usage = found.usage
        if usage.latency_s is None and usage.time_s is None:
            found = replace(found, usage=replace(usage, latency_s=took))
        return _with_time(found, took)

    def _together(self, samples: Sequence[Sample]) -> list[Prediction]:
        found, took = self._clocked(samples)
        return [_with_time(each, took / len(samples)) for each in found]

    def _clocked(self, samples: Sequence[Sample]) -> tuple[list[Prediction], float]:
        """The predictions, and the seconds from views to them."""
        views = [self._view(sample) for sample in samples]
        began = time.perf_counter()
        found = self._ask(samples, views)
        return found, time.perf_counter() - began

    def _view(self, sample: Sample) -> View:
        if self.looks:
            return View(tuple(self.images.read(ref) for ref in sample.images), sample.size)
        return View(tuple(_black(ref) for ref in sample.images), sample.size)

    def _ask(self, samples: Sequence[Sample], views: Sequence[View]) -> list[Prediction]:
        blind = [without_answer(sample) for sample in samples]
        seen = [self._prepared(view, sample) for view, sample in zip(views, blind, strict=True)]
        prompts = [self._prompt(*each) for each in zip(samples, blind, seen, strict=True)]
        generations = self.backbone.generate(prompts)
        return [
            self._counted(self.head.read(generation, sample, view))
            for generation, sample, view in zip(generations, blind, seen, strict=True)
        ]

    def _prepared(self, view: View, sample: Sample) -> View:
        for step in self.steps:
            view = step.apply(view, sample, self.backbone)
        return view

    def _prompt(self, sample: Sample, blind: Sample, view: View) -> Prompt:
        prompt = self.head.prompt(blind, view)
        answer = prompt.answer
        if self.backbone.needs_answer:
            if sample.targets is None and sample.answer is None:
                raise DataError(f"sample {sample.id!r} is not annotated, so there is no right answer to repeat")
            answer = self.head.target(sample, view)
        return replace(prompt, answer=answer, options={**prompt.options, "seed": self.seed})

    def _counted(self, found: Prediction) -> Prediction:
        if found.usage.output_tokens is not None:
            return found
        tokens = self.backbone.count_tokens(found.text)
        return found if tokens is None else replace(found, usage=replace(found.usage, output_tokens=tokens))


def without_answer(sample: Sample) -> Sample:
    """The sample without its answer. Of a region caption the region is the question, and the words are the answer."""
    if sample.task is Task.REGION_CAPTION:
        return replace(sample, answer=None)
    return replace(sample, targets=None, answer=None)


def _with_time(found: Prediction, share: float) -> Prediction:
    """The prediction with a time: what its backbone tells, else its latency, else ``share`` of what was clocked."""
    usage = found.usage
    if usage.time_s is not None:
        return found
    return replace(found, usage=replace(usage, time_s=share if usage.latency_s is None else usage.latency_s))


def describe(error: BaseException) -> str:
    """An error in a line: its kind and message."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _black(ref: ImageRef) -> NDArray[np.uint8]:
    """A black image of the right size that takes no memory."""
    return np.broadcast_to(np.uint8(0), (ref.height, ref.width, 3))
