"""Photographs of a referring set: windows show what they show of pixels and masks, and a training takes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("sam2")

from rsground.datasets.refer.records import ImageRecord, Ref
from rsground.datasets.refer.write_rrsisd import write_rrsisd
from rsground.errors import DataError
from rsground.geometry import mask_to_rle
from rsground.types import Region
from rsground_sam2.training import __main__ as command
from rsground_sam2.training.photos import Photographs

HEIGHT, WIDTH = 200, 320
BOXES = ((40, 60, 280, 180), (120, 100, 160, 140))


@pytest.fixture
def referring(tmp_path: Path) -> Path:
    """Two photographs of one object in grey and, inside it and listed first, one in white."""
    records = []
    for name, split in (("one", "train"), ("two", "val")):
        pixels, regions = np.zeros((HEIGHT, WIDTH, 3), np.uint8), []
        for (x1, y1, x2, y2), grey in zip(BOXES, (100, 255), strict=True):
            pixels[y1:y2, x1:x2] = grey
            mask = np.zeros((HEIGHT, WIDTH), np.bool_)
            mask[y1:y2, x1:x2] = True
            regions.append(Region(hbb=(x1, y1, x2, y2), rle=mask_to_rle(mask), label="ship"))
        file = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(file)
        said = (Ref("the white ship", (0,), "category", (), "ship", []),)
        records.append(ImageRecord(name, str(file), (HEIGHT, WIDTH), split, tuple(reversed(regions)), said))
    write_rrsisd(tmp_path / "set", records, "copy")
    return tmp_path / "set"


def test_windows_show_the_same_of_pixels_and_masks(referring: Path) -> None:
    held = Photographs(str(referring), "train", windows=6, size=64)
    assert held.images.shape == (7, 64, 64, 3)
    assert held.ready().tolist() == list(range(7))
    shown = held.images[..., 0].astype(int)
    grey, white = np.abs(shown - 100) < 2, shown > 253
    assert (held.labels[grey] == 1).all(), "the larger object, although it is listed last"
    assert (held.labels[white] == 2).all()
    assert (held.labels[shown == 0] == 0).all()
    sides = np.array([BOXES[0][2] - BOXES[0][0], BOXES[0][3] - BOXES[0][1]]) * 64 / (WIDTH, HEIGHT)
    assert abs(np.count_nonzero(held.labels[0]) - sides.prod()) < sides.sum(), "the first is the whole photograph"
    assert len({shown[k].tobytes() for k in range(7)}) == 7
    again = Photographs(str(referring), "train", windows=6, size=64)
    np.testing.assert_array_equal(again.labels, held.labels)


def test_a_training_on_photographs_is_scored_on_others(referring: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--refer", str(referring), "--windows", "1", "--out", str(out), "--steps", "1", "--crops", "1"]
    assert command.main([*options, "--prompts", "2", "--dense", "0"]) == 0
    record = json.loads((out / "training.json").read_text())
    assert record["data"] == {"photographs": {"set": "set", "windows": 1}}
    assert record["scores"]["split"] == {"set": "set", "split": "val"}
    assert record["scores"]["miou"]["box"]["count"] == 2
    assert (out / "model.safetensors").is_file()


def of_three(referring: Path, folder: Path, broken: int = 1, untold: int = 0) -> Path:
    """The set with its photograph of ``train`` three times: some cannot be read, of some no mask was annotated."""
    root = shutil.copytree(referring, folder)
    pixels, files = root / "images/rrsisd/JPEGImages", root / "rrsisd"
    instances = json.loads((files / "instances.json").read_text())
    refs = json.loads((files / "grefs(unc).json").read_text())
    first = next(each for each in instances["images"] if each["file_name"].startswith("one"))
    own = [each for each in instances["annotations"] if each["image_id"] == first["id"]]
    for copy in (100, 200):
        name = f"copy{copy}{Path(first['file_name']).suffix}"
        shutil.copy(pixels / first["file_name"], pixels / name)
        instances["images"].append({**first, "id": copy, "file_name": name})
        instances["annotations"] += [{**each, "id": each["id"] + copy, "image_id": copy} for each in own]
        ref = next(each for each in refs if each["image_id"] == first["id"])
        moved = {"ref_id": ref["ref_id"] + copy, "image_id": copy, "ann_id": [own[0]["id"] + copy]}
        refs.append({**ref, **moved})
    for copy in (100, 200)[:broken]:
        (pixels / f"copy{copy}{Path(first['file_name']).suffix}").write_bytes(b"not an image")
    for annotation in instances["annotations"]:
        if annotation["image_id"] in (200, 100)[:untold]:
            annotation["segmentation_from"] = "bbox"
    (files / "instances.json").write_text(json.dumps(instances))
    (files / "grefs(unc).json").write_text(json.dumps(refs))
    return root


def test_what_cannot_be_read_or_tells_no_mask_is_passed_over(
    referring: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for broken, untold, reason in ((1, 0, "cannot"), (0, 1, "none of its 2 instances has a mask that was annotated")):
        root = of_three(referring, tmp_path / f"set{broken}", broken, untold)
        out = tmp_path / f"out{broken}"
        options = ["--refer", str(root), "--windows", "1", "--out", str(out), "--steps", "1", "--crops", "1"]
        assert command.main([*options, "--prompts", "2", "--dense", "0"]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("passed over: ")]
        assert len(lines) == 1
        assert reason in lines[0]
        photographs = json.loads((out / "training.json").read_text())["data"]["photographs"]
        assert photographs == {"set": root.name, "windows": 1, "passed_over": 1}
    with pytest.raises(DataError, match="2 of 3 samples"):
        Photographs(str(of_three(referring, tmp_path / "bad", broken=1, untold=1)), "train")


def test_a_mask_that_nobody_annotated_is_not_taught(referring: Path) -> None:
    file = referring / "rrsisd" / "instances.json"
    instances = json.loads(file.read_text())
    small = [each for each in instances["annotations"] if each["bbox"][2] == BOXES[1][2] - BOXES[1][0]]
    for each in small:
        each["segmentation_from"] = "bbox"
    file.write_text(json.dumps(instances))
    held = Photographs(str(referring), "train", size=64)
    assert len(small) == 2
    assert np.unique(held.labels).tolist() == [0, 1]


def test_a_model_in_a_package_is_gone_on_with(referring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, more = tmp_path / "some_weights" / "sam2", tmp_path / "more"
    options = ["--refer", str(referring), "--windows", "0", "--crops", "1", "--prompts", "2", "--dense", "0"]
    assert command.main([*options, "--out", str(begun), "--steps", "1"]) == 0
    (tmp_path / "some_weights" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert command.main([*options, "--out", str(more), "--steps", "2", "--model", "some_weights:sam2"]) == 0
    record = json.loads((more / "training.json").read_text())
    assert (record["steps"], [each["steps"] for each in record["runs"]]) == (3, [1, 2])
    assert command.main([*options, "--out", str(more), "--steps", "1", "--model", "no_such_weights:sam2"]) == 1


@pytest.mark.parametrize("said", [[], ["--cache", "scenes", "--refer", "set"]])
def test_a_training_is_on_one_kind_of_picture(said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--out", "out", *said])
    assert "--cache for drawn scenes, or --refer for a referring set" in capsys.readouterr().err


def test_a_set_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--out", str(tmp_path / "out"), "--refer", str(tmp_path / "nothing")]) == 1
    assert "nothing" in capsys.readouterr().err
