"""Mean average precision: worked examples, laws, and MMRotate's own evaluation as the oracle."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.cli import main
from rsground.datasets.dota import Dota
from rsground.errors import DataError, ShapeError
from rsground.geometry import iou_obb, obb_to_quad, quad_to_obb
from rsground.types import Quad, Region
from rsground_mmrotate.annotated import Annotated, annotated_samples
from rsground_mmrotate.average_precision import MODES, Mode, dota_map
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.labels import export_dota, read_classes
from rsground_mmrotate.task1 import write_task1
from rsground_mmrotate.theirs import mmrotate_map, read_labels


def box(x: float, y: float = 10.0, side: float = 8.0) -> Quad:
    h = side / 2
    return ((x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h))


def ship(x: float, difficult: int = 0) -> Region:
    return Region(quad=box(x), label="ship", attributes={"difficult": difficult})


def test_worked_example() -> None:
    """Right, wrong, right of four targets: precision 1, 1/2, 2/3 at recall 1/4, 1/4, 1/2."""
    found = {
        "a": [Detection(box(10), "ship", 0.9), Detection(box(90), "ship", 0.8)],
        "b": [Detection(box(10), "ship", 0.7)],
    }
    targets = {"a": [ship(10), ship(30)], "b": [ship(10), ship(30)]}
    area = dota_map(found, targets, ["ship"], mode="area").classes["ship"]
    assert area.ap == pytest.approx(0.25 * 1.0 + 0.25 * 2 / 3)
    assert (area.targets, area.detections, area.recall) == (4, 3, 0.5)
    eleven = dota_map(found, targets, ["ship"]).classes["ship"]
    assert eleven.ap == pytest.approx((3 * 1.0 + 3 * 2 / 3) / 11)


def test_a_target_is_found_once_and_difficult_ones_do_not_count() -> None:
    twice = {"a": [Detection(box(10), "ship", 0.9), Detection(box(11), "ship", 0.8)]}
    assert dota_map(twice, {"a": [ship(10), ship(40)]}, ["ship"], mode="area").mean == pytest.approx(0.5)
    hard = {"a": [ship(10, difficult=1), ship(40)]}
    assert dota_map(twice, hard, ["ship"], mode="area").classes["ship"].targets == 1
    assert dota_map(twice, hard, ["ship"], mode="area", ignore_difficult=False).mean == pytest.approx(0.5)
    right = {"a": [Detection(box(10), "ship", 0.9), Detection(box(40), "ship", 0.8)]}
    assert dota_map(right, hard, ["ship"], mode="area").mean == 1.0


def test_categories_without_a_target_do_not_count() -> None:
    score = dota_map({"a": [Detection(box(10), "ship", 0.9)]}, {"a": [ship(10)]}, ["ship", "small vehicle"])
    assert score.mean == 1.0
    assert math.isnan(score.classes["small-vehicle"].ap)
    assert math.isnan(dota_map({}, {"a": []}, ["ship"]).mean)


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(ShapeError, match="11points"):
        dota_map({}, {}, ["ship"], mode="coco")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="threshold"):
        dota_map({}, {}, ["ship"], iou=0.0)


PLACES = st.lists(st.integers(0, 12), max_size=6)


@settings(deadline=None)
@given(PLACES, st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1)), max_size=6))
def test_bounds_and_a_miss_at_the_end_changes_nothing(targets: list[int], found: list[tuple[int, float]]) -> None:
    annotated = {"a": [ship(20.0 * place + 10) for place in targets]}
    detections = [Detection(box(20.0 * place + 10), "ship", score) for place, score in found]
    for mode in MODES:
        value = dota_map({"a": detections}, annotated, ["ship"], mode=mode).mean
        assert math.isnan(value) if not targets else 0.0 <= value <= 1.0 + 1e-12
        last = [*detections, Detection(box(999.0), "ship", -1.0)]
        again = dota_map({"a": last}, annotated, ["ship"], mode=mode).mean
        assert value == again or math.isnan(value)


def shaken(images: Sequence[Annotated], classes: Sequence[str], seed: int = 7) -> dict[str, list[Detection]]:
    """What a middling detector might find: boxes moved, turned, missed, doubled, made up; scores all different."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Detection]] = {}
    for each in images:
        rows = found.setdefault(each.name, [])
        quads = np.array([region.quad for region in each.regions], np.float64).reshape(-1, 4, 2)
        for region, obb in zip(each.regions, quad_to_obb(quads, convention="le90"), strict=True):
            for _ in range(int(rng.choice([0, 1, 1, 1, 2]))):
                moved = obb.copy()
                moved[:2] += rng.normal(0, 0.06, 2) * obb[2:4]
                moved[2:4] *= np.exp(rng.normal(0, 0.1, 2))
                moved[4] += rng.normal(0, 0.05)
                label = region.label if rng.random() < 0.9 else str(rng.choice(classes))
                rows.append(Detection(as_quad(moved), str(label), float(rng.random())))
    return found


