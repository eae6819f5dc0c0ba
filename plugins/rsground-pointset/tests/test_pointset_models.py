"""The head on tiny random models: two images in, polygons out and scored; every kind of pair is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from rsground.contracts import Backbone, Prompt
from rsground.geometry import iou_hbb
from rsground.pipeline import Pipeline
from rsground.regions import hbb_of
from rsground.registry import load
from rsground.testing import miniature
from rsground.types import Generation, ImageRef, Sample, Task, View
from rsground_pointset.anyres import AnyRes
from rsground_pointset.georsmllm import GeoRsmllmHead

FAMILIES = ["tower", "llava"]
SIZE = (60, 80)


class Short(Backbone):
    """A backbone whose answers are cut early; it keeps what it was asked."""

    def __init__(self, inner: Backbone) -> None:
        self.inner, self.asked = inner, list[str]()

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        self.asked += [prompt.text for prompt in prompts]
        return self.inner.generate([replace(prompt, max_new_tokens=60) for prompt in prompts])


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)


def pair_of_images(targets: int = 2) -> Sample:
    """A change sample whose images can be read."""
    images = tuple(ImageRef(f"drawn-{seed}", *SIZE, render=partial(drawn, seed)) for seed in (1, 2))
    return replace(miniature(Task.CHANGE, targets=targets, size=SIZE), images=images, expression="the new buildings")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_change_is_asked_answered_and_scored(family: str, tiny_backbone: Callable[..., Any]) -> None:
    backbone = Short(tiny_backbone(family, temperature=1.0))
    metric = load("metric", "change")
    samples = [pair_of_images(targets) for targets in (0, 2)]
    found = Pipeline(GeoRsmllmHead(), backbone).answer(samples)
    assert [one.error for one in found] == [None, None]
    assert all(one.parsed for one in found)
    alone = backbone.generate([GeoRsmllmHead().prompt(samples[0], View((drawn(2),), SIZE))])[0]
    assert found[0].usage.visual_tokens == 2 * (alone.usage.visual_tokens or 0) > 0
    rows = [metric.measure(sample, one) for sample, one in zip(samples, found, strict=True)]
    scores = metric.summarise({name: np.array([row[name] for row in rows]) for name in rows[0]})
    assert np.isfinite(scores[metric.primary])


def test_the_right_polygons_score_and_no_change_is_an_answer() -> None:
    metric = load("metric", "change")
    samples = [pair_of_images(targets) for targets in (0, 1, 3)]
    found = Pipeline(GeoRsmllmHead(), load("backbone", "oracle")).answer(samples)
    assert [len(one.regions) for one in found] == [0, 1, 3]
    assert all(one.parsed for one in found)
    rows = [metric.measure(sample, one) for sample, one in zip(samples, found, strict=True)]
    scores = metric.summarise({name: np.array([row[name] for row in rows]) for name in rows[0]})
    assert scores[metric.primary] > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_a_region_is_asked_about_by_its_points(family: str, tiny_backbone: Callable[..., Any]) -> None:
    image = ImageRef("drawn-1", *SIZE, render=partial(drawn, 1))
    sample = replace(miniature(Task.REGION_CAPTION, size=SIZE), images=(image,), expression="", answer="ship")
    backbone, metric = Short(tiny_backbone(family, temperature=1.0)), load("metric", "object-class")
    (found,) = Pipeline(GeoRsmllmHead(), backbone).answer([sample])
    assert found.error is None
    assert found.parsed
    (region,) = sample.targets or ()
    asked = GeoRsmllmHead().codecs[Task.OBB].read(backbone.asked[0], SIZE).regions
    assert iou_hbb(hbb_of(asked[0]), hbb_of(region)) > 0.9
    assert "ship" not in backbone.asked[0]
    (right,) = Pipeline(GeoRsmllmHead(), load("backbone", "oracle")).answer([sample])
    assert metric.measure(sample, right)["siou"] == 1.0


@pytest.mark.parametrize("family", FAMILIES)
def test_both_images_are_seen(family: str, tiny_backbone: Callable[..., Any]) -> None:
    """The same answer is another surprise when either image is another one."""
    backbone, head, sample = tiny_backbone(family), GeoRsmllmHead(), pair_of_images()
    losses = set()
    for before, after in ((1, 2), (3, 2), (1, 3)):
        view = View((drawn(before), drawn(after)), SIZE)
        prompt = replace(head.prompt(sample, view), answer=head.target(sample, view))
        losses.add(round(float(backbone.teach([prompt]).loss.detach()), 5))
    assert len(losses) == 3


def test_tiles_of_two_images_go_to_a_model_as_images(tiny_backbone: Callable[..., Any]) -> None:
    step = AnyRes(tile=28, grids=[(1, 2), (2, 2)], show="tiles")
    (found,) = Pipeline(GeoRsmllmHead(), Short(tiny_backbone("llava")), [step]).answer([pair_of_images()])
    assert found.error is None
    assert found.parsed
    assert found.usage.visual_tokens == 2 * 5 * 16


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_constrained_model_says_is_read(family: str, tiny_backbone: Callable[..., Any]) -> None:
    backbone, head = tiny_backbone(family, temperature=1.0), GeoRsmllmHead()
    samples = [miniature(task, size=SIZE) for task in (Task.HBB, Task.OBB, Task.MASK)] * 2
    view = View((drawn(1),), SIZE)
    prompts = [
        replace(head.prompt(sample, view), max_new_tokens=120, options={"seed": seed})
        for seed, sample in enumerate(samples)
    ]
    for sample, prompt, said in zip(samples, prompts, backbone.generate(prompts), strict=True):
        assert prompt.grammar.matches(said.text), said.text
        assert head.read(said, sample, view).parsed


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_pair_is_learned(
    family: str, tiny_backbone: Callable[..., Any], taught: Callable[..., tuple[float, float]]
) -> None:
    backbone, head = tiny_backbone(family), GeoRsmllmHead(condition_pairs=True)
    prompts, kinds = [], []
    for sample in (miniature(Task.MASK, size=SIZE), pair_of_images(1)):
        view = View(tuple(drawn(seed) for seed in range(len(sample.images))), SIZE)
        for pair in head.training_pairs(sample, view, np.random.default_rng(0)):
            kinds.append(pair.kind)
            prompts.append(Prompt(pair.prompt, view if pair.use_image else None, answer=pair.answer))
    assert kinds == ["base", "cyclic", "parse", "select", "base", "cyclic"]
    assert [prompt.view is None for prompt in prompts] == [False, False, True, False, False, False]
    first, last = taught(backbone, prompts)
    assert last < 0.7 * first


@pytest.mark.parametrize("targets", [0, 3])
@pytest.mark.parametrize("task", [Task.HBB, Task.OBB, Task.MASK, Task.CHANGE])
def test_several_objects_and_none(task: Task, targets: int) -> None:
    head, sample = GeoRsmllmHead(), miniature(task, targets=targets, size=(96, 128))
    view = View((np.zeros((96, 128, 3), np.uint8),) * len(sample.images), (96, 128))
    answer = head.target(sample, view)
    grammar = head.grammar(sample, view)
    assert grammar is not None
    assert grammar.matches(answer)
    found = head.read(Generation(answer), sample, view)
    assert found.parsed
    assert not found.issues
    assert len(found.regions) == targets
