"""Stage "system": any backbone and head on a registered data set, to a folder that Grounder loads."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pluggy
import pytest
import torch
from two_processes import in_two_processes

from rsground import registry as registry_module
from rsground.cli import main
from rsground.contracts import Backbone, Head, Preprocessor, Prompt, Segmenter, TokenHead, Training
from rsground.errors import SuiteError
from rsground.models.backbone import TransformersBackbone
from rsground.models.folder import load_state, read_card, read_state
from rsground.models.grounder import Grounder
from rsground.models.tokens import ids_of, states_at
from rsground.models.training.recipe import Recipe, read_recipe
from rsground.models.training.running import run_recipe
from rsground.models.training.sample_stream import Pair, PairStream, read_samples
from rsground.models.training.scoring import Scoring
from rsground.models.training.stage_system import assembled
from rsground.models.training.system_model import SystemModel, Trained
from rsground.models.training.ways import Ways, training_in
from rsground.registry import Registry, registry
from rsground.specs import BackboneSpec, HeadSpec, PreprocessorSpec, SegmenterSpec
from rsground.types import Generation, Prediction, Region, Sample, Task, View

HERE = __name__


class Corner(TokenHead, torch.nn.Module):
    """Reads a box from the state of its [BOX]; offers plain pairs, one with regions, and one of text alone."""

    tasks = frozenset({Task.HBB})
    special_tokens = ("[BOX]",)

    def __init__(self, checkpoint: str | None = None, hidden_size: int = 32) -> None:
        torch.nn.Module.__init__(self)
        self.box = torch.nn.Linear(hidden_size, 4)
        self.token_ids: dict[str, int] = {}
        self.seen: list[tuple[Any, ...]] = []
        if checkpoint is not None:
            load_state(self, Path(checkpoint) / "head")

    def bind(self, backbone: Any) -> None:
        self.token_ids = ids_of(backbone.tokenizer, self.special_tokens)

    def _ask(self, sample: Sample) -> str:
        return f"Where is {sample.expression}?"

    def target(self, sample: Sample, view: View) -> str:
        return "It is [BOX]."

    def training_pairs(self, sample: Sample, view: View, rng: np.random.Generator) -> Iterator[Training]:
        yield Training(self._ask(sample), self.target(sample, view))
        yield Training("Where is the corner?", "It is [BOX].", kind="pal", regions=(Region(hbb=(0, 0, 2, 3)),))
        yield Training(f"Say {int(rng.integers(1000))}", "I do.", use_image=False, kind="ggl")

    def loss(self, hidden: Any, samples: Any, views: Any) -> dict[str, Any]:
        self.seen.append((hidden, samples, views))
        wanted = torch.tensor([sample.targets[0].hbb for sample in samples]) / 40
        return {"box": ((self.box(torch.cat(list(hidden)).float()) - wanted) ** 2).mean()}

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        states = states_at(generation, self.token_ids["[BOX]"])
        if states is None or not len(states):
            return Prediction(parsed=False)
        x1, y1, x2, y2 = (40 * self.box(states[:1].float())[0].detach()).tolist()
        return Prediction(regions=(Region(hbb=(x1, y1, max(x2, x1 + 1), max(y2, y1 + 1))),))


class Placed(Segmenter):
    """Says where it was told to compute."""

    def __init__(self, device: str = "auto") -> None:
        self.device = device

    def encode(self, image: Any) -> Any:
        return image

    def _segment(self, *given: Any, **named: Any) -> Any:
        raise AssertionError("nobody asks")


class Listener(Preprocessor):
    """Asks about the image in the words of the head it was told, as MagCrop does."""

    def __init__(self) -> None:
        self.head: Head | None = None

    def listen(self, head: Head) -> None:
        self.head = head

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        assert self.head is not None
        return replace(view, meta={**view.meta, "words": self.head.prompt(sample, view).text})


@pytest.fixture(autouse=True)
def corner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry with the parts above and the backbone below."""

    class Plugin:
        hook = pluggy.HookimplMarker("rsground")

        @hook
        def rsground_heads(self) -> list[HeadSpec]:
            return [HeadSpec(name="corner", target=f"{HERE}:Corner", summary="corner")]

        @hook
        def rsground_backbones(self) -> list[BackboneSpec]:
            return [BackboneSpec(name="mute", target=f"{HERE}:Mute", summary="mute")]

        @hook
        def rsground_segmenters(self) -> list[SegmenterSpec]:
            return [SegmenterSpec(name="placed", target=f"{HERE}:Placed", summary="placed")]

        @hook
        def rsground_preprocessors(self) -> list[PreprocessorSpec]:
            return [PreprocessorSpec(name="listener", target=f"{HERE}:Listener", summary="listens")]

    class Point:
        name, value, dist = "corner", HERE, None

        def load(self) -> Any:
            return Plugin()

    monkeypatch.setitem(sys.modules, HERE, sys.modules.get(HERE) or __import__(HERE))
    points = [*registry_module.entry_points(group="rsground").select(name="builtin"), Point()]
    built = Registry(points)  # type: ignore[arg-type]
    registry.cache_clear()
    monkeypatch.setattr(registry_module, "Registry", lambda: built)
    yield built
    registry.cache_clear()


