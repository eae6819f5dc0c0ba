"""Our own form: written and read without loss; the column form read as its makers meant it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.datasets.jsonl import Jsonl, write_jsonl
from rsground.errors import DataError
from rsground.geometry import mask_to_rle, rle_to_mask
from rsground.types import ImageRef, Region, Sample, Task

HEIGHT, WIDTH = 30, 40
x = st.floats(0, WIDTH, allow_nan=False)
y = st.floats(0, HEIGHT, allow_nan=False)
word = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: bool(text.strip()))
meta = st.dictionaries(
    word.filter(lambda key: key != "split"),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), word, st.lists(word, max_size=2)),
    max_size=3,
)


@st.composite
def regions(draw):
    x1, x2 = sorted(draw(st.tuples(x, x).filter(lambda pair: abs(pair[0] - pair[1]) > 0.01)))
    y1, y2 = sorted(draw(st.tuples(y, y).filter(lambda pair: abs(pair[0] - pair[1]) > 0.01)))
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)] = True
    return Region(
        hbb=(x1, y1, x2, y2),
        quad=draw(st.sampled_from([None, ((x1, y1), (x2, y1), (x2, y2), (x1, y2))])),
        polygons=draw(st.sampled_from([None, (((x1, y1), (x2, y1), (x2, y2)),)])),
        rle=draw(st.sampled_from([None, mask_to_rle(mask)])),
        points=draw(st.sampled_from([None, ((x1, y1), (x2, y2))])),
        score=draw(st.one_of(st.none(), st.floats(0, 1))),
        label=draw(st.one_of(st.none(), word)),
        span=draw(st.sampled_from([None, (0, 3)])),
        attributes=draw(meta),
    )


@st.composite
def samples(draw, number, folder):
    images = tuple(
        ImageRef(str(folder / name), HEIGHT, WIDTH) for name in draw(st.sampled_from([["a.png"], ["a.png", "b.png"]]))
    )
    return Sample(
        f"{draw(word)}-{number}",
        images,
        draw(word),
        draw(st.sampled_from(list(Task))),
        draw(st.one_of(st.none(), st.lists(regions(), max_size=2).map(tuple))),
        draw(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])))),
        draw(meta),
    )


@settings(max_examples=40)
@given(data=st.data())
def test_what_is_written_is_read(data, tmp_path_factory, layouts):
    folder = tmp_path_factory.mktemp("own")
    for name in ("a.png", "b.png"):
        layouts.picture(folder / name)
    given_samples = [data.draw(samples(number, folder)) for number in range(2)]
    assert write_jsonl(given_samples, folder / "x.jsonl") == 2
    broken = []
    dataset = Jsonl(folder / "x.jsonl", "all")
    dataset.on_broken = broken.append
    read = list(dataset)
    assert broken == []
    for one, two in zip(given_samples, read, strict=True):
        assert (one.id, one.expression, one.task, one.answer) == (two.id, two.expression, two.task, two.answer)
        assert one.targets == two.targets
        assert dict(one.meta) == dict(two.meta)
        assert [(image.uri, image.size) for image in one.images] == [(image.uri, image.size) for image in two.images]


def test_every_reader_survives_the_round_trip(case, tmp_path, read):
    """Any layout → our form → the same samples."""
    case.make(tmp_path)
    before, _ = read(case.name, tmp_path, case.split, **case.options)
    write_jsonl(before, tmp_path / "copy" / "own.jsonl")
    after, broken = read("jsonl", tmp_path / "copy" / "own.jsonl", "all")
    assert broken == []
    assert [(s.id, s.expression, s.task, s.targets, s.answer) for s in before] == [
        (s.id, s.expression, s.task, s.targets, s.answer) for s in after
    ]


def test_paths_are_relative_inside_and_absolute_outside(tmp_path, layouts):
    layouts.picture(tmp_path / "data/images/a.png")
    layouts.picture(tmp_path / "b.png")
    inside = Sample("i", (ImageRef(str(tmp_path / "data/images/a.png"), 30, 40),), "x", Task.HBB)
    outside = Sample("o", (ImageRef(str(tmp_path / "b.png"), 30, 40),), "x", Task.HBB)
    write_jsonl([inside, outside], tmp_path / "data/x.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "data/x.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == ["images/a.png", str(tmp_path / "b.png")]
    assert len(list(Jsonl(tmp_path / "data/x.jsonl"))) == 2


def test_a_failed_write_leaves_the_old_file(tmp_path, layouts):
    layouts.picture(tmp_path / "a.png")
    image = ImageRef(str(tmp_path / "a.png"), 30, 40)
    write_jsonl([Sample("good", (image,), "x", Task.HBB)], tmp_path / "x.jsonl")
    before = (tmp_path / "x.jsonl").read_text()
    drawn = ImageRef("scenes:val/1", 30, 40, render=dict)
    bad = [
        Sample("nan", (image,), "x", Task.HBB, meta={"v": math.nan}),
        Sample("object", (image,), "x", Task.HBB, meta={"v": object()}),
        Sample("surrogate", (image,), "\ud800", Task.HBB),
        Sample("drawn", (drawn,), "x", Task.HBB),
    ]
    for sample in bad:
        with pytest.raises(DataError, match=f"sample '{sample.id}'"):
            write_jsonl([sample], tmp_path / "x.jsonl")
        assert (tmp_path / "x.jsonl").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "x.jsonl"]


def row(layouts, tmp_path, **columns):
    layouts.picture(tmp_path / "a.png")
    record = {"id": 1, "image": "a.png", "width": WIDTH, "height": HEIGHT, "expression": "x", **columns}
    (tmp_path / "queries.jsonl").write_text(json.dumps(record) + "\n")
    (sample,) = Jsonl(tmp_path, "all")
    return sample


def test_columns_share_a_mask_between_their_boxes(layouts, tmp_path):
    one, two = layouts.mask_of((2, 2, 12, 12)), layouts.mask_of((20, 4, 30, 20))
    boxes = [[2, 2, 12, 12], [20, 4, 30, 20]]
    sample = row(layouts, tmp_path, hbb=boxes, rle=layouts.rle_of(one | two), category="ship")
    assert sample.task is Task.MASK
    assert [region.label for region in sample.targets] == ["ship", "ship"]
    for region, mask in zip(sample.targets, (one, two), strict=True):
        assert np.array_equal(rle_to_mask(region.rle), mask)


def test_columns_whose_boxes_miss_a_part_are_one_target(layouts, tmp_path):
    mask = layouts.mask_of((2, 2, 12, 12)) | layouts.mask_of((20, 4, 30, 20)) | layouts.mask_of((35, 25, 36, 26))
    sample = row(layouts, tmp_path, hbb=[[2, 2, 12, 12], [20, 4, 30, 20]], rle=layouts.rle_of(mask))
    (region,) = sample.targets
    assert np.array_equal(rle_to_mask(region.rle), mask)


@pytest.mark.parametrize(
    ("columns", "task", "targets"),
    [
        ({"hbb": []}, Task.HBB, 0),
        ({"hbb": [], "obb": []}, Task.OBB, 0),
        ({"hbb": [[1, 1, 9, 9]]}, Task.HBB, 1),
        ({"hbb": [1, 1, 9, 9]}, Task.HBB, 1),
        ({"hbb": [[1, 1, 9, 9]], "obb": [[1, 1, 9, 1, 9, 9, 1, 9]]}, Task.OBB, 1),
        ({"answer": "yes"}, Task.VQA, None),
        ({}, Task.HBB, None),
        ({"rle": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}, "hbb": []}, Task.MASK, 0),
        ({"targets": []}, Task.MASK, 0),
        ({"targets": None}, Task.HBB, None),
        ({"task": "obb", "targets": []}, Task.OBB, 0),
    ],
)
def test_columns_tell_the_task(layouts, tmp_path, columns, task, targets):
    sample = row(layouts, tmp_path, **columns)
    assert sample.task is task
    assert (None if sample.targets is None else len(sample.targets)) == targets


def test_records_are_filtered_by_their_split(layouts, tmp_path, read):
    layouts.picture(tmp_path / "a.png")
    rows = [
        {"id": k, "image": "a.png", "expression": "x", **({"split": s} if s else {})}
        for k, s in enumerate(["val", "test", None])
    ]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert [s.id for s in read("jsonl", tmp_path, "test")[0]] == ["1", "2"]
    assert [s.id for s in read("jsonl", tmp_path, "all")[0]] == ["0", "1", "2"]
