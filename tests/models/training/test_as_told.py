"""Oriented boxes written as the tower tells them: its numbers, whichever way the annotation would be written."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import tokenizer

from rsground.codecs.oriented import TextOBB
from rsground.models.tower_lm.facts import Facts, numbers_of
from rsground.models.training.as_told import AsTold
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.registry import load
from rsground.types import ImageRef, Quad, Region, Sample, Task

SIZE = (500, 900)
CODEC = TextOBB(resolution=1000)


def numbers(degrees: float, long: float = 0.3, short: float = 0.1) -> torch.Tensor:
    """What is told of an object in the middle whose long side lies at that angle, clockwise on screen."""
    twice = math.radians(2 * degrees)
    oriented = torch.tensor([0.0, 0.0, math.log(long), math.log(short), math.sin(twice), math.cos(twice)])
    return numbers_of(torch.tensor([0.5, 0.5]), torch.full((4,), math.log(0.2)), oriented, 1.0)


def told(*tokens: tuple[int, float, torch.Tensor]) -> AsTold:
    """One image: of each visual token, the object that it shows, its height and its numbers."""
    shows, heights, rows = zip(*tokens, strict=True)
    heights_of = torch.tensor(heights)[None, :, None]
    return AsTold(Facts(torch.stack(rows)[None], heights_of, torch.zeros(1, len(rows), 1)), torch.tensor([shows]))


def sample(*quads: Quad, task: Task = Task.OBB) -> Sample:
    """Annotated objects."""
    regions = tuple(Region(quad=quad, label="ship") for quad in quads)
    return Sample("a", (ImageRef("a.png", *SIZE),), "the ships", task, regions)


def upright(long: float = 0.3, short: float = 0.1) -> Quad:
    """The annotation of an object in the middle whose long side lies along the image's width."""
    x, y = SIZE[1] * long / 2, SIZE[0] * short / 2
    cx, cy = SIZE[1] / 2, SIZE[0] / 2
    return ((cx - x, cy - y), (cx + x, cy - y), (cx + x, cy + y), (cx - x, cy + y))


def written(changed: Sample) -> list[list[int]]:
    """The five integers of each target."""
    text = CODEC.write(changed.targets or (), SIZE)
    return [[int(each) for each in row.split(",")] for row in re.findall(r"\[([\d,]+)\]", text)]


@given(st.floats(-6, 6))
def test_on_either_side_of_the_angle_where_the_convention_begins_anew(degrees: float) -> None:
    known = numbers(degrees)
    changed = told((0, 0.9, known))(0, sample(upright()), [0])
    (found,) = written(changed)
    width, height, angle = (known[6] * 1000, known[7] * 1000, known[16] * 180)
    assert abs(found[0] - 500) <= 1
    assert abs(found[1] - 500) <= 1
    if angle > 0.51:  # below, the whole degree that is written is that of the other side
        assert abs(found[2] - width) <= 1.01
        assert abs(found[3] - height) <= 1.01
        assert abs(found[4] - angle) <= 0.51
    (target,) = changed.targets or ()
    assert target.label == "ship"


def test_what_would_be_written_otherwise_is_another_width() -> None:
    known = numbers(2.0)  # width along the image's, where the annotation of 90 degrees has it across
    plain, changed = sample(upright()), told((0, 0.9, known))(0, sample(upright()), [0])
    assert written(plain) == [[500, 500, 100, 300, 90]]
    assert written(changed) == [[500, 500, 300, 100, 2]]


def test_the_surest_token_that_shows_the_object_is_written() -> None:
    maker = told((1, 0.9, numbers(40.0)), (0, 0.3, numbers(6.0)), (0, 0.8, numbers(3.0)), (-1, 1.0, numbers(1.0)))
    assert written(maker(0, sample(upright()), [0]))[0][4] == 3


@pytest.mark.parametrize(
    ("task", "numbers_told", "meant"),
    [
        (Task.HBB, numbers(2.0), [0]),
        (Task.MASK, numbers(2.0), [0]),
        (Task.OBB, numbers(45.0), [0]),  # hardly over what is annotated
        (Task.OBB, numbers(2.0), [3]),  # shown by no token
        (Task.OBB, numbers(2.0), []),
    ],
)
def test_what_stays_as_it_is_annotated(task: Task, numbers_told: torch.Tensor, meant: list[int]) -> None:
    changed = told((0, 0.9, numbers_told))(0, sample(upright(), task=task), meant)
    assert [each.quad for each in changed.targets or ()] == [upright()]


class OnePicture:
    """A ship along the image's width, and a question."""

    expressions = ((("the ship", (0,)),),)
    steps = ((None,),)

    def samples(self, at: int, task: Task) -> list[Sample]:
        del at
        return [replace(sample(upright(), task=task), expression="the ship")]


@pytest.mark.parametrize(("known", "answer"), [(None, [100, 300, 90]), (numbers(2.0), [300, 100, 2])])
def test_lessons_are_written_with_it(known: torch.Tensor | None, answer: list[int]) -> None:
    words = tokenizer()
    head: Any = load("head", "geoground", obb_resolution=1000)
    maker = SceneLessons(
        OnePicture(),  # type: ignore[arg-type]
        [(head, (Task.OBB,))],
        Speller(words),
        Chances(each=1),
        told=None if known is None else told((0, 0.9, known)),
    )
    ((lesson,),) = [maker[0][1]]
    found = [int(each) for each in re.findall(r"\d+", words.decode(lesson.answer))]
    assert found == [500, 500, *answer]


def test_nothing_to_write_stays_nothing() -> None:
    assert told((0, 0.9, numbers(2.0)))(0, sample(), []).targets == ()
