"""Grounder: loads by name or folder, answers as the bench does, saves one folder that loads again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import pluggy  # noqa: E402
from PIL import Image  # noqa: E402

from rsground import registry as registry_module  # noqa: E402
from rsground.bench.suite import Entry, Part  # noqa: E402
from rsground.bench.suite_reader import read_suite  # noqa: E402
from rsground.bench.system import System  # noqa: E402
from rsground.contracts import Backbone, MaskPrompt, Preprocessor, Prompt, Segmenter, TokenHead  # noqa: E402
from rsground.errors import (  # noqa: E402
    CheckpointError,
    ContractError,
    ImageError,
    ShapeError,
    UnknownNameError,
)
from rsground.models.folder import Card, PartCard, load_state, part_folder, read_card, save_state, write_card  # noqa: E402
from rsground.models.grounder import Grounder, Question  # noqa: E402
from rsground.regions import region_from_mask  # noqa: E402
from rsground.registry import Registry, registry  # noqa: E402
from rsground.specs import BackboneSpec, HeadSpec, PreprocessorSpec, SegmenterSpec, SystemSpec  # noqa: E402
from rsground.types import Generation, ImageRef, Prediction, Sample, Task, View  # noqa: E402

HERE = __name__


class Eye(Backbone):
    """Answers the mean colour it sees as a row of hidden states; runs out of memory beyond ``room`` prompts."""

    def __init__(self, checkpoint: str | None = None, device: str = "cpu", room: int = 99) -> None:
        self.device, self.room = device, room
        self.batches: list[int] = []
        self.words = json.loads((part_folder(str(checkpoint), "backbone") / "config.json").read_text())["words"]

    def _generate(self, prompts: list[Prompt]) -> list[Generation]:
        self.batches.append(len(prompts))
        if len(prompts) > self.room:
            raise MemoryError(f"{len(prompts)} prompts")
        return [self._look(prompt) for prompt in prompts]

    def _look(self, prompt: Prompt) -> Generation:
        assert prompt.view is not None
        if "nothing" in prompt.text:
            raise ValueError("there is nothing")
        hidden = torch.tensor(prompt.view.images[-1].mean(axis=(0, 1), dtype=np.float64), dtype=torch.float32)[None]
        return Generation(text=f"{self.words} [SEG]", hidden=hidden, token_ids=(7,))

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"words": self.words}))


class Spot(TokenHead, torch.nn.Module):
    """Three weights: red, green and blue of the view to the side of a square in its corner."""

    tasks = frozenset({Task.MASK, Task.HBB, Task.CHANGE})
    special_tokens = ("[SEG]",)

    def __init__(self, checkpoint: str | None = None, gain: float = 1.0) -> None:
        torch.nn.Module.__init__(self)
        self.gain = gain
        self.side = torch.nn.Linear(3, 1, bias=False)
        self.bound: Backbone | None = None
        if checkpoint is not None:
            load_state(self, part_folder(checkpoint, "head", "model.safetensors"))

    def bind(self, backbone: Backbone) -> None:
        assert self.segmenter is not None, "the segmenter comes before the binding"
        self.bound = backbone

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        return "[SEG]"

    def loss(self, hidden: Any, samples: Any, views: Any) -> dict[str, Any]:
        return {}

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        assert self.segmenter is not None
        assert not self.training
        side = float(self.side(generation.hidden).detach()) * self.gain
        box = (0.0, 0.0, side, side)
        masks, scores = self.segmenter.segment(self.segmenter.encode(view.images[-1]), [MaskPrompt(box=box)], view.size)
        return Prediction(regions=(region_from_mask(masks[0], score=float(scores[0])),))


class Square(Segmenter):
    """Masks are boxes; has a config to keep, and no ``save``."""

    def __init__(self, checkpoint: str | None = None) -> None:
        self.score = json.loads((part_folder(str(checkpoint), "segmenter") / "config.json").read_text())["score"]

    def encode(self, image: Any) -> Any:
        return None

    def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> Any:
        masks = np.zeros((len(prompts), *size), bool)
        for mask, prompt in zip(masks, prompts, strict=True):
            x1, y1, x2, y2 = map(round, prompt.box)
            mask[y1:y2, x1:x2] = True
        return masks, np.full(len(prompts), self.score, np.float32)


class Shift(Preprocessor):
    """Shows the right half."""

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        half = view.size[1] // 2
        return View(tuple(image[:, half:] for image in view.images), view.original_size, (1.0, 0, half, 0, 1.0, 0))


WEIGHT = torch.tensor([[0.25, 0.0, 0.0]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A system folder of the parts above: a square of a quarter of the right half's redness."""
    place = tmp_path / "spots"
    for part, config in (("backbone", {"words": "seen"}), ("segmenter", {"score": 0.75})):
        (place / part).mkdir(parents=True)
        (place / part / "config.json").write_text(json.dumps(config))
    save_state({"side.weight": WEIGHT}, place / "head")
    write_card(place, CARD)
    return place


