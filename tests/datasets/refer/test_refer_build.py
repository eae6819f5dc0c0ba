"""``data refer`` end to end: every layout reads back with the same content, and a broken-off run is taken up again."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsground.cli import data_refer
from rsground.datasets.refer import evaluate
from rsground.datasets.refer.build import Plan, build
from rsground.datasets.refer.instances import Doubts, scene_graph
from rsground.datasets.refer.lexicon import article, is_a, normalise, plural
from rsground.datasets.refer.query import from_json
from rsground.datasets.refer.records import ImageRecord, Ref, dump, parse
from rsground.datasets.refer.sources import Source, hashed_split, scene_of
from rsground.datasets.refer.write_rrsisd import write_rrsisd
from rsground.errors import DataError, LayoutError, RsgroundError, UnknownNameError
from rsground.geometry import polygons_to_mask
from rsground.regions import mask_of
from rsground.registry import load_dataset
from rsground.types import Region, Task

NAMES = ("Ship", "Harbor", "Small_Vehicle", "plane", "Bridge")


def write_coco(root: Path, images: int = 12, split: bool = False) -> Path:
    """A COCO instance set: rectangles as polygons, images of one colour."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    rows: dict[str, list] = {"images": [], "annotations": []}
    rows["categories"] = [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)]
    for i in range(images):
        Image.new("RGB", (300, 240), (i, 90, 60)).save(root / "images" / f"im{i:03d}.png")
        entry = {"id": i, "file_name": f"im{i:03d}.png", "width": 300, "height": 240}
        rows["images"].append(entry | ({"split": ("train", "val", "test")[i % 3]} if split else {}))
        for _ in range(int(rng.integers(1, 9))):
            x, y, w, h = (int(v) for v in (*rng.integers(2, 180, 2), *rng.integers(12, 50, 2)))
            ring = [x, y, x + w, y, x + w, y + h, x, y + h]
            entry = {"id": len(rows["annotations"]), "image_id": i, "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
            rows["annotations"].append(entry | {"category_id": int(rng.integers(1, 5)), "segmentation": [ring]})
    (root / "annotations.json").write_text(json.dumps(rows))
    return root


@pytest.fixture
def coco(tmp_path):
    return write_coco(tmp_path / "coco")


@pytest.fixture
def everything(coco, tmp_path):
    out = tmp_path / "out"
    summary = build(Source("coco", coco), out, ("jsonl", "rrsisd", "dior-rsvg"))
    return out, summary


def samples(name, root, **options):
    found = {}
    for split in ("train", "val", "test"):
        reader = load_dataset(name, root, split, **options)
        reader.on_broken = lambda record: pytest.fail(str(record))
        for sample in reader:
            found[sample.id] = (sample, split)
    return list(found.values())


def content(pairs, *, single=False):
    """What must agree between the layouts: image, expression, split, boxes."""
    return Counter(
        (Path(s.image.uri).name, s.expression, split, tuple(sorted(r.hbb for r in s.targets)))
        for s, split in pairs
        if not single or len(s.targets) == 1
    )


def test_every_layout_reads_back_the_same(everything):
    out, summary = everything
    ours = samples("jsonl", out)
    refer = samples("rrsis-d", out)
    general = samples("rrsis-d", out, refs="grefs(unc).json")
    voc = samples("dior-rsvg", out)
    assert len(ours) == summary.refs == summary.written["jsonl"]
    assert content(ours) == content(general)
    assert content(ours, single=True) == content(refer) == content(voc)
    assert {len(s.targets) for s, _ in ours} >= {0, 1, 2}
    assert {s.task for s, _ in ours} == {Task.MASK}
    assert sum(content(voc).values()) == summary.written["dior-rsvg"] == summary.by_targets["single"]


def test_every_sample_is_what_its_query_says(everything, coco):
    out, _ = everything
    graphs = {image.name: scene_graph(image.size, image.regions, NAMES) for image in Source("coco", coco)}
    for sample, _ in samples("jsonl", out):
        graph = graphs[Path(sample.image.uri).stem]
        picked = graph.by_id(evaluate(from_json(sample.meta["query"]), graph))
        assert [item.hbb for item in picked] == [region.hbb for region in sample.targets]
        assert all(item.certain for item in picked)


def test_images_are_in_place(everything):
    out, _ = everything
    for sample, _ in [*samples("jsonl", out), *samples("rrsis-d", out), *samples("dior-rsvg", out)]:
        assert Path(sample.image.uri).is_relative_to(out)
        with Image.open(sample.image.uri) as image:
            assert image.size == (300, 240)


def test_the_pickle_is_plain_protocol_2(everything):
    data = (everything[0] / "rrsisd" / "refs(unc).p").read_bytes()
    assert data[:2] == b"\x80\x02"
    refs = pickle.loads(data)
    assert [ref["ref_id"] for ref in refs] == list(range(len(refs)))
    assert all(len(ref["sentences"]) == len(ref["sent_ids"]) for ref in refs)


def test_a_run_depends_on_the_seed_alone(coco, tmp_path):
    def lines(name, **options):
        build(Source("coco", coco), tmp_path / name, plan=Plan(**options), images="none")
        return (tmp_path / name / "expressions.jsonl").read_text()

    assert lines("a", seed=1) == lines("b", seed=1) != lines("c", seed=2)


def test_one_image_more_changes_no_other(tmp_path):
    def by_image(images):
        out = tmp_path / f"out{images}"
        build(Source("coco", write_coco(tmp_path / f"coco{images}", images)), out)
        rows = [json.loads(line) for line in (out / "expressions.jsonl").read_text().splitlines()]
        return {(row["image"], row["expression"], row["split"]) for row in rows}

    assert by_image(6) < by_image(7)


def test_a_broken_off_run_goes_on(coco, tmp_path, monkeypatch):
    build(Source("coco", coco), tmp_path / "whole")

    def stop(summary):
        if summary.images == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(Source("coco", coco), tmp_path / "cut", on_image=stop)
    assert not (tmp_path / "cut").exists()
    journal = tmp_path / "cut.partial" / "journal.txt"
    journal.write_bytes(journal.read_bytes()[:-40])  # the last line was being written
    summary = build(Source("coco", coco), tmp_path / "cut")
    assert summary.resumed == 4
    assert not (tmp_path / "cut.partial").exists()
    same = [(tmp_path / name / "expressions.jsonl").read_text() for name in ("whole", "cut")]
    assert same[0] == same[1]


def test_an_unfinished_run_with_other_options_is_not_mixed_in(coco, tmp_path):
    def stop(summary):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(Source("coco", coco), tmp_path / "out", on_image=stop)
    with pytest.raises(DataError, match="unfinished run with other options"):
        build(Source("coco", coco), tmp_path / "out", plan=Plan(seed=5))


def test_killed_at_any_moment_it_resumes(coco, tmp_path):
    build(Source("coco", coco), tmp_path / "whole")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from rsground.datasets.refer.build import build; from rsground.datasets.refer.sources import Source\n"
        "def die(summary):\n    if summary.images >= int(sys.argv[3]): os.kill(os.getpid(), 9)\n"
        "build(Source('coco', Path(sys.argv[1])), Path(sys.argv[2]), on_image=die)\n"
    )
    for moment in ("3", "9"):
        done = subprocess.run([sys.executable, "-c", script, str(coco), str(tmp_path / "out"), moment], check=False)
        assert done.returncode == -9
    build(Source("coco", coco), tmp_path / "out")
    assert (tmp_path / "out/expressions.jsonl").read_text() == (tmp_path / "whole/expressions.jsonl").read_text()