def as_quad(obb: Any) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in obb_to_quad(obb))
    return (a, b, c, d)


@pytest.fixture(scope="module")
def mini(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Annotated]]:
    """The four images of DOTA, written again without headers, and as they were read."""
    images = list(annotated_samples(Dota(shared_data / "dota_mini", "all", per="image")))
    folder = tmp_path_factory.mktemp("dota")
    export_dota(images, folder)
    return folder, images


def test_real_labels_there_and_back(mini: tuple[Path, list[Annotated]]) -> None:
    folder, images = mini
    back = list(annotated_samples(Dota(folder, "all", per="image")))
    assert [each.name for each in images] == ["P0075", "P0706", "P1088", "P1888"]
    assert sum(len(each.regions) for each in images) == 636
    for one, other in zip(images, back, strict=True):
        assert [(r.label, r.quad, r.attributes) for r in one.regions] == [
            (r.label, r.quad, r.attributes) for r in other.regions
        ]


class InProcess:
    """MMRotate's evaluation asks for a pool of processes; the same functions do it here."""

    def starmap(self, function: Any, rows: Any) -> list[Any]:
        return [function(*row) for row in rows]

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """``mmrotate.evaluation`` with its sums made in this process."""
    for name in ("mmcv", "mmdet", "mmrotate"):
        pytest.importorskip(name, reason="MMRotate is not installed here (nox -s mmrotate runs this)")
    import mmrotate.evaluation.functional.mean_ap as theirs

    monkeypatch.setattr(theirs, "get_context", lambda kind: SimpleNamespace(Pool=lambda count: InProcess()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ignore", [True, False])
def test_agrees_with_mmrotate(mini: tuple[Path, list[Annotated]], oracle: None, mode: Mode, ignore: bool) -> None:
    """On the rectangles that MMRotate makes of the labels, all that is left is single precision."""
    folder, images = mini
    classes = read_classes(folder)
    told = read_labels(folder, classes, ignore_difficult=ignore)
    found = shaken(images, classes)
    theirs = mmrotate_map(found, told, classes, mode=mode)
    annotated = {
        name: [
            Region(quad=as_quad(obb), label=classes[label], attributes={"difficult": hard})
            for hard, end in ((0, ""), (1, "_ignore"))
            for obb, label in zip(each["bboxes" + end].astype(np.float64), each["labels" + end], strict=True)
        ]
        for name, each in told.items()
    }
    ours = dota_map(found, annotated, classes, mode=mode, ignore_difficult=ignore)
    assert ours.mean == pytest.approx(theirs.mean, abs=1e-4)
    for name, other in theirs.classes.items():
        mine = ours.classes[name]
        assert (mine.targets, mine.detections) == (other.targets, other.detections)
        if mine.targets:
            assert (mine.ap, mine.recall) == (pytest.approx(other.ap, abs=1e-3), pytest.approx(other.recall, abs=2e-2))
    assert 0.3 < ours.mean < 0.95  # neither perfect nor empty: the comparison says something


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", MODES)
def test_agrees_with_mmrotate_from_the_label_files(
    mini: tuple[Path, list[Annotated]], oracle: None, mode: Mode
) -> None:
    """Corners on whole pixels often have two least rectangles, and each side takes its own."""
    folder, images = mini
    classes = read_classes(folder)
    found = shaken(images, classes)
    theirs = mmrotate_map(found, read_labels(folder, classes), classes, mode=mode)
    ours = dota_map(found, {image.name: image.regions for image in images}, classes, mode=mode)
    assert ours.mean == pytest.approx(theirs.mean, abs=5e-3)
    for name, other in theirs.classes.items():
        if other.targets:
            assert ours.classes[name].ap == pytest.approx(other.ap, abs=2e-2)


@pytest.mark.filterwarnings("ignore")
def test_mmrotate_reads_what_was_exported(mini: tuple[Path, list[Annotated]], oracle: None) -> None:
    folder, images = mini
    classes = read_classes(folder)
    theirs = read_labels(folder, classes, ignore_difficult=False)
    for image in images:
        told = theirs[image.name]
        quads = np.array([region.quad for region in image.regions], np.float64)
        ours, boxes = quad_to_obb(quads, convention="le90"), told["bboxes"].astype(np.float64)
        np.testing.assert_allclose(boxes[:, 2] * boxes[:, 3], ours[:, 2] * ours[:, 3], rtol=1e-4)  # both are least
        overlap = iou_obb(ours, boxes)
        assert overlap.min() > 0.8
        assert np.median(overlap) > 0.999
        assert [classes[label] for label in told["labels"]] == [region.label for region in image.regions]


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_metric_that_training_prints(mini: tuple[Path, list[Annotated]], oracle: None) -> None:
    import torch
    from mmrotate.evaluation import DOTAMetric

    folder, images = mini
    classes = read_classes(folder)
    theirs, found = read_labels(folder, classes, ignore_difficult=False), shaken(images, classes, seed=8)
    metric = DOTAMetric(eval_mode="area")
    metric.dataset_meta = {"classes": tuple(classes)}
    for image in images:
        mine = found[image.name]
        told = theirs[image.name]
        corners = np.array([each.quad for each in mine]).reshape(-1, 4, 2)
        row = {
            "img_id": image.name,
            "gt_instances": {"bboxes": torch.from_numpy(told["bboxes"]), "labels": torch.from_numpy(told["labels"])},
            "ignored_instances": {
                "bboxes": torch.from_numpy(told["bboxes_ignore"]),
                "labels": torch.from_numpy(told["labels_ignore"]),
            },
            "pred_instances": {
                "bboxes": torch.from_numpy(quad_to_obb(corners, convention="le90")).float(),
                "scores": torch.tensor([each.score for each in mine]),
                "labels": torch.tensor([classes.index(each.category) for each in mine]),
            },
        }
        metric.process([], [row])
    value = metric.evaluate(len(images))["dota/mAP"]
    ours = dota_map(
        found, {image.name: image.regions for image in images}, classes, mode="area", ignore_difficult=False
    )
    assert ours.mean == pytest.approx(value, abs=5e-3)


@pytest.mark.filterwarnings("ignore")
def test_the_command_shows_both(
    mini: tuple[Path, list[Annotated]], oracle: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images = mini
    classes = ["large-vehicle", "ship"]  # the labels have more, which count for neither
    found = {
        name: [each for each in rows if each.category in classes]
        for name, rows in shaken(images, read_classes(folder)).items()
    }
    write_task1(tmp_path / "found", found.items(), classes)
    assert main(["dota", "score", "--root", str(folder), "--task1", str(tmp_path / "found"), "--mmrotate"]) == 0
    mean = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mean"))
    ours, theirs = re.findall(r"0\.\d{4}", mean)
    assert 0.3 < float(ours) < 0.95
    assert float(ours) == pytest.approx(float(theirs), abs=5e-3)
    with pytest.raises(DataError, match="MMRotate's reader"):
        read_labels(folder, classes)
