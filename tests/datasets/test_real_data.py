"""The readers on real annotations, and against the tools that their makers use."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from rsground.geometry import rle_to_mask
from rsground.regions import hbb_of, mask_of, rle_of, union_mask
from rsground.types import Task

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
SPLITS = ("train", "val", "test")


def union_rle(sample):
    from rsground.geometry import rle_union

    return rle_union([rle_of(region, sample.size) for region in sample.targets], sample.size)


def test_refer_mini_agrees_across_its_three_layouts(shared_data, read):
    """One text, one set of boxes, one mask, whether read as JSONL, gRefCOCO, RRSIS-D or DIOR-RSVG."""
    root = shared_data / "refer_mini"
    total = 0
    for split in SPLITS:
        flat, broken = read("jsonl", root, split)
        assert broken == []
        own = {(s.image.uri, s.expression): s for s in flat}
        assert len(own) == len(flat)

        grefs, broken = read("rrsis-d", root, split, refs="grefs(unc).json")
        assert broken == []
        assert {(s.image.uri, s.expression) for s in grefs} == set(own)
        for sample in grefs if split != "train" else grefs[::6]:
            twin = own[sample.image.uri, sample.expression]
            assert sample.size == twin.size
            assert len(sample.targets) == twin.meta["n_targets"]
            assert sorted(map(hbb_of, sample.targets)) == sorted(map(hbb_of, _boxes(twin)))
            assert union_rle(sample) == union_rle(twin)

        singles, broken = read("rrsis-d", root, split)
        assert broken == []
        assert {(s.image.uri, s.expression) for s in singles} == {k for k, s in own.items() if s.meta["n_targets"] == 1}

        boxed, broken = read("dior-rsvg", root / "dior_rsvg", split, need_images=False)
        assert broken == []
        assert len(boxed) == len(singles)
        named = {(s.image.uri.rsplit("/", 1)[-1], s.expression): s for s in singles}
        for sample in boxed:
            twin = named[sample.image.uri.rsplit("/", 1)[-1], sample.expression]
            assert sample.targets[0].hbb == twin.targets[0].hbb
            assert sample.size == twin.size
        total += len(flat)
    assert total == 2301


def _boxes(sample):
    """Targets that carry a box; a union mask that its boxes do not cover would be one target without."""
    assert all(region.hbb is not None for region in sample.targets)
    return sample.targets


def test_rrsisd_masks_equal_pycocotools(shared_data, read):
    from pycocotools import mask as coco

    root = shared_data / "refer_mini"
    document = json.loads((root / "rrsisd/instances.json").read_text())
    by_id = {a["id"]: a for a in document["annotations"]}
    samples, _ = read("rrsis-d", root, "test")
    for sample in samples:
        region = sample.targets[0]
        segmentation = by_id[region.attributes["id"]]["segmentation"]
        theirs = coco.decode([{**plane, "counts": plane["counts"].encode()} for plane in segmentation]).any(axis=2)
        assert np.array_equal(mask_of(region, sample.size), theirs)


def test_vhr10_polygons_are_close_to_pycocotools(shared_data, read):
    """Polygon edges are rasterised by another rule than COCO's; what lies between must be a border of pixels."""
    from pycocotools import mask as coco

    root = shared_data / "vhr10_annotations"
    samples, broken = read("vhr10", root, "test", need_images=False)
    assert broken == []
    assert len(samples) == 345
    document = json.loads((root / "annotations.json").read_text())
    by_id = {a["id"]: a for a in document["annotations"]}
    overlaps = []
    for sample in samples[::5]:
        region = sample.targets[0]
        planes = coco.frPyObjects(by_id[region.attributes["id"]]["segmentation"], *sample.size)
        theirs, ours = coco.decode(coco.merge(planes)).astype(bool), mask_of(region, sample.size)
        overlaps.append((theirs & ours).sum() / (theirs | ours).sum())
    assert np.mean(overlaps) > 0.95
    assert min(overlaps) > 0.85


def test_vhr10_counts(shared_data, read):
    samples, broken = read("vhr10", shared_data / "vhr10_annotations", "all", need_images=False)
    assert broken == []
    assert len(samples) == 2842
    images, _ = read("vhr10", shared_data / "vhr10_annotations", "all", need_images=False, per="image")
    assert len(images) == 463
    assert sum(len(sample.targets) for sample in images) == 2842


def test_isaid_raw_masks_equal_the_coco_file(shared_data, read):
    root = shared_data / "isaid_mini"
    raw, broken = read("isaid-raw", root, "all")
    assert broken == []
    coco, broken = read("isaid", root, "val")
    assert broken == []
    assert len(raw) == len(coco) == 566
    facts = [{(s.image.uri, r.rle, r.hbb, r.label) for s in samples for r in s.targets} for samples in (raw, coco)]
    assert facts[0] == facts[1]