RECIPE = """
stage = "system"
summary = "a test"
seed = 5
[data]
kind = "dataset"
name = "jsonl"
root = "pictures"
split = "train"
val = {{ split = "val", metric = "rec-hbb", limit = 1 }}
[model]
checkpoint = "{model}"
options = {{ max_context = 256 }}
{lora}
[head]
name = "{head}"
[schedule]
steps = 4
batch = 2
rate = 0.01
warmup = 1
save_every = 2
check_every = 2
"""


def recipe(tmp_path: Path, llava: Path, head: str = "codec", lora: str = "lora = { rank = 4 }", **more: Any) -> Recipe:
    file = tmp_path / "squares.toml"
    file.write_text(RECIPE.format(model=llava, head=head, lora=lora))
    return read_recipe(file, more)


def test_lora_on_llava_to_a_system_folder(tmp_path: Path, llava: Path, pictures: Path) -> None:
    asked = recipe(tmp_path, llava, **{"schedule.precision": "bfloat16", "model.options.dtype": "float32"})
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(asked, tmp_path / "runs")
    card = read_card(out)
    assert (card.name, card.head.name) == ("my/squares", "codec")
    assert card.backbone.options == {"max_context": 256, "dtype": "float32"}
    assert card.training["steps"] == 4
    assert card.training["data"]["name"] == "jsonl"
    assert 0 <= card.scores["jsonl"]["Acc@0.5"] <= 1
    before, after = read_state(llava), read_state(out / "backbone")
    assert before.keys() == after.keys(), "the adapter is merged"
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("language_model" in name and "proj" in name for name in moved)
    kept = torch.load(tmp_path / "runs" / "squares" / "iter_4.pth", weights_only=True)["state_dict"]
    assert kept
    assert all("lora_" in name for name in kept), "frozen weights are in no checkpoint"
    with Grounder.from_pretrained(out, device="cpu") as grounder:
        found = grounder.ground(pictures / "0.png", "square 0", "hbb")
    assert found.error is None
    stamp = (tmp_path / "runs" / "squares" / "done.json").stat().st_mtime_ns
    assert run_recipe(asked, tmp_path / "runs") == out
    assert (tmp_path / "runs" / "squares" / "done.json").stat().st_mtime_ns == stamp, "what is done is not done again"


def test_token_head_learns_with_its_backbone(tmp_path: Path, llava: Path, pictures: Path) -> None:
    asked = recipe(tmp_path, llava, "corner", "freeze = ['backbone.model.vision_tower.*']\ncheckpointing = true")
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(asked, tmp_path / "runs")
    assert read_card(out).tokens == ("[BOX]",)
    head, before, after = read_state(out / "head"), read_state(llava), read_state(out / "backbone")
    assert set(head) == {"box.weight", "box.bias"}
    whole = [name for name in before if before[name].shape == after[name].shape]
    same = {name for name in whole if torch.equal(before[name], after[name])}
    assert {name for name in before if "vision_tower" in name} == same
    with Grounder.from_pretrained(out, device="cpu") as grounder:
        torch.testing.assert_close(grounder.pipeline.head.box.weight, head["box.weight"])  # type: ignore[attr-defined]


