"""MagCrop: less of the image, and at full resolution what the question is about.

Ma, Li, Pei and Liu, "GeoMag: A Vision-Language Model for Pixel-level Fine-Grained Remote Sensing Image Parsing"
(MM 2025), section 3.2. No code was published; what the paper leaves open is an option, see
:class:`rsground_magcrop.options.Options`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from rsground.assembly import locate
from rsground.contracts import Backbone, Head, Preprocessor
from rsground.types import Sample, View
from rsground_magcrop.compose import Box
from rsground_magcrop.frames import cropped, moved, shrunk, with_crop, with_global, with_stitched, within
from rsground_magcrop.granularity import OF_TASK, Granularity, GranularityClassifier, copy_classifier, load_classifier
from rsground_magcrop.look import Glance, Looker
from rsground_magcrop.options import options as read_options
from rsground_magcrop.wordings import instruction


class MagCrop(Preprocessor):
    """Shows an image-level question a small image, and other questions an image that is sharp where they look.

    Eq. 2 of the paper: the image at 100 x 100 (image), one crop put back on the compressed image (region), a crop of
    the crop put back on the compressed crop on the twice compressed image (pixel). Crops are where the backbone's last
    layer looks when it is asked: it must have ``attend`` (``transformers`` does).

    **The way back.** Put back to where they came from, the parts share the image's frame, so the given view's
    ``to_original`` stays as it is; a reduced image has a scale in it, a crop that is shown alone an offset. No
    arrangement here shows two places of different maps in one image. View.meta's ``magcrop`` says what was done:
    ``granularity``, ``boxes`` (crops, place by place, the outer one first, in pixels of the view as it came),
    ``kept_pixels`` (pixels' worth of detail left of the last image; ``kept_share`` of those it came with), ``plain``
    (why the view was left as it was: ``task``, ``small``, ``no-attend``, ``no-backbone`` or ``flat``, else None). A
    ``uri`` in it is dropped where pixels changed: what others keep by it is of another image.

    Args:
        preset: ``geomag`` or ``paper`` (the paper; the default), ``fast``, ``fast-336`` or ``magnify``, see
            :data:`.options.PRESETS`.
        classifier: folder of a granularity classifier; None for the checkpoint's or else the small one that we ship.
        checkpoint: system folder; ``preprocessors/magcrop`` in it may hold a classifier.
        options: of :class:`rsground_magcrop.options.Options`, overriding the preset.

    Raises:
        UnknownNameError: no such preset, option or choice.
        ShapeError: an option is out of range.
    """

    saved_options: ClassVar[frozenset[str]] = frozenset({"classifier"})
    """Options that :meth:`save` writes into its folder, so that a saved system must not name them again."""

    def __init__(
        self,
        preset: str | None = None,
        classifier: str | Path | None = None,
        checkpoint: str | Path | None = None,
        **options: Any,
    ) -> None:
        self.options = read_options(preset, options)
        self.looker = Looker(self.options)
        self._folder = _classifier_folder(classifier, checkpoint)
        self._head: Head | None = None

    @cached_property
    def classifier(self) -> GranularityClassifier:
        """The granularity classifier, loaded when it is first asked.

        Raises:
            DataError: the folder holds none.
        """
        return load_classifier(self._folder)

    def save(self, folder: str | Path) -> None:
        """Write the classifier, and a BERT that it reads with: a system's folder then needs nothing outside of it.

        Raises:
            DataError: there is none to write.
        """
        copy_classifier(self._folder, Path(folder))

    def listen(self, head: Head) -> None:
        """From now on, use ``head``'s own words for its tasks: what the model is asked is what it looks for."""
        self._head = head

    def words(self, sample: Sample, view: View) -> str:
        """The query: the head's words where one was told, else the task's plain instruction (option ``question``).

        A head whose question does not name what it looks for (SegEarth-R1 says it in the answer) gets it added.
        """
        if self._head is not None and sample.task in self._head.tasks:
            text = self._head.prompt(sample, view).text
            named = sample.expression.strip().rstrip(".").lower() in text.lower()
            return text if named else f"{text} {sample.expression.strip()}"
        plain = instruction(sample.task, sample.expression)
        return self.options.question.replace("{instruction}", plain).replace("{expression}", sample.expression)

    def granularity(self, sample: Sample, words: str) -> Granularity:
        """As the option of the same name says."""
        if self.options.granularity == "classifier":
            return self.classifier.classify(words)
        if self.options.granularity == "task":
            return OF_TASK[sample.task]
        return Granularity(self.options.granularity)

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        if sample.task in self.options.skip:
            return self._plain(view, "task")
        if max(view.size) <= self.options.least_side:
            return self._plain(view, "small")
        words = self.words(sample, view)
        level = self.granularity(sample, words)
        if level is Granularity.IMAGE:
            shown = shrunk(view, self.options)
            return self._noted(view, shown, level, (), float(shown.size[0] * shown.size[1]))
        if (reason := self.looker.cannot(backbone)) is not None:
            return self._plain(view, reason, level)
        side = self.options.stitch_side if self.options.composition == "stitch" else None
        base = within(view, side, self.options.resample)
        places = self._places(view, base, words, level, backbone)
        if not places:
            return self._plain(view, "flat", level)
        return self._composed(view, base, places, level)

    def _places(
        self, view: View, base: View, words: str, level: Granularity, backbone: Backbone | None
    ) -> list[tuple[Box, ...]]:
        """The crops of each place, outer one first; for pixel granularity the second lies within it and is smaller."""
        height, width = view.size
        found = self.looker.look(base, words, backbone, (0, 0, width, height), self.options.crops)
        if level is Granularity.REGION:
            return [(first.box,) for first in found]
        return [(first.box, *self._second(view, words, backbone, first)) for first in found]

    def _second(self, view: View, words: str, backbone: Backbone | None, first: Glance) -> list[Box]:
        if self.options.second == "map":
            second = self.looker.within(first)
            return [] if second is None else [second.box]
        return [glance.box for glance in self.looker.look(cropped(view, first.box), words, backbone, first.box)]

    def _composed(self, view: View, base: View, places: list[tuple[Box, ...]], level: Granularity) -> View:
        """What is shown: ``base`` is ``view`` at the scale that is composed at."""
        if self.options.composition == "stitch":
            placed = [tuple(moved(box, view.size, base.size) for box in place) for place in places]
            shown, kept = with_stitched(base, placed, self.options)
        else:
            shown, kept = with_crop(view, places[0], self.options)
        if self.options.composition == "both":
            shown = with_global(view, shown, self.options)
        return self._noted(view, shown, level, tuple(box for place in places for box in place), kept)

    def _plain(self, view: View, reason: str, level: Granularity | None = None) -> View:
        kept = float(view.size[0] * view.size[1])
        return self._noted(view, view, level, (), kept, reason)

    def _noted(
        self,
        before: View,
        view: View,
        level: Granularity | None,
        boxes: tuple[Box, ...],
        kept: float,
        plain: str | None = None,
    ) -> View:
        note = {
            "granularity": None if level is None else str(level),
            "boxes": [list(box) for box in boxes],
            "kept_pixels": kept,
            "kept_share": kept / (before.size[0] * before.size[1]),
            "plain": plain,
        }
        meta = {name: value for name, value in before.meta.items() if name != "uri" or plain is not None}
        return replace(view, meta={**meta, "magcrop": note})


def _classifier_folder(classifier: str | Path | None, checkpoint: str | Path | None) -> Path | None:
    if classifier is not None:
        return locate(classifier)
    if checkpoint is not None:
        own = locate(checkpoint) / "preprocessors" / "magcrop"
        return own if (own / "config.json").is_file() else None
    return None
