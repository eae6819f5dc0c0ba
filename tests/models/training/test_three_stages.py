"""Scenes kept on disk; the three stages of a small system, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import TEXT, TOWER, WORDS, model

from rsground.datasets.scenes import Scene
from rsground.errors import CheckpointError, SuiteError
from rsground.models.folder import Card, PartCard, read_card, read_state, save_state, write_card
from rsground.models.grounder import Grounder
from rsground.models.tower_lm import TowerLMConfig
from rsground.models.tower_lm.comparing import Around
from rsground.models.tower_lm.tokenizer import make_tokenizer
from rsground.models.tower_lm.tower import Tower
from rsground.models.training import language_setup, stage_dense, stage_refer
from rsground.models.training.language import LanguageModel
from rsground.models.training.objects import objects_of
from rsground.models.training.recipe import read_recipe
from rsground.models.training.running import run_recipe
from rsground.models.training.scene_cache import asked, scene_cache
from rsground.models.training.ways import Ways, training_in
from rsground.regions import mask_of
from rsground.registry import registry
from rsground.types import Task

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def test_cached_scenes_are_the_scenes(tmp_path: Path) -> None:
    book = scene_cache(tmp_path / "book", count=3, first=5, seed=2, size=64, workers=1)
    assert book.images.shape == (3, 64, 64, 3)
    for at in range(3):
        scene = Scene(2, 5 + at, 64)
        np.testing.assert_array_equal(book.images[at], scene.render())
        np.testing.assert_array_equal(book.objects[at].boxes, objects_of(scene.graph).boxes)
        things = (*scene.graph.objects, *scene.graph.places)
        assert [each.text for each in asked(scene)] == [text for text, _ in book.expressions[at]]
        assert [steps[0][1] for steps in book.steps[at]] == [meant for _, meant in book.expressions[at]]
        for sample, (text, meant) in zip(book.samples(at, Task.MASK), book.expressions[at], strict=True):
            assert (sample.expression, sample.task) == (text, Task.MASK)
            for region, number in zip(sample.targets or (), meant, strict=True):
                np.testing.assert_allclose(region.hbb, things[number].hbb, rtol=1e-5)
                np.testing.assert_array_equal(mask_of(region, (64, 64)), mask_of(things[number].region, (64, 64)))
    stamp = (tmp_path / "book" / "images.npy").stat().st_mtime_ns
    again = scene_cache(tmp_path / "book", count=3, first=5, seed=2, size=64, workers=1)
    assert (tmp_path / "book" / "images.npy").stat().st_mtime_ns == stamp, "drawn once"
    assert again.expressions == book.expressions
    before = np.array(book.images[0])  # the file is mapped, and written over now
    other = scene_cache(tmp_path / "book", count=2, first=5, seed=3, size=64, workers=1)
    assert len(other) == 2
    assert not np.array_equal(other.images[0], before)


def write(folder: Path, name: str, **tables: dict[str, Any] | str) -> Path:
    """A recipe of literals."""

    def value(it: Any) -> str:
        if isinstance(it, dict):
            return "{" + ", ".join(f"{key} = {value(each)}" for key, each in it.items()) + "}"
        if isinstance(it, bool):
            return str(it).lower()
        return (
            f"[{', '.join(map(value, it))}]" if isinstance(it, list) else f'"{it}"' if isinstance(it, str) else f"{it}"
        )

    made = {**tables, "schedule": {"steps": 3, "batch": 2, "warmup": 1, "save_every": 2}}
    made["data"] = {"kind": "scenes", "count": 4, "size": 64, "workers": 1}
    (folder / f"{name}.toml").write_text("\n".join(f"{key} = {value(each)}" for key, each in made.items()))
    return folder / f"{name}.toml"


@pytest.mark.skipif("geoground" not in registry().offers("head"), reason="needs the head of rsground-textmask")
def test_dense_then_refer_then_answer_to_a_grounder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(data: Any) -> dict[str, Any]:
        return {**data, "first": 1 << 30, "count": 2}

    monkeypatch.setattr(stage_refer, "unseen", few)
    monkeypatch.setattr(language_setup, "_CHECKED", 1)
    write(tmp_path, "tower", stage="dense", model=TOWER)
    heads = [{"name": "geoground", "tasks": ["hbb", "mask"]}]
    write(
        tmp_path,
        "words",
        stage="refer",
        init="tower",
        model={"vocabulary": 320, **TEXT},
        options={"heads": heads, "each": 3},
    )
    recipe = write(
        tmp_path, "boxes", stage="answer", init="words", head={"name": "geoground"}, options={"each": 2, "longest": 300}
    )
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(read_recipe(recipe), tmp_path / "runs")
    assert out == tmp_path / "runs" / "boxes" / "out"
    assert (tmp_path / "runs" / "words" / "best.pth").is_file()
    card = read_card(out)
    assert (card.head.name, card.backbone.name, card.training["steps"]) == ("geoground", "transformers", 3)
    image = Scene(0, 0, 64).render()
    with Grounder.from_pretrained(out, device="cpu") as grounder:
        for task in ("hbb", "obb"):
            found = grounder.ground(image, "the red ship", task)
            assert found.error is None
            assert found.text, "an untaught model says something of the form, when decoding is constrained"


@pytest.mark.skipif("geoground" not in registry().offers("head"), reason="needs the head of rsground-textmask")
def test_a_system_is_gone_on_with_under_another_tower(tmp_path: Path) -> None:
    """As a system trained on drawn scenes is tuned on real images: their tower first, then the words."""
    write(tmp_path, "tower", stage="dense", model=TOWER)
    write(tmp_path, "other", stage="dense", init="tower", seed=1, options={"window": 0.5})
    heads = [{"name": "geoground", "tasks": ["hbb"]}, {"name": "box-mask", "tasks": ["hbb"]}]
    language = {"heads": heads, "each": 2}
    write(tmp_path, "words", stage="answer", init=f"{tmp_path}/begun", options=language)
    more = write(tmp_path, "more", stage="answer", init="words", options={**language, "tower": "other"})
    with training_in(Ways("cpu", quiet=True)):
        tower = run_recipe(read_recipe(tmp_path / "tower.toml"), tmp_path / "runs")
        named = language_setup.heads_of(heads)
        book = scene_cache(tmp_path / "book", count=4, first=0, seed=0, size=64, workers=1)
        begun = language_setup.begin(tower, {"vocabulary": 320, **TEXT}, [head for head, _ in named], book, 0)
        language_setup.save_model(*begun, tmp_path / "begun")
        out = run_recipe(read_recipe(more), tmp_path / "runs")
        stamp = (tmp_path / "runs" / "more" / "done.json").stat().st_mtime_ns
        assert run_recipe(read_recipe(more), tmp_path / "runs") == out
    assert (tmp_path / "runs" / "more" / "done.json").stat().st_mtime_ns == stamp, "done once"
    assert sorted(each.name for each in out.iterdir()) == ["box-mask", "geoground"]
    other = read_state(tmp_path / "runs" / "other" / "out" / "model.safetensors")
    tuned = language_setup.resume_from(out)[0].tower.state_dict()
    for name, value in other.items():
        np.testing.assert_allclose(tuned[name].numpy(), value.numpy(), rtol=2e-3, atol=1e-4)
    first = language_setup.resume_from(tmp_path / "runs" / "words" / "out")[0].tower.state_dict()
    assert any(not np.allclose(first[name].numpy(), tuned[name].numpy(), atol=1e-3) for name in first)


@pytest.mark.skipif("geoground" not in registry().offers("head"), reason="needs the head of rsground-textmask")
def test_pointing_is_gone_on_with_and_heads_keep_what_they_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that compares is added to a system; the weights of its head travel on, for the next stage to find."""
    monkeypatch.setattr(stage_refer, "unseen", lambda data: {**data, "first": 1 << 30, "count": 2})
    monkeypatch.setattr(language_setup, "_CHECKED", 1)
    write(tmp_path, "tower", stage="dense", model=TOWER)
    heads = [{"name": "geoground", "tasks": ["hbb"]}]
    text = {"vocabulary": 320, **TEXT, "judge_width": 16, "judge_layers": 1}
    write(tmp_path, "words", stage="refer", init="tower", model=text, options={"heads": heads, "each": 2})
    options = {"heads": heads, "each": 2}
    more = write(tmp_path, "more", stage="refer", init="words", model={"judge_compares": True}, options=options)
    with training_in(Ways("cpu", quiet=True)):
        words = run_recipe(read_recipe(tmp_path / "words.toml"), tmp_path / "runs")
        kept = words / "geoground" / "head" / "model.safetensors"
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"as it was")
        out = run_recipe(read_recipe(more), tmp_path / "runs")
    judge = language_setup.resume_from(out, judge_measures=True, judge_starts=2)[0].judge
    assert judge is not None
    assert judge.asking is not None
    assert not bool(judge.asking.start.weight.any())  # a question starts from itself, but for the doubt
    begun = [each for each in judge.modules() if isinstance(each, Around)]
    assert begun
    assert not any(bool(each.tells.weight.any()) for each in begun)  # without a say yet
    assert (out / "geoground" / "head" / "model.safetensors").read_bytes() == b"as it was"
    judges = [language_setup.resume_from(each)[0].judge for each in (words, out)]
    assert [judge is not None and judge.compares for judge in judges] == [False, True]


