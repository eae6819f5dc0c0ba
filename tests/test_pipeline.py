"""What a pipeline clocks: latency of who is asked alone, a share of the time of those asked together."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.builtin.codec_head import CodecHead
from rsground.builtin.replay import Replay
from rsground.contracts import Backbone, Prompt
from rsground.pipeline import Pipeline
from rsground.types import Generation, ImageRef, Sample, Task, Usage

CALL_S = 0.01


class Slow(Backbone):
    """Takes :data:`CALL_S` for a call, however many prompts it has; fails calls that hold one of ``bad``."""

    needs_pixels: ClassVar[bool] = False

    def __init__(self, bad: frozenset[str] = frozenset()) -> None:
        self.bad = bad

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        time.sleep(CALL_S)
        if any(prompt.sample is not None and prompt.sample.id in self.bad for prompt in prompts):
            raise ValueError("cannot answer that")
        return [Generation("{<1><1><2><2>}") for _ in prompts]


def samples(count: int) -> list[Sample]:
    picture = ImageRef("grey", 8, 8, partial(np.zeros, (8, 8, 3), np.uint8))
    return [Sample(str(number), (picture,), "it", Task.HBB) for number in range(count)]


def pipeline(backbone: Backbone) -> Pipeline:
    return Pipeline(CodecHead("text-hbb"), backbone)


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 40))
def test_the_shares_of_a_batch_are_its_time(count: int) -> None:
    asked = samples(count)
    began = time.perf_counter()
    found = pipeline(Slow()).answer(asked)
    took = time.perf_counter() - began
    (share,) = {answer.usage.time_s for answer in found}
    assert share is not None
    assert CALL_S <= count * share <= took
    assert {answer.usage.latency_s for answer in found} == {None}, "nobody was asked alone"


def test_alone_the_time_is_the_latency() -> None:
    (found,) = pipeline(Slow()).answer(samples(1))
    assert found.usage.time_s == found.usage.latency_s
    assert found.usage.time_s is not None
    assert found.usage.time_s >= CALL_S


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 9), st.data())
def test_attempts_that_failed_are_in_no_time(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, count - 1))
    began = time.perf_counter()
    found = pipeline(Slow(frozenset({str(bad)}))).answer(samples(count))
    took = time.perf_counter() - began
    assert found[bad].error is not None
    assert found[bad].usage == Usage()
    good = [answer.usage for place, answer in enumerate(found) if place != bad]
    times = sum(usage.time_s or 0.0 for usage in good)
    halvings = len(_path(count, bad))
    assert CALL_S * (len(good) > 0) <= times <= took - CALL_S * halvings, "as many calls failed, and took their time"
    assert all((usage.latency_s is None) or usage.latency_s == usage.time_s for usage in good)


def _path(count: int, bad: int) -> list[int]:
    """Sizes of the calls that held the bad sample."""
    if count == 1:
        return [1]
    middle = count // 2
    return [count, *(_path(middle, bad) if bad < middle else _path(count - middle, bad - middle))]


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize(
    ("told", "latency", "time_s"),
    [({"latency_s": 2.0}, 2.0, 2.0), ({"time_s": 0.5}, None, 0.5), ({"latency_s": 2.0, "time_s": 0.5}, 2.0, 0.5)],
)
def test_what_a_file_of_answers_tells_is_not_clocked_again(
    tmp_path: Path, together: int, told: dict[str, float], latency: float | None, time_s: float
) -> None:
    asked = samples(together)
    lines = [json.dumps({"id": sample.id, "text": "{<1><1><2><2>}", **told}) for sample in asked]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    for answer in pipeline(Replay(str(tmp_path / "answers.jsonl"))).answer(asked):
        assert (answer.usage.latency_s, answer.usage.time_s) == (latency, time_s)