CARD = Card(
    name="test/spots",
    summary="finds redness",
    head=PartCard("spot", {}, "rsground-spots 1.0"),
    backbone=PartCard("eye", {}, "rsground-spots 1.0"),
    preprocessors=(PartCard("right-half"),),
    segmenter=PartCard("square"),
    tokens=("[SEG]",),
    training={"seed": 3},
)


@pytest.fixture(autouse=True)
def spots(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with the parts above and two systems."""

    class Plugin:
        hook = pluggy.HookimplMarker("rsground")

        @hook
        def rsground_heads(self) -> list[HeadSpec]:
            return [HeadSpec(name="spot", target=f"{HERE}:Spot", summary="spots")]

        @hook
        def rsground_backbones(self) -> list[BackboneSpec]:
            return [BackboneSpec(name="eye", target=f"{HERE}:Eye", summary="eye")]

        @hook
        def rsground_segmenters(self) -> list[SegmenterSpec]:
            return [SegmenterSpec(name="square", target=f"{HERE}:Square", summary="square")]

        @hook
        def rsground_preprocessors(self) -> list[PreprocessorSpec]:
            return [PreprocessorSpec(name="right-half", target=f"{HERE}:Shift", summary="half")]

        @hook
        def rsground_checkpoints(self) -> list[SystemSpec]:
            halves: tuple[tuple[str, dict[str, Any]], ...] = (("right-half", {}),)
            common: dict[str, Any] = {"head": "spot", "backbone": "eye", "segmenter": "square", "preprocessors": halves}
            boxes = {"codec": "text-hbb"}
            return [
                SystemSpec(name="test/spots", summary="finds redness", checkpoint=str(folder), **common),
                SystemSpec(name="test/gone", summary="not there", checkpoint="no_such_zoo:spots", **common),
                SystemSpec(
                    name="test/links",
                    summary="its segmenter's weights lie elsewhere",
                    checkpoint=str(folder / "head"),
                    segmenter_options={"checkpoint": str(folder)},
                    **common,
                ),
                SystemSpec(
                    name="test/half",
                    summary="its backbone's weights lie where nothing is",
                    checkpoint=str(folder),
                    backbone_options={"checkpoint": "no_such_zoo:eye"},
                    **common,
                ),
                SystemSpec(
                    name="test/middle",
                    summary="the middle",
                    head="codec",
                    head_options=boxes,
                    backbone="blind",
                    backbone_options={"text": "<box>[[250,250,750,750]]</box>"},
                ),
            ]

    class Point:
        name, value, dist = "spots", HERE, None

        def load(self) -> Any:
            return Plugin()

    import sys

    monkeypatch.setitem(sys.modules, HERE, sys.modules.get(HERE) or __import__(HERE))
    built = Registry([*registry_module.entry_points(group="rsground").select(name="builtin"), Point()])  # type: ignore[list-item]
    registry.cache_clear()
    monkeypatch.setattr(registry_module, "Registry", lambda: built)
    yield built
    registry.cache_clear()


def red(value: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    """An image whose right half is red."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, size[1] // 2 :, 0] = value
    return pixels


def box(found: Prediction) -> Any:
    assert found.error is None, found.error
    return found.regions[0].hbb


@pytest.mark.parametrize("how", ["folder", "name"])
def test_a_system_loads_with_its_weights_and_answers_in_original_pixels(folder: Path, how: str) -> None:
    with Grounder.from_pretrained(folder if how == "folder" else "test/spots") as grounder:
        found = grounder.ground(red(80), "the red")
        assert box(found) == (30.0, 0.0, 50.0, 20.0)
        assert found.regions[0].score == 0.75
        assert found.text == "seen [SEG]"
        assert found.usage.latency_s is not None
        assert grounder.pipeline.head.bound is grounder.pipeline.backbone  # type: ignore[attr-defined]
        assert grounder.card.training == {"seed": 3}
        assert grounder.tasks == {Task.MASK, Task.HBB, Task.CHANGE}


def test_the_bench_builds_the_same_system(folder: Path) -> None:
    entry = Entry(
        "s",
        Part("spot"),
        Part("eye"),
        preprocess=(Part("right-half"),),
        segmenter=Part("square"),
        checkpoint=str(folder),
    )
    text = f'metrics = ["res"]\n[[dataset]]\nname = "scenes"\n[[entry]]\nlabel = "s"\nsystem = "{folder}"\n'
    (named,) = read_suite(text, "mine.toml").entries
    assert {**named.to_json(), "family": ""} == entry.to_json(), "a system's folder is as good as a registered name"
    system = System(entry.to_json())
    pixels = red(80)
    sample = Sample("a", (ImageRef("x", 40, 60, lambda: pixels.copy()),), "the red", Task.MASK)
    ours = Grounder.from_pretrained(folder).ground(pixels, "the red")
    (theirs,) = system.answer([sample])
    assert theirs.regions == ours.regions


def test_images_come_as_paths_arrays_and_pictures(tmp_path: Path, folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder)
    pixels = red(40)
    Image.fromarray(pixels).save(tmp_path / "red.png")
    for image in (pixels, Image.fromarray(pixels), tmp_path / "red.png", str(tmp_path / "red.png")):
        assert box(grounder.ground(image, "the red", "hbb")) == (30.0, 0.0, 40.0, 10.0)
    gray = np.full((40, 60), 40, np.uint8)
    assert box(grounder.ground(gray, "all", Task.HBB)) == (30.0, 0.0, 40.0, 10.0)
    before_after = (red(0), red(40))
    assert box(grounder.ground(before_after, "what changed", Task.CHANGE)) == (30.0, 0.0, 40.0, 10.0)


def test_questions_that_cannot_be_asked_say_why(tmp_path: Path, folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder)
    with pytest.raises(ContractError, match="serves change, hbb, mask, not 'vqa'"):
        grounder.ground(red(1), "how many?", "vqa")
    with pytest.raises(UnknownNameError, match=r"no task named 'masks'\. Did you mean 'mask'"):
        grounder.ground(red(1), "the red", "masks")
    with pytest.raises(ShapeError, match="must not be empty"):
        grounder.ground(red(1), "  ")
    with pytest.raises(ShapeError, match=r"needs two images, \(before, after\), got 1"):
        grounder.ground(red(1), "what changed", "change")
    with pytest.raises(ShapeError, match="needs one image, got 2"):
        grounder.ground((red(1), red(2)), "the red", "mask")
    with pytest.raises(ShapeError, match="got float64 of"):
        grounder.ground(red(1) / 2, "the red")
    with pytest.raises(ImageError, match="no such image file"):
        grounder.ground(tmp_path / "absent.png", "the red")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 9)
    with pytest.raises(ImageError):
        grounder.ground(tmp_path / "cut.png", "the red")


