"""Which part of the view a visual token stands for, and where a model looks, against the library's own numbers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import tiny
import torch

from rsground.contracts import Prompt
from rsground.errors import ContractError
from rsground.models.backbone import TransformersBackbone
from rsground.types import View

SIZES = ((40, 60), (64, 32), (90, 20), (28, 28), (200, 170))
MIXING = ("out_proj", "attn.proj", "projection_layer", "fc2", "down_proj")


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackbone:
    return TransformersBackbone(tiny.build(request.param, tmp_path_factory.mktemp("tiny")), device="cpu")


@pytest.fixture(scope="module")
def unmixed(backbone: TransformersBackbone, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackbone:
    """The same model with a vision tower whose tokens cannot see each other."""
    folder = tmp_path_factory.mktemp("unmixed")
    backbone.save(folder)
    copy = TransformersBackbone(folder, device="cpu")
    with torch.no_grad():
        for name, weight in copy.model.named_parameters():
            block = "layers." in name or "layer." in name or "blocks." in name
            if "vis" in name and block and any(part in name for part in MIXING):
                weight.zero_()
    return copy


def features(backbone: TransformersBackbone, view: View) -> torch.Tensor:
    """``(V, D)`` as the language model gets them."""
    extras = backbone._encoder.encode(Prompt("", view)).extras
    with torch.no_grad():
        found = backbone.model.get_image_features(**extras).pooler_output
    return torch.cat(list(found)).reshape(-1, backbone.hidden_size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("images", [1, 2])
def test_a_token_changes_with_the_pixels_in_its_box(
    unmixed: TransformersBackbone, size: tuple[int, int], images: int
) -> None:
    rng = np.random.default_rng(0)
    first = tuple(np.full((30, 44, 3), 90, np.uint8) for _ in range(images - 1))
    grey = np.full((*size, 3), 120, np.uint8)
    plain = features(unmixed, View((*first, grey), size))
    boxes = unmixed.visual_boxes(View((*first, grey), size))
    assert boxes.shape == (len(plain), 4)
    known = ~np.isnan(boxes).any(axis=1)
    assert (np.isnan(boxes).all(axis=1) == ~known).all()
    assert (boxes[known, :2] < boxes[known, 2:]).all()
    for index in rng.choice(np.flatnonzero(known), 6):
        x1, y1, x2, y2 = boxes[index]
        inset = (x2 - x1) / 4, (y2 - y1) / 4
        left, top, right, bottom = (
            round(each) for each in (x1 + inset[0], y1 + inset[1], x2 - inset[0], y2 - inset[1])
        )
        dot = grey.copy()
        dot[top:bottom, left:right] = 255
        change = (features(unmixed, View((*first, dot), size)) - plain).norm(dim=-1).numpy()
        reach = (boxes[:, 2:] - boxes[:, :2]) + 1
        own = np.array([x1 + x2, y1 + y2]) / 2
        far = ((own < boxes[:, :2] - reach) | (own > boxes[:, 2:] + reach)).any(axis=1) | ~known
        assert change[index] > 0.2 * change.max() > 0
        assert not far.any() or change[far].max() < 0.1 * change.max()


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize("of", ["logit", "loss"])
def test_attention_and_gradient_are_those_of_the_library(
    backbone: TransformersBackbone, of: Literal["logit", "loss"], query: bool
) -> None:
    """Against a graph through all layers of one plain pass, and torch's own cross-entropy."""
    rng = np.random.default_rng(1)
    views = [View((rng.integers(0, 255, (*size, 3), dtype=np.uint8),), size) for size in SIZES[:2]]
    prompts = [
        Prompt("Where is the ship?", views[0], answer="[10, 25]"),
        Prompt("Where?", views[1]),
        Prompt("Is the car red, or is it white?", views[0], answer="9"),
        Prompt("How many?", None),
    ]
    together = backbone.attend(prompts, of=of, query=query)
    backbone.model.set_attn_implementation("eager")
    for prompt, found in zip(prompts, together, strict=True):
        row = backbone._encoder.encode(prompt)
        columns = row.visual.nonzero()[:, 0]
        ids = torch.cat([row.tokens["input_ids"], torch.tensor(row.answer or (), dtype=torch.long)])[None]
        count = max(1, len(row.answer or ()))
        if query:
            count = ids.shape[1] - (int(columns[-1]) + 1 if len(columns) else 0)
        kinds = {
            key: torch.nn.functional.pad(value[None], (0, ids.shape[1] - row.length))
            for key, value in row.tokens.items()
            if key != "input_ids"
        }
        made = backbone.model(input_ids=ids, **kinds, **row.extras, output_attentions=True)
        weights = made.attentions[-1]
        logits = made.logits[0, -count:]
        likeliest = logits.argmax(dim=-1)
        wanted = torch.cat([ids[0, ids.shape[1] - count + 1 :], likeliest[-1:]]) if query else likeliest
        if of == "loss":
            score = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
        else:
            score = logits[range(count), wanted].sum()
        (gradient,) = torch.autograd.grad(score, weights)
        expected = weights.detach()[0, :, -count:][..., columns]
        assert found.attention.shape == (4, count, len(columns)) == found.gradient.shape
        assert found.boxes.shape == (len(columns), 4)
        torch.testing.assert_close(found.attention, expected, atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(found.gradient, gradient[0, :, -count:][..., columns], atol=1e-4, rtol=1e-3)
        assert not len(columns) or gradient[0, :, -count:][..., columns].abs().max() > 1e-3


def test_a_model_that_is_trained_is_left_as_it_was(backbone: TransformersBackbone) -> None:
    """Part of it is trained and part of it rests; a look and an answer in between change neither."""
    view = View((np.full((40, 60, 3), 120, np.uint8),), (40, 60))
    backbone.model.train()
    resting = next(module for name, module in backbone.model.named_modules() if "vis" in name)
    resting.eval()
    before = {name: module.training for name, module in backbone.model.named_modules()}
    assert set(before.values()) == {True, False}
    backbone.attend([Prompt("Where?", view)])
    backbone.generate([Prompt("Where?", view, max_new_tokens=2)])
    assert {name: module.training for name, module in backbone.model.named_modules()} == before
    backbone.model.eval()


def test_captured_attentions_cover_prompt_and_answer(backbone: TransformersBackbone) -> None:
    view = View((np.random.default_rng(2).integers(0, 255, (40, 60, 3), dtype=np.uint8),), (40, 60))
    before = backbone.model.config._attn_implementation
    asked = Prompt("Where?", view, answer="[10, 25]", capture=frozenset({"attentions"}))
    (found,) = backbone.generate([asked])
    (looked,) = backbone.attend([asked])
    row = backbone._encoder.encode(asked)
    assert found.token_ids is not None
    assert found.attentions.shape == (4, len(found.token_ids), row.length + len(found.token_ids))
    torch.testing.assert_close(found.attentions.sum(dim=-1), torch.ones(4, len(found.token_ids)))
    torch.testing.assert_close(found.attentions[..., : row.length][..., row.visual], looked.attention)
    assert backbone.model.config._attn_implementation == before


def test_a_model_may_say_itself_what_its_tokens_stand_for(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = TransformersBackbone(tiny.build("llava", tmp_path), device="cpu")  # type: ignore[arg-type]
    view = View((np.zeros((40, 60, 3), np.uint8),), (40, 60))
    monkeypatch.setattr(backbone.model.config, "model_type", "another")
    with pytest.raises(ContractError, match="'another' stands for is not known"):
        backbone.visual_boxes(view)
    own = np.tile(np.array([[0, 0, 70, 20]], np.float32), (16, 1))
    monkeypatch.setattr(type(backbone.model), "visual_boxes", lambda self, size: own, raising=False)
    assert (backbone.visual_boxes(view) == [0, 0, 60, 20]).all()
    monkeypatch.setattr(type(backbone.model), "visual_boxes", lambda self, size: own[:3])
    with pytest.raises(ContractError, match="16 visual tokens"):
        backbone.visual_boxes(view)
