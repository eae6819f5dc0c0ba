"""What every reader owes, over every published layout in miniature."""

from __future__ import annotations

import math
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from rsground.builtin.datasets import DATASETS
from rsground.errors import LayoutError, RsgroundError, UnknownNameError
from rsground.images import read_image
from rsground.registry import load_dataset, target_of
from rsground.types import Task


def test_every_registered_reader_has_a_miniature(layouts):
    made = {case.name for case in layouts.CASES}
    own = {spec.name for spec in DATASETS if spec.needs_root}
    assert made == own


def test_reads_all_samples_and_reports_nothing(case, tmp_path, read):
    case.make(tmp_path)
    samples, broken = read(case.name, tmp_path, case.split, **case.options)
    assert broken == []
    assert len(samples) == case.samples


def test_samples_are_whole(case, tmp_path, read):
    """Unique ids, an expression, an image of the stated size, regions inside it."""
    case.make(tmp_path)
    samples, _ = read(case.name, tmp_path, case.split, **case.options)
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.expression.strip() == sample.expression
        assert isinstance(sample.task, Task)
        assert read_image(sample.image).shape == (*sample.size, 3)
        for region in sample.targets or ():
            assert region.is_located
            x1, y1, x2, y2 = region.hbb or (0, 0, 1, 1)
            assert 0 <= x1 < x2 <= sample.image.width
            assert 0 <= y1 < y2 <= sample.image.height
            assert region.rle is None or region.rle.size == sample.size
            if region.span is not None:
                text = sample.answer if sample.task is not Task.REGION_CAPTION else sample.expression
                assert 0 <= region.span[0] < region.span[1] <= len(text)


def test_task_is_one_that_the_spec_names(case, tmp_path, read):
    case.make(tmp_path)
    spec = next(spec for spec in DATASETS if spec.name == case.name)
    samples, _ = read(case.name, tmp_path, case.split, **case.options)
    assert {str(sample.task) for sample in samples} <= set(spec.tasks)


def test_samples_survive_pickling_and_a_second_pass(case, tmp_path, read):
    case.make(tmp_path)
    dataset = load_dataset(case.name, tmp_path, case.split, **case.options)
    first = [pickle.dumps(sample) for sample in dataset]
    assert first == [pickle.dumps(sample) for sample in dataset]


def test_fingerprint_stays_with_the_content(case, tmp_path):
    here, there = tmp_path / "a", tmp_path / "elsewhere" / "b"
    case.make(here)
    shutil.copytree(here, there)
    first, second = (load_dataset(case.name, root, case.split, **case.options).fingerprint() for root in (here, there))
    assert first == second
    dataset = load_dataset(case.name, there, case.split, **case.options)
    files = [path for path in dataset.annotation_files() if path.suffix != ".p"]
    if files:
        files[0].write_bytes(files[0].read_bytes() + b"\n")
        changed = load_dataset(case.name, there, case.split, **case.options).fingerprint()
        assert changed != first


def test_an_image_that_is_missing_breaks_its_samples_only(case, tmp_path, read):
    case.make(tmp_path)
    samples, _ = read(case.name, tmp_path, case.split, **case.options)
    gone = samples[0].image.uri
    Path(gone).unlink()
    left, broken = read(case.name, tmp_path, case.split, **case.options)
    assert [s.id for s in left] == [s.id for s in samples if gone not in [image.uri for image in s.images]]
    assert len(broken) in (0, *range(1, case.samples + 1))
    assert {record.code for record in broken} <= {"missing-image"}
    # class folders and flat pair folders list their images: what is gone is not listed
    assert broken or case.name in {"class-folders", "aid", "resisc45", "ucmerced"}


def test_missing_root_names_the_nearest(case, tmp_path):
    (tmp_path / "datasets").mkdir()
    with pytest.raises(LayoutError, match=r"there is no folder .*dataset'.*Nearest: .*datasets"):
        load_dataset(case.name, tmp_path / "dataset", case.split, **case.options)


def test_wrong_layout_says_what_was_expected(case, tmp_path):
    (tmp_path / "readme.txt").write_text("nothing else")
    with pytest.raises(LayoutError, match=r"needs .*readme\.txt|no label file|no split|images per class"):
        load_dataset(case.name, tmp_path, case.split, **case.options)


