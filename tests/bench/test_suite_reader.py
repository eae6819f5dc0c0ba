"""Suites as files: what is read, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsground.bench.data_argument import data_choices
from rsground.bench.suite import DataChoice, Part
from rsground.bench.suite_check import checked
from rsground.bench.suite_files import find_suite, suite_folders
from rsground.bench.suite_reader import read_suite
from rsground.errors import SuiteError, UnknownNameError
from rsground.registry import registry

GOOD = """
metrics = ["rec-hbb", { name = "res", thresholds = [0.5] }]
limit = 8
[[dataset]]
name = "scenes"
tasks = ["mask"]
count = 3
[[entry]]
label = "box {resolution}"
head = { name = "codec", codec = "text-hbb" }
grid = { resolution = [100, 1000], "backbone.slips" = [0.0, 0.5] }
"""


def read(text: str) -> object:
    return checked(read_suite(text, "some/mine.toml"))


def test_reads_parts_grid_and_defaults() -> None:
    suite = read_suite(GOOD, "some/mine.toml")
    assert suite.name == "mine"
    assert suite.metrics == (Part("rec-hbb"), Part("res", {"thresholds": [0.5]}))
    assert suite.seeds == (0,)
    (data,) = suite.datasets
    assert data == DataChoice("scenes", "scenes", None, "test", 8, ("mask",), {"count": 3})
    assert [entry.label for entry in suite.entries] == [
        "box 100 slips=0.0",
        "box 100 slips=0.5",
        "box 1000 slips=0.0",
        "box 1000 slips=0.5",
    ]
    last = suite.entries[-1]
    assert last.head == Part("codec", {"codec": "text-hbb", "resolution": 1000})
    assert last.backbone == Part("oracle", {"slips": 0.5})
    assert last.family == "text-hbb"


def test_an_entry_without_label_is_named_by_its_options() -> None:
    suite = read_suite(
        'metrics = ["res"]\ndataset = "scenes"\n[[entry]]\nhead = {name = "codec", codec = "polygon", target = 0.9}',
        "x",
    )
    assert suite.entries[0].label == "polygon target=0.9"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("limit = 8", "limits = 8"), r"mine.toml: unknown key 'limits'. Did you mean 'limit'\?"),
        (("grid =", "gird ="), r"entry 1 \'box \{resolution\}\': unknown key \'gird\'. Did you mean \'grid\'\?"),
        (("head =", "haed ="), r"needs the key 'head'"),
        (('name = "scenes"', 'nmae = "scenes"'), r"dataset 1: needs the key 'name'; is 'nmae' meant to be 'name'\?"),
        (("limit = 8", "limit = 0"), r"'limit' must be at least 1, got 0"),
        (("limit = 8", 'limit = "8"'), r"'limit' must be a whole number, got '8'"),
        (("limit = 8", "limit = true"), r"'limit' must be a whole number, got True"),
        (("limit = 8", "seeds = [1, -1]"), r"'seeds' must be a list of whole numbers >= 0"),
        (("[100, 1000]", "[]"), r"grid.resolution must be a list of plain values"),
        (("[100, 1000]", "[100, 100]"), r"2 entries have the label 'box 100 slips=0.0'; labels must be unique"),
        (('"backbone.slips"', '"spine.slips"'), r"grid key 'spine.slips' must be an option of the head"),
        (('["mask"]', '["masks"]'), r"no task named 'masks'. Did you mean 'mask'\?"),
        (("limit = 8", "limit = = 8"), r"is not valid TOML: .*line 3"),
        (('metrics = ["rec-hbb", ', "metrics = [7, "), r"metrics: must be a name or a table with 'name', got 7"),
    ],
)
def test_refuses_with_file_key_and_way_out(change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(SuiteError, match=message):
        read(GOOD.replace(*change))


@pytest.mark.parametrize("key", ["metrics", "dataset", "entry"])
def test_refuses_a_suite_with_nothing_to_run(key: str) -> None:
    tables = {"metrics": 'metrics = ["res"]', "dataset": 'dataset = "scenes"', "entry": 'entry = [{head = "codec"}]'}
    text = "\n".join(line for name, line in tables.items() if name != key)
    with pytest.raises(SuiteError, match=key):
        read_suite(text, "x.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name = "codec"', 'name = "codecs"'), r"no head named 'codecs'. Did you mean 'codec'\?"),
        (('"text-hbb"', '"text-hb"'), r"no codec named 'text-hb'. Did you mean 'text-hbb'\?"),
        (
            ("{ resolution =", "{ resolutoin ="),
            r"no option of codec 'text-hbb' named 'resolutoin'. Did you mean 'resol",
        ),
        (("backbone.slips", "backbone.slip"), r"unknown option 'slip'. Did you mean 'slips'\?"),
        (("[0.0, 0.5]", "[0.0, 5.0]"), r"'slips' must be a probability in \[0, 1\], got 5.0"),
        (('["rec-hbb"', '["rec-hb"'), r"metrics: no metric named 'rec-hb'. Did you mean 'rec-hbb'\?"),
        (('["rec-hbb"', '[{ name = "rec-hbb", tasks = ["hbbb"] }'), r"'rec-hbb' scores .*\"hbb\".* got \['hbbb'\]"),
        (('["rec-hbb"', '[{ name = "rec-hbb", tasks = [] }'), r"'tasks' is a list of some of these, got \[\]"),
        (("thresholds", "tresholds"), r"unknown option 'tresholds'. Did you mean 'thresholds'\?"),
        (('"scenes"', '"scene"'), r"no dataset named 'scene'. Did you mean 'scenes'\?"),
        (('"scenes"', '"dota"'), r"read from a folder: give 'root' in the suite or --data dota=ROOT"),
        (("count = 3", "cuont = 3"), r"dataset 'scenes': unknown option 'cuont'. Did you mean 'count'\?"),
        (("count = 3", 'splt = "val"'), r"unknown option 'splt'. Did you mean 'split'\?"),
        (("count = 3", 'split = "vall"'), r"no split of data set 'scenes' named 'vall'. Did you mean 'val'\?"),
        (("limit = 8", 'executor = "locall"'), r"no executor named 'locall'. Did you mean 'local'\?"),
        (
            ("limit = 8", 'executor = {name = "local", worker = 2}'),
            r"unknown option 'worker'. Did you mean 'workers'\?",
        ),
    ],
)
def test_names_and_options_are_looked_up_before_anything_runs(change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(SuiteError, match=message) as caught:
        read(GOOD.replace(*change))
    assert "mine.toml" in str(caught.value)


def test_a_missing_root_says_what_was_expected(tmp_path: Path) -> None:
    text = f'metrics = ["res"]\ndataset = {{name = "vhr10", root = "{tmp_path}/nowhere"}}\nentry = [{{head = "codec"}}]'
    with pytest.raises(Exception, match="nowhere"):
        read(text)


def test_optional_entries_are_left_out_with_a_note(toys: Path) -> None:
    text = (
        'metrics = ["res"]\ndataset = "toy"\n'
        'entry = [{label = "a", head = "codec"}, {label = "b", head = "absent", optional = true},'
        ' {label = "c", head = "nobody-has-it", optional = true}]'
    )
    suite = checked(read_suite(text, "x.toml"))
    assert [entry.label for entry in suite.entries] == ["a"]
    assert "left out 'b'" in suite.notes[0]
    assert "needs no_such_package" in suite.notes[0]
    assert "no head named 'nobody-has-it'" in suite.notes[1]
    with pytest.raises(SuiteError, match="needs no_such_package, not installed here"):
        checked(read_suite(text.replace(', head = "absent", optional = true', ', head = "absent"'), "x.toml"))


def test_star_takes_every_text_head_but_codec(toys: Path) -> None:
    text = 'metrics = ["res"]\ndataset = "toy"\nentry = [{label = "{head}", head = "*"}]'
    labels = {entry.label for entry in read_suite(text, "x.toml").entries}
    assert "toy" in labels
    assert not {"codec", "absent"} & labels


def test_shipped_suites_are_found_and_valid() -> None:
    names = {path.stem for folder in suite_folders() for path in folder.glob("*.toml")}
    assert {"ceilings", "slips"} <= names
    for name in names:
        text, source = find_suite(name)
        if 'system = "tiny/' in text and "tiny/geoground" not in registry().offers("system"):
            with pytest.raises(SuiteError, match="come with: pip install rsground-zoo-tiny"):
                read_suite(text, source)
            continue
        suite = checked(read_suite(text, source))
        assert suite.name == name
        assert suite.summary


def test_ceilings_hold_every_codec() -> None:
    suite = read_suite(*find_suite("ceilings"))
    used = {str(entry.head.options.get("codec")) for entry in suite.entries}
    core = {name for name, offer in registry().offers("codec").items() if offer.plugin == "builtin"}
    assert core <= used


def test_an_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no suite named 'celings'. Did you mean 'ceilings'\?"):
        find_suite("celings")
    with pytest.raises(SuiteError, match="is not there"):
        find_suite("no/such/file.toml")


def test_data_argument_forms(tmp_path: Path) -> None:
    odd = tmp_path / "a:b"
    odd.mkdir()
    words = [f"dota={tmp_path}:val", f"dota={tmp_path}", f"coco={odd}", 'scenes:val?count=5&tasks=["mask"]&seed=2']
    dota_val, dota, coco, scenes = data_choices(words, 9)
    assert (dota_val.root, dota_val.split, dota_val.label) == (str(tmp_path), "val", "dota")
    assert (dota.root, dota.label) == (str(tmp_path), f"dota:{dota.split}")
    assert (coco.root, coco.limit) == (str(odd), 9)
    assert (scenes.root, scenes.split, scenes.options) == (None, "val", {"count": 5, "tasks": ["mask"], "seed": 2})


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("dot=/data", r"no dataset named 'dot'. Did you mean 'dota'\?"),
        ("dota=", r"must read NAME\[=ROOT\]"),
        ("=x", r"must read NAME\[=ROOT\]"),
        ("scenes=/data", r"generated and takes no root"),
        ("scenes?count", r"option 'count' must read name=value"),
    ],
)
def test_data_argument_refuses(word: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        data_choices([word], None)
