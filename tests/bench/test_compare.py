"""Two runs compared: what is paired, what is named, what is called a regression."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsground.bench.compare import compare_runs, open_baseline
from rsground.bench.comparison import Change, Comparison, Rules, Verdict
from rsground.bench.results import Run
from rsground.bench.runner import RunResult
from rsground.errors import StoreError, UnknownNameError

Ran = Callable[..., tuple[RunResult, Run]]
TEXT = """
metrics = ["rec-hbb"]
dataset = { name = "toy", count = 24 }
entry = [ { label = "a", head = "toy" }, { label = "b", head = "toy", backbone = "looker" } ]
"""
BLIND = TEXT.replace('label = "a", head = "toy" }', 'label = "a", head = "toy", backbone = "blind" }')


def change(found: Comparison, system: str = "a", name: str = "Acc@0.5") -> Change:
    (one,) = [c for c in (*found.scores, *found.costs) if c.system == system and c.name == name]
    return one


def missing(found: Comparison) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
    return {(one.what, one.where): (one.total, one.names) for one in found.missing}


def test_two_runs_of_one_suite_are_the_same(ran: Ran) -> None:
    found = compare_runs(ran(TEXT, "one")[1], ran(TEXT, "two")[1])
    assert [c.verdict for c in found.scores] == [Verdict.SAME, Verdict.SAME]
    assert all(c.p == c.p_adjusted == 1.0 for c in found.scores)
    assert (found.regressions, found.missing, found.notes) == ((), (), ())
    assert change(found).n == 24
    assert change(found).images == 12
    assert change(found, name="output tokens").change == 1.0


def test_a_drop_is_a_regression_and_its_reverse_an_improvement(ran: Ran) -> None:
    old, new = ran(TEXT, "old")[1], ran(BLIND, "new")[1]
    found = compare_runs(new, old)
    worse = change(found)
    assert (worse.before, worse.after, worse.change) == (1.0, 0.0, -1.0)
    assert worse.verdict is Verdict.WORSE
    assert worse.p_adjusted is not None
    assert worse.p_adjusted < 0.001
    assert found.score_regressions == (worse,)
    assert change(found, "b").verdict is Verdict.SAME
    assert "system a is not made as in the baseline: other backbone" in found.notes
    back = compare_runs(old, new)
    assert change(back).verdict is Verdict.BETTER
    assert back.regressions == ()


def test_changes_tell_who_competes(ran: Ran) -> None:
    found = compare_runs(ran(TEXT, "new")[1], ran(TEXT, "old")[1])
    assert {(one.system, one.role) for one in (*found.scores, *found.costs)} == {("a", "ceiling"), ("b", "system")}
    alone = TEXT.replace(', { label = "b", head = "toy", backbone = "looker" }', "")
    found = compare_runs(ran(alone, "newer")[1], ran(alone, "older")[1])
    assert {one.role for one in found.scores} == {"system"}, "with nothing beside it, a ceiling is what is compared"


def test_what_is_blind_in_both_runs_may_guess_worse(ran: Ran) -> None:
    guesser = TEXT.replace(
        'label = "a", head = "toy" }',
        'label = "a", head = "toy", backbone = "batcher", preprocess = ["blindfold"], batch = 4 }',
    )
    old, new = ran(guesser, "old")[1], ran(guesser.replace("batch = 4", "batch = 1"), "new")[1]
    found = compare_runs(new, old, Rules(scores=("mIoU",), costs_count=True))
    worse = change(found, name="mIoU")
    assert (worse.verdict, worse.role, worse.regression) == (Verdict.WORSE, "blind", False)
    assert found.regressions == ()
    sees = guesser.replace('preprocess = ["blindfold"], ', "")
    old, new = ran(sees, "older")[1], ran(sees.replace("batch = 4", "batch = 1"), "newer")[1]
    assert change(compare_runs(new, old, Rules(scores=("mIoU",))), name="mIoU").regression


def test_within_the_tolerance_is_worse_and_no_regression(ran: Ran) -> None:
    old, new = ran(TEXT, "old")[1], ran(BLIND, "new")[1]
    found = compare_runs(new, old, Rules(tolerance=1.0))
    assert change(found).verdict is Verdict.WORSE
    assert found.regressions == ()


def test_too_few_images_say_so(ran: Ran) -> None:
    text = TEXT.replace("count = 24", "count = 8")
    found = compare_runs(ran(text, "new")[1], ran(text, "old")[1])
    assert any("toy: 4 images are too few to find any regression among 2 scores" in note for note in found.notes)


def test_samples_of_one_run_are_named_and_left_out(ran: Ran) -> None:
    more, less = ran(TEXT, "more")[1], ran(TEXT.replace("count = 24", "count = 21"), "less")[1]
    found = compare_runs(more, less)
    assert missing(found) == {("samples", "run"): (3, ("toy-21", "toy-22", "toy-23"))}
    assert change(found).n == 21
    assert any("data set toy is not the baseline's" in note for note in found.notes)
    assert missing(compare_runs(less, more)) == {("samples", "baseline"): (3, ("toy-21", "toy-22", "toy-23"))}


def test_a_limit_says_so(ran: Ran) -> None:
    text = TEXT.replace("count = 24", "count = 24, limit = 20")
    found = compare_runs(ran(text, "some")[1], ran(TEXT, "all")[1])
    assert "data set toy: the first 20 asked, in the baseline all samples" in found.notes
    assert missing(found)["samples", "baseline"][0] == 4


def test_a_sample_that_changed_is_not_compared(ran: Ran, tmp_path: Path) -> None:
    _, run = ran(TEXT, "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with sqlite3.connect(tmp_path / "two" / "store.sqlite") as store:
        store.execute("UPDATE samples SET record = replace(record, 'thing 7\"', 'ship 7\"') WHERE idx = 7")
    store.close()
    with Run.open(tmp_path / "two") as other:
        found = compare_runs(run, other)
    assert missing(found) == {("samples", "both"): (1, ("toy-7",))}
    assert change(found).n == 23


def test_another_order_of_the_same_samples_is_paired(ran: Ran, tmp_path: Path) -> None:
    _, run = ran(TEXT, "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with sqlite3.connect(tmp_path / "two" / "store.sqlite") as store:
        for table in ("samples", "answers", "scores"):
            store.execute(f"UPDATE {table} SET idx = -1 - idx")
            store.execute(f"UPDATE {table} SET idx = 24 + idx")
    store.close()
    with Run.open(tmp_path / "two") as other:
        found = compare_runs(run, other)
    assert (found.missing, change(found).n, change(found).verdict) == ((), 24, Verdict.SAME)


def test_systems_and_protocols_of_one_run_are_named(ran: Ran) -> None:
    other = TEXT.replace('label = "b"', 'label = "c"').replace('["rec-hbb"]', '["rec-hbb", "count"]')
    found = compare_runs(ran(other, "new")[1], ran(TEXT, "old")[1])
    assert missing(found) == {
        ("system", "run"): (1, ("c",)),
        ("system", "baseline"): (1, ("b",)),
        ("protocol", "run"): (1, ("count",)),
    }
    assert [c.system for c in found.scores] == ["a"]


def test_a_protocol_with_other_options_is_not_compared(ran: Ran) -> None:
    both = TEXT.replace('["rec-hbb"]', '["rec-hbb", { name = "count", bad = 900 }]')
    found = compare_runs(ran(both, "new")[1], ran(both.replace("900", "901"), "old")[1])
    assert missing(found) == {("protocol", "both"): (1, ("count",))}


def test_nothing_in_common_is_an_error(ran: Ran) -> None:
    other = TEXT.replace('"a"', '"x"').replace('"b"', '"y"')
    one, two = ran(other, "new")[1], ran(TEXT, "old")[1]
    with pytest.raises(StoreError, match=r"nothing in common to compare \(system only in run: x, y; .*name systems"):
        compare_runs(one, two)


def test_other_seeds(ran: Ran) -> None:
    one, two = ran("seeds = [0, 1]" + TEXT, "one")[1], ran("seeds = [1, 2]" + TEXT, "two")[1]
    found = compare_runs(one, two)
    assert change(found).n == 24, "seed 1 is in both"
    assert any("other seeds: 0, 1, in the baseline 1, 2" in note for note in found.notes)
    three = ran("seeds = [5]" + TEXT, "three")[1]
    found = compare_runs(three, two)
    assert change(found).n == 24
    assert any("no seed is shared" in note for note in found.notes)


def test_an_unfinished_baseline_says_so(ran: Ran, tmp_path: Path) -> None:
    ran(TEXT, "old")
    with sqlite3.connect(tmp_path / "old" / "store.sqlite") as store:
        store.execute("DELETE FROM scores WHERE idx >= 20 AND job = 1")
        store.execute("DELETE FROM answers WHERE idx >= 20 AND job = 1")
        store.execute("UPDATE run SET finished = NULL")
    store.close()
    with Run.open(tmp_path / "old") as baseline:
        found = compare_runs(ran(TEXT, "new")[1], baseline)
    assert "the baseline is not finished: 44 answers of 48" in found.notes
    assert (change(found).n, change(found).left_out) == (20, 4)
    assert (change(found, "b").n, change(found, "b").left_out) == (24, 0)


# scores and costs -----------------------------------------------------------------------------------------------------


def test_other_scores_on_request_and_a_misspelt_one_is_an_error(ran: Ran) -> None:
    new, old = ran(BLIND, "new")[1], ran(TEXT, "old")[1]
    found = compare_runs(new, old, Rules(scores=("Acc@*", "mIoU")))
    names = {c.name for c in found.scores if c.system == "a"}
    assert {"Acc@0.5", "Acc@0.7", "mIoU"} <= names
    assert "cumIoU" not in names
    with pytest.raises(UnknownNameError, match=r"no score of these runs named 'mIou'. Did you mean 'mIoU'"):
        compare_runs(new, old, Rules(scores=("mIou",)))


def costly(folder: Path, factor: float) -> Run:
    """The run with latencies we know, times a factor where the system is a."""
    with sqlite3.connect(folder / "store.sqlite") as store:
        store.execute("UPDATE answers SET latency_s = 0.01 + 0.001 * (idx % 13), peak_memory_bytes = 1000 + idx")
        store.execute("UPDATE answers SET latency_s = latency_s * ? WHERE job = 1", (factor,))
        store.execute("UPDATE answers SET time_s = latency_s")
    store.close()
    return Run.open(folder)


@pytest.mark.parametrize(("counts", "tolerance", "regressions"), [(False, 0.1, 0), (True, 0.1, 1), (True, 0.5, 0)])
def test_a_slower_system_fails_only_where_costs_count(
    ran: Ran, tmp_path: Path, counts: bool, tolerance: float, regressions: int
) -> None:
    ran(TEXT, "new")
    ran(TEXT, "old")
    new, old = costly(tmp_path / "new", 1.3), costly(tmp_path / "old", 1.0)
    found = compare_runs(new, old, Rules(costs_count=counts, cost_tolerance=tolerance))
    slower = change(found, name="latency")
    assert slower.change == pytest.approx(1.3)
    assert slower.verdict is Verdict.WORSE
    assert len(found.cost_regressions) == regressions
    assert found.score_regressions == ()
    assert change(found, "b", "latency").verdict is Verdict.SAME
    assert change(found, name="peak memory").change == 1.0
    assert "time per answer" not in {c.name for c in found.costs}, "all were asked alone: it would be the latency twice"
    assert change(compare_runs(old, new), name="latency").verdict is Verdict.BETTER
    new.close()
    old.close()


def test_batches_are_compared_by_time_per_answer(ran: Ran, tmp_path: Path) -> None:
    text = TEXT.replace('label = "a", head = "toy"', 'label = "a", head = "toy", batch = 8')
    ran(TEXT, "alone")
    ran(text, "old")
    ran(text, "new")
    for name, factor in (("alone", 4.0), ("old", 1.0), ("new", 1.5)):
        with sqlite3.connect(tmp_path / name / "store.sqlite") as store:
            store.execute("UPDATE answers SET time_s = ? * (0.01 + 0.001 * (idx / 8)) WHERE job = 1", (factor,))
            store.execute("UPDATE answers SET latency_s = time_s WHERE latency_s IS NOT NULL AND job = 1")
        store.close()
    with Run.open(tmp_path / "new") as new, Run.open(tmp_path / "old") as old, Run.open(tmp_path / "alone") as alone:
        found = compare_runs(new, old, Rules(costs_count=True))
        slower = change(found, name="time per answer")
        assert (slower.change, slower.verdict, slower.regression) == (pytest.approx(1.5), Verdict.WORSE, True)
        assert "latency" not in {c.name for c in found.costs if c.system == "a"}
        assert change(compare_runs(new, alone), name="time per answer").change == pytest.approx(1.5 / 4)


def test_what_came_from_the_cache_has_no_latency_of_this_run(ran: Ran, tmp_path: Path) -> None:
    text = TEXT.replace('label = "b", head = "toy"', 'label = "b", head = "toy", batch = 8')
    ran(text, "old", cache=tmp_path / "cache")
    result, new = ran(text, "new", cache=tmp_path / "cache")
    assert result.reused == 48
    with Run.open(tmp_path / "old") as old:
        found = compare_runs(new, old)
    assert not [c for c in found.costs if c.name in ("latency", "time per answer", "peak memory")]
    assert change(found, name="output tokens").n == 24, "tokens are the same wherever they are counted"


def test_the_baseline_must_be_another_run(ran: Ran, tmp_path: Path) -> None:
    ran(TEXT, "one")
    with pytest.raises(StoreError, match="compared with itself never gets worse"):
        open_baseline(tmp_path / "one", tmp_path / "x" / ".." / "one")
    with pytest.raises(StoreError, match="is no run folder"):
        open_baseline(tmp_path / "nowhere", tmp_path / "one")


def test_json_says_it_all(ran: Ran) -> None:
    import json

    found = compare_runs(ran(BLIND, "new")[1], ran(TEXT, "old")[1])
    told: dict[str, Any] = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["regressions"] == 1
    assert [row["verdict"] for row in told["scores"]] == ["worse", "same"]
    assert told["rules"]["alpha"] == 0.05
