"""SegEarth-R1 learns whole: language model, connector, Swin, projectors and decoders, by stage ``system``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("mmengine")

from rsground.contracts import Prompt  # noqa: E402
from rsground.errors import CheckpointError, PromptError  # noqa: E402
from rsground.models.folder import read_state  # noqa: E402
from rsground.models.grounder import Grounder  # noqa: E402
from rsground.models.training.passing import GoodPairs  # noqa: E402
from rsground.models.training.recipe import Recipe, read_recipe  # noqa: E402
from rsground.models.training.running import run_recipe  # noqa: E402
from rsground.models.training.sample_stream import Pair, PairStream, read_samples  # noqa: E402
from rsground.models.training.stage_system import Assembled, assembled  # noqa: E402
from rsground.models.training.system_model import SystemModel, Trained  # noqa: E402
from rsground.models.training.ways import Ways, training_in  # noqa: E402
from rsground.testing import miniature  # noqa: E402
from rsground.testing.samples import blank_view  # noqa: E402
from rsground_segtoken.segearth import SegEarthR1Head  # noqa: E402
from rsground_segtoken.segearth.backbone import SegEarthR1Backbone  # noqa: E402
from rsground_segtoken.segearth.checkpoint import read_config  # noqa: E402
from rsground_segtoken.segearth.model import last_states, text_loss  # noqa: E402
from rsground_segtoken.segearth.packing import IGNORED, Turn, pack, turn  # noqa: E402

RECIPES = Path(__file__).resolve().parents[3] / "benchmarks" / "recipes"
PARTS = {
    "language model": r"backbone\.model\.(embed_tokens|layers|final_layernorm)\.",
    "output layer": r"backbone\.lm_head\.",
    "Swin": r"head\.encoder\.",
    "connector": r"head\.connector\.",
    "description projectors": r"head\.branch\.(text_projector|origin_SEG|local_project|SEG_token|d_layers)",
    "pixel decoder": r"head\.branch\.pixel_decoder\.",
    "mask decoder": r"head\.branch\.predictor\.",
}
RECIPE = """
stage = "system"
summary = "a test"
[data]
kind = "dataset"
name = "jsonl"
root = "fields"
val = {{ split = "val", metric = "res" }}
[model]
checkpoint = "{checkpoint}"
backbone = "segearth-r1-phi"
[head]
name = "segearth-r1"
options = {head}
[schedule]
steps = 3
batch = 2
rate = 1e-3
warmup = 1
save_every = 2
"""


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Three pictures with a bright field left and a dark one right, asked for in turn and once in vain."""
    folder = tmp_path / "fields"
    folder.mkdir()
    asked = [
        ("the square left", [[8, 20, 50, 80]], "it is left"),
        ("the square right", [[80, 30, 120, 60]], "it is right beside the road"),
        ("the tank", [], "There is no target object in the image."),
    ]
    rows = []
    for number in range(3):
        pixels = np.full((96, 128, 3), 90 + 10 * number, np.uint8)
        pixels[20:80, 8:50], pixels[30:60, 80:120] = 220, 10
        Image.fromarray(pixels).save(folder / f"{number}.png")
        for place, (expression, boxes, answer) in enumerate(asked):
            row = {"id": f"{number}-{place}", "image": f"{number}.png", "width": 128, "height": 96, "task": "mask"}
            targets = [{"hbb": box} for box in boxes]
            split = "val" if number == 2 else "train"
            rows.append({**row, "expression": expression, "targets": targets, "answer": answer, "split": split})
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def recipe(tmp_path: Path, checkpoint: Path, head: Mapping[str, Any], **changes: Any) -> Recipe:
    file = tmp_path / "whole.toml"
    file.write_text(RECIPE.format(checkpoint=checkpoint, head=_toml(head)))
    return read_recipe(file, changes)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def joined(asked: Recipe, lora: Mapping[str, Any] | None = None) -> tuple[SystemModel, Assembled]:
    torch.manual_seed(0)
    with training_in(Ways("cpu")):
        made = assembled(asked, None, Path(), lora=lora)
    return SystemModel(made.backbone, made.head, Trained(lora=lora)), made