def parts(tmp_path: Path, llava: Path, head: str = "corner", **what: Any) -> tuple[SystemModel, Any, Any]:
    asked = recipe(tmp_path, llava, head)
    with training_in(Ways("cpu")):
        made = assembled(asked, None, tmp_path, lora=what.get("lora"))
    return SystemModel(made.backbone, made.head, Trained(**what)), made.backbone, made.head


def test_heads_loss_is_taken_on_the_rows_of_its_token(tmp_path: Path, llava: Path, pictures: Path) -> None:
    model, backbone, head = parts(tmp_path, llava)
    samples = read_samples({"name": "jsonl", "root": str(pictures), "split": "train"}, tmp_path)
    stream = PairStream(samples, head, kinds={"base": 1})
    pairs = [stream[0], stream[1]]
    losses = model(pairs)
    assert set(losses) == {"loss_text", "loss_box"}
    (hidden, _, views) = head.seen[0]
    taught = backbone.teach([pair.prompt for pair in pairs])
    token = backbone.tokenizer.convert_tokens_to_ids("[BOX]")
    for states, whole, ids in zip(hidden, taught.hidden, taught.token_ids, strict=True):
        assert states.shape == (1, 32)
        torch.testing.assert_close(states, whole[ids == token])
    torch.testing.assert_close(losses["loss_text"], taught.loss)
    assert views[0].meta["uri"].endswith(".png")
    (losses["loss_text"] + losses["loss_box"]).backward()
    assert all(each.grad is not None for each in head.parameters())


def test_steps_are_told_the_head_that_is_trained(tmp_path: Path, llava: Path, pictures: Path) -> None:
    asked = recipe(tmp_path, llava, "corner", **{"options.preprocess": [{"name": "listener"}]})
    with training_in(Ways("cpu")):
        made = assembled(asked, None, tmp_path)
    samples = read_samples({"name": "jsonl", "root": str(pictures), "split": "train"}, tmp_path)
    pair = PairStream(samples, made.head, made.backbone, made.steps, {"base": 1})[0]
    assert pair.view.meta["words"] == pair.prompt.text == f"Where is {pair.sample.expression}?"


def test_kinds_of_pairs(tmp_path: Path, llava: Path, pictures: Path) -> None:
    samples = read_samples({"name": "jsonl", "root": str(pictures), "split": "train", "limit": 3}, tmp_path)
    assert len(samples) == 3
    head = Corner()
    drawn = [PairStream(samples, head, kinds={"base": 1, "pal": 1, "ggl": 2})[place] for place in range(200)]
    shares = {kind: sum(pair.kind == kind for pair in drawn) / 200 for kind in ("base", "pal", "ggl")}
    assert shares["ggl"] == pytest.approx(0.5, abs=0.12)
    assert shares["pal"] == pytest.approx(0.25, abs=0.12)
    by_kind: dict[str, Pair] = {pair.kind: pair for pair in drawn}
    assert by_kind["ggl"].prompt.view is None
    assert not by_kind["ggl"].reads
    assert by_kind["pal"].reads
    assert by_kind["pal"].sample.targets[0].hbb == (0, 0, 2, 3)  # type: ignore[index]
    assert by_kind["base"].sample.targets[0].hbb[:2] == (4, 5)  # type: ignore[index]
    model, _, bound = parts(tmp_path, llava)
    losses = model([by_kind["ggl"]])
    assert set(losses) == {"loss_text"}, "words alone have nothing for the head to read"
    assert set(model([by_kind["ggl"], by_kind["pal"]])) == {"loss_text", "loss_box"}
    assert len(bound.seen[0][0]) == 1


