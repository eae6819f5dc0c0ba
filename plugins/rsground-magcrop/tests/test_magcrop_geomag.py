"""GeoMag as a whole: the registered system, its suite, and its recipe from two steps of training down to masks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mmengine")
pytest.importorskip("peft")
pytest.importorskip("rsground_sam2")
pytest.importorskip("rsground_segtoken")
pytest.importorskip("rsground_zoo_tiny")

from rsground import Grounder  # noqa: E402
from rsground.assembly import locate  # noqa: E402
from rsground.bench.suite_check import checked  # noqa: E402
from rsground.bench.suite_files import find_suite  # noqa: E402
from rsground.bench.suite_reader import read_suite  # noqa: E402
from rsground.bench.system import System  # noqa: E402
from rsground.contracts import Prompt  # noqa: E402
from rsground.images import read_image  # noqa: E402
from rsground.models.asking import Question  # noqa: E402
from rsground.models.state import read_state  # noqa: E402
from rsground.models.training.recipe import Recipe, read_recipe  # noqa: E402
from rsground.models.training.running import run_recipe  # noqa: E402
from rsground.models.training.ways import Ways, training_in  # noqa: E402
from rsground.pipeline import Pipeline  # noqa: E402
from rsground.regions import mask_of  # noqa: E402
from rsground.registry import load, load_dataset  # noqa: E402
from rsground.types import Sample, Task, View  # noqa: E402
from rsground_magcrop.geomag import WeightedTokens  # noqa: E402
from rsground_magcrop.magcrop import MagCrop  # noqa: E402
from rsground_magcrop.options import Options  # noqa: E402
from rsground_magcrop.scales import WeightedScales  # noqa: E402

RECIPE = Path(__file__).parents[3] / "benchmarks" / "recipes" / "geomag.toml"
SMALL = {
    "schedule.steps": 2,
    "schedule.batch": 2,
    "schedule.warmup": 1,
    "data.limit": 4,
    "data.val.limit": 1,
}


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [each for each in load_dataset("scenes", None, "val", count=4, tasks=("mask",)) if each.targets]


def parts_of(pipeline: Pipeline) -> None:
    """All three are there, joined."""
    (step,) = pipeline.steps
    assert isinstance(step, MagCrop)
    assert step.options == MagCrop(preset="geomag").options
    head: Any = pipeline.head
    assert isinstance(head, WeightedTokens)
    assert head.token_weights == (1 / 3,) * 3
    segmenter: Any = head.segmenter
    assert isinstance(segmenter, WeightedScales)
    assert segmenter.scales == (1.0, 0.5, 0.25)
    assert segmenter.weights == (1 / 3,) * 3
    assert step._head is head, "the step uses the head's own words"


def cropped(pipeline: Pipeline, sample: Sample) -> View:
    """What the model is shown."""
    pixels = read_image(sample.image)
    (step,) = pipeline.steps
    shown = step.apply(View((pixels,), sample.size), sample, pipeline.backbone)
    assert shown.meta["magcrop"]["granularity"] == "pixel"
    assert shown.meta["magcrop"]["plain"] is None
    assert (shown.images[0] != pixels).any()
    return shown


def test_the_registered_system_answers_with_masks_and_can_be_kept(samples: list[Sample], tmp_path: Path) -> None:
    pixels, asked = read_image(samples[0].image), samples[0].expression
    with Grounder.from_pretrained("geomag", device="cpu") as grounder:
        assert grounder.card.scores == {}, "those of tiny/geopixel are not its own"
        assert isinstance(grounder.pipeline, Pipeline)
        parts_of(grounder.pipeline)
        cropped(grounder.pipeline, samples[0])
        found = grounder.ground(pixels, asked, Task.MASK)
        others = grounder.ground_many(Question(read_image(each.image), each.expression, Task.MASK) for each in samples)
        folder = grounder.save_pretrained(tmp_path / "kept")
    assert all(each.parsed and each.error is None for each in others), "its answers are kept to the form of the head's"
    assert found.error is None
    assert found.regions
    assert all(mask_of(region, pixels.shape[:2]).shape == pixels.shape[:2] for region in found.regions)
    assert any(mask_of(region, pixels.shape[:2]).any() for region in found.regions)
    with Grounder.from_pretrained(folder, device="cpu") as again:
        assert isinstance(again.pipeline, Pipeline)
        parts_of(again.pipeline)
        kept = again.ground(pixels, asked, Task.MASK)
    assert [region.rle for region in kept.regions] == [region.rle for region in found.regions]


def test_the_suite_has_the_whole_beside_each_part(samples: list[Sample]) -> None:
    suite = checked(read_suite(*find_suite("geomag")))
    entries = {entry.label: entry.to_json() for entry in suite.entries}
    made = {
        label: (entry["head"]["name"], (entry["segmenter"] or {}).get("name"), len(entry["preprocess"]))
        for label, entry in entries.items()
    }
    assert made["geopixel"] == ("geopixel", "sam2", 0)
    assert made["geopixel + magcrop"] == ("geopixel", "sam2", 1)
    assert made["geopixel + weighted scales"] == ("geopixel", "weighted-scales", 0)
    assert made["geomag, not trained for it"] == ("geomag", "weighted-scales", 1)
    whole = System(entries["geomag, not trained for it"])
    parts_of(whole)
    answers = {
        label: System(entries[label]).answer(samples[:1])[0]
        for label in ("geopixel", "geopixel + weighted scales", "geomag, not trained for it")
    }
    assert [answer.error for answer in answers.values()] == [None] * 3
    masks = {label: [region.rle for region in answer.regions] for label, answer in answers.items()}
    assert masks["geopixel"]
    assert masks["geopixel"] != masks["geopixel + weighted scales"], "three scales are not one"


@pytest.mark.parametrize("of", ["logit", "loss"])
def test_the_shipped_model_reads_a_question_as_one(samples: list[Sample], of: Any) -> None:
    """Words behind the image are asked in one pass: what they mean is settled at the question's end, not before it."""
    backbone = load("backbone", "transformers", checkpoint="rsground_zoo_tiny:backbones/tiny-text-framed", device="cpu")
    pixels = read_image(samples[0].image)
    asked = Prompt(f"Where is {samples[0].expression}?", View((pixels,), pixels.shape[:2]))
    (found,) = backbone.attend([asked], of=of, query=True)
    row = backbone._encoder.encode(asked)
    ids, last = row.tokens["input_ids"], int(row.visual.nonzero().max())
    backbone.model.set_attn_implementation("eager")
    made = backbone.model(input_ids=ids[None], **row.extras, output_attentions=True)
    logits = made.logits[0, last + 1 :]
    follow = torch.cat([ids[last + 2 :], logits[-1:].argmax(dim=-1)])
    if of == "loss":
        score = torch.nn.functional.cross_entropy(logits, follow, reduction="sum")
    else:
        score = logits.gather(1, follow[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, made.attentions[-1])
    expected = gradient[0, :, last + 1 :][..., row.visual]
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(found.gradient, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)


def small_recipe(**changes: Any) -> Recipe:
    if not RECIPE.is_file():
        pytest.skip("the recipes are in the repository, not in the plugin")
    return read_recipe(RECIPE, {**SMALL, **changes})


def test_the_recipe_trains_the_whole_down_to_masks(samples: list[Sample], tmp_path: Path) -> None:
    asked = small_recipe()
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(asked, tmp_path)
    began = {
        "backbone": locate(asked.model["checkpoint"]),
        "head": locate(asked.head["options"]["checkpoint"]) / "head",
        "segmenter": locate(asked.segmenter["options"]["checkpoint"]),
    }
    moved = {}
    for part, place in began.items():
        before, after = read_state(place), read_state(out / part)
        assert before.keys() == after.keys()
        far = {name for name in before if (before[name].float() - after[name].float()).abs().max() > 1e-6}
        moved[part] = far
    assert moved["head"] == {f"text_hidden_fcs.0.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")}
    assert moved["segmenter"]
    assert all(name.startswith("sam_mask_decoder.") for name in moved["segmenter"])
    assert any(".layers." in name for name in moved["backbone"]), "what the model writes is taught"
    assert not any(name.startswith("tower.") for name in moved["backbone"]), "it rests, its running figures too"
    with Grounder.from_pretrained(out, device="cpu") as grounder:
        assert isinstance(grounder.pipeline, Pipeline)
        parts_of(grounder.pipeline)
        found = grounder.ground(read_image(samples[0].image), samples[0].expression, Task.MASK)
        assert found.error is None
        assert found.regions
        shown = cropped(grounder.pipeline, samples[0])
        head: Any = grounder.pipeline.head
        forced = Prompt(
            head.prompt(samples[0], shown).text,
            shown,
            answer=head.target(samples[0], shown),
            capture=frozenset({"hidden"}),
        )
        (said,) = grounder.pipeline.backbone.generate([forced])
    targets = samples[0].targets or ()
    assert said.text.count("[SEG]") == 3 * len(targets)
    read = head.read(said, samples[0], shown)
    assert len(read.regions) == len(targets), "every three [SEG] in a row are one mask"
    assert read.issues == ()
    size = read_image(samples[0].image).shape[:2]
    assert all(mask_of(region, size).shape == size for region in read.regions)


