"""The head keeps the laws of every head; the condition parser and the cyclic builder do what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.contracts import Segmenter
from rsground.regions import mask_of
from rsground.testing import HeadConformance, PluginConformance, miniature, miniatures
from rsground.testing.samples import blank_view
from rsground.types import Generation, ImageRef, Region, Sample, Task, View
from rsground_pointset import conditions, cyclic
from rsground_pointset.conditions import Step
from rsground_pointset.georsmllm import TAGS, GeoRsmllmHead


class TestPlugin(PluginConformance):
    plugin_name = "pointset"
    plugin_module = "rsground_pointset"


class TestGeoRsmllm(HeadConformance):
    head_name = "georsmllm"
    least_overlap = 0.9


@pytest.mark.parametrize("task", sorted(TAGS))
def test_the_task_tag_comes_first(task: Task) -> None:
    sample = miniature(task)
    assert GeoRsmllmHead().prompt(sample, blank_view(sample)).text.startswith(TAGS[task])


def test_key_points_lie_inside_the_object() -> None:
    head = GeoRsmllmHead()
    for sample in miniatures(Task.MASK):
        view = blank_view(sample)
        found = head.read(Generation(head.target(sample, view)), sample, view)
        masks = [mask_of(region, sample.size) for region in sample.targets or ()]
        for region in found.regions:
            assert 1 <= len(region.points or ()) <= 3
            for x, y in region.points or ():
                assert any(mask[min(int(y), len(mask) - 1), min(int(x), mask.shape[1] - 1)] for mask in masks)


def test_a_segmenter_gets_box_and_points() -> None:
    seen: list[Any] = []

    class Disc(Segmenter):
        """A disc of 3 px around the first key point."""

        def encode(self, image: np.ndarray) -> tuple[int, int]:
            return image.shape[:2]

        def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
            seen.extend(prompts)
            rows, columns = np.mgrid[: size[0], : size[1]]
            masks = [np.hypot(columns - p.points[0][0], rows - p.points[0][1]) < 3 for p in prompts]
            return np.array(masks), np.ones(len(prompts), np.float32)

    head, sample = GeoRsmllmHead(), miniature(Task.MASK, targets=2, size=(96, 96))
    view = blank_view(sample)
    head.segmenter = Disc()
    found = head.read(Generation(head.target(sample, view)), sample, view)
    assert len(found.regions) == len(seen) == 2
    assert all(prompt.box is not None for prompt in seen)
    assert all(0 < mask_of(region, sample.size).sum() < 40 for region in found.regions)


class TestConditions:
    @pytest.mark.parametrize(
        ("instruction", "steps"),
        [
            ("detect all planes", ["detect all planes"]),
            (
                "Detect all planes and then select the one on the east bank of the river.",
                ["detect all planes", "select the one on the east bank of the river"],
            ),
            ("the ship left of the pier", ["detect all ship", "select the one left of the pier"]),
            ("the largest storage tank", ["detect all storage tank", "select the largest one"]),
            (
                "segment the leftmost vehicle on the bridge",
                ["detect all vehicle", "select the one on the bridge", "select the leftmost one"],
            ),
            (
                "find the planes; keep the white ones; select the smallest",
                ["detect all planes", "select the white ones", "select the smallest"],
            ),
            ("aircraft", ["detect all aircraft"]),
        ],
    )
    def test_splits(self, instruction: str, steps: list[str]) -> None:
        assert [f"{step.kind} {step.text}" for step in conditions.split(instruction)] == steps

    @given(st.text(max_size=300))
    def test_any_text_gives_steps(self, text: str) -> None:
        steps = conditions.split(text)
        assert 1 <= len(steps) <= conditions.MAX_STEPS
        assert steps[0].kind == "detect"

    def test_reads_what_a_language_model_wrote(self) -> None:
        answer = "Sure!\n1. detect all ship\n2) select the one left of the pier\n- keep the largest one\n"
        steps = conditions.read_steps(answer, "x")
        assert steps == (
            Step("detect", "all ship"),
            Step("select", "the one left of the pier"),
            Step("select", "the largest one"),
        )

    def test_falls_back_to_rules(self) -> None:
        assert conditions.read_steps("I am sorry.", "the largest ship") == conditions.split("the largest ship")

    def test_what_is_worded_is_read(self) -> None:
        steps = conditions.split("the largest ship left of the pier")
        assert conditions.read_steps(conditions.worded(steps), "x") == steps


class TestCyclic:
    def test_the_expression_becomes_the_answer(self) -> None:
        sample = miniature(Task.HBB)
        reverse = cyclic.reverse(sample)
        assert reverse is not None
        head = GeoRsmllmHead()
        asked = head.prompt(reverse, blank_view(reverse)).text
        assert sample.expression not in asked
        assert head.target(reverse, blank_view(reverse)) == sample.expression
        (region,) = head.codecs[Task.OBB].read(asked, sample.size).regions
        np.testing.assert_allclose(region.quad, (sample.targets or ())[0].quad, atol=0.6)

    @pytest.mark.parametrize("targets", [0, 2])
    def test_only_one_target_can_be_described(self, targets: int) -> None:
        assert cyclic.reverse(miniature(Task.HBB, targets=targets)) is None

    def test_training_adds_the_reversed_pair(self) -> None:
        sample = miniature(Task.OBB)
        rng = np.random.default_rng(0)
        kinds = [pair.kind for pair in GeoRsmllmHead().training_pairs(sample, blank_view(sample), rng)]
        assert kinds == ["base", "cyclic"]
        plain = GeoRsmllmHead(cyclic_referring=False).training_pairs(sample, blank_view(sample), rng)
        assert [pair.kind for pair in plain] == ["base"]


def test_one_box_has_one_spelling_wherever_its_corners_begin() -> None:
    corners = ((40.0, 10.0), (60.0, 30.0), (40.0, 50.0), (20.0, 30.0))
    spellings = set()
    for first in range(4):
        quad = (*corners[first:], *corners[:first])
        sample = Sample("a", (ImageRef("a.png", 100, 100),), "the plane", Task.OBB, (Region(quad=quad),))
        view = View((np.zeros((100, 100, 3), np.uint8),), (100, 100))
        spellings.add(GeoRsmllmHead().target(sample, view))
        given = GeoRsmllmHead(first_corner="given").target(sample, view)
        assert given.startswith(f"{{({quad[0][0] * 10:.0f}, {quad[0][1] * 10:.0f})")
    assert len(spellings) == 1