def test_a_heads_own_pairs_are_taught_unless_a_recipe_weighs_them(pictures: Path, tmp_path: Path) -> None:
    samples = read_samples({"name": "jsonl", "root": str(pictures), "split": "train"}, tmp_path)

    def kinds(said: dict[str, float] | None) -> dict[str, float]:
        stream = PairStream(samples, Corner(), kinds=said)
        drawn = [stream[place].kind for place in range(150)]
        return {kind: drawn.count(kind) / 150 for kind in set(drawn)}

    assert kinds(None) == pytest.approx({"base": 1 / 3, "pal": 1 / 3, "ggl": 1 / 3}, abs=0.13)
    assert kinds({"base": 1}) == {"base": 1.0}
    assert kinds({"cyclic": 1}) == {"base": 1.0}, "what gives no such pair is asked plainly"


def test_the_card_says_which_pairs_were_taught(tmp_path: Path, llava: Path, pictures: Path) -> None:
    for name, said in (("own", {}), ("weighed", {"data.pairs": {"base": 2, "pal": 1}})):
        asked = recipe(tmp_path, llava, "corner", **said, name=name)
        with training_in(Ways("cpu", quiet=True)):
            out = run_recipe(asked, tmp_path / "runs")
        weights = {"base": 2.0, "pal": 1.0} if said else dict.fromkeys(("base", "ggl", "pal"), 1.0)
        assert read_card(out).training["pairs"] == weights


def test_stream_depends_on_seed_and_place_alone(pictures: Path, tmp_path: Path) -> None:
    samples = read_samples({"name": "jsonl", "root": str(pictures), "split": "train"}, tmp_path)
    kinds = {"ggl": 1}

    def told(pair: Pair) -> tuple[str, str]:
        return pair.sample.id, pair.prompt.text

    one = PairStream(samples, Corner(), kinds=kinds, seed=3)
    first = [told(one[place]) for place in range(12)]
    other = PairStream(samples, Corner(), kinds=kinds, seed=3)
    assert [told(other[place]) for place in (9, 2, 11)] == [first[9], first[2], first[11]]
    for epoch in range(3):
        assert {ident for ident, _ in first[4 * epoch : 4 * epoch + 4]} == {"n0", "n1", "n2", "n3"}
    assert first != [told(PairStream(samples, Corner(), kinds=kinds, seed=4)[place]) for place in range(12)]
    second = one.stream(1, 2)
    second.begin_at(3)
    assert [next(places) for places in [iter(second)] for _ in range(3)] == [7, 9, 11]


def test_forced_answers_are_not_taught(tmp_path: Path, llava: Path, pictures: Path) -> None:
    model, _, head = parts(tmp_path, llava)
    sample = read_samples({"name": "jsonl", "root": str(pictures), "split": "train"}, tmp_path)[0]
    view = PairStream([sample], head).view(sample)
    prompt = Prompt(sample.expression, view, answer="square 0 [BOX]")
    assert set(model([Pair(prompt, True, True, sample, view)])) == {"loss_box"}
    assert head.seen[0][0][0].shape == (1, 32)
    head.states = "answer"
    model([Pair(prompt, True, True, sample, view)])
    assert len(head.seen[1][0][0]) > 2