def test_isaid_raw_masks_equal_the_pixels(shared_data, read):
    root = shared_data / "isaid_mini/raw_masks_only"
    samples, broken = read("isaid-raw", root, "all", need_images=False)
    assert broken == []
    assert len(samples) == 289
    pixels = np.asarray(Image.open(root / "P0002_instance_id_RGB.png").convert("RGB")).astype(int)
    codes = pixels @ [1, 256, 65536]
    for sample in samples[::40]:
        region = sample.targets[0]
        assert np.array_equal(rle_to_mask(region.rle), codes == region.attributes["id"])


def test_isaid_polygons_equal_its_rle(shared_data, read):
    root = shared_data / "isaid_mini"
    exact, _ = read("coco", root, "all")
    drawn, broken = read("coco", root, "all", annotations="instances_polygons.json")
    assert broken == []
    for one, two in list(zip(exact, drawn, strict=True))[::25]:
        assert np.array_equal(mask_of(one.targets[0], one.size), mask_of(two.targets[0], two.size))


def test_dota_mini(shared_data, read):
    samples, broken = read("dota", shared_data / "dota_mini", "all", per="image")
    assert broken == []
    counts = {sample.id: len(sample.targets) for sample in samples}
    assert counts == {"P0075": 2, "P0706": 536, "P1088": 34, "P1888": 64}
    assert samples[0].meta["gsd"] == pytest.approx(0.139152881468)


def test_dota_labels_far_outside_are_named(shared_data, read):
    _, broken = read("dota", shared_data / "dota_mini/quirks", "all", labels=".", images=".")
    assert [record.code for record in broken] == ["bad-box"] * 3 + ["missing-image"]


def test_levir_mini_and_its_broken_pair(shared_data, read):
    samples, broken = read("levir-cd", shared_data / "levir_mini", "all")
    assert len(samples) == 7
    assert [record.code for record in broken] == ["image-size"]
    assert "768 x 384 and 768 x 383" in broken[0].detail
    empty = [sample.id for sample in samples if sample.targets == ()]
    assert empty == ["train_386_0512_0768"]


@pytest.mark.parametrize("name", ["levir_mini", "dsifn_mini"])
def test_change_queries_equal_their_labels(shared_data, read, name):
    samples, broken = read("jsonl", shared_data / name, "all")
    assert broken == []
    for sample in samples:
        assert sample.task is Task.CHANGE
        stem = sample.images[1].uri.rsplit("/", 1)[-1]
        label = np.asarray(Image.open(shared_data / name / "label" / stem))
        label = label if label.ndim == 2 else label[..., :3].any(axis=2)
        assert np.array_equal(union_mask(sample.targets, sample.size), label != 0)


@pytest.mark.parametrize(("name", "count"), [("scenes", 7), ("dota_mini", 12), ("levir_mini", 21), ("dsifn_mini", 18)])
def test_queries_load(shared_data, read, name, count):
    samples, broken = read("jsonl", shared_data / name, "all")
    assert broken == []
    assert len(samples) == count


def test_geopixeld_sample(shared_data, read):
    for root in (shared_data / "geopixeld_mini", shared_data / "geopixeld_mini/data"):
        (sample,), broken = read("geopixeld", root, "train")
        assert broken == []
        assert [region.label for region in sample.targets] == ["tennis court"] * 4
        assert [sample.answer[slice(*region.span)] for region in sample.targets] == [
            f"<p> tennis court-{k} </p> [SEG]" for k in (1, 2, 3, 4)
        ]
        assert sample.size == (800, 800)
        assert all(mask_of(region, sample.size).sum() > 500 for region in sample.targets)


def test_gcg_mini(shared_data, read):
    total = 0
    for split in SPLITS:
        samples, broken = read("geopixeld", shared_data / "gcg_mini", split)
        assert broken == []
        assert all(len(sample.targets) == sample.answer.count("[SEG]") for sample in samples)
        total += len(samples)
    assert total == 150


def test_ssdd_and_yolo(shared_data, read):
    samples, broken = read("coco", shared_data / "ssdd_annotations", "all", annotations="SSDD.json", need_images=False)
    assert broken == []
    document = json.loads((shared_data / "ssdd_annotations/SSDD.json").read_text())
    assert len(samples) == len(document["annotations"])
    for name, boxes in (("aerialcars_mini", 90), ("scenes", None)):
        samples, broken = read("yolo", shared_data / name, "all")
        assert broken == []
        assert boxes is None or len(samples) == boxes
        assert all(hbb_of(sample.targets[0]) for sample in samples)


def test_deepforest_geotiff_annotations_are_no_layout_of_ours(shared_data, read):
    from rsground.errors import LayoutError

    with warnings.catch_warnings(), pytest.raises(LayoutError, match="needs the file"):
        read("coco", shared_data / "deepforest_mini", "all")
