"""The store: one writer, nothing twice, a full disk told in words."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsground.bench.compare import compare_runs
from rsground.bench.lock import FolderLock
from rsground.bench.places import Places
from rsground.bench.plan import Plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.schema import STORE, TABLES, VERSION
from rsground.bench.store import Store
from rsground.contracts import Outcome
from rsground.errors import StoreError
from rsground.records import (
    dumps,
    prediction_from_json,
    prediction_to_json,
    region_from_json,
    region_to_json,
    sample_from_json,
    sample_to_json,
)
from rsground.report.collect import Options, collect
from rsground.testing.samples import miniature, miniatures
from rsground.types import Issue, Prediction, Region, Task, Usage


@given(st.lists(st.integers(0, 3000)), st.integers(0, 3200))
def test_places_are_a_set(places: list[int], stop: int) -> None:
    found = Places(places)
    assert len(found) == len(set(places))
    assert {place for place in range(3001) if place in found} == set(places)
    assert found.below(stop) == sum(place < stop for place in set(places))
    assert -1 not in found
    assert "x" not in found


@pytest.mark.parametrize("task", list(Task))
def test_samples_survive_json(task: Task) -> None:
    import json

    for sample in miniatures(task):
        again = sample_from_json(json.loads(dumps(sample_to_json(sample))))
        assert (again.id, again.expression, again.task, again.answer) == (
            sample.id,
            sample.expression,
            sample.task,
            sample.answer,
        )
        assert again.targets == sample.targets
        assert again.size == sample.size
        assert again.meta == sample.meta


def test_predictions_survive_json() -> None:
    import json

    region = Region(
        hbb=(1.0, 2.0, 3.0, 4.5),
        polygons=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),),
        points=((1.0, 1.0),),
        score=0.5,
        span=(3, 9),
        attributes={"colour": "red"},
    )
    whole = Prediction(
        regions=(region, *(miniature(Task.MASK).targets or ())),
        parsed=False,
        issues=(Issue("truncated", "cut", (1, 2)), Issue("empty", "no text")),
        text='x"\u2028\ud800',
        error="died",
        usage=Usage(0.5, 1, 2, 3, 4, 5.0, 0.25),
    )
    again = prediction_from_json(json.loads(dumps(prediction_to_json(whole))))
    for name in ("regions", "parsed", "issues", "text", "error", "usage"):
        assert getattr(again, name) == getattr(whole, name)
    assert region_from_json(region_to_json(Region())) == Region()


def test_a_prediction_written_before_answers_had_a_time_is_read() -> None:
    whole = prediction_to_json(Prediction(usage=Usage(0.5, 1, 2, 3, 4, 5.0, 0.25)))
    found = prediction_from_json(whole | {"usage": whole["usage"][:6]})
    assert found.usage == Usage(0.5, 1, 2, 3, 4, 5.0)


@pytest.fixture
def opened(plan_of: Callable[..., Plan], tmp_path: Path) -> Callable[[], tuple[Store, Plan]]:
    plan = plan_of()

    def make() -> tuple[Store, Plan]:
        store = Store(tmp_path / "run")
        store.begin(plan, {})
        return store, plan

    return make


def outcome(plan: Plan, index: int = 0, **changes: object) -> Outcome:
    prediction = prediction_to_json(Prediction(text="a")) | changes
    names = plan.metrics[0].spec["statistics"]
    record = {"prediction": prediction, "scores": {"rec-hbb": dict.fromkeys(names, 1.5)}}
    return Outcome(plan.jobs[0].job.key, index, miniature(Task.HBB), record)


def test_an_answer_counts_once(opened: Callable[[], tuple[Store, Plan]], tmp_path: Path) -> None:
    store, plan = opened()
    assert store.add(outcome(plan))
    assert not store.add(outcome(plan, text="another"))
    store.close()
    store, plan = opened()
    assert not store.add(outcome(plan)), "nor in another process"
    store.close()
    with Run.open(tmp_path / "run") as run:
        (answer,) = run.answers("right", "toy")
        assert answer.prediction.text == "a"
        assert run.columns("right", "toy", "rec-hbb").columns["iou"].tolist() == [1.5]


def test_what_no_data_base_can_hold_is_held(opened: Callable[[], tuple[Store, Plan]], tmp_path: Path) -> None:
    store, plan = opened()
    usage = [None, 10**30, 10**400, -(2**63), 0, 1e308]
    sample = replace(miniature(Task.HBB), id="\ud800\x00id", meta={"path": Path("x"), "odd": {1: float("nan")}})
    found = outcome(plan, text="\x00\ud800 \u00e9", error="\udcff", usage=usage)
    store.add(Outcome(found.job, 0, sample, found.record))
    store.close()
    with Run.open(tmp_path / "run") as run:
        (answer,) = run.answers("right", "toy")
        assert answer.prediction.text == "\x00\\ud800 \u00e9"
        assert answer.prediction.error == "\\udcff"
        assert answer.prediction.usage.visual_tokens == 1e30
        assert answer.prediction.usage.prompt_tokens is None
        assert run.usage("right", "toy")["chars"].tolist() == [4.0]


def test_a_full_disk_is_told_and_the_run_goes_on_later(
    plan_of: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(
        'metrics = ["rec-hbb"]\ndataset = {name = "toy", count = 400}\nentry = [{label = "x", head = "toy"}]'
    )
    begin = Store.begin

    def small(self: Store, *values: object) -> None:
        begin(self, *values)  # type: ignore[arg-type]
        self._db.execute("PRAGMA max_page_count = 45")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "begin", small)
        with pytest.raises(
            StoreError, match=r"cannot be written: database or disk is full; every answer stored so far is"
        ):
            run_plan(plan, tmp_path / "run", workers=0)
    with Run.open(tmp_path / "run") as run:
        stored, _ = run.progress()
        assert 0 < stored < 400
        assert len(run.columns("x", "toy", "rec-hbb")) == stored, "an answer is there with its scores or not at all"
    result = run_plan(plan, tmp_path / "run", workers=0)
    assert (result.kept, result.answered, result.complete) == (stored, 400 - stored, True)


def hold(folder: str, ready: object, leave: object) -> None:
    """Another process that writes to the folder."""
    lock = FolderLock(Path(folder))
    ready.set()  # type: ignore[attr-defined]
    leave.wait(60)  # type: ignore[attr-defined]
    lock.release()


def test_two_writers_are_one_too_many(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")  # the test's own module has no name a spawned process could import
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path / "run"), ready, leave))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(StoreError, match=rf'another process writes to .*"pid": {other.pid}'):
            run_plan(plan_of(), tmp_path / "run", workers=0)
        with pytest.raises(StoreError, match="another process writes"):
            run_plan(plan_of(), tmp_path / "run", workers=0, fresh=True)
    finally:
        leave.set()
        other.join(30)
    assert run_plan(plan_of(), tmp_path / "run", workers=0).complete


def test_a_store_of_another_version_is_refused_and_left_alone(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    run_plan(plan_of(), tmp_path / "run", workers=0)
    with sqlite3.connect(tmp_path / "run" / "store.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has store version 99, this rsground reads 1 to 2"):
        Run.open(tmp_path / "run")
    with pytest.raises(StoreError, match="has store version 99"):
        run_plan(plan_of(), tmp_path / "run", workers=0)


@pytest.fixture
def of_version_one(plan_of: Callable[..., Plan], as_version_one: Callable[[Path], None], tmp_path: Path) -> Path:
    """A run folder as it was written before answers had a time; six of its 20 answers are missing."""
    folder = tmp_path / "old"
    run_plan(plan_of(), folder, workers=0)
    with closing(sqlite3.connect(folder / STORE)) as store:
        store.executescript("DELETE FROM answers WHERE idx % 3 = 2; DELETE FROM scores WHERE idx % 3 = 2;")
    as_version_one(folder / STORE)
    return folder


def test_a_store_of_version_one_is_read_reported_and_compared(
    of_version_one: Path, plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    before = (of_version_one / STORE).read_bytes()
    run_plan(plan_of(), tmp_path / "new", workers=0)
    with Run.open(of_version_one) as old, Run.open(tmp_path / "new") as new:
        usage = old.usage("right", "toy")
        assert len(usage["index"]) == 14
        assert np.isnan(usage["time_s"]).all()
        assert (usage["latency_s"] > 0).all()
        assert [answer.prediction.usage.time_s for answer in old.answers("right", "toy")] == [None] * 14
        (cost,) = collect(old, Options(examples=False)).datasets[0].costs.values()
        assert (cost.n, cost.time) == (14, None)
        assert cost.latency_p50 is not None
        for found in (compare_runs(new, old), compare_runs(old, new)):
            assert [change.n for change in found.scores] == [14]
            assert {change.name for change in found.costs} >= {"latency"}
            assert "time per answer" not in {change.name for change in found.costs}, "only one side knows it"
    assert (of_version_one / STORE).read_bytes() == before, "reading never changes a run"


def test_a_store_of_version_one_is_gone_on_with(of_version_one: Path, plan_of: Callable[..., Plan]) -> None:
    with Run.open(of_version_one) as reader:
        result = run_plan(plan_of(), of_version_one, workers=0)
        assert (result.kept, result.answered, result.complete) == (14, 6, True)
        assert len(reader.usage("right", "toy")["time_s"]) == 20, "who reads meanwhile goes on reading"
    with Run.open(of_version_one) as run:
        usage = run.usage("right", "toy")
        assert (np.isfinite(usage["time_s"]) == (usage["index"] % 3 == 2)).all(), "the new answers have a time"
        assert run.columns("right", "toy", "rec-hbb").columns["iou"].tolist() == [1.0] * 20
    with closing(sqlite3.connect(of_version_one / STORE)) as store:
        assert store.execute("PRAGMA user_version").fetchone() == (VERSION,)
        columns = [row[1:3] for row in store.execute("PRAGMA table_info(answers)")]
    with closing(sqlite3.connect(":memory:")) as store:
        store.executescript(TABLES)
        assert columns == [row[1:3] for row in store.execute("PRAGMA table_info(answers)")]
    assert run_plan(plan_of(), of_version_one, workers=0).kept == 20, "a second time nothing is left to do"


def test_another_data_base_is_refused_and_left_alone(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with sqlite3.connect(tmp_path / "run" / "store.sqlite") as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreError, match="is no rsground store"):
        run_plan(plan_of(), tmp_path / "run", workers=0)
    with sqlite3.connect(tmp_path / "run" / "store.sqlite") as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["mine"]


def test_a_folder_that_cannot_be_written_says_so(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        run_plan(plan_of(), tmp_path / "file" / "run", workers=0)