def pairs_of(fields: Path, made: Assembled) -> list[Pair]:
    samples = read_samples({"name": "jsonl", "root": str(fields), "split": "train"}, fields)
    stream = PairStream(samples, made.head, made.backbone)
    return [stream.pair(sample, np.random.default_rng(0)) for sample in samples]


@pytest.mark.parametrize(
    ("kind", "freeze"), [("Referring", True), ("Referring", False), ("Reasoning", True), ("Reasoning", False)]
)
def test_every_part_learns(
    kind: str, freeze: bool, tmp_path: Path, published: Path, paper: dict[str, Any], fields: Path
) -> None:
    options = {**paper, "freeze": freeze, "checkpoint": str(published)}
    model, made = joined(recipe(tmp_path, published, options, **{"model.options.kind": kind}))
    pairs = pairs_of(fields, made)
    assert not any("visual_embeddings" in pair.prompt.options for pair in pairs), "made in the step, with gradients"
    optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], 2e-3, weight_decay=0.0)
    before = deepcopy(dict(model.named_parameters()))
    model.train()
    history: dict[str, list[float]] = {}
    for _ in range(25):
        losses = model(pairs)
        assert set(losses) == {"loss_mask", "loss_dice"} | ({"loss_text"} if kind == "Reasoning" else set())
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
        for name, value in losses.items():
            history.setdefault(name, []).append(float(value.detach()))
    for name, values in history.items():
        assert np.mean(values[-3:]) < 0.6 * np.mean(values[:3]), name

    still = {"Swin"} if freeze else set()
    still |= {"output layer"} if kind == "Referring" else set()
    for part, pattern in PARTS.items():
        named = {name: each for name, each in model.named_parameters() if re.match(pattern, name)}
        assert named, part
        learning = {name: each for name, each in named.items() if each.grad is not None}
        moved = {name for name, each in named.items() if not torch.equal(each, before[name])}
        if part in still:
            assert not learning, part
            assert not moved, part
            continue
        silent = {name for name, each in named.items() if each.requires_grad} - learning.keys()
        assert silent == set(), part
        assert sum(float(each.grad.abs().sum()) for each in learning.values()) > 1e-3, part
        assert moved == learning.keys(), part


def test_the_mask_loss_alone_reaches_the_connector_through_the_language_model(
    tmp_path: Path, published: Path, paper: dict[str, Any], fields: Path
) -> None:
    """With Swin frozen nothing else leads there; and it leads there no more where the states are cut off."""
    model, made = joined(recipe(tmp_path, published, {**paper, "checkpoint": str(published)}))
    head, backbone, pairs = made.head, made.backbone, pairs_of(fields, made)[:1]
    weight = head.connector.proj1.weight
    states = backbone.teach([pair.prompt for pair in pairs]).hidden
    for rows, reached in ((states, True), ([each.detach() for each in states], False)):
        weight.grad = None
        losses = head.loss(rows, [pair.sample for pair in pairs], [pair.view for pair in pairs])
        sum(losses.values()).backward()
        assert (weight.grad is not None and float(weight.grad.abs().sum()) > 0) is reached
    assert all(each.grad is None for each in model.head.encoder.parameters())


def test_the_text_loss_is_transformers_own(published: Path) -> None:
    backbone = SegEarthR1Backbone(published, device="cpu", dtype="float32", kind="Reasoning")
    turns = [
        turn("the road", backbone._encode, 7, kind="Reasoning", answer="it is right beside the tank"),
        turn("the storage tank beside it", backbone._encode, 7, kind="Reasoning", answer="left"),
    ]
    with torch.no_grad():
        packed = pack(turns, torch.randn(2, 3, 32), backbone.model.get_input_embeddings())
        found = text_loss(backbone.model, last_states(backbone.model, packed), packed.labels)
        theirs = backbone.model(
            inputs_embeds=packed.embeddings, attention_mask=packed.attention, labels=packed.labels
        ).loss
    torch.testing.assert_close(found, theirs)
    nothing = torch.full_like(packed.labels, IGNORED)
    assert text_loss(backbone.model, last_states(backbone.model, packed), nothing) == 0


