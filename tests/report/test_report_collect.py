"""From a stored run to a report: the figures are those of the metrics, on the right samples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsground.bench.results import Run
from rsground.errors import UnknownNameError
from rsground.metrics import evaluate
from rsground.metrics.res import Segmentation
from rsground.report.collect import Options, collect, cost_of
from rsground.report.collect_boards import paired_values
from rsground.report.collect_examples import pick
from rsground.report.model import ReportData


@pytest.fixture(scope="module")
def collected(run_folder: Path) -> ReportData:
    with Run.open(run_folder) as run:
        return collect(run, Options(gallery=5, replicates=200, permutations=2000))


def test_scores_are_what_the_metric_says_of_the_same_predictions(collected: ReportData, run_folder: Path) -> None:
    board = collected.datasets[0].boards[0]
    assert (board.metric, board.primary) == ("res", "gIoU")
    with Run.open(run_folder) as run:
        for label in ("exact", "boxes", "shaky"):
            answers = list(run.answers(label, "toy"))
            found = evaluate([a.sample for a in answers], [a.prediction for a in answers], protocol="res")
            assert board.rows[label]["gIoU"].value == pytest.approx(found["gIoU"], abs=1e-12)
            assert board.rows[label]["Pr@0.5"].value == pytest.approx(found["Pr@0.5"], abs=1e-12)


def test_intervals_hold_the_score_and_perfection_has_no_width(collected: ReportData) -> None:
    for board in collected.datasets[0].boards:
        for label, row in board.rows.items():
            score = row[board.primary]
            assert score.low is not None
            assert score.high is not None
            assert score.low - 1e-9 <= score.value <= score.high + 1e-9
            if label == "exact":
                assert score.low == score.high == 1.0


def test_ranking_and_pairs(collected: ReportData) -> None:
    board = collected.datasets[0].boards[0]
    assert board.ranking() == ("exact", "boxes", "shaky")
    assert board.tested == ("exact", "boxes", "shaky")
    assert {(pair.first, pair.second) for pair in board.pairs} == {
        ("exact", "boxes"),
        ("exact", "shaky"),
        ("boxes", "shaky"),
    }
    for pair in board.pairs:
        assert pair.p <= pair.p_adjusted <= 1.0
        assert pair.effect > 0
        assert pair.n == 24


def test_pair_effect_is_the_mean_difference_over_samples(collected: ReportData, run_folder: Path) -> None:
    board = collected.datasets[0].boards[0]
    pair = next(pair for pair in board.pairs if (pair.first, pair.second) == ("exact", "shaky"))
    with Run.open(run_folder) as run:
        tables = [run.columns(label, "toy", "res") for label in ("exact", "shaky")]
    expected = tables[0].columns["iou"].mean() - tables[1].columns["iou"].mean()
    assert pair.effect == pytest.approx(expected, abs=1e-12)


def test_breakdowns_split_the_samples(collected: ReportData) -> None:
    board = collected.datasets[0].boards[0]
    found = {breakdown.axis: breakdown for breakdown in board.breakdowns}
    assert {"category", "targets", "uniqueness"} <= set(found)
    assert "empty" not in found
    category = found["category"]
    assert dict(zip(category.bins, category.counts, strict=True)) == {"ship": 12, "tank": 12}
    halves = [score.value for score in category.values["boxes"] if score is not None]
    assert np.mean(halves) == pytest.approx(board.rows["boxes"]["gIoU"].value)


def test_costs_count_failures_apart_from_unreadable_answers(collected: ReportData) -> None:
    cost = collected.datasets[0].costs["shaky"]
    assert (cost.n, cost.unparsed, cost.errors) == (48, 8, 1)
    assert cost.tokens is not None
    assert cost.latency_p50 is not None
    assert cost.latency_p95 is not None
    assert cost.latency_p50 < cost.latency_p95
    assert collected.datasets[0].costs["boxes"].time == pytest.approx(0.0125), "the mean of 1 to 24 ms"
    assert cost.memory is None
    assert collected.datasets[0].costs["exact"].chars == len("copied")


def test_cost_of_nothing_is_unknown() -> None:
    empty = {
        name: np.zeros(0)
        for name in ("latency_s", "time_s", "peak_memory_bytes", "chars", "output_tokens", "visual_tokens", "flops")
    }
    cost = cost_of(empty | {"parsed": np.zeros(0, bool), "failed": np.zeros(0, bool), "index": np.zeros(0, int)})
    assert (cost.n, cost.chars, cost.latency_p50, cost.time, cost.memory) == (0, None, None, None, None)


def test_gallery_draws_target_and_answers(collected: ReportData) -> None:
    items = collected.datasets[0].gallery
    assert len(items) == 5
    assert len({item.image for item in items}) == 5
    assert all(item.jpeg.startswith(b"\xff\xd8") for item in items)
    assert {item.picked for item in items} == {"systems disagree", "hard for all", "typical"}
    exact = [overlay for item in items for overlay in item.overlays if overlay.system == "exact" and item.has_target]
    assert all(overlay.paths for overlay in exact)
    assert all(item.target == item.overlays[0].paths for item in items if item.has_target)


def test_failures_come_worst_first_and_perfect_answers_never(collected: ReportData) -> None:
    rows = collected.datasets[0].failures
    assert {row.system for row in rows} == {"boxes", "shaky"}
    assert rows[0].error == "worker ran out of memory"
    assert [row.issues for row in rows[1:5]] == [("missing-tag",)] * 4
    scores = [row.score for row in rows[1:] if row.score is not None]
    assert scores == sorted(scores)
    assert max(scores) < 1


def test_facts_issues_and_broken_records(collected: ReportData) -> None:
    assert collected.run.command == "rsground bench mine"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", collected.run.created)
    assert ("left out", "head magic: its plugin is not installed") in collected.run.facts
    assert collected.run.seeds == (0, 1)
    assert collected.run.complete
    assert collected.broken_total == 1
    assert collected.broken[0].line == 12
    assert collected.datasets[0].issues["shaky"]["missing-tag"] == 8
    assert collected.ceilings


def test_baseline_is_tested_and_shown(run_folder: Path) -> None:
    with Run.open(run_folder) as run:
        data = collect(run, Options(baseline="shaky", replicates=50, permutations=500, examples=False))
    assert data.baseline == "shaky"
    assert data.datasets[0].gallery == ()
    assert data.datasets[0].failures == ()


def test_unknown_baseline_names_the_nearest(run_folder: Path) -> None:
    with Run.open(run_folder) as run, pytest.raises(UnknownNameError, match="Did you mean 'boxes'"):
        collect(run, Options(baseline="boxs"))


def test_a_ceiling_stands_beside_the_systems(stored: Any, tmp_path: Path) -> None:
    folder = stored.build_run(tmp_path, backbones=("oracle", "transformers", "transformers"))
    with Run.open(folder) as run:
        data = collect(run, Options(gallery=2, replicates=50, permutations=500))
        told = collect(run, Options(gallery=0, replicates=50, permutations=500, baseline="exact"))
    assert [system.role for system in data.systems] == ["ceiling", "system", "system"]
    (block,) = data.datasets
    for board in block.boards:
        assert board.aside == {"exact": "ceiling"}
        assert board.rows["exact"][board.primary].value == 1.0, "the highest score of all"
        assert (board.ranked(), board.ranking()) == (("boxes", "shaky"), ("boxes", "shaky", "exact"))
        assert board.tested == ("boxes", "shaky")
        assert [(pair.first, pair.second) for pair in board.pairs] == [("boxes", "shaky")]
    assert {overlay.system for item in block.gallery for overlay in item.overlays} == {"boxes", "shaky"}
    assert told.datasets[0].boards[0].tested == ("boxes", "shaky", "exact"), "who is named a baseline is tested"
    assert not data.ceilings


def test_where_nothing_else_was_run_ceilings_are_ranked(collected: ReportData) -> None:
    assert {system.role for system in collected.systems} == {"ceiling"}
    assert collected.ceilings
    assert all(board.aside == {} for board in collected.datasets[0].boards)


def test_a_protocol_that_fails_at_its_scores_costs_no_other_ones(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Segmentation, columns: Any, weights: Any = None) -> dict[str, float]:
        raise KeyError("iou")

    monkeypatch.setattr(Segmentation, "summarise", fails)
    with Run.open(run_folder) as run:
        found = collect(run, Options(gallery=2, replicates=50, permutations=50))
    assert [board.metric for board in found.datasets[0].boards] == ["rec-hbb"]
    assert any(what == "left out" and "protocol res: KeyError: 'iou'" in why for what, why in found.run.facts)
    assert found.datasets[0].gallery, "of the protocol that is left"


def test_a_protocol_that_gives_no_primary_score_is_named(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rightly = Segmentation.summarise

    def forgets(self: Segmentation, columns: Any, weights: Any = None) -> dict[str, float]:
        return {name: value for name, value in rightly(self, columns, weights).items() if name in ("cIoU", "Pr@0.5")}

    monkeypatch.setattr(Segmentation, "summarise", forgets)
    with Run.open(run_folder) as run:
        found = collect(run, Options(gallery=0, replicates=50, permutations=50))
    assert found.datasets[0].boards[0].rows["exact"]["cIoU"].value == 1.0, "what came is kept"
    assert ("left out", "protocol res gives no 'gIoU', its primary score, but cIoU, Pr@0.5") in found.run.facts


def test_missing_images_and_an_unfinished_run_are_told(stored: Any, tmp_path: Path) -> None:
    folder = stored.build_run(tmp_path, images_exist=False, finished=False)
    with Run.open(folder) as run:
        data = collect(run, Options(gallery=2, replicates=50, permutations=500))
    assert not data.run.complete
    assert "144" in data.run.progress
    assert all(item.jpeg == b"" and item.why for item in data.datasets[0].gallery)


def test_paired_values_average_seeds_by_sample(run_folder: Path) -> None:
    with Run.open(run_folder) as run:
        table = run.columns("shaky", "toy", "res")
    values = paired_values(table, "iou", 24)
    first = table.columns["iou"][table.seed == 0]
    second = table.columns["iou"][table.seed == 1]
    np.testing.assert_allclose(values, (first + second) / 2)
    assert np.isnan(paired_values(table, "iou", 25)[24])


def test_pick_prefers_fresh_images_and_ignores_unscored_samples() -> None:
    values = np.array([[1.0, 0.0, np.nan, 0.5, 0.2], [0.0, 0.0, np.nan, 0.5, 0.9]])
    images = np.array([0, 0, 1, 1, 2])
    picked = pick(values, images, 3)
    assert len(picked) == 3
    assert 2 not in picked
    assert {int(images[place]) for place in picked} == {0, 1, 2}
    assert set(pick(values, images, 10)) == {0, 1, 3, 4}
    assert pick(np.full((2, 3), np.nan), np.arange(3), 2) == {}
