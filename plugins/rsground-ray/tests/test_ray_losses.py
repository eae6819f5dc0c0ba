"""Workers that die, stop or hang: nothing is missing, nothing counts twice."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


def undisturbed(bench: Any, entry: str, count: int) -> Any:
    result, run = bench.run(bench.suite(entry, count=count), "undisturbed", workers=0)
    assert result.complete
    return run


def test_a_worker_that_dies_once_costs_nothing(ray_here: Any, bench: Any) -> None:
    result, run = bench.run(bench.suite(bench.entry("x", how="exit", at=7), executor='{name = "ray"}'))
    assert result.complete
    assert (bench.folder / "exit-0").exists(), "it did die"
    calm = undisturbed(bench, bench.entry("x"), 20)
    assert bench.content(run) == bench.content(calm)
    assert bench.scores(run) == bench.scores(calm)


def test_a_sample_that_always_kills_is_given_up(ray_here: Any, bench: Any) -> None:
    entry = bench.entry("x", how="exit", at=7, times=99)
    result, run = bench.run(bench.suite(entry, executor='{name = "ray", retries = 1}'))
    assert result.complete
    failed = {
        answer.index: answer.prediction.error for answer in run.answers("x", "ray-toy") if answer.prediction.error
    }
    assert list(failed) == [7]
    assert str(failed[7]).endswith("(2 times)")
    assert "the worker was lost" in str(failed[7])


@pytest.mark.parametrize("how", ["hang", "stop"])
def test_a_worker_that_hangs_is_ended_and_its_sample_asked_again(ray_here: Any, bench: Any, how: str) -> None:
    entry = bench.entry("x", how=how, at=5)
    result, run = bench.run(bench.suite(entry, count=8, executor='{name = "ray", timeout_s = 3}'), workers=1)
    assert result.complete
    assert (bench.folder / f"{how}-0").exists()
    assert bench.content(run) == bench.content(undisturbed(bench, bench.entry("x"), 8))


def test_a_holder_that_dies_gives_its_lease_back(ray_here: Any, bench: Any) -> None:
    entry = bench.entry("x", "heavy-writer", how="exit", at=3)
    result, run = bench.run(bench.suite(entry, count=12, executor='{name = "ray", gpus_per_worker = 0.5}'))
    assert result.complete
    assert not run.usage("x", "ray-toy")["failed"].any()