def test_teaching_reads_the_states_that_answering_reads(published: Path, paper: dict[str, Any]) -> None:
    """Also in one batch with a longer description; and the reply, behind the description, does not change them."""
    samples = [miniature("mask", size=(40, 60)), miniature("mask", size=(60, 40))]
    for kind in ("Referring", "Reasoning"):
        head = SegEarthR1Head(published, **paper).eval()
        backbone = SegEarthR1Backbone(published, device="cpu", dtype="float32", kind=kind)
        head.bind(backbone)
        prompts = [
            Prompt("", blank_view(sample), answer=text, capture=frozenset({"hidden"}))
            for sample, text in zip(samples, ("the tank[SEG]", "the storage tank beside the road[SEG]"), strict=True)
        ]
        told = [Prompt("", each.view, answer=each.answer, options={"reply": "it is left"}) for each in prompts]
        with torch.no_grad():
            silent, taught = backbone.teach(prompts), backbone.teach(told)
        for prompt, one, other, ids in zip(prompts, silent.hidden, taught.hidden, taught.token_ids, strict=True):
            (alone,) = backbone.generate([prompt])
            torch.testing.assert_close(one, alone.hidden, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(other, alone.hidden, atol=1e-5, rtol=1e-4)
            assert tuple(ids.tolist()) == alone.token_ids
        assert silent.loss == 0
        assert bool(taught.loss > 0) is (kind == "Reasoning"), "upstream takes no text loss on referring data"
    with pytest.raises(PromptError, match="needs an answer"):
        backbone.teach([Prompt("where?")])


def test_only_prompts_with_a_reply_carry_text_loss(published: Path, paper: dict[str, Any]) -> None:
    head = SegEarthR1Head(published, **paper).eval()
    backbone = SegEarthR1Backbone(published, device="cpu", dtype="float32", kind="Reasoning")
    head.bind(backbone)
    view = blank_view(miniature("mask"))
    told = Prompt("", view, answer="the tank[SEG]", options={"reply": "it is left"})
    with torch.no_grad():
        mixed = backbone.teach([Prompt("", view, answer="the road[SEG]"), told]).loss
        torch.testing.assert_close(mixed, backbone.teach([told]).loss)


def test_a_batch_in_parts_has_the_text_loss_of_the_whole(
    tmp_path: Path, published: Path, paper: dict[str, Any], fields: Path
) -> None:
    """Parts count by the tokens that their loss is a mean over: the reply's, and those of its template."""
    options = {**paper, "checkpoint": str(published)}
    model, made = joined(recipe(tmp_path, published, options, **{"model.options.kind": "Reasoning"}))
    pairs = pairs_of(fields, made)
    lengths = {made.backbone.taught_tokens(pair.prompt) for pair in pairs}
    assert len(lengths) > 1, "replies are of several lengths"
    with torch.no_grad():
        whole = model.eval()(pairs)["loss_text"]
        for most in (1, 2):
            parts = [model(**part)["loss_text"] for part in model.divided({"pairs": pairs}, most)]
            torch.testing.assert_close(sum(parts), whole, atol=0, rtol=1e-5)
        packed = made.backbone._packed([made.backbone.encoded(pairs[0].prompt)])
    assert made.backbone.taught_tokens(pairs[0].prompt) == int((packed.labels != IGNORED).sum())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recipe_makes_a_system_that_answers(
    precision: str,
    tmp_path: Path,
    published: Path,
    paper: dict[str, Any],
    fields: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {**paper, "freeze": False, "checkpoint": str(published)}
    changes = {"schedule.precision": precision, "model.options.kind": "Reasoning", "model.checkpointing": True}
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(recipe(tmp_path, published, options, **changes), tmp_path / "runs")
    assert read_config(out / "backbone")["model_type"] == "llava_phi"
    before, after = read_state(published), read_state(out / "backbone")
    assert after.keys() <= before.keys(), "published names, attention weights fused"
    assert all(after[name].shape == before[name].shape for name in after)
    fused = "model.layers.0.self_attn.query_key_value.weight"
    assert not torch.equal(after[fused], before[fused])
    trained = torch.load(tmp_path / "runs" / "whole" / "best.pth", weights_only=True)["state_dict"]
    with Grounder.from_pretrained(out, device="cpu", dtype="float32") as grounder:
        pipeline: Any = grounder.pipeline
        for name in ("connector.proj1.weight", "encoder.patch_embed.proj.weight"):
            torch.testing.assert_close(pipeline.head.state_dict()[name], trained[f"head.{name}"])
        scores = pipeline.backbone.model.lm_head.weight
        torch.testing.assert_close(scores, trained["backbone.lm_head.weight"])
        found = grounder.ground(fields / "0.png", "the square left", "mask")
    assert found.error is None
    assert found.usage.visual_tokens == 1


@pytest.mark.parametrize("name", ["segearth-r1", "segearth-r1-small"])
def test_the_shipped_recipes_run(
    name: str, tmp_path: Path, published: Path, paper: dict[str, Any], fields: Path
) -> None:
    """Two steps of each on what the tests have; everything that is not named here is as shipped."""
    steps = {"schedule.steps": 2, "schedule.batch": 1, "schedule.accumulate": 1, "schedule.workers": 0}
    changes: dict[str, Any] = {**steps, "model.checkpoint": str(published)}
    if name == "segearth-r1":
        ours = {"kind": "dataset", "name": "jsonl", "root": str(fields)}
        changes["data"] = {**ours, "val": {"split": "val", "metric": "res-segearth"}}
        changes |= {f"head.options.{key}": value for key, value in paper.items() if key != "preset"}
        changes["head.options.checkpoint"] = str(published)
    else:
        changes |= {"data.limit": 2, "data.val.limit": 2}
    asked = read_recipe(RECIPES / f"{name}.toml", changes)
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(asked, tmp_path / "runs")
    with Grounder.from_pretrained(out, device="cpu", dtype="float32") as grounder:
        pipeline: Any = grounder.pipeline
        assert pipeline.head.config.freeze is (name == "segearth-r1")
        assert pipeline.head.connector is not None
        assert grounder.ground(fields / "0.png", "the square left", "mask").error is None


def test_plain_phi_is_trained_from(tmp_path: Path, words: Any, paper: dict[str, Any], fields: Path) -> None:
    """Its states are those of transformers' own model; ``[SEG]`` is added; Swin and the decoders start at random."""
    from transformers import PhiConfig, PhiForCausalLM

    folder = tmp_path / "phi"
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    rotary = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}
    plain = PhiForCausalLM(PhiConfig(vocab_size=len(words), rope_parameters=rotary, **sizes)).eval()
    plain.save_pretrained(folder)
    words.save_pretrained(folder)
    options = {**paper, "freeze": False}
    model, made = joined(recipe(tmp_path, folder, options))
    assert len(made.backbone.tokenizer) == len(words) + 1 == model.backbone.lm_head.out_features
    ids = torch.tensor([[1, 5, 3, 2]])
    with torch.no_grad():
        theirs = plain.model(ids).last_hidden_state
        torch.testing.assert_close(model.backbone.eval().model(ids).last_hidden_state, theirs)
    sum(model.train()(pairs_of(fields, made)).values()).backward()
    assert float(made.head.connector.fc.weight.grad.abs().sum()) > 0

    made.backbone.save(tmp_path / "saved" / "backbone")
    again = SegEarthR1Backbone(tmp_path / "saved", device="cpu", dtype="float32")
    assert again.model.config.rope_parameters["partial_rotary_factor"] == 0.25
    with torch.no_grad():
        torch.testing.assert_close(again.model.model(ids).last_hidden_state, theirs)
    plain.lm_head.weight = plain.model.embed_tokens.weight
    plain.config.tie_word_embeddings = True
    plain.save_pretrained(tmp_path / "tied")
    words.save_pretrained(tmp_path / "tied")
    tied = SegEarthR1Backbone(tmp_path / "tied", device="cpu", dtype="float32").model
    assert torch.equal(tied.lm_head.weight, plain.model.embed_tokens.weight)
    assert tied.lm_head.weight is not tied.model.embed_tokens.weight
    (folder / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="'llava_phi' or 'phi'"):
        SegEarthR1Backbone(folder, device="cpu")


@pytest.mark.parametrize(
    "said",
    [
        {"hidden_act": "relu"},
        {"layer_norm_eps": 0.1},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}},
        {"num_key_value_heads": 2},
        {"qk_layernorm": True},
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_phi_unlike_the_published_one_is_saved_as_it_is(tmp_path: Path, words: Any, said: dict[str, Any]) -> None:
    from transformers import PhiConfig, PhiForCausalLM

    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    plain = PhiForCausalLM(PhiConfig(vocab_size=len(words), initializer_range=0.3, **sizes, **said)).eval()
    plain.save_pretrained(tmp_path / "phi")
    words.save_pretrained(tmp_path / "phi")
    SegEarthR1Backbone(tmp_path / "phi", device="cpu").save(tmp_path / "saved" / "backbone")
    again = SegEarthR1Backbone(tmp_path / "saved", device="cpu")
    ids = torch.tensor([[1, 5, 3, 2, 4, 4, 1, 0]])
    with torch.no_grad():
        states = again.model.model(ids).last_hidden_state
        torch.testing.assert_close(states, plain.model(ids).last_hidden_state, atol=0, rtol=0)


def test_a_prompt_becomes_tokens_once(
    tmp_path: Path, published: Path, paper: dict[str, Any], fields: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a pair is found fit to be learned from; what the step is taught is that."""
    _, made = joined(
        recipe(tmp_path, published, {**paper, "checkpoint": str(published)}, **{"model.options.kind": "Reasoning"})
    )
    samples = read_samples({"name": "jsonl", "root": str(fields), "split": "train"}, fields)
    good = GoodPairs(PairStream(samples, made.head, made.backbone), made.backbone)
    told: list[str] = []

    def counted(description: str, *rest: Any, **options: Any) -> Turn:
        told.append(description)
        return turn(description, *rest, **options)

    monkeypatch.setattr("rsground_segtoken.segearth.backbone.turn", counted)
    pairs = [good[place] for place in range(3)]
    assert told == [pair.sample.expression for pair in pairs]
    with torch.no_grad():
        taught = made.backbone.teach([pair.encoded for pair in pairs])
        assert len(told) == 3
        again = made.backbone.teach([pair.prompt for pair in pairs])
    assert len(told) == 6
    assert float(taught.loss) > 0
    assert torch.equal(taught.loss, again.loss)
    for one, other in zip(taught.hidden, again.hidden, strict=True):
        assert torch.equal(one, other)


def test_lora_leaves_the_language_model_and_is_merged(
    tmp_path: Path, published: Path, paper: dict[str, Any], fields: Path
) -> None:
    pytest.importorskip("peft")
    asked = recipe(tmp_path, published, {**paper, "checkpoint": str(published)})
    model, made = joined(asked, {"rank": 2, "dropout": 0.0})
    optimiser = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], 1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        sum(model.train()(pairs_of(fields, made)).values()).backward()
        optimiser.step()
    learned = {name for name, each in model.named_parameters() if each.grad is not None}
    assert any("lora_" in name for name in learned)
    assert any("head.connector" in name for name in learned)
    assert not any(re.search(r"layers.*base_layer", name) for name in learned)
    made.backbone.save(tmp_path / "saved" / "backbone")
    again = SegEarthR1Backbone(tmp_path / "saved", device="cpu", dtype="float32")
    ids = torch.tensor([[1, 5, 3, 2]])
    with torch.no_grad():
        wanted = model.backbone.eval().model(ids).last_hidden_state
        torch.testing.assert_close(again.model.model(ids).last_hidden_state, wanted, atol=1e-5, rtol=1e-4)