def test_many_questions_come_back_in_order_and_bad_ones_cost_themselves(tmp_path: Path, folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder, batch=4)
    questions = [Question(red(4 * k), "nothing" if k == 3 else "the red") for k in range(1, 7)]
    questions.insert(2, Question(tmp_path / "absent.png", "the red"))
    found = grounder.ground_many(questions)
    assert [None if answer.error else box(answer)[2] for answer in found] == [31, 32, None, None, 34, 35, 36]
    assert "no such image file" in str(found[2].error)
    assert found[3].error == "ValueError: there is nothing"


def test_a_batch_too_large_for_memory_is_halved_until_it_fits(folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder, batch=8, room=2)
    found = grounder.ground_many(Question(red(4 * k), "the red") for k in range(1, 9))
    assert [box(answer)[2] for answer in found] == list(range(31, 39))
    assert grounder.pipeline.backbone.batches == [8, 4, 2, 2, 4, 2, 2]  # type: ignore[attr-defined]


def test_answers_come_batch_by_batch_from_endless_questions(folder: Path) -> None:
    def endless() -> Iterator[Question]:
        while True:
            yield Question(red(8), "the red")

    answers = Grounder.from_pretrained(folder, batch=2).answers(endless())
    assert [box(next(answers))[2] for _ in range(5)] == [32.0] * 5


