"""Real Ray, this machine: the answers and scores of the local executor, measured alone where it matters."""

from __future__ import annotations

from typing import Any

import pytest

from rsground.errors import WorkerError
from rsground_ray.desk import AHEAD

pytestmark = pytest.mark.timeout(300)


def ray_with(**options: Any) -> str:
    words = [
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in options.items()
    ]
    return "{" + ", ".join(['name = "ray"', *words]) + "}"


def test_answers_and_scores_are_those_of_the_local_executor(ray_here: Any, bench: Any) -> None:
    entries = [bench.entry("a"), bench.entry("b", batch=4, times=2), bench.entry("c", "heavy-writer", batch=3)]
    local, here = bench.run(bench.suite(*entries, count=30, seeds="[0, 3]"), "local", workers=0)
    result, there = bench.run(bench.suite(*entries, count=30, seeds="[0, 3]", executor=ray_with()), "ray", workers=2)
    assert local.complete
    assert result.complete
    assert len(bench.content(here)) == 3 * 2 * 30
    assert bench.content(there) == bench.content(here)
    assert bench.scores(there) == bench.scores(here)
    assert here.key == there.key, "the executor is no part of a plan's identity"


def overlaps(hours: list[list[int]]) -> int:
    ordered = sorted(hours)
    latest, found = 0, 0
    for began, ended, _ in ordered:
        found += began < latest
        latest = max(latest, ended)
    return found


def test_latency_is_measured_alone_and_only_then_told(ray_here: Any, bench: Any) -> None:
    heavy = bench.entry("h", "heavy-writer", diary=True, busy_s=0.01)
    result, run = bench.run(bench.suite(heavy, count=60, executor=ray_with(gpus_per_worker=0.25)), workers=3)
    assert result.complete
    hours = bench.notes("hours")
    assert len(hours) == 60
    assert len({path.name for path in bench.folder.glob("hours-*.jsonl")}) > 1, "several workers took part"
    assert overlaps(hours) == 0
    assert all(value is not None for value in run.usage("h", "ray-toy")["latency_s"])


def test_without_a_lease_they_overlap(ray_here: Any, bench: Any) -> None:
    heavy = bench.entry("h", "heavy-writer", diary=True, busy_s=0.02)
    executor = ray_with(gpus_per_worker=0.25, lease="off")
    result, _ = bench.run(bench.suite(heavy, count=60, executor=executor), workers=3)
    assert result.complete
    assert overlaps(bench.notes("hours")) > 0, "or the test above shows nothing"


def test_every_third_is_measured_and_nobody_works_beside_it(ray_here: Any, bench: Any) -> None:
    heavy = bench.entry("h", "heavy-writer", diary=True, busy_s=0.01)
    result, run = bench.run(bench.suite(heavy, count=45, executor=ray_with(latency_every=3)), workers=3)
    assert result.complete
    measured = [answer.index for answer in run.answers("h", "ray-toy") if answer.prediction.usage.latency_s is not None]
    assert measured == list(range(0, 45, 3))
    timed = [answer.index for answer in run.answers("h", "ray-toy") if answer.prediction.usage.time_s is not None]
    assert timed == measured, "the clock says nothing of answers that others worked beside"


def test_a_cluster_too_small_says_so_at_once(ray_here: Any, bench: Any) -> None:
    with pytest.raises(WorkerError, match=r"needs 2 GPU, the whole Ray cluster has 1; .*--gpus-per-worker"):
        bench.run(bench.suite(bench.entry("a"), executor=ray_with(gpus_per_worker=2)))


def test_a_batch_too_large_is_halved_until_it_fits(ray_here: Any, bench: Any) -> None:
    text = bench.suite(bench.entry("r", batch=8, how="room"), count=32, executor=ray_with())
    result, run = bench.run(text, workers=1)
    assert result.complete
    assert not run.usage("r", "ray-toy")["failed"].any()
    sizes = [size for (size,) in bench.notes("too-many")]
    assert sorted(set(sizes)) == [4, 8]
    assert sizes.count(8) <= AHEAD, "it stays halved: no batch tries the full size but those that were out already"


def test_resume_asks_only_what_is_missing(ray_here: Any, bench: Any) -> None:
    entry = bench.entry("a", "heavy-writer", diary=True)
    bench.run(bench.suite(entry, count=10, executor=ray_with()), "run")
    result, _ = bench.run(bench.suite(entry, count=10, executor=ray_with()), "run")
    assert (result.answered, result.kept) == (0, 10)
    assert len(bench.notes("hours")) == 10


def test_no_keeper_stays_behind(ray_here: Any, bench: Any) -> None:
    from ray.util import list_named_actors

    bench.run(bench.suite(bench.entry("a", "heavy-writer"), count=4, executor=ray_with()))
    assert [found for found in list_named_actors(all_namespaces=True) if found["name"].startswith("leases")] == []


def test_hours_without_overlap_are_told_apart() -> None:
    assert overlaps([[0, 5, 1], [5, 9, 1]]) == 0
    assert overlaps([[0, 5, 1], [4, 9, 1], [8, 9, 1]]) == 2