def test_root_that_is_one_level_up_is_told_the_right_one(layouts, tmp_path):
    case = next(case for case in layouts.CASES if case.name == "dior-rsvg")
    case.make(tmp_path / "level")
    with pytest.raises(LayoutError, match=r"it is under '.*level': pass that folder instead"):
        load_dataset(case.name, tmp_path, case.split)


def test_root_that_is_one_level_down_is_told_the_right_one(layouts, tmp_path):
    case = next(case for case in layouts.CASES if case.name == "dior-rsvg")
    case.make(tmp_path)
    with pytest.raises(LayoutError, match=r"it is under .*: pass that folder instead"):
        load_dataset(case.name, tmp_path / "JPEGImages", case.split)


def test_no_root_is_an_error_that_says_so(case):
    with pytest.raises(LayoutError, match="pass its root"):
        load_dataset(case.name, None, case.split, **case.options)


def test_unknown_split_names_the_known_ones(case, tmp_path):
    case.make(tmp_path)
    spec = next(spec for spec in DATASETS if spec.name == case.name)
    reader = target_of(spec)
    if reader.any_split:
        pytest.skip("the layout names its own splits")
    with pytest.raises(UnknownNameError, match=r"split of .*'tset'"):
        load_dataset(case.name, tmp_path, "tset", **case.options)


def test_spec_splits_are_the_readers(case):
    spec = next(spec for spec in DATASETS if spec.name == case.name)
    assert set(spec.splits) <= set(target_of(spec).splits)


def test_a_task_that_does_not_exist_is_refused(case, tmp_path):
    case.make(tmp_path)
    options = case.options | {"task": "masks"}
    with pytest.raises(UnknownNameError, match=r"no task named 'masks'\. Did you mean 'mask'"):
        load_dataset(case.name, tmp_path, case.split, **options)


@pytest.mark.parametrize("name", ["dior-rsvg", "coco", "vrsbench", "isaid-raw", "isaid", "vhr10"])
def test_annotations_without_images_are_used_on_demand(name, layouts, tmp_path, read):
    case = next(case for case in layouts.CASES if case.name == name)
    case.make(tmp_path)
    with_images, _ = read(name, tmp_path, case.split, **case.options)
    for sample in with_images:
        Path(sample.image.uri).unlink(missing_ok=True)
    without, broken = read(name, tmp_path, case.split, need_images=False, **case.options)
    assert broken == []
    assert [sample.id for sample in without] == [sample.id for sample in with_images]
    if name != "vrsbench":  # its patches are 512 x 512, the miniature's are not
        assert [sample.targets for sample in without] == [sample.targets for sample in with_images]


def test_boxes_and_masks_agree_across_layouts(layouts, tmp_path, read):
    """The same three objects, whichever layout they were written in."""
    from rsground.regions import hbb_of, mask_of

    found = {}
    for name in ("rrsis-d", "refsegrs", "risbench", "dior-rsvg", "rsvg", "refgeo", "coco", "isaid", "vhr10", "yolo"):
        case = next(case for case in layouts.CASES if case.name == name and not case.options.keys() - {"per"})
        root = tmp_path / name
        case.make(root)
        samples, _ = read(name, root, case.split, **case.options)
        found[name] = sorted({tuple(round(v, 6) for v in hbb_of(s.targets[0])) for s in samples})
        if samples[0].task is Task.MASK and name != "isaid":
            assert np.array_equal(mask_of(samples[0].targets[0], samples[0].size), layouts.mask_of(layouts.BOXES[0]))
    wanted = sorted(tuple(float(v) for v in box) for box in layouts.BOXES)
    known = {name: boxes for name, boxes in found.items() if name != "dior-rsvg"}
    assert known == dict.fromkeys(known, wanted)
    assert set(found["dior-rsvg"]) <= set(wanted)


def test_a_reader_error_is_one_of_ours(case, tmp_path):
    """Whatever a wrong option is, the message is ours."""
    case.make(tmp_path)
    with pytest.raises(RsgroundError):
        load_dataset(case.name, tmp_path, case.split, **{**case.options, "no_such_option": 1})
    assert math.isfinite(case.samples)
