"""On real (random) models of transformers: the whole way from a view to a prediction."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from rsground.contracts import Prompt
from rsground.registry import load
from rsground.testing import miniature
from rsground.types import Sample, Task, View
from rsground_magcrop.candidates import best_box
from rsground_magcrop.heat import paint
from rsground_magcrop.magcrop import MagCrop

_TINY = Path(__file__).parents[3] / "tests" / "models" / "tiny.py"
FAMILIES = ("llava", "llava-next", "qwen2.5-vl")


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not _TINY.is_file():
        pytest.skip("the tiny models are in the repository, not in the plugin")
    spec = importlib.util.spec_from_file_location("tiny_models_of_magcrop", _TINY)
    assert spec is not None
    assert spec.loader is not None
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    folder = tiny.build(request.param, tmp_path_factory.mktemp("model"))
    return load("backbone", "transformers", checkpoint=folder, device="cpu")


def question(task: Task = Task.HBB) -> tuple[Sample, View]:
    sample = miniature(task, size=(120, 160))
    return sample, View((np.random.default_rng(3).integers(0, 256, (120, 160, 3), np.uint8),), sample.size)


@pytest.mark.parametrize("composition", ["stitch", "crop"])
def test_from_view_to_prediction(backbone: Any, composition: str) -> None:
    sample, view = question(Task.MASK)
    step = MagCrop(granularity="pixel", composition=composition, map_side=40, min_side=8)
    head = load("head", "codec", codec="text-hbb")
    step.listen(head)
    shown = step.apply(view, sample, backbone)
    note = shown.meta["magcrop"]
    assert note["plain"] is None, "a random model's attention is not flat"
    outer = note["boxes"][0]
    assert 0 <= outer[0] < outer[2] <= 160
    assert 0 <= outer[1] < outer[3] <= 120
    x1, y1, x2, y2 = note["boxes"][-1]
    left, top = (outer[0], outer[1]) if composition == "crop" else (0, 0)
    np.testing.assert_array_equal(
        shown.images[0][y1 - top : y2 - top, x1 - left : x2 - left], view.images[0][y1:y2, x1:x2]
    )
    (generation,) = backbone.generate([head.prompt(sample, shown)])
    found = head.read(generation, sample, shown)
    for region in found.regions:
        assert region.hbb is not None
        assert outer[0] - 1e-6 <= region.hbb[0] or composition == "stitch"


def by_hand(backbone: Any, view: View, words: str, answer: str = "", **what: Any) -> tuple[Any, Any]:
    """Attention of the last layer and the gradient, from one plain pass with a graph through all layers."""
    import torch

    row = backbone._encoder.encode(Prompt(words, view, answer=answer))
    ids = torch.cat([row.tokens["input_ids"], torch.tensor(row.answer, dtype=torch.long)])[None]
    more = {
        key: torch.nn.functional.pad(value[None], (0, ids.shape[1] - row.length))
        for key, value in row.tokens.items()
        if key != "input_ids"
    }
    columns = row.visual.nonzero()[:, 0]
    last = int(columns[-1])
    first = {"next": row.length - 1, "query": last + 1, "answer": row.length}[what["reads"]]
    backbone.model.set_attn_implementation("eager")
    made = backbone.model(input_ids=ids, **more, **row.extras, output_attentions=True)
    logits = made.logits[0, first:]
    wanted = logits.argmax(dim=-1)
    if what["reads"] == "query":
        wanted[:-1] = ids[0, first + 1 :]
    if what["sign"] == "loss":
        score = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
    else:
        score = logits.gather(1, wanted[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, made.attentions[-1])
    picked = (made.attentions[-1].detach()[0], gradient[0])
    return tuple(each[:, first:, columns].numpy() for each in picked)  # type: ignore[return-value]


@pytest.mark.parametrize("heads", ["mean", "max"])
@pytest.mark.parametrize("reads", ["next", "query", "answer"])
@pytest.mark.parametrize("sign", ["answer", "loss"])
def test_equation_four_by_hand(backbone: Any, sign: str, reads: str, heads: str) -> None:
    """The crop is where attention times the positive gradient stands out, of torch's own cross-entropy for the loss."""
    sample, view = question()
    step = MagCrop(granularity="region", sign=sign, reads=reads, heads=heads, map_side=40, min_side=1)
    words = step.words(sample, view)
    said = backbone.generate([Prompt(words, view, max_new_tokens=64)])[0].text if reads == "answer" else ""
    attention, gradient = by_hand(backbone, view, words, said, sign=sign, reads=reads)
    product = attention * np.maximum(gradient, 0)
    values = (product.max(axis=0) if heads == "max" else product.mean(axis=0)).mean(axis=0)
    heat = paint(backbone.visual_boxes(view), values, (120, 160), (30, 40))
    found = best_box(heat, step.options.search)
    shown = step.apply(view, sample, backbone)
    assert found is not None
    assert shown.meta["magcrop"]["boxes"] == [[4 * edge for edge in found.box]]


def test_the_loss_is_not_the_logit_turned_round(backbone: Any) -> None:
    """-log p has the log-sum of all tokens in it, which the largest logit alone has not."""
    sample, view = question()
    prompt = Prompt(MagCrop().words(sample, view), view)
    (logit,), (loss,) = backbone.attend([prompt]), backbone.attend([prompt], of="loss")
    scale = float(logit.gradient.abs().max())
    assert float((loss.gradient + logit.gradient).abs().max()) > 0.05 * scale


def test_asking_twice_gives_the_same_crops(backbone: Any) -> None:
    sample, view = question()
    step = MagCrop(granularity="region")
    first, second = (step.apply(view, sample, backbone).meta["magcrop"] for _ in range(2))
    assert first == second


def test_asking_where_it_looks_changes_nothing_else(backbone: Any) -> None:
    sample, view = question()
    prompt = load("head", "codec", codec="text-hbb").prompt(sample, view)
    before = backbone.generate([prompt])[0].text
    MagCrop(granularity="pixel").apply(view, sample, backbone)
    assert backbone.generate([prompt])[0].text == before
    assert all(parameter.grad is None for parameter in backbone.model.parameters())
