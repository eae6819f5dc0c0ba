"""A referring set as training images: instances of every form have masks, and expressions mean theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import TOWER

from rsground.contracts import TextHead
from rsground.datasets.refer.records import ImageRecord, Ref
from rsground.datasets.refer.write_rrsisd import write_rrsisd
from rsground.errors import DataError
from rsground.geometry import mask_to_rle, rle_to_mask
from rsground.models.tower_lm.tokenizer import make_tokenizer
from rsground.models.training.annotated import FILLED
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.passing import passed_over
from rsground.models.training.recipe import read_recipe
from rsground.models.training.refer_book import ReferBook, photographs, refer_book
from rsground.models.training.running import run_recipe
from rsground.models.training.ways import Ways, training_in
from rsground.types import Prediction, Region, Sample, Task, View

HEIGHT, WIDTH = 100, 200
BOX, TURNED = (20.0, 10.0, 60.0, 50.0), ((120.0, 20.0), (160.0, 40.0), (140.0, 80.0), (100.0, 60.0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One photograph of a ship with a mask, a court of which only the oriented box is known, and a car with a box."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[70:90, 10:30] = True
    regions = (
        Region(hbb=(10, 70, 30, 90), rle=mask_to_rle(mask), label="ship"),
        Region(hbb=(100, 20, 160, 80), quad=TURNED, label="tennis court"),
        Region(hbb=BOX, label="vehicle"),
    )
    said = [("the ship", (0,)), ("the court", (1,)), ("the car and the court", (2, 1)), ("the plane", ())]
    refs = tuple(Ref(text, targets, "category", (), None, []) for text, targets in said)
    file = tmp_path / "one.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(file)
    write_rrsisd(tmp_path / "set", [ImageRecord("one", str(file), (HEIGHT, WIDTH), "train", regions, refs)], "copy")
    return tmp_path / "set"


def test_instances_of_every_form_have_masks(root: Path) -> None:
    ((samples, own),) = photographs(str(root))
    assert [name for _, name in own] == ["ship", "tennis court", "vehicle"]
    ship, court, car = (rle_to_mask(region.rle) for region, _ in own if region.rle is not None)
    assert int(ship.sum()) == 400
    assert abs(int(court.sum()) - 2000) < 80, "what the oriented box covers"
    assert int(car.sum()) == 1600
    for sample in samples:
        assert all(target.rle is not None for target in sample.targets or ())


def test_expressions_mean_their_instances(root: Path) -> None:
    book = refer_book(str(root), size=50)
    assert book.expressions == [
        [("the ship", (0,)), ("the court", (1,)), ("the car and the court", (2, 1)), ("the plane", ())]
    ]
    np.testing.assert_allclose(book.objects[0].boxes[2], [5, 5, 15, 25])
    corners = {tuple(corner) for corner in book.objects[0].quads[1].tolist()}
    assert corners == {(x / 4, y / 2) for x, y in TURNED}


def test_a_split_that_holds_nothing_is_named(root: Path) -> None:
    with pytest.raises(DataError, match="no expressions of the split 'val'"):
        refer_book(str(root), "val")


def test_a_broken_annotation_is_left_out(root: Path) -> None:
    file = root / "rrsisd" / "instances.json"
    said = json.loads(file.read_text())
    said["annotations"][0]["category_id"] = 99
    file.write_text(json.dumps(said))
    ((samples, own),) = photographs(str(root))
    assert [name for _, name in own] == ["tennis court", "vehicle"]
    assert "the ship" not in [sample.expression for sample in samples]


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three photographs of a ship each."""
    box = Region(hbb=(10, 70, 30, 90), label="ship")
    ref = Ref("the ship", (0,), "category", (), None, [])
    for name in "abc":
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / f"{name}.png")
    records = [
        ImageRecord(name, str(tmp_path / f"{name}.png"), (HEIGHT, WIDTH), "train", (box,), (ref,)) for name in "abc"
    ]
    write_rrsisd(tmp_path / "set", records, "copy")
    return tmp_path / "set"