def test_splits_of_the_source_are_kept(tmp_path):
    source = write_coco(tmp_path / "coco", split=True)
    build(Source("coco", source), tmp_path / "out", plan=Plan(split_by="source"))
    rows = [json.loads(line) for line in (tmp_path / "out/expressions.jsonl").read_text().splitlines()]
    assert all(row["split"] == ("train", "val", "test")[int(Path(row["image"]).stem[2:]) % 3] for row in rows)


def test_a_source_without_splits_says_so(coco, tmp_path):
    with pytest.raises(DataError, match="says no split of its own; use split-by 'hash'"):
        build(Source("coco", coco), tmp_path / "out", plan=Plan(split_by="source"))


def test_patches_of_one_picture_share_a_split():
    assert scene_of("P0003_0_800_347_1147") == scene_of("P0003_600_1400_0_800") == "P0003"
    assert scene_of("P0003__1__824___0") == "P0003"
    assert scene_of("im_12") == "im_12"
    shares = (("train", 0.8), ("val", 0.1), ("test", 0.1))
    counts = Counter(hashed_split(f"P{i:04d}", shares) for i in range(4000))
    assert 0.77 < counts["train"] / 4000 < 0.83
    assert 0.08 < counts["val"] / 4000 < 0.12


def test_nothing_is_written_over(coco, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        build(Source("coco", coco), tmp_path / "out")


def test_wrong_names_are_told(coco, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'rrsisd'"):
        build(Source("coco", coco), tmp_path / "out", ("rrsis-d",))
    with pytest.raises(UnknownNameError, match="way to split"):
        build(Source("coco", coco), tmp_path / "out", plan=Plan(split_by="image"))
    with pytest.raises(UnknownNameError, match="no category named 'tractor'"):
        Source("coco", coco, incomplete=("tractor",))
    with pytest.raises(LayoutError):
        Source("coco", tmp_path / "nowhere")


def test_incomplete_categories_are_left_out(coco, tmp_path):
    source = Source("coco", coco, incomplete=("ship",))
    build(source, tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/expressions.jsonl").read_text().splitlines()]
    assert rows
    assert not any(row["meta"]["category"] == "ship" or '"ship"' in json.dumps(row["meta"]["query"]) for row in rows)


def test_dota_difficult_and_cut_objects_are_never_named(tmp_path):
    root = tmp_path / "dota"
    for name in ("images", "labelTxt"):
        (root / name).mkdir(parents=True)
    Image.new("RGB", (400, 300)).save(root / "images" / "P0001.png")
    lines = ["imagesource:GoogleEarth", "gsd:0.2"]
    boxes = [(30, 30, 0), (120, 60, 0), (200, 140, 1), (300, 200, 0), (0, 120, 0)]
    for x, y, difficult in boxes:
        lines.append(f"{x} {y} {x + 40} {y} {x + 40} {y + 20} {x} {y + 20} small-vehicle {difficult}")
    (root / "labelTxt" / "P0001.txt").write_text("\n".join(lines))
    build(Source("dota", root), tmp_path / "out", plan=Plan(per_image=60))
    found = samples("jsonl", tmp_path / "out")
    assert {s.task for s, _ in found} == {Task.OBB}
    picked = {region.hbb[:2] for s, _ in found for region in s.targets}
    assert picked
    assert picked <= {(30, 30), (120, 60), (300, 200)}
    assert not any("leftmost" in s.expression.lower() for s, _ in found)  # the cut one may be
    assert any(s.targets == () for s, _ in found)


def test_an_outline_that_stands_in_for_a_mask_is_read_as_none(tmp_path):
    """Published loaders find a segmentation; ours finds what is known, and it covers the same pixels."""
    turned = ((60.0, 20.0), (100.0, 40.0), (90.0, 60.0), (50.0, 40.0))
    regions = (
        Region(hbb=(10.0, 10.0, 30.0, 22.0), label="ship"),
        Region(hbb=(50.0, 20.0, 100.0, 60.0), quad=turned, label="plane"),
        Region(hbb=(10.0, 70.0, 30.0, 90.0), polygons=(((10.0, 70.0), (30.0, 70.0), (20.0, 90.0)),), label="bridge"),
    )
    refs = tuple(Ref(text, (number,), "category", (), None, []) for number, text in enumerate(("a", "b", "c")))
    write_rrsisd(tmp_path, [ImageRecord("one", "", (100, 120), "train", regions, refs)], "none")
    rows = json.loads((tmp_path / "rrsisd" / "instances.json").read_text())["annotations"]
    assert [row.get("segmentation_from") for row in rows] == ["bbox", "obb", None]
    assert all(row["segmentation"] for row in rows)
    found = [sample.targets[0] for sample in load_dataset("rrsis-d", tmp_path, "train", need_images=False)]
    assert [(one.hbb, one.quad, one.polygons, one.rle) for one in found] == [
        (one.hbb, one.quad, one.polygons, one.rle) for one in regions
    ]
    for one, row in zip(found, rows, strict=True):
        ring = np.reshape(row["segmentation"][0], (-1, 2))
        np.testing.assert_array_equal(mask_of(one, (100, 120)), polygons_to_mask([ring], (100, 120)))


def test_doubtful_instances():
    def box(x, y, w=20.0, h=20.0, **attributes):
        return Region(hbb=(x, y, x + w, y + h), label="Storage_Tank", attributes=attributes)

    regions = [box(50, 50), box(0.5, 9), box(100, 100, 3.0), box(150, 50, difficult=1), box(150, 150, iscrowd=1),
               box(50, 150), box(51, 151), box(100, 20, visible=0.5), box(100, 60, visible=1.0)]  # fmt: skip
    graph = scene_graph((200, 200), regions, ["storage tank"])
    assert [item.certain for item in graph.objects] == [True, *[False] * 7, True]
    assert {item.category for item in graph.objects} == {"storage tank"}
    kept = scene_graph((200, 200), regions[:2], [], doubts=Doubts(border=None))
    assert all(item.certain for item in kept.objects)


def test_damaged_journal_lines_are_noticed(everything, coco):
    from rsground.datasets.refer.build import make_record

    record = make_record(next(iter(Source("coco", coco))), frozenset({"ship"}), Plan(), 5)
    line = dump(record)
    assert parse(line).refs == record.refs
    assert parse(line).regions == record.regions
    assert parse(line[:-1]) is None
    assert parse(line.replace("im000", "im001", 1)) is None
    assert parse("") is None


def command(*words):
    parser = argparse.ArgumentParser()
    data_refer.add_arguments(parser)
    return data_refer.run(parser.parse_args([str(word) for word in words]))


def test_the_command(coco, tmp_path, capsys):
    out = tmp_path / "out"
    assert command(coco, "--from", "coco", "--out", out, "--limit", 20, "--quiet", "--lower-case", "--margin", 6) == 0
    told = capsys.readouterr().err
    assert "20 expressions about" in told
    rows = [json.loads(line) for line in (out / "expressions.jsonl").read_text().splitlines()]
    assert len(rows) == 20
    assert all(row["expression"][0].islower() for row in rows)


def test_the_command_names_broken_records(coco, tmp_path, capsys):
    os.remove(coco / "images" / "im003.png")
    command(coco, "--from", "coco", "--out", tmp_path / "out", "--quiet", "--kinds", "extreme", "absent")
    assert "im003.png" in capsys.readouterr().err.replace("\n", "")
    with pytest.raises(RsgroundError, match="Did you mean 'chain'"):
        command(coco, "--from", "coco", "--out", tmp_path / "other", "--kinds", "chains")


@pytest.mark.parametrize(
    ("name", "root", "images", "least"),
    [
        ("vhr10", "vhr10_annotations", "refer_mini/images/rrsisd/JPEGImages", 700),
        ("isaid", "isaid_mini", None, 60),
        ("dota", "dota_mini", None, 30),
    ],
)
def test_real_annotations(shared_data, tmp_path, name, root, images, least):
    source = Source(name, shared_data / root, images=None if images is None else str((shared_data / images).resolve()))
    summary = build(source, tmp_path / "out", ("jsonl", "rrsisd", "dior-rsvg"), Plan(limit=700))
    assert summary.refs >= least
    ours, voc = samples("jsonl", tmp_path / "out"), samples("dior-rsvg", tmp_path / "out")
    assert len(ours) == summary.refs
    assert len(voc) == summary.by_targets["single"]
    assert content(ours) == content(samples("rrsis-d", tmp_path / "out", refs="grefs(unc).json"))


@pytest.mark.parametrize(
    ("raw", "name"),
    [("Small_Vehicle", "small vehicle"), ("plane", "airplane"), ("soccer-ball-field", "soccer field"),
     ("Ground_Track_Field", "ground track field"), ("Expressway-toll-station", "expressway toll station"),
     ("storageTank", "storage tank"), ("tenniscourt", "tennis court"), ("harbour", "harbor")],
)  # fmt: skip
def test_names_as_people_say_them(raw, name):
    assert normalise(raw) == name


def test_plurals_and_articles():
    words = {"aircraft": "aircraft", "bus": "buses", "ferry": "ferries", "storage tank": "storage tanks",
             "beach": "beaches", "airport": "airports", "roof": "roofs", "helicopter": "helicopters"}  # fmt: skip
    assert {word: plural(word) for word in words} == words
    assert [article(w) for w in ("airplane", "ship", "hour", "upper ship", "unit", "European car", "oil tank")] == [
        "an", "a", "an", "an", "a", "a", "an",
    ]  # fmt: skip
    assert is_a("truck", "vehicle")
    assert not is_a("vehicle", "truck")