def test_it_trains_on_another_backbone_and_its_first_look_is_in_the_heads_words(
    tiny_backbone: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random LLaVA learns nothing in two steps; what is shown is that nothing but a name changes."""
    folder = tmp_path / "llava"
    tiny_backbone("llava").save(folder)
    asked = small_recipe(
        **{
            "model.checkpoint": str(folder),
            "head.options": {"tokens": 2, "token_weights": [0.25, 0.75], "loss_size": 32},
            "data.options": {"count": 4, "per_scene": 1, "size": 64},
            "data.val.options": {"count": 1, "per_scene": 1, "size": 64},
        }
    )
    words: list[str] = []
    look = MagCrop._places

    def listening(self: MagCrop, view: View, base: View, text: str, *rest: Any) -> Any:
        words.append(text)
        return look(self, view, base, text, *rest)

    monkeypatch.setattr(MagCrop, "_places", listening)
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(asked, tmp_path / "runs")
    assert words
    assert all(text.startswith("Could you provide a segmentation mask for") for text in words)
    with Grounder.from_pretrained(out, device="cpu") as grounder:
        assert isinstance(grounder.pipeline, Pipeline)
        head: Any = grounder.pipeline.head
        assert head.token_weights == (0.25, 0.75)
        found = grounder.ground(np.zeros((64, 64, 3), np.uint8), "the ship", Task.MASK)
    assert found.error is None, "what it writes may be no answer, but the parts fit"


def page() -> str:
    path = RECIPE.parents[2] / "docs" / "models" / "magcrop.md"
    if not path.is_file():
        pytest.skip("the pages are in the repository, not in the plugin")
    return path.read_text(encoding="utf-8")


def test_the_page_names_every_option() -> None:
    text = page()
    assert [field.name for field in fields(Options) if not re.search(rf"`{field.name}\b", text)] == []


def test_the_recipe_on_the_page_is_one(tmp_path: Path) -> None:
    (found,) = [text for text in re.findall(r"```toml\n(.*?)```", page(), re.DOTALL) if "stage" in text]
    (tmp_path / "own.toml").write_text(found)
    recipe = read_recipe(tmp_path / "own.toml")
    assert recipe.stage == "system"
    assert load("head", recipe.head["name"], **recipe.head["options"]).token_weights == (1 / 3,) * 3
    (step,) = recipe.options["preprocess"]
    assert load("preprocessor", step["name"], **step["options"]).options == Options()
    segmenter = {**recipe.segmenter["options"], "checkpoint": "rsground_zoo_tiny:segmenter", "device": "cpu"}
    assert load("segmenter", recipe.segmenter["name"], **segmenter).scales == (1.0, 0.5, 0.25)
