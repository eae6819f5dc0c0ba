"""What backbones, preprocessors and segmenters owe."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest

from rsground.contracts import Backbone, MaskPrompt, Preprocessor, Prompt, Segmenter
from rsground.errors import CheckpointError
from rsground.registry import load, registry, target_of
from rsground.testing.samples import blank_view, miniatures
from rsground.types import Task


class BackboneConformance:
    """Subclass as ``TestMyBackbone`` and set ``backbone_name``.

    A backbone that cannot be built without a ``checkpoint`` is skipped unless ``backbone_options`` name one.
    """

    backbone_name: str
    backbone_options: dict[str, object] = {}  # noqa: RUF012 - read only, overridden whole

    def backbone(self) -> Backbone:
        """The backbone, as the registry builds it."""
        wanted = inspect.signature(target_of(registry().find("backbone", self.backbone_name))).parameters
        place = wanted.get("checkpoint")
        if place is not None and place.default is place.empty and "checkpoint" not in self.backbone_options:
            pytest.skip(f"backbone {self.backbone_name!r} needs a folder of weights: give it in backbone_options")
        built = load("backbone", self.backbone_name, **self.backbone_options)
        assert isinstance(built, Backbone)
        return built

    def prompts(self) -> list[Prompt]:
        """Questions over views of several sizes; without the sample, so that nothing can be looked up."""
        return [
            Prompt(text=f"Where is {sample.expression}?", view=blank_view(sample), max_new_tokens=16)
            for sample in miniatures(Task.HBB)
        ]

    def test_batch_equals_one_by_one(self) -> None:
        backbone, prompts = self.backbone(), self.prompts()
        together = [answer.text for answer in backbone.generate(prompts)]
        alone = [backbone.generate([prompt])[0].text for prompt in prompts]
        assert together == alone

    def test_teacher_forcing_answers_the_given_text(self) -> None:
        prompt = replace(self.prompts()[0], answer="<box>[[1,2,3,4]]</box>")
        (generation,) = self.backbone().generate([prompt])
        assert generation.text == prompt.answer
        assert generation.finish == "forced"


class PreprocessorConformance:
    """Subclass as ``TestMyPreprocessor`` and set ``preprocessor_name``."""

    preprocessor_name: str
    preprocessor_options: dict[str, object] = {}  # noqa: RUF012 - read only, overridden whole

    def preprocessor(self) -> Preprocessor:
        """The preprocessor, as the registry builds it."""
        built = load("preprocessor", self.preprocessor_name, **self.preprocessor_options)
        assert isinstance(built, Preprocessor)
        return built

    def test_repeats_itself_and_ignores_the_answer(self) -> None:
        step = self.preprocessor()
        for sample in miniatures(Task.MASK):
            view = blank_view(sample)
            first, second = step.apply(view, sample), step.apply(view, replace(sample, targets=None))
            assert first.to_original == second.to_original
            for one, other in zip(first.images, second.images, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_map_to_the_original_is_invertible(self) -> None:
        for sample in miniatures(Task.MASK):
            a, b, _, d, e, _ = self.preprocessor().apply(blank_view(sample), sample).to_original
            assert abs(a * e - b * d) > 1e-9


class SegmenterConformance:
    """Subclass as ``TestMySegmenter`` and set ``segmenter_name``.

    A segmenter that asks for a ``checkpoint`` is skipped unless ``segmenter_options`` are given.
    """

    segmenter_name: str
    segmenter_options: dict[str, object] = {}  # noqa: RUF012 - read only, overridden whole

    def segmenter(self) -> Segmenter:
        """The segmenter, as the registry builds it."""
        try:
            built = load("segmenter", self.segmenter_name, **self.segmenter_options)
        except CheckpointError:
            if self.segmenter_options:
                raise
            pytest.skip(f"segmenter {self.segmenter_name!r} needs weights: give them in segmenter_options")
        assert isinstance(built, Segmenter)
        return built

    def test_batch_equals_one_by_one(self) -> None:
        model = self.segmenter()
        image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
        features = model.encode(image)
        prompts = [MaskPrompt(box=(4, 4, 30, 30)), MaskPrompt(box=(10, 8, 60, 40), points=((30.0, 20.0),))]
        masks, scores = model.segment(features, prompts, (48, 64))
        for index, prompt in enumerate(prompts):
            mask, score = model.segment(features, [prompt], (48, 64))
            assert (mask[0] == masks[index]).mean() > 0.999
            np.testing.assert_allclose(score[0], scores[index], atol=1e-3)

    def test_no_prompts_no_masks(self) -> None:
        model = self.segmenter()
        masks, scores = model.segment(model.encode(np.zeros((48, 64, 3), np.uint8)), [], (48, 64))
        assert masks.shape == (0, 48, 64)
        assert scores.shape == (0,)