def test_options_reach_the_parts_that_have_them(folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder, device="cuda", gain=2.0, room=None)
    assert grounder.pipeline.backbone.device == "cuda"  # type: ignore[attr-defined]
    assert box(grounder.ground(red(80), "the red")) == (30.0, 0.0, 60.0, 40.0)
    with pytest.raises(UnknownNameError, match=r"no option of this system named 'devise'\. Did you mean 'device'"):
        Grounder.from_pretrained(folder, devise="cpu")


def test_a_saved_system_is_one_folder_that_answers_the_same(tmp_path: Path, folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder)
    with torch.no_grad():
        grounder.pipeline.head.side.weight.mul_(2)  # type: ignore[attr-defined]
    target = grounder.save_pretrained(tmp_path / "saved")
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert names == [
        "README.md",
        "backbone/config.json",
        "head/model.safetensors",
        "rsground.json",
        "segmenter/config.json",
    ]
    assert read_card(target) == CARD
    moved = target.rename(tmp_path / "moved")
    again = Grounder.from_pretrained(moved)
    assert box(again.ground(red(40), "the red")) == box(grounder.ground(red(40), "the red")) == (30.0, 0.0, 50.0, 20.0)


def test_saving_never_overwrites_what_it_should_not(tmp_path: Path, folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder)
    other = tmp_path / "photos"
    other.mkdir()
    grounder.save_pretrained(other)
    with pytest.raises(CheckpointError, match="overwrite=True"):
        grounder.save_pretrained(other)
    grounder.save_pretrained(other, Card("new", CARD.head, CARD.backbone), overwrite=True)
    assert read_card(other).name == "new"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    with pytest.raises(CheckpointError, match="give another folder"):
        grounder.save_pretrained(tmp_path / "mine", overwrite=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_text_head_on_a_fixed_answer_needs_no_checkpoint(tmp_path: Path) -> None:
    grounder = Grounder.from_pretrained("test/middle")
    found = grounder.ground(red(0, (100, 200)), "the middle", "hbb")
    assert box(found) == (50.0, 25.0, 150.0, 75.0)
    again = Grounder.from_pretrained(grounder.save_pretrained(tmp_path / "middle"))
    assert again.ground(red(0, (100, 200)), "the middle", "hbb").regions == found.regions


def test_replayed_answers_are_looked_up_by_the_question(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    lines = [{"id": "red.png: the red", "text": "<box>[[0,0,500,500]]</box>"}, {"id": "q7", "text": "none"}]
    answers.write_text("\n".join(map(json.dumps, lines)))
    card = Card("replayed", PartCard("codec", {"codec": "text-hbb"}), PartCard("replay", {"path": str(answers)}))
    write_card(tmp_path / "replayed", card)
    Image.fromarray(red(0)).save(tmp_path / "red.png")
    grounder = Grounder.from_pretrained(tmp_path / "replayed")
    assert box(grounder.ground(tmp_path / "red.png", "the red", "hbb")) is not None
    assert not grounder.ground_many([Question(red(0), "x", "hbb", id="q7")])[0].regions


def test_what_is_not_there_is_told_with_the_way_out(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"no system named 'test/spot'\. Did you mean 'test/spots'.*such a folder"
    ):
        Grounder.from_pretrained("test/spot")
    with pytest.raises(UnknownNameError, match="pip install rsground-zoo-tiny"):
        Grounder.from_pretrained("tiny/geopixel")
    with pytest.raises(
        CheckpointError, match="'no_such_zoo' is not installed; it may come with: pip install no-such-zoo"
    ):
        Grounder.from_pretrained("test/gone")
    with pytest.raises(CheckpointError, match=r"no system folder: it has no rsground\.json"):
        Grounder.from_pretrained(tmp_path)
    write_card(folder, Card("x", PartCard("geopixel", {}, "rsground-segtoken 0.1.0"), CARD.backbone))
    with pytest.raises(UnknownNameError, match=r"comes with rsground-segtoken 0\.1\.0: pip install rsground-segtoken"):
        Grounder.from_pretrained(folder)


def test_wrong_weights_are_named(folder: Path) -> None:
    save_state({"side.weight": torch.zeros(1, 4), "old.bias": torch.zeros(1)}, folder / "head")
    with pytest.raises(CheckpointError, match=r"1 unexpected: old\.bias; 1 of another shape: side\.weight is 1x4, sh"):
        Grounder.from_pretrained(folder)


def test_the_list_of_systems_tells_parts_sizes_and_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rsground.cli import main

    assert main(["list", "systems", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    spots, gone, middle = rows["test/spots"], rows["test/gone"], rows["test/middle"]
    assert spots["parts"] == ["right-half", "eye", "spot", "square"]
    assert spots["bytes"] == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert (spots["missing"], gone["missing"], middle["missing"]) == ([], ["its weights"], [])
    assert (gone["bytes"], middle["bytes"]) == (None, None)
    links, half = rows["test/links"], rows["test/half"]
    assert links["bytes"] == spots["bytes"] > 0, "what a part names counts, what is named twice once"
    assert (half["bytes"], half["missing"]) == (None, ["its weights"])
    assert middle["tasks"] == ["hbb", "obb", "mask", "change"]
    assert main(["list", "systems"]) == 0
    assert "eye" in capsys.readouterr().out


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system of boxes as text on a tiny random LLaVA."""
    pytest.importorskip("transformers")
    import tiny

    place = tmp_path_factory.mktemp("llava")
    tiny.build("llava", place / "backbone")
    card = Card("tiny/boxes", PartCard("codec", {"codec": "text-hbb"}), PartCard("transformers", {"dtype": "float32"}))
    write_card(place, card)
    return place


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_system_on_a_transformers_model_answers_alone_as_in_a_batch(llava: Path) -> None:
    with Grounder.from_pretrained(llava, batch=3, device="cpu") as grounder:
        questions = [Question(noise(k), "the ship" if k % 2 else "the long red car", "hbb") for k in range(4)]
        together = grounder.ground_many(questions)
        alone = [grounder.ground(q.image, q.expression, "hbb") for q in questions]  # type: ignore[arg-type]
        assert [found.text for found in together] == [found.text for found in alone]
        assert all(found.parsed and "<box>" in found.text for found in together), "decoding is constrained"
        assert all(found.usage.output_tokens for found in together)
        assert len({found.text for found in together}) > 1, "the image matters"


def test_decoding_is_free_on_request(llava: Path) -> None:
    with Grounder.from_pretrained(llava, constrained=False, max_context=64) as grounder:
        found = grounder.ground(noise(0), "the ship", "hbb")
        assert found.error is None
        assert "<box>" not in found.text, "a random model writes no tag of its own accord"


def test_a_saved_transformers_system_answers_the_same_elsewhere(tmp_path: Path, llava: Path) -> None:
    with Grounder.from_pretrained(llava) as grounder:
        expected = grounder.ground(noise(1), "the ship", "hbb")
        target = grounder.save_pretrained(tmp_path / "saved")
    assert (target / "backbone" / "model.safetensors").is_file()
    assert not [path for path in target.rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
    with Grounder.from_pretrained(target.rename(tmp_path / "moved")) as again:
        assert again.ground(noise(1), "the ship", "hbb").text == expected.text


def test_a_damaged_backbone_is_told_before_it_is_asked(tmp_path: Path, llava: Path) -> None:
    import shutil

    broken = Path(shutil.copytree(llava, tmp_path / "broken"))
    weights = broken / "backbone" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        Grounder.from_pretrained(broken)


def test_a_saved_system_holds_its_adapter_once(tmp_path: Path, llava: Path) -> None:
    import shutil

    pytest.importorskip("peft")
    from rsground.models.backbone import TransformersBackbone

    taught = TransformersBackbone(llava, device="cpu")
    taught.add_lora(rank=2)
    with torch.no_grad():
        for name, weight in taught.model.named_parameters():
            if ".lora_" in name:
                weight.normal_(std=0.1, generator=torch.Generator().manual_seed(weight.numel()))
    taught.save_adapter(tmp_path / "adapter")
    plain = read_card(llava)
    named = Card(
        plain.name, plain.head, PartCard("transformers", {"adapter": str(tmp_path / "adapter"), "batch_size": 3})
    )
    system = Path(shutil.copytree(llava, tmp_path / "system"))
    write_card(system, named)
    asked = Prompt("the ship", View((noise(1),), (40, 60)), answer="[100, 200]", capture=frozenset({"hidden"}))

    def states(grounder: Grounder) -> Any:
        return grounder.pipeline.backbone.generate([asked])[0].hidden

    with Grounder.from_pretrained(system, device="cpu") as grounder:
        expected = states(grounder)
        saved = grounder.save_pretrained(tmp_path / "saved")
    with Grounder.from_pretrained(llava, device="cpu") as grounder:
        assert (states(grounder) - expected).abs().max() > 0.1, "the adapter changes something"
    shutil.rmtree(tmp_path / "adapter")
    assert read_card(saved).backbone.options == {"batch_size": 3}
    with Grounder.from_pretrained(saved, device="cpu") as again:
        torch.testing.assert_close(states(again), expected, atol=1e-4, rtol=1e-4)


def test_two_parts_of_one_name_are_not_saved_over_each_other(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_card(folder, replace(CARD, preprocessors=(PartCard("right-half"), PartCard("right-half"))))
    with Grounder.from_pretrained(folder) as grounder:
        grounder.save_pretrained(tmp_path / "nothing-to-keep")
        monkeypatch.setattr(Shift, "save", lambda self, place: (place / "half.json").write_text("{}"), raising=False)
        with pytest.raises(CheckpointError, match=r"two parts called 'right-half' keep something.*a second name"):
            grounder.save_pretrained(tmp_path / "twice")
    assert not (tmp_path / "twice").exists()


def test_a_part_with_a_checkpoint_of_its_own_is_saved_with_the_system(tmp_path: Path, folder: Path) -> None:
    """Whether it saves itself (the backbone) or not (the segmenter)."""
    import shutil

    for part in ("backbone", "segmenter"):
        shutil.copytree(folder, tmp_path / f"its_{part}")
    (tmp_path / "its_segmenter" / "segmenter" / "config.json").write_text('{"score": 0.25}')
    (tmp_path / "its_backbone" / "backbone" / "config.json").write_text('{"words": "mine"}')
    own = {part: {"checkpoint": str(tmp_path / f"its_{part}")} for part in ("backbone", "segmenter")}
    own["segmenter"]["checkpoint"] += "/segmenter"
    card = replace(CARD, backbone=PartCard("eye", own["backbone"]), segmenter=PartCard("square", own["segmenter"]))
    write_card(folder, card)
    saved = Grounder.from_pretrained(folder).save_pretrained(tmp_path / "saved")
    for part in own:
        shutil.rmtree(tmp_path / f"its_{part}")
    assert not read_card(saved).backbone.options
    found = Grounder.from_pretrained(saved).ground(red(80), "the red")
    assert (found.text, found.regions[0].score) == ("mine [SEG]", 0.25)