@pytest.mark.skipif("geoground" not in registry().offers("head"), reason="needs the head of rsground-textmask")
def test_systems_that_name_their_backbone_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those that ship: cards in folders of a package, the model beside them. Its tower may be gone on with, too."""
    words = make_tokenizer(WORDS, ["Where is "], size=320)
    package = tmp_path / "some_zoo"
    (package / "systems" / "geoground").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    language_setup.save_model(model(words), words, package / "backbones" / "one")
    part = PartCard("transformers", {"checkpoint": "some_zoo:backbones/one"})
    write_card(
        package / "systems" / "geoground", Card(name="some/geoground", head=PartCard("geoground"), backbone=part)
    )
    went_on, _ = language_setup.resume_from(package / "systems")
    of_system, _ = language_setup.resume_from(package / "systems" / "geoground")
    for one, other in zip(went_on.parameters(), of_system.parameters(), strict=True):
        assert torch.equal(one, other)
    recipe = write(tmp_path, "real", stage="dense", init="some_zoo:systems")
    began: list[Tower] = []
    monkeypatch.setattr(stage_dense, "train", lambda dense, *given, **more: began.append(dense.tower))
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(read_recipe(recipe), tmp_path / "runs")
    for one, other in zip(went_on.tower.parameters(), began[0].parameters(), strict=True):
        assert torch.equal(one, other)
    assert TowerLMConfig.from_pretrained(out).objects == TOWER["objects"]
    lost = write(tmp_path, "lost", stage="dense", init="no_such_zoo:systems")
    with training_in(Ways("cpu", quiet=True)), pytest.raises(CheckpointError, match="'no_such_zoo' is not installed"):
        run_recipe(read_recipe(lost), tmp_path / "runs")
    lost = write(tmp_path, "gone", stage="dense", init="nowhere")
    with training_in(Ways("cpu", quiet=True)), pytest.raises(SuiteError, match="nor one in a package"):
        run_recipe(read_recipe(lost), tmp_path / "runs")


@pytest.mark.skipif("geoground" not in registry().offers("head"), reason="needs the head of rsground-textmask")
def test_hybrid_supervision_is_taught_where_a_recipe_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GeoGround's own pairs, packed behind their image, and those of geometry alone, which do not see it."""
    heads = [{"name": "geoground", "tasks": ["mask"], "options": {"resolution": 8}}, {"name": "box-mask"}]
    language = {"heads": heads, "each": 6, "room": 3000, "pairs": {"pal": 1.0, "ggl": 1.0}}
    recipe = write(tmp_path, "words", stage="answer", init=f"{tmp_path}/begun", options=language)
    plain = write(tmp_path, "plain", stage="answer", init=f"{tmp_path}/begun", options={"heads": heads, "each": 6})
    named = language_setup.heads_of(heads)
    book = scene_cache(tmp_path / "book", count=4, first=0, seed=0, size=64, workers=1)
    tower = Tower(TowerLMConfig(**TOWER))
    save_state(tower, tmp_path / "tower" / "model.safetensors")
    TowerLMConfig(**TOWER).save_pretrained(tmp_path / "tower")
    text = {"vocabulary": 320, **TEXT, "max_position_embeddings": 4096}
    begun = language_setup.begin(tmp_path / "tower", text, [head for head, _ in named], book, 0)
    language_setup.save_model(*begun, tmp_path / "begun")
    forward, taught = LanguageModel.forward, list[tuple[int, bool, bool]]()

    def listened(self: Any, found: Any, packed: Any, images: Any, **more: Any) -> Any:
        for each in packed.lessons:
            taught.append((each.head, each.blind, "Given its" in begun[1].decode(each.prompt)))
        return forward(self, found, packed, images, **more)

    monkeypatch.setattr(LanguageModel, "forward", listened)
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(read_recipe(recipe, {"schedule.steps": 4}), tmp_path / "runs")
        assert {(head, blind, given) for head, blind, given in taught if head == 0} >= {
            (0, True, False),
            (0, False, True),
        }
        assert {each for each in taught if each[0] == 1} <= {(1, False, False)}, "a head without further pairs"
        assert read_card(out / "geoground").training["pairs"] == {"pal": 1.0, "ggl": 1.0}
        taught.clear()
        out = run_recipe(read_recipe(plain, {"schedule.steps": 2}), tmp_path / "runs")
        assert taught
        assert not any(blind or given for _, blind, given in taught)
        assert "pairs" not in read_card(out / "geoground").training
        with pytest.raises(SuiteError, match=r"options.pairs asks for pall; .* makes base, ggl, pal\."):
            run_recipe(read_recipe(recipe, {"options.pairs": {"pall": 1}, "name": "other"}), tmp_path / "runs")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds neither a model nor a system"):
        language_setup.resume_from(tmp_path)
