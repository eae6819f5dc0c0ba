"""Each kind of damage in each layout that can have it: named by code, file and line, skipped, and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def case_of(layouts, name, **options):
    return next(case for case in layouts.CASES if case.name == name and case.options == options)


def edit_json(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def set_in(*keys_and_value):
    """A change that sets ``document[k1][k2]... = value``."""
    *keys, last, value = keys_and_value

    def change(document):
        for key in keys:
            document = document[key]
        document[last] = value

    return change


COCO = "instances.json"


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        (set_in("annotations", 1, "bbox", [5, 5, float("nan"), 4]), "bad-box", 2),
        (set_in("annotations", 1, "bbox", [5, 5, 0, 4]), "bad-box", 2),
        (set_in("annotations", 1, "bbox", [500, 5, 10, 4]), "bad-box", 2),
        (set_in("annotations", 1, "bbox", [1, 2, 3]), "bad-box", 2),
        (set_in("annotations", 1, "bbox", ["1", 2, 3, 4]), "bad-box", 2),
        (set_in("annotations", 1, "segmentation", [[1, 1, 2]]), "bad-polygon", 2),
        (set_in("annotations", 1, "segmentation", {"size": [9, 9], "counts": [81]}), "mask-size", 2),
        (set_in("annotations", 1, "segmentation", {"size": [30, 40], "counts": "~~"}), "bad-rle", 2),
        (set_in("annotations", 1, "segmentation", {"size": [30, 40], "counts": [1200]}), "empty-mask", 2),
        (set_in("annotations", 1, "category_id", 99), "unknown-category", 2),
        (set_in("annotations", 1, "image_id", 77), "unknown-image", 2),
        (set_in("annotations", 1, "id", 10), "duplicate-id", 2),
        (set_in("annotations", 1, "image_id", None), "missing-field", 2),
        (set_in("annotations", 1, 7), "bad-record", 2),
        (set_in("images", 1, "id", 0), "duplicate-id", 2),
        (set_in("images", 1, "width", 10**9), "bad-size", 2),
        (set_in("images", 1, "file_name", "../../elsewhere.jpg"), "missing-image", 2),
        (set_in("images", 1, "file_name", 5), "bad-field", 2),
    ],
)
def test_coco(layouts, tmp_path, read, change, code, line):
    case = case_of(layouts, "coco")
    case.make(tmp_path)
    edit_json(tmp_path / COCO, change)
    samples, broken = read("coco", tmp_path, "test")
    assert len(samples) == 2
    assert (code, line) in {(record.code, record.line) for record in broken}
    assert {record.path for record in broken} == {str(tmp_path / COCO)}


def test_a_truncated_coco_file_says_so(layouts, tmp_path, read):
    case_of(layouts, "coco").make(tmp_path)
    text = (tmp_path / COCO).read_text()
    (tmp_path / COCO).write_text(text[: len(text) * 2 // 3])
    samples, broken = read("coco", tmp_path, "all")
    assert samples == []
    assert "bad-json" in {record.code for record in broken}


def test_a_json_file_of_another_kind_is_a_layout_error(layouts, tmp_path, read):
    from rsground.errors import LayoutError

    case_of(layouts, "coco").make(tmp_path)
    (tmp_path / COCO).write_text('{"features": [1, 2]}')
    with pytest.raises(LayoutError, match="'images', 'annotations', 'categories'; found 'features'"):
        read("coco", tmp_path, "all")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"1 1 9 1 9 9 1 9", "bad-line"),
        (b"1 1 9 1 9 9 1 x ship 0", "bad-line"),
        (b"nan 1 9 1 9 9 1 9 ship 0", "bad-box"),
        (b"1e400 1 9 1 9 9 1 9 ship 0", "bad-box"),
        (b"5 5 5 5 5 5 5 5 ship 0", "bad-box"),
        (b"900 1 909 1 909 9 900 9 ship 0", "bad-box"),
        (b"1 1 9 1 9 9 1 9 sh\xefp 0", "not-utf8"),
    ],
)
def test_dota(layouts, tmp_path, read, line, code):
    case_of(layouts, "dota").make(tmp_path)
    path = tmp_path / "labelTxt/P0000.txt"
    path.write_bytes(path.read_bytes() + line + b"\n")
    samples, broken = read("dota", tmp_path, "all")
    assert len(samples) == 6
    assert [(record.path, record.line, record.code) for record in broken] == [(str(path), 6, code)]


def test_dota_headers_and_leniency(layouts, tmp_path, read):
    case_of(layouts, "dota").make(tmp_path)
    (tmp_path / "labelTxt/P0000.txt").write_text(
        "imagesource:GoogleEarth\ngsd:null\n\n5 5 15 5 15 12 5 12 large-vehicle\n-3 -3 9 -3 9 9 -3 9 ship 2\n"
    )
    samples, broken = read("dota", tmp_path, "all")
    assert broken == []
    first, second = (sample.targets[0] for sample in samples[:2])
    assert first.attributes == {"difficult": 0}
    assert second.attributes == {"difficult": 2}
    assert second.hbb == (0, 0, 9, 9)
    assert second.quad[0] == (-3, -3)
    assert "gsd" not in samples[0].meta
    assert samples[-1].meta["gsd"] == 0.15
    assert samples[0].expression == "the large vehicle"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<xmin>4</xmin>", "<xmin>NaN</xmin>", "bad-field"),
        ("<xmin>4</xmin>", "<xmin>four</xmin>", "bad-field"),
        ("<xmin>4</xmin>", "<xmin>14</xmin>", "bad-box"),
        ("<xmin>4</xmin>", "", "bad-field"),
        ("<description>the ship at the top left</description>", "", "missing-field"),
        ("<name>ship</name>", "<name> </name>", "missing-field"),
        ("<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', "bad-xml"),
        ("</annotation>", "", "bad-xml"),
        ("<width>40</width>", "<width>4000000000</width>", "bad-size"),
    ],
)
def test_rsvg_xml_keeps_counting(layouts, tmp_path, read, old, new, code):
    """Damage in the first file must not shift the objects of the others."""
    case_of(layouts, "dior-rsvg").make(tmp_path)
    whole, _ = read("dior-rsvg", tmp_path, "test")
    path = tmp_path / "Annotations/00001.xml"
    path.write_text(path.read_text().replace(old, new, 1))
    samples, broken = read("dior-rsvg", tmp_path, "test")
    assert [sample.id for sample in samples] == [sample.id for sample in whole[1:]]
    assert [(record.path, record.code) for record in broken] == [(str(path), code)]


def test_rsvg_split_that_asks_for_too_much(layouts, tmp_path, read):
    case_of(layouts, "dior-rsvg").make(tmp_path)
    (tmp_path / "test.txt").write_bytes(b"0\n99\nx\n\xff\n")
    samples, broken = read("dior-rsvg", tmp_path, "test")
    assert len(samples) == 1
    assert {(record.line, record.code) for record in broken} == {
        (2, "unknown-object"),
        (3, "bad-line"),
        (4, "not-utf8"),
    }


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json", "bad-json"),
        (b'{"id": "x"', "bad-json"),
        (b'{"id": "own-0", "image": "images/00001.jpg", "expression": "again"}', "duplicate-id"),
        (b'{"image": "images/00001.jpg", "expression": "x"}', "missing-field"),
        (b'{"id": "y", "image": "images/00009.jpg", "expression": "x"}', "missing-image"),
        (b'{"id": "y", "image": "images/00001.jpg", "expression": "  "}', "empty-text"),
        (b'{"id": "y", "image": "images/00001.jpg", "expression": "x", "task": "masks"}', "bad-field"),
        (b'{"id": "y", "image": "images/00001.jpg", "expression": "x", "targets": [{}]}', "missing-field"),
        (b'{"id": "y", "image": "images/00001.jpg", "expression": "x", "hbb": [[5, 5, 1, 1]]}', "bad-box"),
        (b'{"id": "y", "image": "images/00001.jpg", "expression": "gr\xfcn"}', "not-utf8"),
        (b'{"id": "y", "image": "images/00001.jpg", "expression": "\\ud800"}', "bad-field"),
        (b"[" * 3000, "bad-json"),
    ],
)
def test_jsonl(layouts, tmp_path, read, line, code):
    case_of(layouts, "jsonl").make(tmp_path)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    samples, broken = read("jsonl", tmp_path, "all")
    assert len(samples) == 6
    assert [(record.path, record.line, record.code) for record in broken] == [(str(path), 7, code)]
    assert "\n" not in broken[0].detail


def test_markup_in_an_expression_is_kept_verbatim(layouts, tmp_path, read):
    case_of(layouts, "jsonl").make(tmp_path)
    said = "<script>alert(1)</script> & the \"ship\" {0} %s 'x' \u202e ä\n[SEG]"
    row = {"id": "m", "image": "images/00001.jpg", "expression": said, "hbb": [[1, 1, 9, 9]]}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n")
    samples, broken = read("jsonl", tmp_path, "all")
    assert broken == []
    assert samples[0].expression == said


def test_geopixeld_counts_its_segments(layouts, tmp_path, read):
    case_of(layouts, "geopixeld").make(tmp_path)
    edit_json(tmp_path / "GeoPixelD/train/00002.json", lambda record: record["polygons"].pop())
    samples, broken = read("geopixeld", tmp_path, "train")
    assert len(samples) == 2
    assert [(record.line, record.code) for record in broken] == [(2, "seg-count")]
    assert broken[0].detail == "2 [SEG] in the text, 1 regions in the file"


def test_a_conversation_file_damaged_in_the_middle(layouts, tmp_path, read):
    case_of(layouts, "geochat-instruct").make(tmp_path)
    path = tmp_path / "GeoChat_Instruct.json"
    text = path.read_text()
    path.write_text(text.replace('"id": "00003"', '"id": oops') + " " * 50)
    samples, broken = read("geochat-instruct", tmp_path, "train")
    assert len(samples) == 8
    assert [record.code for record in broken] == ["bad-json"]


def test_label_of_another_size(layouts, tmp_path, read):
    case_of(layouts, "levir-cd").make(tmp_path)
    layouts.label_png(tmp_path / "label/test_1.png", np.ones((30, 41), bool))
    samples, broken = read("levir-cd", tmp_path, "test")
    assert [sample.id for sample in samples] == ["test_0", "test_2"]
    assert [record.code for record in broken] == ["mask-size"]
    assert "41 x 30" in broken[0].detail


def test_images_of_a_pair_that_differ_in_size(layouts, tmp_path, read):
    case_of(layouts, "levir-cd").make(tmp_path)
    layouts.picture(tmp_path / "A/test_1.png", 0, (30, 41))
    _, broken = read("levir-cd", tmp_path, "test")
    assert [record.code for record in broken] == ["image-size"]


def test_unreadable_headers_and_masks(layouts, tmp_path, read):
    case_of(layouts, "refsegrs").make(tmp_path)
    (tmp_path / "images/00001.tif").write_bytes(b"II*\0garbage")
    (tmp_path / "masks/00002.tif").write_bytes(b"nothing")
    samples, broken = read("refsegrs", tmp_path, "test")
    assert len(samples) == 1
    assert [(record.line, record.code) for record in broken] == [(1, "bad-image"), (2, "bad-mask")]


def test_a_label_bomb_is_not_decoded(layouts, tmp_path, read):
    """The size is compared before anything is decoded."""
    case_of(layouts, "levir-cd").make(tmp_path)
    Image.new("L", (9000, 4000)).save(tmp_path / "label/test_1.png")
    _, broken = read("levir-cd", tmp_path, "test")
    assert [record.code for record in broken] == ["mask-size"]


def test_unknown_instance_colour(layouts, tmp_path, read):
    case_of(layouts, "isaid-raw").make(tmp_path)
    path = tmp_path / "val/images/P0000_instance_color_RGB.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[pixels[..., 1] == 63] = (1, 2, 3)
    Image.fromarray(pixels).save(path)
    samples, broken = read("isaid-raw", tmp_path, "val")
    assert len(samples) == 5
    assert [record.code for record in broken] == ["unknown-category"]
    assert "(1, 2, 3)" in broken[0].detail


def test_unknown_label_values_of_levir_mci(layouts, tmp_path, read):
    case_of(layouts, "levir-mci").make(tmp_path)
    Image.new("RGB", (40, 30), (77, 0, 0)).save(tmp_path / "images/test/label/test_000001.png")
    samples, broken = read("levir-mci", tmp_path, "test")
    assert len(samples) == 1
    assert "77" in broken[0].detail


def test_vrsbench_box_without_area_is_reported(layouts, tmp_path, read):
    case_of(layouts, "vrsbench").make(tmp_path)
    edit_json(tmp_path / "VRSBench_EVAL_referring.json", set_in(1, "ground_truth", "{<25><40><25><60>}"))
    samples, broken = read("vrsbench", tmp_path, "val")
    assert len(samples) == 2
    assert [(record.line, record.code) for record in broken] == [(2, "bad-box")]
    exact, none = read("vrsbench", tmp_path, "val", boxes="exact")
    assert len(exact) == 3
    assert none == []


def test_rsvqa_answer_that_is_missing(layouts, tmp_path, read):
    case_of(layouts, "rsvqa-lr").make(tmp_path)
    edit_json(tmp_path / "LR_split_test_answers.json", set_in("answers", 2, "active", False))
    edit_json(tmp_path / "LR_split_test_answers.json", set_in("answers", 3, "id", 10**12))
    samples, broken = read("rsvqa-lr", tmp_path, "test")
    assert [sample.answer for sample in samples] == ["3"]
    assert {record.code for record in broken} == {"missing-answer", "bad-field"}


def test_earthreason_partners_are_found_by_name(layouts, tmp_path, read):
    """One label that is gone must not pair every later image with its neighbour's label."""
    case_of(layouts, "earthreason", questions="first").make(tmp_path)
    base = tmp_path / "rs_reason_seg/RSReasonSeg/test"
    (base / "labels/00001.png").unlink()
    samples, broken = read("earthreason", tmp_path, "test", questions="first")
    assert [sample.id for sample in samples] == ["00002-q0", "00003-q0"]
    assert samples[1].targets == ()
    assert [(Path(record.path).name, record.code) for record in broken] == [("00001.json", "missing-mask")]


def test_a_malicious_refs_file_stops_the_reader_and_runs_nothing(layouts, tmp_path, read):
    from rsground.errors import UnsafePickleError

    case_of(layouts, "rrsis-d").make(tmp_path)
    path = tmp_path / "rrsisd/refs(unc).p"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(UnsafePickleError, match=r"os\.system"):
        read("rrsis-d", tmp_path, "test")
    assert not (tmp_path / "ran").exists()


def test_overlapping_planes_are_united(layouts, tmp_path, read):
    """A published loader keeps only pixels that are covered once."""
    from rsground.regions import mask_of

    case_of(layouts, "rrsis-d").make(tmp_path)
    one, two = layouts.mask_of((2, 2, 20, 20)), layouts.mask_of((10, 10, 30, 25))
    planes = [layouts.rle_of(one), layouts.rle_of(two)]
    edit_json(tmp_path / "rrsisd/instances.json", set_in("annotations", 0, "segmentation", planes))
    samples, _ = read("rrsis-d", tmp_path, "test")
    assert np.array_equal(mask_of(samples[0].targets[0], (30, 40)), one | two)
