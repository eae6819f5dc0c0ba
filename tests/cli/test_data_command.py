"""``rsground data``: what it prints and how it ends."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from rsground.cli import main

LAYOUTS = Path(__file__).resolve().parents[1] / "datasets" / "layouts.py"


@pytest.fixture
def layouts():
    if "dataset_layouts" not in sys.modules:
        spec = importlib.util.spec_from_file_location("dataset_layouts", LAYOUTS)
        sys.modules["dataset_layouts"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["dataset_layouts"])
    return sys.modules["dataset_layouts"]


def test_check_of_sound_data_counts_and_ends_well(layouts, tmp_path, capsys):
    layouts.make_rrsisd(tmp_path)
    assert main(["data", "check", "rrsis-d", str(tmp_path), "--split", "test", "--images"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["test", "4", "3", "4", "0", "mask", "4", "-", "0"]
    assert "broken records" not in out


def test_check_names_every_broken_record_with_file_and_line(layouts, tmp_path, capsys):
    layouts.make_dota(tmp_path)
    path = tmp_path / "labelTxt/P0000.txt"
    path.write_text(path.read_text() + "1 2 3\n5 5 5 5 5 5 5 5 \x1b[31mship 0\n")
    assert main(["data", "check", "dota", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:6: bad-line:" in out
    assert f"{path}:7: bad-box:" in out
    assert "bad-box 1, bad-line 1" in out
    assert "\x1b" not in out


def test_check_as_json(layouts, tmp_path, capsys):
    layouts.make_coco(tmp_path)
    document = json.loads((tmp_path / "instances.json").read_text())
    document["annotations"][1]["bbox"] = [0, 0, 0, 0]
    (tmp_path / "instances.json").write_text(json.dumps(document))
    assert main(["data", "check", "coco", str(tmp_path), "--json", "--split", "test", "-o", "per=category"]) == 1
    found = json.loads(capsys.readouterr().out)
    (split,) = found["splits"]
    assert (split["split"], split["samples"], split["images"]) == ("test", 2, 2)
    (record,) = split["broken"]
    assert (record["line"], record["code"]) == (2, "bad-box")
    assert record["path"] == str(tmp_path / "instances.json")


def test_check_decodes_images_on_demand(layouts, tmp_path, capsys):
    layouts.make_rsvg_xml(tmp_path)
    image = tmp_path / "JPEGImages/00001.jpg"
    image.write_bytes(image.read_bytes()[:300])
    layouts.picture(tmp_path / "JPEGImages/00002.jpg", 1, (31, 40))
    assert main(["data", "check", "dior-rsvg", str(tmp_path), "--split", "test"]) == 0
    assert main(["data", "check", "dior-rsvg", str(tmp_path), "--split", "test", "--images"]) == 1
    out = capsys.readouterr().out
    assert f"{image}: bad-image" in out
    assert "40x31" in out
    assert "bad-image 2" in out


def test_check_skips_splits_that_are_not_there(layouts, tmp_path, capsys):
    layouts.make_risbench(tmp_path)
    assert main(["data", "check", "risbench", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "train  not there" in out
    assert "test " in out


def test_check_of_another_layout_says_what_was_expected(tmp_path, capsys):
    assert main(["data", "check", "risbench", str(tmp_path)]) == 1
    assert "needs the file 'output_phrase_train.txt'" in capsys.readouterr().err


def test_check_shows_a_bounded_number(layouts, tmp_path, capsys):
    layouts.make_dota(tmp_path)
    path = tmp_path / "labelTxt/P0000.txt"
    path.write_text("bad line\n" * 20)
    assert main(["data", "check", "dota", str(tmp_path), "--show", "3"]) == 1
    out = capsys.readouterr().out
    assert out.count("bad-line:") == 3
    assert "and 17 more" in out
    assert main(["data", "check", "dota", str(tmp_path), "--show", "0"]) == 1
    assert capsys.readouterr().out.count("bad-line:") == 20


def test_check_lists_a_record_once_where_splits_overlap(layouts, tmp_path, capsys):
    layouts.make_levir(tmp_path)
    (tmp_path / "label/test_1.png").unlink()
    assert main(["data", "check", "levir-cd", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("missing-mask:") == 1


def test_a_wrong_option_is_told(layouts, tmp_path, capsys):
    layouts.make_dota(tmp_path)
    assert main(["data", "check", "dota", str(tmp_path), "-o", "pre=image"]) == 1
    assert "does not take these options" in capsys.readouterr().err
    assert main(["data", "check", "dota", str(tmp_path), "-o", "image"]) == 1
    assert "KEY=VALUE" in capsys.readouterr().err


def test_show_prints_what_jsonl_reads(layouts, tmp_path, capsys):
    layouts.make_dota(tmp_path)
    assert main(["data", "show", "dota", str(tmp_path), "--limit", "2"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == ["P0000#0", "P0000#1"]
    assert rows[0]["targets"][0]["label"] == "ship"


def test_list_knows_every_reader(capsys):
    from rsground.builtin.datasets import DATASETS

    assert main(["data", "list", "--json"]) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {spec.name for spec in DATASETS} <= names
    assert main(["data", "list"]) == 0
    assert "rrsis-d" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["check", "show", "list", "refer"])
def test_help_of_every_subcommand(word, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["data", word, "--help"])
    assert caught.value.code == 0
    assert f"usage: rsground data {word}" in capsys.readouterr().out


def test_an_unknown_subcommand_is_a_bad_command_line(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["data", "chekc"])
    assert caught.value.code == 2
    assert "chekc" in capsys.readouterr().err
