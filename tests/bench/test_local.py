"""Worker processes: the same answers as without, and a crash costs one answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rsground.bench.process import START
from rsground.bench.results import Run
from rsground.bench.scores import summaries
from rsground.errors import ContractError, ShapeError, WorkerError
from rsground.records import USAGE, prediction_to_json
from rsground.registry import load


def suite(entry: str, data: str = '{name = "toy"}', more: str = "") -> str:
    return f'metrics = ["rec-hbb", "count"]\ndataset = {data}\nentry = [{entry}]\n{more}'


def content(run: Run) -> dict[tuple[str, int, int], object]:
    """Everything an answer says, but for how long it took."""
    found = {}
    for system in run.systems:
        for answer in run.answers(system.label, "toy"):
            record = prediction_to_json(answer.prediction)
            for name in ("latency_s", "time_s"):
                record["usage"][USAGE.index(name)] = None
            found[system.label, answer.seed, answer.index] = record
    return found


def test_answers_are_the_same_for_any_number_of_workers(ran: Callable[..., tuple]) -> None:
    text = suite(
        '{label = "a", head = "toy"}, {label = "b", head = "toy", backbone = {name = "oracle", slips = 0.3}}, '
        '{label = "c", head = "toy", batch = 3, backbone = "batcher"}, '
        '{label = "d", head = "toy", backbone = "looker"}',
        data='{name = "toy", count = 60, mixed = true}',
        more="seeds = [0, 5]",
    )
    runs = []
    for workers in (0, 1, 2):
        result, run = ran(text, folder=f"with{workers}", workers=workers)
        assert result.complete
        runs.append(run)
    first = content(runs[0])
    assert len(first) == 4 * 2 * 40
    for run in runs[1:]:
        assert content(run) == first
        assert list(run.broken) == list(runs[0].broken)
        assert [s.to_json() for s in summaries(run, replicates=20)] == [
            s.to_json() for s in summaries(runs[0], replicates=20)
        ]


@pytest.mark.parametrize(("how", "reason"), [("exit", "exit code 3"), ("kill", "SIGKILL"), ("segv", "SIGSEGV")])
def test_a_crash_costs_the_answer_in_flight(ran: Callable[..., tuple], how: str, reason: str) -> None:
    text = suite(f'{{label = "ok", head = "toy"}}, {{label = "dies", head = {{name = "toy", how = "{how}", at = 7}}}}')
    result, run = ran(text, workers=2)
    assert result.complete
    failed = {answer.index: answer.prediction.error for answer in run.answers("dies", "toy") if answer.prediction.error}
    assert list(failed) == [7]
    assert reason in (failed[7] or "")
    assert not run.usage("ok", "toy")["failed"].any()
    scores = {found.system: found.scores for found in summaries(run) if found.metric == "rec-hbb"}
    assert scores["ok"]["Acc@0.5"] == 1.0
    assert scores["dies"]["Acc@0.5"] == pytest.approx(19 / 20), "the lost answer counts as wrong"


def test_a_crash_in_a_batch_costs_the_sample_that_caused_it(ran: Callable[..., tuple]) -> None:
    text = suite('{label = "dies", batch = 8, head = {name = "toy", how = "exit", at = 11}, backbone = "batcher"}')
    result, run = ran(text, workers=1)
    assert result.complete
    assert run.usage("dies", "toy")["failed"].nonzero()[0].tolist() == [11]


def test_a_worker_killed_for_no_fault_of_the_sample_costs_nothing(ran: Callable[..., tuple], tmp_path: Path) -> None:
    head = f'{{name = "toy", how = "kill-once", at = 7, mark = "{tmp_path / "killed"}"}}'
    result, run = ran(suite(f'{{label = "once", head = {head}}}'), workers=2)
    assert (tmp_path / "killed").exists()
    assert result.complete
    assert run.usage("once", "toy")["index"].tolist() == list(range(20))
    assert not run.usage("once", "toy")["failed"].any()


@pytest.mark.timeout(60)
def test_what_a_dead_worker_left_is_asked_when_nothing_else_is(ran: Callable[..., tuple]) -> None:
    text = suite(
        '{label = "dies", head = {name = "toy", how = "kill", at = 0}}, {label = "ok", head = "toy"}',
        data='{name = "toy", count = 2}',
    )
    result, run = ran(text, workers=2)  # both tasks are out when the first worker dies over half of its own
    assert result.complete
    assert run.usage("dies", "toy")["failed"].nonzero()[0].tolist() == [0]
    assert not run.usage("ok", "toy")["failed"].any()


def test_a_hang_is_cut_off(ran: Callable[..., tuple]) -> None:
    text = suite(
        '{label = "hangs", head = {name = "toy", how = "hang", at = 3}}',
        more='executor = {name = "local", timeout_s = 1.5}',
    )
    result, run = ran(text, workers=1)
    assert result.complete
    (answer,) = run.answers("hangs", "toy", [3])
    assert answer.prediction.error == "no answer within 1.5 s"
    assert run.usage("hangs", "toy")["failed"].sum() == 1


def test_memory_is_bounded(ran: Callable[..., tuple]) -> None:
    text = suite(
        '{label = "eats", head = {name = "toy", how = "eat", at = 3}}',
        more='executor = {name = "local", memory_gib = 0.6}',
    )
    result, run = ran(text, workers=1)
    assert result.complete
    assert run.usage("eats", "toy")["failed"].nonzero()[0].tolist() == [3]
    (answer,) = run.answers("eats", "toy", [3])
    error = answer.prediction.error or ""
    assert "MemoryError" in error or "out of memory" in error


def test_what_a_worker_writes_is_seen_and_its_last_words_are_kept(
    ran: Callable[..., tuple], capfd: pytest.CaptureFixture[str]
) -> None:
    text = suite('{label = "dies", head = {name = "toy", how = "say", at = 3}}')
    _, run = ran(text, workers=1)
    (answer,) = run.answers("dies", "toy", [3])
    assert answer.prediction.error == "the worker process ended with exit code 3; its last words: I am leaving"
    assert "printed by a head" in capfd.readouterr().err


def test_workers_that_never_answer_end_the_run(ran: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rsground.bench.process.START", START.replace("rsground.bench.worker import main", "toys import ends as main")
    )
    pauses: list[float] = []
    monkeypatch.setattr("rsground.bench.pool.time", SimpleNamespace(sleep=pauses.append))
    with pytest.raises(WorkerError, match=r"die before they answer anything .*exit code 7.*--workers 0"):
        ran(suite('{label = "x", head = "toy"}', data='{name = "toy", count = 3}'), workers=1)
    assert pauses == [0.05, 0.1], "each start waits twice as long as the one before"


def test_samples_that_cannot_travel_are_named(ran: Callable[..., tuple]) -> None:
    text = suite('{label = "x", head = "toy"}', data='{name = "toy", unpicklable = true}')
    with pytest.raises(ContractError, match=r"samples 'toy-0'.* cannot be sent to a worker process: .*--workers 0"):
        ran(text, workers=1)
    result, _ = ran(text, workers=0)
    assert result.complete


def test_a_system_that_cannot_be_built_says_so_on_every_sample(
    ran: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*parts: object) -> None:
        raise MemoryError("no room for the weights")

    monkeypatch.setattr("rsground.bench.work.System", type("Broken", (), {"__init__": broken}))
    result, run = ran(suite('{label = "x", head = "toy"}'), workers=0)
    assert result.complete
    errors = {answer.prediction.error for answer in run.answers("x", "toy")}
    assert errors == {"the system cannot be built: MemoryError: no room for the weights"}


def test_executor_refuses_senseless_options() -> None:
    with pytest.raises(ShapeError, match="'workers' must be 0 or more, got -1"):
        load("executor", "local", workers=-1)
    with pytest.raises(ShapeError, match="'timeout_s' must be above 0"):
        load("executor", "local", timeout_s=0)
    with pytest.raises(ShapeError, match="'load_s' must be above 0"):
        load("executor", "local", load_s=0)
    with pytest.raises(ShapeError, match="'memory_gib' must be above 0"):
        load("executor", "local", memory_gib=0)