def test_a_reply_after_a_forced_answer_is_learned(
    tmp_path: Path, llava: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head names it, the stream hands it on, and the backbone's text loss then counts."""

    def prompt(head: Corner, sample: Sample, view: View) -> Prompt:
        assert sample.answer is None
        return Prompt(sample.expression, view, answer="square 0 [BOX]")

    monkeypatch.setattr(Corner, "prompt", prompt)
    monkeypatch.setattr(Corner, "reply", lambda head, sample: sample.answer)
    model, backbone, head = parts(tmp_path, llava, text_weight=0.5)
    (first, *_) = read_samples({"name": "jsonl", "root": str(pictures), "split": "train"}, tmp_path)
    stream, rng = PairStream([first], head), np.random.default_rng(0)
    silent, said = (stream.pair(replace(first, answer=answer), rng) for answer in (None, "It is there."))
    assert "reply" not in silent.prompt.options
    assert said.prompt.options["reply"] == "It is there."
    losses = model.eval()([silent, said])
    assert set(losses) == {"loss_text", "loss_box"}
    taught = backbone.teach([silent.prompt, said.prompt])
    torch.testing.assert_close(losses["loss_text"], 0.5 * taught.loss)
    assert set(model([silent])) == {"loss_box"}


class Mute(Backbone):
    """Answers, and cannot be taught."""

    def __init__(self, checkpoint: str, device: str, dtype: str, max_context: int) -> None:
        pass

    def _generate(self, prompts: Any) -> list[Generation]:
        return [Generation("") for _ in prompts]


def test_a_backbone_that_cannot_be_taught_is_refused(tmp_path: Path, llava: Path, pictures: Path) -> None:
    asked = recipe(tmp_path, llava, **{"model.backbone": "mute"})
    with training_in(Ways("cpu", quiet=True)), pytest.raises(SuiteError, match=r"can be taught.*Mute answers only"):
        run_recipe(asked, tmp_path / "runs")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.kind": "scenes"}, "kind"),
        ({"data.wrong": 1}, "wrong"),
        ({"data.tasks": ["mask"]}, "no annotated samples of task mask"),
        ({"data.tasks": ["masks"]}, "no task 'masks'"),
        ({"data.val": {"split": "val"}}, "metric"),
        ({"data.val": {"split": "val", "metric": "res"}}, "scores mask|no sample"),
        ({"data.pairs": 3}, "data.pairs says how often"),
        ({"data.pairs": {"base": 1, "pall": 1}}, "data.pairs asks for pall; .* makes base. Leave pall out"),
        ({"model.rank": 3}, "rank"),
        ({"model.freeze": ["*"], "model.lora": {"rank": 2}}, "nothing is left"),
        ({"model.freeze": ["nowhere.*"]}, "nowhere"),
        ({"model.options.dtype": "bfloat16"}, "schedule.precision"),
        ({"options.what": 1}, "what"),
        ({"head.nme": "x"}, "head"),
    ],
)
def test_refusals(tmp_path: Path, llava: Path, pictures: Path, changes: dict[str, Any], message: str) -> None:
    asked = recipe(tmp_path, llava, **changes)
    with training_in(Ways("cpu", quiet=True)), pytest.raises(SuiteError, match=message):
        run_recipe(asked, tmp_path / "runs")


def test_names_nobody_knows_are_told(tmp_path: Path, llava: Path, pictures: Path) -> None:
    with training_in(Ways("cpu")), pytest.raises(Exception, match="geogrund"):
        run_recipe(recipe(tmp_path, llava, "geogrund"), tmp_path / "runs")


def test_a_segmenter_computes_where_its_system_does(tmp_path: Path, llava: Path) -> None:
    told: dict[str, Any] = {"segmenter": {"name": "placed"}}
    with training_in(Ways("cpu")):
        assert assembled(recipe(tmp_path, llava, **told), None, tmp_path).head.segmenter.device == "cpu"  # type: ignore[union-attr]
        told["segmenter"]["options"] = {"device": "meta"}
        assert assembled(recipe(tmp_path, llava, **told), None, tmp_path).head.segmenter.device == "meta"  # type: ignore[union-attr]


