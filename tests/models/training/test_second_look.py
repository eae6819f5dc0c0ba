"""The second look: what is cut out, the way of numbers there and back, what is taught, and that it is learned."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from small import TEXT, TOWER, model, tokenizer
from test_three_stages import write
from two_processes import in_two_processes

from rsground.errors import SuiteError
from rsground.models.tower_lm import TowerLMConfig
from rsground.models.tower_lm.facts import numbers_of
from rsground.models.tower_lm.look import Look, Seen, cut, measured
from rsground.models.training import language_setup
from rsground.models.training.dense import normalised
from rsground.models.training.fact_cache import FactCache, cached_facts
from rsground.models.training.objects import Objects
from rsground.models.training.recipe import read_recipe
from rsground.models.training.running import run_recipe
from rsground.models.training.scene_cache import SceneCache, scene_cache
from rsground.models.training.second_look import LookModel, PackLooks, look_losses, look_targets
from rsground.models.training.sources import picture_book
from rsground.models.training.ways import Ways, training_in
from rsground.registry import registry

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
WORDS = tokenizer()


def look_of(seed: int = 0, times: int = 1, headings: bool = False) -> Look:
    """An untaught look of the size of the tests' towers."""
    torch.manual_seed(seed)
    look = Look(TowerLMConfig(**TOWER, look=times, headings=headings, text_config=TEXT))
    look.begin()
    return look


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.floats(0.2, 0.8)] * 2),
    st.tuples(*[st.floats(0.02, 0.15)] * 4),
    st.tuples(*[st.floats(-0.02, 0.02)] * 2),
    st.tuples(*[st.floats(0.02, 0.2)] * 2),
    st.floats(0, math.pi),
)
def test_numbers_go_to_boxes_and_back(
    middle: tuple[float, ...],
    edges: tuple[float, ...],
    offset: tuple[float, ...],
    sides: tuple[float, ...],
    angle: float,
) -> None:
    long, short = max(sides), min(sides)
    assume(min(angle % (math.pi / 2), -angle % (math.pi / 2)) > 1e-3 and long > 1.001 * short)
    oriented = torch.tensor(
        [*offset, math.log(long), math.log(short), math.sin(2 * angle), math.cos(2 * angle)], dtype=torch.float64
    )
    numbers = numbers_of(
        torch.tensor(middle, dtype=torch.float64), torch.tensor(edges, dtype=torch.float64).log(), oriented, 1.0
    )
    torch.testing.assert_close(numbers_of(*measured(numbers), 1.0), numbers, atol=1e-7, rtol=1e-6)


def test_a_box_that_is_not_turned_is_as_wide_as_its_long_side() -> None:
    oriented = torch.tensor([0, 0, math.log(0.2), math.log(0.1), 0, 1])
    numbers = numbers_of(torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.05, 0.1, 0.05]).log(), oriented, 1.0)
    corners = {(round(x, 3), round(y, 3)) for x, y in numbers[8:16].reshape(4, 2).tolist()}
    assert corners == {(0.4, 0.45), (0.6, 0.45), (0.6, 0.55), (0.4, 0.55)}
    assert float(numbers[16]) == pytest.approx(0.5), "the angle of OpenCV is in (0, 90] degrees"


def test_what_is_cut_out_lies_where_the_box_is() -> None:
    """Of an image whose values are its coordinates, samples are the coordinates they were taken at."""
    side = 64
    line = torch.arange(side) + 0.5
    pixels = torch.stack([line.expand(side, side), line[:, None].expand(side, side), torch.zeros(side, side)])[None]
    box = torch.tensor([[[0.25, 0.375, 0.5, 0.5]]])  # 16 to 32, 24 to 32
    found = cut(pixels, box)
    assert found.shape == (1, 1, 3, 16, 16)
    reach_x, reach_y = 8 * 1.5 + 2, 4 * 1.5 + 2
    steps = (torch.arange(16) + 0.5) / 16 * 2 - 1
    torch.testing.assert_close(found[0, 0, 0], (24 + reach_x * steps).expand(16, 16))
    torch.testing.assert_close(found[0, 0, 1], (28 + reach_y * steps)[:, None].expand(16, 16))