def test_images_that_cannot_be_read_are_passed_over(tmp_path: Path, three: Path) -> None:
    first, second, _ = sorted((three / "images" / "rrsisd" / "JPEGImages").iterdir())
    first.write_bytes(b"no picture")
    book = refer_book(str(three), size=50)
    assert len(book) == 2
    (refused,) = book.refused
    assert Path(refused.sample).name == first.name
    assert refused.reason.startswith("ImageError")
    (tmp_path / "tower.toml").write_text(
        f'stage = "dense"\n[data]\nkind = "refer"\nroot = "{three}"\nsize = 64\n'
        "[schedule]\nsteps = 1\nbatch = 2\n[model]\n"
        + "".join(f"{key} = {value}\n" for key, value in TOWER.items() if key != "vision_config")
        + "[model.vision_config]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in TOWER["vision_config"].items())
    )
    with training_in(Ways("cpu", quiet=True)):
        run_recipe(read_recipe(tmp_path / "tower.toml"), tmp_path / "runs")
    assert passed_over(tmp_path / "runs" / "tower") == [refused]
    second.write_bytes(b"no picture")
    with pytest.raises(DataError, match="most of the 3 images cannot be read"):
        refer_book(str(three), size=50)


class Says(TextHead):
    """Answers the task it was asked for."""

    tasks = frozenset({Task.HBB, Task.OBB, Task.MASK})

    def _ask(self, sample: Sample) -> str:
        return f"{sample.expression}?"

    def target(self, sample: Sample, view: View) -> str:
        return sample.task.value

    def _read(self, text: str, sample: Sample, view: View) -> Prediction:
        return Prediction(text=text)


def taught(book: ReferBook, *tasks: Task, write: bool = True) -> dict[str, set[str]]:
    """Expression → answers taught when it is asked again and again; ``""`` where none is."""
    speller = Speller(make_tokenizer(["the ship court car plane and? hbb obb mask"] * 4, [], size=320))
    lessons = SceneLessons(book, [(Says(), tasks)], speller, Chances(each=9, write=write), seed=3)
    found: dict[str, set[str]] = {}
    for _ in range(40):
        for at in range(len(book)):
            for lesson in lessons[at][1]:
                question = speller.tokenizer.decode(lesson.prompt[:-1]).strip("? ")
                found.setdefault(question, set()).add(speller.tokenizer.decode(lesson.answer).strip())
                assert lesson.targets or question == "the plane"
    return found


def test_what_no_annotation_tells_is_not_taught(root: Path) -> None:
    book = refer_book(str(root), size=50)
    every = {"hbb", "obb", "mask"}
    assert taught(book, Task.HBB, Task.OBB, Task.MASK) == {
        "the ship": every,
        "the court": {"hbb", "obb"},
        "the car and the court": {"hbb"},
        "the plane": every,
    }
    assert taught(book, Task.MASK) == {
        "the ship": {"mask"},
        "the court": {""},
        "the car and the court": {""},
        "the plane": {"mask"},
    }, "where a head has no other task, what is meant"
    assert set.union(*taught(book, Task.MASK, write=False).values()) == {""}


def test_masks_that_are_annotated_are_taught_all_the_same(root: Path) -> None:
    """Polygons are masks; and without the key that says what stands in, a segmentation is one."""
    file = root / "rrsisd" / "instances.json"
    said = json.loads(file.read_text())
    assert [each.pop("segmentation_from", None) for each in said["annotations"]] == [None, "obb", "bbox"]
    file.write_text(json.dumps(said))
    book = refer_book(str(root), size=50)
    assert all(answers == {"hbb", "obb", "mask"} for answers in taught(book, *Says.tasks).values())


def test_turned_photographs_know_what_was_filled(root: Path) -> None:
    book = refer_book(str(root), size=50, turns=7)
    assert len(book) > 1
    sources = ["", "obb", "hbb"]
    for samples, meant in zip(book.questions, book.meant, strict=True):
        for sample, numbers in zip(samples, meant, strict=True):
            told = [each.attributes.get(FILLED, "") for each in sample.targets or ()]
            assert told == [sources[number] for number in numbers]