@pytest.mark.parametrize("head", ["codec", "corner"])
def test_without_memory_a_step_is_computed_in_parts(
    tmp_path: Path, llava: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    """The same updates, of one pair at a time."""
    asked = recipe(tmp_path, llava, head, "lora = { rank = 4, dropout = 0.0 }", **{"schedule.batch": 4})
    with training_in(Ways("cpu", quiet=True)):
        run_recipe(asked, tmp_path / "whole")
        teach, sizes = TransformersBackbone.teach, list[int]()

        def small(self: Any, prompts: Any) -> Any:
            sizes.append(len(prompts))
            if len(prompts) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return teach(self, prompts)

        monkeypatch.setattr(TransformersBackbone, "teach", small)
        run_recipe(asked, tmp_path / "parts")
    assert sizes == [4, 2] + 16 * [1]
    one, other = (
        torch.load(tmp_path / name / "squares" / "iter_4.pth", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    )
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)


def test_without_one_score_the_last_weights_are_taken(
    tmp_path: Path, llava: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scoring, "scores", lambda *given: {"Acc@0.5": float("nan")})
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(recipe(tmp_path, llava), tmp_path / "runs")
    card = read_card(out)
    assert card.training["weights"] == "of the last step: no validation score was a number"
    assert card.scores == {"jsonl": {}}
    (log,) = (tmp_path / "runs").rglob("*.log")
    assert "no validation score was a number" in log.read_text()


def test_adapters_go_on_without_a_page_of_names(
    tmp_path: Path, llava: Path, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is frozen is in no checkpoint, and need not be; what is trained must be."""
    asked = recipe(tmp_path, llava)
    work = tmp_path / "runs" / "squares"
    with training_in(Ways("cpu", quiet=True)):
        run_recipe(asked, tmp_path / "runs")
        for file in (work / "done.json", work / "iter_4.pth"):
            file.unlink()
        capfd.readouterr()
        run_recipe(asked, tmp_path / "runs")
        assert capfd.readouterr() == ("", "")
        kept = torch.load(work / "iter_2.pth", weights_only=False)
        (lost, *_) = list(kept["state_dict"])
        del kept["state_dict"][lost]
        torch.save(kept, work / "iter_2.pth")
        for file in (work / "done.json", work / "iter_4.pth"):
            file.unlink()
        run_recipe(asked, tmp_path / "runs")
    told = "".join(log.read_text() for log in work.rglob("*.log"))
    assert re.findall("does not fit the model: it (.*)", told) == [f"lacks 1 weights: {lost}"], "of the third run alone"


def test_cards_tell_the_images_of_a_step(tmp_path: Path, llava: Path, pictures: Path) -> None:
    changes = {"schedule.batch": 1, "schedule.accumulate": 2, "schedule.steps": 2}
    with training_in(Ways("cpu", quiet=True)):
        training = read_card(run_recipe(recipe(tmp_path, llava, **changes), tmp_path / "runs")).training
    assert training["images a step"] == 2
    assert training["samples passed over"] == 0
    assert re.fullmatch("of step [12], which validated best", training["weights"])


@pytest.mark.slow
def test_two_processes_train_the_system_that_one_does(tmp_path: Path, llava: Path, pictures: Path) -> None:
    """The same images a step give the same updates, where all answers are as long as each other."""
    file = recipe(tmp_path, llava, lora="lora = { rank = 4, dropout = 0.0 }").path
    assert file is not None
    rows = [json.loads(line) for line in (pictures / "samples.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["targets"] = [{"hbb": [10, 12, 20 + number, 30 + number]}]
    (pictures / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file.write_text(file.read_text().replace("batch = 2", "images = 4"))
    common = ("train", str(file), "--device", "cpu", "--quiet", "--root")
    in_two_processes("-m", "rsground", *common, str(tmp_path / "two"), "--launcher", "pytorch")
    assert main([*common, str(tmp_path / "one")]) == 0
    one, two = (tmp_path / name / "squares" for name in ("one", "two"))
    assert [read_card(each / "out").training["images a step"] for each in (one, two)] == [4, 4]
    first, second = (torch.load(each / "iter_4.pth", weights_only=True)["state_dict"] for each in (one, two))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=1e-3)
    assert max(float(value.abs().max()) for name, value in first.items() if "lora_B" in name) > 1e-2, "it began at 0"
    assert json.loads((two / "recipe.json").read_text())["images"] == 4
    assert len(list(two.rglob("*.tfevents*"))) == 1, "the first one alone writes"