def test_an_untaught_look_leaves_boxes_colours_and_heights() -> None:
    small = model(WORDS)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = small.first_facts(pixels)
        again = look_of()(pixels, found)
    categories = len(small.config.categories)
    torch.testing.assert_close(again.numbers, found.numbers, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(again.told[..., categories:], found.told[..., categories:], atol=2e-3, rtol=1e-3)
    assert torch.equal(again.features, found.features)
    objects = small.config.objects
    torch.testing.assert_close(again.told[:, :objects, :categories].sum(-1), again.told[:, :objects, -1])


def three_objects() -> Objects:
    """Upright, turned, and of no known class or colour."""
    quads = [
        [(10, 10), (20, 10), (20, 16), (10, 16)],
        [(40, 30), (50, 40), (46, 44), (36, 34)],
        [(5, 50), (15, 50), (15, 60), (5, 60)],
    ]
    corners = np.array(quads, dtype=np.float32)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    return Objects(boxes, corners, np.array([3, 9, -1]), np.array([2, 5, -1]), np.arange(3), np.array([7, 0, -1]))


def test_what_is_taught_is_what_is_there() -> None:
    """Who sees exactly the targets has the objects' boxes and corners, and no loss of them."""
    objects = three_objects()
    peaks = torch.from_numpy(objects.boxes)[None] / 64 + torch.tensor([0.02, -0.01, 0.02, 0.0])
    peaks = torch.cat([peaks, torch.tensor([[[0.8, 0.8, 0.9, 0.9]]])], 1)
    targets = look_targets(peaks, [objects], 64)
    assert targets.near.tolist() == [[True, True, True, False]]
    assert targets.there.tolist()[0][3] == 0
    assert (targets.categories.tolist(), targets.colours.tolist()) == ([3, 9, -1], [2, 5, -1])
    assert targets.headings.tolist() == [7, 0, -1]
    middle = (peaks[..., :2] + peaks[..., 2:]) / 2
    edges = torch.cat([middle[0, :3] - targets.boxes[:, :2], targets.boxes[:, 2:] - middle[0, :3]], -1).log()
    oriented = targets.oriented - torch.cat([middle[0, :3], torch.zeros(3, 4)], -1)
    numbers = numbers_of(middle[0, :3], edges, oriented, 1.0) * 64
    torch.testing.assert_close(numbers[:, :4], torch.from_numpy(objects.boxes), atol=1e-3, rtol=0)
    for found, real in zip(numbers[:, 8:16].unflatten(-1, (4, 2)), torch.from_numpy(objects.quads), strict=True):
        assert {tuple(each) for each in found.round().int().tolist()} == {tuple(e) for e in real.int().tolist()}
    whole = [torch.cat([each, each[:1]])[None] for each in (edges, oriented)]
    category, colour, heading = torch.zeros(1, 4, 20), torch.zeros(1, 4, 11), torch.zeros(1, 4, 8)
    for row in range(2):
        category[0, row, targets.categories[row]] = colour[0, row, targets.colours[row]] = 30.0
        heading[0, row, targets.headings[row]] = 30.0
    there = torch.tensor([[30.0, 30.0, 30.0, -30.0]])
    losses = look_losses(Seen(middle, *whole, category, colour, there, heading), targets)
    assert float(losses["iou"]) == pytest.approx(1, abs=1e-4)
    assert sum(float(value) for name, value in losses.items() if name != "iou") < 1e-3
    worse = look_losses(Seen(middle, whole[0] + 0.3, whole[1], category, colour, there, heading.roll(1, -1)), targets)
    assert float(worse["loss_edges"]) > 0.1
    assert float(worse["loss_heading"]) > 10
    untold = look_losses(Seen(middle, *whole, category, colour, there, heading[..., :0]), targets)
    assert "loss_heading" not in untold


def test_images_without_objects_teach_that_nothing_is_there() -> None:
    none = Objects(*(np.zeros((0, *shape), dtype=np.float32) for shape in ((4,), (4, 2), (), (), (), ())))
    peaks = torch.rand(1, 5, 4)
    targets = look_targets(peaks, [none], 64)
    assert not targets.near.any()
    seen = look_of().see(torch.randn(1, 3, 64, 64), model(WORDS).first_facts(torch.randn(1, 3, 64, 64)))
    losses = look_losses(seen, look_targets(torch.rand(1, seen.there.shape[1], 4), [none], 64))
    sum(value for name, value in losses.items() if name.startswith("loss")).backward()  # type: ignore[union-attr]


def scenes(folder: Path, count: int) -> SceneCache:
    """A few scenes of 64 pixels."""
    return scene_cache(folder / "book", count=count, first=0, seed=0, size=64, workers=1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_look_learns_where_boxes_end(tmp_path: Path, times: int) -> None:
    """Peaks whose boxes are off by up to a third: they fit better after, and colours and ways to point are told."""
    book, small = scenes(tmp_path, 8), model(WORDS)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        facts = small.first_facts(normalised(torch.from_numpy(np.array(book.images))))
    for at, objects in enumerate(book.objects):
        for row in range(min(len(objects), small.config.objects)):
            box = objects.boxes[row] / 64
            size = np.tile(box[2:] - box[:2], 2)
            off = box + rng.uniform(-0.2, 0.2, 4).astype(np.float32) * size
            middle = torch.from_numpy((off[:2] + off[2:]) / 2)
            half = torch.from_numpy((off[2:] - off[:2]) / 2).log()
            oriented = torch.tensor([0, 0, float(half.max()) + 0.69, float(half.min()) + 0.69, 0, 1])
            facts.numbers[at, row] = numbers_of(middle, torch.cat([half, half]), oriented, 1.0)
            facts.told[at, row, -1] = 0.5
    look = look_of(times=times, headings=True)
    taught = LookModel(look)
    batch = PackLooks(FactCache(facts, torch.empty(0)), book.images, book.objects)(range(8))
    optimizer = torch.optim.AdamW(look.parameters(), 3e-3)
    first = {name: value.item() for name, value in taught(**batch).items()}
    for _ in range(60):
        losses = taught(**batch)
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if name.startswith("loss")).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert losses["iou"].item() > first["iou"] + 0.1
    assert losses["loss_colour"].item() < 0.5 * first["loss_colour"]
    assert losses["loss_category"].item() < 0.5 * first["loss_category"]
    assert losses["loss_heading"].item() < 0.7 * first["loss_heading"]
    told = look(normalised(batch["pixels"]), batch["found"]).told[:, : look.looked]
    headings = told[..., -9:-1]
    torch.testing.assert_close(headings.sum(-1), torch.ones(told.shape[:2]))
    known, right = 0, 0
    for boxes, ways, objects in zip(batch["found"].numbers[..., :4] * 64, headings, book.objects, strict=True):
        targets = look_targets(boxes[None, : look.looked] / 64, [objects], 64)
        ways = ways[targets.near[0]][targets.headings >= 0]
        known += len(ways)
        right += int((ways.argmax(-1) == targets.headings[targets.headings >= 0]).sum())
    assert right > known / 2 > 4, "eight ways to point"


def test_two_looks_are_one_after_another() -> None:
    once, twice = look_of(headings=True), look_of(times=2, headings=True)
    torch.nn.init.normal_(once.tells.weight, std=0.05)
    twice.load_state_dict(once.state_dict())
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = model(WORDS).first_facts(pixels)
        after = once(pixels, once(pixels, found))
        again = twice(pixels, found)
    for name in ("numbers", "told", "features"):
        torch.testing.assert_close(getattr(again, name), getattr(after, name))
    assert not torch.allclose(after.numbers, once(pixels, found).numbers)


def test_headings_need_a_look(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs look >= 1"):
        TowerLMConfig(headings=True)
    language_setup.save_model(model(WORDS), WORDS, tmp_path / "plain")
    with pytest.raises(ValueError, match="the model takes none"):
        language_setup.resume_from(tmp_path / "plain", headings=True)


def test_a_model_that_begins_to_tell_headings_is_otherwise_as_before(tmp_path: Path) -> None:
    language_setup.save_model(model(WORDS), WORDS, tmp_path / "plain")
    before, _ = language_setup.resume_from(tmp_path / "plain", look=1)
    assert before.look is not None
    torch.nn.init.normal_(before.look.tells.weight, std=0.05)
    language_setup.save_model(before, WORDS, tmp_path / "looks")
    after, _ = language_setup.resume_from(tmp_path / "looks", headings=True)
    language_setup.save_model(after, WORDS, tmp_path / "tells")
    again, _ = language_setup.resume_from(tmp_path / "tells")
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        old, *new = (each.facts(pixels) for each in (before, after, again))
        tokens = before.visual(old, torch.zeros(2, dtype=torch.long))
        for each, found in zip((after, again), new, strict=True):
            torch.testing.assert_close(found.numbers, old.numbers)
            torch.testing.assert_close(torch.cat([found.told[..., :-9], found.told[..., -1:]], -1), old.told)
            torch.testing.assert_close(found.told[:, : each.config.objects, -9:-1].unique(), torch.tensor([1 / 8]))
            assert not found.told[:, each.config.objects :, -9:-1].any(), "context points nowhere"
            told = each.visual.told.weight
            torch.testing.assert_close(torch.cat([told[:, :-9], told[:, -1:]], 1), before.visual.told.weight)
            right, left = told[:, -8], told[:, -3]
            word = each.get_input_embeddings().weight[WORDS(" right", add_special_tokens=False)["input_ids"]].mean(0)
            torch.testing.assert_close(right, word / word.std() * 0.4)
            assert not torch.equal(right, left)
            each.visual.told.weight = torch.nn.Parameter(told.clone().index_fill(1, torch.arange(31, 39), 0.0))
            torch.testing.assert_close(each.visual(found, torch.zeros(2, dtype=torch.long)), tokens)


def test_facts_are_kept_before_and_after_the_look(tmp_path: Path) -> None:
    book, small = scenes(tmp_path, 3), model(WORDS)
    plain = cached_facts(small, book, {"count": 3}, tmp_path)
    small.look = look_of()
    torch.nn.init.normal_(small.look.tells.weight, std=0.05)
    small.eval()
    looked = cached_facts(small, book, {"count": 3}, tmp_path)
    assert len(list(tmp_path.glob("facts-*"))) == 2
    small.look.times = 2
    twice = cached_facts(small, book, {"count": 3}, tmp_path)
    assert not torch.equal(twice.facts.numbers, looked.facts.numbers)
    small.look.times = 1
    torch.testing.assert_close(cached_facts(small, book, {"count": 3}, tmp_path, look=False).facts, plain.facts)
    with torch.no_grad():
        now = small.facts(normalised(torch.from_numpy(np.array(book.images))))
    for name in ("numbers", "told", "features"):
        torch.testing.assert_close(getattr(looked.facts, name).float(), getattr(now, name), atol=5e-3, rtol=5e-3)
    assert not torch.allclose(looked.facts.numbers, plain.facts.numbers, atol=1e-3)


def test_the_look_is_a_stage_between_stages(tmp_path: Path) -> None:
    write(tmp_path, "look", stage="look", init=f"{tmp_path}/begun")
    write(tmp_path, "bare", stage="look")
    with training_in(Ways("cpu", quiet=True)):
        small = model(WORDS)
        language_setup.save_model(small, WORDS, tmp_path / "begun")
        (tmp_path / "begun" / "geoground" / "head").mkdir(parents=True)
        (tmp_path / "begun" / "geoground" / "head" / "model.safetensors").write_bytes(b"kept")
        out = run_recipe(read_recipe(tmp_path / "look.toml"), tmp_path / "runs")
        with pytest.raises(SuiteError, match="starts from a taught tower or a small model"):
            run_recipe(read_recipe(tmp_path / "bare.toml"), tmp_path / "runs")
    after, _ = language_setup.resume_from(out)
    assert after.look is not None
    assert after.look.tells.weight.abs().sum() > 0
    assert (out / "geoground" / "head" / "model.safetensors").read_bytes() == b"kept"
    for name, value in small.tower.state_dict().items():
        torch.testing.assert_close(after.tower.state_dict()[name], value)


@pytest.mark.skipif("geoground" not in registry().offers("head"), reason="needs the head of rsground-textmask")
def test_a_look_begins_a_model_after_a_tower_and_pointing_goes_on_with_it(tmp_path: Path) -> None:
    heads = [{"name": "geoground", "tasks": ["hbb"]}]
    words = {"vocabulary": 320, **TEXT}
    write(tmp_path, "tower", stage="dense", model=TOWER)
    looks = {"look": 2, "headings": True}
    write(tmp_path, "look", stage="look", init="tower", model={**words, **looks}, options={"heads": heads})
    judge = {"judge_width": 16, "judge_layers": 1, "judge_compares": True, "judge_measures": True, "judge_starts": 2}
    recipe = write(tmp_path, "words", stage="refer", init="look", model=judge, options={"heads": heads, "each": 3})
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(read_recipe(recipe), tmp_path / "runs")
    tower = load_file(tmp_path / "runs" / "tower" / "out" / "model.safetensors")
    begun, speaks = language_setup.resume_from(tmp_path / "runs" / "look" / "out")
    after, _ = language_setup.resume_from(out)
    assert (after.config.look, after.config.headings, after.config.judge_starts) == (2, True, 2)
    assert begun.look is not None
    assert after.look is not None
    assert begun.look.tells.weight.abs().sum() > 0, "the look was taught"
    for name, value in begun.look.state_dict().items():
        torch.testing.assert_close(after.look.state_dict()[name], value)
    for name, value in after.tower.state_dict().items():
        torch.testing.assert_close(value, tower[name])
    up, right = begun.visual.told.weight[:, -9], begun.visual.told.weight[:, -8]
    for told, name in ((up, "up"), (right, "right")):
        word = begun.get_input_embeddings().weight[speaks(f" {name}", add_special_tokens=False)["input_ids"]].mean(0)
        torch.testing.assert_close(told, word / word.std() * 0.4)


@pytest.mark.slow
def test_two_processes_teach_one_look(tmp_path: Path) -> None:
    """What is drawn and seen is made once, what was learned is written once."""
    recipe = write(tmp_path, "look", stage="look", init=f"{tmp_path}/begun")
    language_setup.save_model(model(WORDS), WORDS, tmp_path / "begun")
    said = in_two_processes(
        *("-m", "rsground", "train", str(recipe), "--root", str(tmp_path / "runs")),
        *("--launcher", "pytorch", "--device", "cpu"),
    )
    assert said.count("drawing scenes") <= 1
    (kept,) = (tmp_path / "runs" / "cache").glob("facts-*")
    shared_out = FactCache.read(kept)
    assert shared_out is not None
    read = read_recipe(recipe)
    book = picture_book(read.data, tmp_path / "runs" / "cache")
    begun, _ = language_setup.resume_from(tmp_path / "begun")
    alone = cached_facts(begun, book, read.data, tmp_path / "alone", look=False)
    assert len(book) > 2
    assert torch.equal(shared_out.shows, alone.shows)
    for name in ("numbers", "told", "features"):
        torch.testing.assert_close(
            getattr(shared_out.facts, name), getattr(alone.facts, name), atol=2e-3, rtol=2e-3, msg=name
        )
    after, _ = language_setup.resume_from(tmp_path / "runs" / "look" / "out")
    assert after.look is not None
    assert after.look.tells.weight.abs().sum() > 0
