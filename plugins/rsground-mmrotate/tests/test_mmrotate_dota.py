"""DOTA folders and Task1 files, there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsground.cli import main
from rsground.datasets.dota import Dota
from rsground.errors import DataError
from rsground.geometry import iou_obb, quad_to_obb
from rsground.images import read_image
from rsground_mmrotate.annotated import Annotated, annotated_samples, annotated_scenes
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.labels import export_dota, read_classes
from rsground_mmrotate.task1 import read_task1, write_task1

COLOURS = ("white", "grey", "black", "red", "blue", "green", "yellow", "brown", "orange", "facing", "pointing")


@pytest.mark.parametrize("header", [False, True])
def test_scenes_come_back_as_they_were(tmp_path: Path, header: bool) -> None:
    scenes = list(annotated_scenes("val", 2, size=96))
    told = export_dota(scenes, tmp_path, header=header)
    assert told.images == 2
    assert told.left_out == 0
    back = list(annotated_samples(Dota(tmp_path, "all", per="image")))
    assert [each.name for each in back] == [each.name for each in scenes]
    for scene, read in zip(scenes, back, strict=True):
        np.testing.assert_array_equal(read_image(scene.image), read_image(read.image))
        assert (read.gsd is not None) == header
        wanted = [(r.label, r.attributes["difficult"], r.quad) for r in scene.regions]
        assert len(read.regions) == len(wanted)
        for region, (label, difficult, quad) in zip(read.regions, wanted, strict=True):
            assert region.label == "-".join((label or "").split())
            assert region.attributes["difficult"] == difficult
            pair = quad_to_obb(np.array([region.quad, quad]), convention="le90")
            assert iou_obb(pair[:1], pair[1:])[0] > 0.99
    assert read_classes(tmp_path) == sorted(told.objects)


def test_adding_to_a_folder_keeps_its_categories(tmp_path: Path) -> None:
    first, second = annotated_scenes("val", 2, size=96)
    export_dota([first], tmp_path)
    known = read_classes(tmp_path)
    export_dota([Annotated(second.name, second.image, ())], tmp_path)
    assert read_classes(tmp_path) == known


def test_what_has_no_place_is_counted(tmp_path: Path) -> None:
    (scene,) = annotated_scenes("val", 1, size=64)
    from rsground.types import Region

    told = export_dota([Annotated("a", scene.image, (Region(label="ship"), Region(hbb=(1, 1, 9, 9))))], tmp_path)
    assert told.left_out == 2
    with pytest.raises(DataError, match="file name"):
        export_dota([Annotated("a/b", scene.image, ())], tmp_path)


def test_train_and_test_scenes_differ() -> None:
    train, test = annotated_scenes("train", 3), annotated_scenes("test", 3)
    assert not {each.image.uri for each in train} & {each.image.uri for each in test}


def test_task1_there_and_back(tmp_path: Path) -> None:
    one = Detection(((1.0, 2.0), (5.5, 2.0), (5.5, 7.25), (1.0, 7.25)), "small vehicle", 0.123456)
    count = write_task1(tmp_path, [("P0001", [one]), ("P0002", [])], ["ship", "small vehicle"])
    assert count == 1
    found, classes = read_task1(tmp_path)
    assert classes == ["ship", "small-vehicle"]
    assert found == {"P0001": [Detection(one.quad, "small-vehicle", 0.123456)]}


def test_task1_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Task1"):
        read_task1(tmp_path)
    with pytest.raises(DataError, match="none of"):
        write_task1(tmp_path, [("a", [Detection(((0, 0),) * 4, "car", 1.0)])], ["ship"])
    with pytest.raises(DataError, match="white space"):
        write_task1(tmp_path, [("a b", [])], ["ship"])
    (tmp_path / "Task1_ship.txt").write_text("P1 0.5 1 2 3\n")
    with pytest.raises(DataError, match=r"Task1_ship\.txt:1: expected"):
        read_task1(tmp_path)


def test_commands_export_and_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "dota"
    assert (
        main(
            ["dota", "export", "--data", "scenes", "--split", "val", "--count", "2", "--size", "96", "--out", str(root)]
        )
        == 0
    )
    images = list(annotated_samples(Dota(root, "all", per="image")))
    perfect = [
        (each.name, [Detection(r.quad, r.label or "", 0.9) for r in each.regions if r.quad is not None])
        for each in images
    ]
    write_task1(tmp_path / "found", perfect, read_classes(root))
    capsys.readouterr()
    assert main(["dota", "score", "--root", str(root), "--task1", str(tmp_path / "found"), "--mode", "area"]) == 0
    assert "mean                     AP 1.0000" in capsys.readouterr().out
    assert main(["dota", "score", "--root", str(root), "--task1", str(root)]) == 1


def test_a_detector_without_fault_finds_what_is_said_by_place(tmp_path: Path) -> None:
    import json

    from rsground.datasets.scenes import ScenesDataset
    from rsground.testing.samples import blank_view
    from rsground.types import Generation, Task
    from rsground_mmrotate.head import MMRotateHead

    out = tmp_path / "perfect.jsonl"
    assert main(["dota", "perfect", "--split", "val", "--count", "8", "--out", str(out)]) == 0
    texts = {row["id"]: row["text"] for row in map(json.loads, out.read_text().splitlines())}
    head, right, asked = MMRotateHead(), 0, 0
    for sample in ScenesDataset(split="val", count=8, tasks="obb", kinds=("extreme", "ordinal", "plural")):
        twin = next((other for other in texts if other.startswith(sample.image.uri + "#")), None)
        assert sample.task is Task.OBB
        assert twin is not None
        if any(word in sample.expression for word in COLOURS):
            continue
        found = head.read(Generation(texts[twin]), sample, blank_view(sample))
        wanted = [region.quad for region in sample.targets or ()]
        asked += 1
        corners = [np.array(sorted(quads)).reshape(-1, 2) for quads in (wanted, [r.quad for r in found.regions])]
        right += corners[0].shape == corners[1].shape and bool(np.allclose(*corners, atol=1e-2))
    assert asked > 10
    assert right / asked > 0.9
