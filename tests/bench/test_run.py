"""Runs, in this process: what is answered, scored, stored, kept and read back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.scores import summaries
from rsground.errors import StoreError, UnknownNameError
from rsground.types import Task

ENTRY = 'entry = [{label = "right", head = "toy"}]'


def suite(entry: str = ENTRY, data: str = '{name = "toy"}', metrics: str = '["rec-hbb"]', more: str = "") -> str:
    return f"metrics = {metrics}\ndataset = {data}\n{more}\n{entry}\n"


def test_a_perfect_system_scores_one(ran: Callable[..., tuple]) -> None:
    result, run = ran(suite())
    assert result.complete
    assert (result.answered, result.kept, result.interrupted) == (20, 0, 0)
    (found,) = summaries(run, replicates=50)
    assert (found.system, found.dataset, found.metric, found.primary) == ("right", "toy", "rec-hbb", "Acc@0.5")
    assert found.scores["Acc@0.5"] == found.scores["mIoU"] == 1.0
    assert (found.n, found.images, found.unparsed, found.failed) == (20, 10, 0, 0)
    assert found.intervals["Acc@0.5"] == (1.0, 1.0)


def test_everything_can_be_read_back(ran: Callable[..., tuple]) -> None:
    _, run = ran(suite(metrics='["rec-hbb", "count"]'))
    assert (run.name, run.summary, run.complete, run.seeds) == ("toys", "", True, (0,))
    assert run.suite == (run.folder / "suite.toml").read_text("utf-8")
    assert run.environment["rsground"]
    assert run.progress() == (20, 20)
    (data,) = run.datasets
    assert (data.size, data.samples, data.images, data.broken, data.tasks) == (20, 20, 10, 2, ("hbb",))
    assert [(label, record.line, record.code) for label, record in run.broken] == [
        ("toy", 6, "bad-box"),
        ("toy", 13, "bad-box"),
    ]
    table = run.columns("right", "toy", "count")
    assert list(table.columns) == ["regions", "parsed", "who"]
    np.testing.assert_array_equal(table.columns["regions"], np.ones(20))
    assert table.columns["who"][3] == ["toy-3"]
    np.testing.assert_array_equal(table.index, np.arange(20))
    np.testing.assert_array_equal(table.images, np.arange(20) // 2)
    assert run.groups("toy")["category"][:2] == [("even",), ("odd",)]
    (answer,) = run.answers("right", "toy", [5])
    assert (answer.index, answer.sample.id, answer.sample.meta["number"]) == (5, "toy-5", 5)
    assert answer.prediction.regions[0].hbb == (answer.sample.targets or ())[0].hbb
    assert answer.prediction.text == "20,5,40,30"
    usage = run.usage("right", "toy")
    assert usage["chars"][5] == 10
    assert (usage["latency_s"] >= 0).all()
    assert np.isnan(usage["visual_tokens"]).all()
    pixels = run.images("toy", [4, 9])
    assert pixels[9].render is not None
    assert pixels[9].render()[0, 0, 0] == 4
    with pytest.raises(UnknownNameError, match=r"no system of this run named 'rihgt'. Did you mean 'right'\?"):
        run.columns("rihgt", "toy", "count")


def test_a_second_run_asks_nothing_again(ran: Callable[..., tuple]) -> None:
    ran(suite())
    result, _ = ran(suite())
    assert (result.answered, result.kept, result.complete) == (0, 20, True)
    result, _ = ran(suite(), fresh=True)
    assert (result.answered, result.kept) == (20, 0)


def test_a_larger_limit_asks_only_what_is_new_and_a_smaller_one_shows_less(ran: Callable[..., tuple]) -> None:
    def limited(most: int) -> str:
        return suite(data=f'{{name = "toy", limit = {most}}}')

    result, run = ran(limited(6))
    assert (result.answered, result.complete, run.datasets[0].size) == (6, True, 6)
    result, run = ran(limited(15))
    assert (result.answered, result.kept, len(run.columns("right", "toy", "rec-hbb"))) == (9, 6, 15)
    result, run = ran(limited(4))
    assert (result.answered, result.kept, result.complete) == (0, 4, True)
    assert len(run.columns("right", "toy", "rec-hbb")) == run.datasets[0].samples == 4
    assert run.progress() == (4, 4)
    result, _ = ran(limited(100))
    assert (result.answered, result.kept, result.complete) == (5, 15, True)


def test_another_system_joins_without_the_first_being_asked_again(ran: Callable[..., tuple]) -> None:
    ran(suite())
    both = 'entry = [{label = "blind", head = "toy", backbone = "blind"}, {label = "renamed", head = "toy"}]'
    result, run = ran(suite(both))
    assert (result.answered, result.kept) == (20, 20)
    assert [system.label for system in run.systems] == ["blind", "renamed"]
    scores = {found.system: found.scores["Acc@0.5"] for found in summaries(run)}
    assert scores == {"blind": 0.0, "renamed": 1.0}


def test_seeds_are_answered_apart_and_stacked(ran: Callable[..., tuple]) -> None:
    entry = 'entry = [{label = "slips", head = "toy", backbone = {name = "oracle", slips = 0.3}}]'
    result, run = ran(suite(entry, more="seeds = [3, 1]"))
    assert result.answered == 40
    assert run.seeds == (1, 3)
    table = run.columns("slips", "toy", "rec-hbb")
    assert table.seed.tolist() == [1] * 20 + [3] * 20
    one, three = (run.columns("slips", "toy", "rec-hbb", seed) for seed in (1, 3))
    assert one.columns["iou"].tolist() != three.columns["iou"].tolist()
    assert table.columns["iou"].tolist() == [*one.columns["iou"], *three.columns["iou"]]


def test_failures_count_as_wrong_with_their_reason(ran: Callable[..., tuple]) -> None:
    entry = 'entry = [{label = "fails", head = {name = "toy", how = "raise", at = 4}}]'
    result, run = ran(suite(entry))
    assert result.complete
    (found,) = summaries(run)
    assert found.scores["Acc@0.5"] == pytest.approx(19 / 20)
    assert (found.n, found.failed, found.unparsed) == (20, 1, 0)
    (answer,) = run.answers("fails", "toy", [4])
    assert answer.prediction.error == "RuntimeError: the head gave up in two lines"
    assert run.issues("fails", "toy") == {"no-answer": 1}


def test_failures_can_be_asked_again(ran: Callable[..., tuple], tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"id": "toy-0", "text": "0,5,20,30"}))
    entry = f'entry = [{{label = "replay", head = "toy", backbone = {{name = "replay", path = "{answers}"}}}}]'
    _, run = ran(suite(entry))
    (found,) = summaries(run)
    assert (found.n, found.failed, found.scores["Acc@0.5"]) == (20, 19, 1 / 20)
    result, _ = ran(suite(entry), retry_failed=True)
    assert (result.answered, result.kept) == (19, 1)


def test_replay_scores_any_output_and_counts_what_cannot_be_read(ran: Callable[..., tuple], tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    texts = ["<box>[[0,104,312,625]]</box>", "The ship is at the left.", "<box>[[9"]
    records = [{"id": f"toy-{n}", "text": texts[n % 3], "output_tokens": n} for n in range(20)]
    answers.write_text("\n".join(map(json.dumps, records)))
    entry = f'entry = [{{label = "m", head = "codec", backbone = {{name = "replay", path = "{answers}"}}}}]'
    _, run = ran(suite(entry))
    (found,) = summaries(run)
    assert found.unparsed == sum(n % 3 != 0 for n in range(20))
    assert found.failed == 0
    assert found.n == 20
    assert found.scores["parse_rate"] == pytest.approx(7 / 20)
    assert run.columns("m", "toy", "rec-hbb").columns["iou"][0] > 0.9
    assert run.usage("m", "toy")["output_tokens"].tolist() == list(range(20))
    key = run.key
    answers.write_text("\n".join(json.dumps(record | {"text": "[]"}) for record in records))
    result, again = ran(suite(entry))
    assert again.key != key, "other answers are other work"
    assert result.answered == 20


def test_samples_a_head_does_not_serve_are_not_scored(ran: Callable[..., tuple]) -> None:
    result, run = ran(suite(data='{name = "toy", mixed = true}', metrics='["rec-hbb", "count"]'))
    assert result.complete
    assert run.progress() == (20, 20)
    assert run.datasets[0].tasks == ("hbb", "mask", "vqa")
    served = [n for n in range(20) if n % 3 != 2]
    assert run.columns("right", "toy", "count").index.tolist() == served
    assert run.usage("right", "toy")["index"].tolist() == served
    assert [answer.index for answer in run.answers("right", "toy")] == served


def test_a_protocol_is_kept_to_the_tasks_it_is_told(ran: Callable[..., tuple]) -> None:
    metrics = '["rec-hbb", { name = "count", tasks = ["mask"] }]'
    result, run = ran(suite(data='{name = "toy", mixed = true}', metrics=metrics))
    assert result.complete
    assert run.columns("right", "toy", "count").index.tolist() == [n for n in range(20) if n % 3 == 1]
    boxes, counts = run.metrics
    assert counts.tasks == ("mask",)
    assert counts.load().tasks == {Task.MASK}
    assert len(boxes.load().tasks) > 1, "another protocol keeps its own"


def test_tasks_cut_a_data_set(ran: Callable[..., tuple]) -> None:
    result, run = ran(suite(data='{name = "toy", mixed = true, tasks = ["mask"], limit = 4}', metrics='["count"]'))
    assert result.complete
    assert [sample.id for _, sample in run.samples("toy")] == ["toy-1", "toy-4", "toy-7", "toy-10"]
    assert run.images("toy", [3])[3].render is not None


def test_samples_without_annotation_are_answered_but_not_scored(ran: Callable[..., tuple]) -> None:
    entry = (
        'entry = [{label = "oracle", head = "toy"}, {label = "blind", head = "toy", backbone = {name = "blind", '
        'text = "1,2,3,4"}}]'
    )
    result, run = ran(suite(entry, data='{name = "toy", bare = true}'))
    assert result.complete
    assert summaries(run) == []
    assert run.usage("oracle", "toy")["failed"].all()
    (answer,) = run.answers("oracle", "toy", [0])
    assert "is not annotated" in (answer.prediction.error or "")
    (answer,) = run.answers("blind", "toy", [0])
    assert answer.prediction.regions[0].hbb == (1, 2, 3, 4)


def test_models_see_pixels_and_never_the_answer(ran: Callable[..., tuple]) -> None:
    entry = (
        'entry = [{label = "whole", head = "toy", backbone = "looker"},'
        '{label = "half", head = "toy", backbone = "looker", preprocess = ["shift"]}]'
    )
    _, run = ran(suite(entry))
    boxes = {label: [a.prediction.regions[0].hbb for a in run.answers(label, "toy")] for label in ("whole", "half")}
    assert boxes["whole"] == [(n // 2, 0, 60, 40) for n in range(20)]
    assert boxes["half"] == [(x1 + 32, y1, x2 + 32, y2) for x1, y1, x2, y2 in boxes["whole"]]
    assert run.usage("whole", "toy")["output_tokens"].tolist() == [4.0] * 20


def test_broken_images_cost_their_samples_only(ran: Callable[..., tuple], tmp_path: Path) -> None:
    for number in range(10):
        Image.new("RGB", (64, 48), (number, number, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:60])
    (tmp_path / "5.png").unlink()
    Image.new("RGB", (32, 32)).save(tmp_path / "7.png")
    entry = 'entry = [{label = "looks", head = "toy", backbone = "looker"}, {label = "oracle", head = "toy"}]'
    result, run = ran(suite(entry, data=f'{{name = "toy", files = "{tmp_path}"}}'))
    assert result.complete
    failed = {
        answer.index: answer.prediction.error for answer in run.answers("looks", "toy") if answer.prediction.error
    }
    assert sorted(failed) == [6, 7, 10, 11, 14, 15]
    assert all("ImageError" in (error or "") and ".png" in (error or "") for error in failed.values())
    assert not run.usage("oracle", "toy")["failed"].any(), "a backbone that never looks needs no images"


def test_batches_answer_as_one_by_one_and_a_bad_one_costs_itself(ran: Callable[..., tuple]) -> None:
    entry = 'entry = [{label = "b", head = "toy", batch = 8, backbone = {name = "batcher", bad = 17}}]'
    result, run = ran(suite(entry))
    assert result.complete
    answers = list(run.answers("b", "toy"))
    assert [answer.prediction.text for answer in answers[:16]] == ["0,0,80,10"] * 16
    assert [answer.prediction.error is None for answer in answers[16:]] == [True, False, True, True]
    assert answers[17].prediction.error == "ValueError: cannot answer a batch of 1"
    latency = run.usage("b", "toy")["latency_s"]
    assert np.isnan(latency[:16]).all()
    assert np.isfinite(latency[16])
    time = run.usage("b", "toy")["time_s"]
    assert [len(set(time[batch].tolist())) for batch in (slice(0, 8), slice(8, 16), slice(18, 20))] == [1, 1, 1]
    assert (time[[*range(17), 18, 19]] > 0).all(), "every answer has a time, whoever it was asked with"
    assert time[16] == latency[16]
    assert np.isnan(time[17])


def test_a_protocol_that_fails_is_told_and_the_answer_counts_as_none(ran: Callable[..., tuple]) -> None:
    _, run = ran(suite(metrics='[{name = "count", bad = 3}]'))
    (answer,) = run.answers("right", "toy", [3])
    assert answer.prediction.error == "protocol 'count' cannot score it: ZeroDivisionError: nothing to divide by"
    assert run.columns("right", "toy", "count").columns["regions"][3] == 0.0
    _, run = ran(suite(metrics='[{name = "count", bad = 3, always = true}]'), folder="other")
    assert math.isnan(run.columns("right", "toy", "count").columns["regions"][3])


def test_a_data_set_that_stops_half_way_leaves_the_run_incomplete(ran: Callable[..., tuple]) -> None:
    result, run = ran(suite(data='[{name = "toy", label = "bad", stops_at = 12}, {name = "toy", count = 5}]'))
    assert not result.complete
    assert not run.complete
    assert result.answered == 12 + 5
    (record,) = [record for label, record in run.broken if label == "bad" and record.code == "unreadable"]
    assert "the disk went away" in record.detail
    assert run.progress() == (17, None)


def test_ctrl_c_keeps_what_was_answered(ran: Callable[..., tuple], plan_of: Callable[..., object]) -> None:
    entry = 'entry = [{label = "x", head = {name = "toy", how = "interrupt", at = 8}}]'
    result, run = ran(suite(entry))
    assert (result.interrupted, result.complete, result.answered) == (130, False, 8)
    assert run.progress() == (8, None)
    with pytest.raises(StoreError, match="there is no run to resume"):
        run_plan(plan_of(suite()), run.folder.parent / "nowhere", resume=True)  # type: ignore[arg-type]


def test_fresh_touches_nothing_but_a_run(ran: Callable[..., tuple], tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(StoreError, match="holds something that is no run"):
        ran(suite(), folder="thesis", fresh=True)
    ran(suite())
    (tmp_path / "run" / "notes.txt").write_text("mine")
    ran(suite(), fresh=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_opening_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no run folder: it has no store\.sqlite"):
        Run.open(tmp_path)
    (tmp_path / "store.sqlite").write_bytes(b"not a data base" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        Run.open(tmp_path)
