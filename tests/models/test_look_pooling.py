"""A look at averaged visual tokens: which are averaged, and that the model is given just that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsground.contracts import Prompt
from rsground.errors import ContractError
from rsground.models.attending import text_model
from rsground.models.backbone import TransformersBackbone
from rsground.models.pooling import averaged, merged, neighbours
from rsground.models.tiles import grid
from rsground.types import View

WORDS = "Where is the ship?"


def area(boxes: NDArray[np.float32]) -> float:
    return float((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).sum())


@pytest.mark.parametrize(("most", "side"), [(576, 1), (575, 2), (144, 2), (143, 3), (64, 3), (36, 4), (1, 24)])
def test_the_smallest_squares_that_are_few_enough(most: int, side: int) -> None:
    boxes = grid(24, 24, -7, 5, 480, 240).astype(np.float32)
    groups = neighbours(boxes, most)
    assert len(np.unique(groups)) == (24 // side) ** 2
    found = merged(boxes, groups)
    np.testing.assert_allclose(found[:, 2:] - found[:, :2], [[20 * side, 10 * side]] * len(found), rtol=1e-5)
    assert neighbours(boxes, None).tolist() == list(range(576))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 40), st.booleans(), st.integers(0, 9))
def test_squares_tile_the_image_and_leave_the_rest_alone(
    rows: int, columns: int, most: int, thumbnail: bool, marks: int
) -> None:
    parts = [np.full((marks, 4), np.nan), grid(rows, columns, 0, 0, 300, 200)]
    alike = np.rint(np.log2([300 / columns, 200 / rows])) == np.rint(np.log2([150, 100]))
    assume(not (thumbnail and alike.all()))  # tokens of one size are one grid, whoever they come from
    if thumbnail:
        parts.insert(0, grid(2, 2, 0, 0, 300, 200))
    boxes = np.concatenate(parts).astype(np.float32)
    groups = neighbours(boxes, most)
    assert (groups[groups] == groups).all(), "a token that stands for others stands for itself"
    shown = np.isfinite(boxes[:, 0])
    assert (groups[~shown] == np.flatnonzero(~shown)).all()
    left = np.unique(groups)
    assert shown[left].sum() <= max(most, 1 + thumbnail)
    found = merged(boxes, groups)
    assert np.isnan(found).all(axis=1).sum() == marks
    assert area(found[np.isfinite(found[:, 0])]) == pytest.approx(area(boxes[shown]), rel=1e-4)


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackbone:
    return TransformersBackbone(tiny.build(request.param, tmp_path_factory.mktemp("tiny")), device="cpu")


def noise(seed: int, size: tuple[int, int]) -> View:
    return View((np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8),), size)


def test_fewer_tokens_cover_the_same_image_in_any_company(backbone: TransformersBackbone) -> None:
    prompts = [Prompt(WORDS, noise(0, (80, 120))), Prompt("How many?", noise(1, (120, 80))), Prompt("Where?", None)]
    whole = backbone.attend(prompts)
    fewer = backbone.attend(prompts, visual_tokens=4)
    for prompt, all_tokens, found in zip(prompts, whole, fewer, strict=True):
        shown = np.isfinite(found.boxes.numpy()[:, 0])
        assert found.attention.shape == found.gradient.shape == (4, 1, len(found.boxes))
        assert shown.sum() <= 4
        before = all_tokens.boxes.numpy()
        np.testing.assert_allclose(np.nanmin(before[:, :2], 0) if len(before) else 0, _low(found.boxes), atol=1e-3)
        (alone,) = backbone.attend([prompt], visual_tokens=4)
        torch.testing.assert_close(alone.attention, found.attention, atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(alone.gradient, found.gradient, atol=1e-4, rtol=1e-3)
        (same,) = backbone.attend([prompt], visual_tokens=10_000)
        torch.testing.assert_close(same.attention, all_tokens.attention, atol=1e-5, rtol=1e-3)


def _low(boxes: torch.Tensor) -> NDArray[np.float32] | int:
    found: NDArray[np.float32] | int = np.nanmin(boxes.numpy()[:, :2], 0) if len(boxes) else 0
    return found


def test_columns_beyond_a_sliding_window_keep_their_numbers(tmp_path: Path) -> None:
    """The last layer sees the last 8 columns only, and a cache of its kind would hold no more."""
    folder = tiny.build("llava-onevision", tmp_path, use_sliding_window=True, sliding_window=8, max_window_layers=0)
    backbone = TransformersBackbone(folder, device="cpu")
    asked = Prompt("Where?", noise(4, (56, 56)))
    (found,) = backbone.attend([asked])
    row = backbone._encoder.encode(asked)
    assert row.length > 20
    backbone.model.set_attn_implementation("eager")
    made = backbone.model(input_ids=row.tokens["input_ids"][None], **row.extras, output_attentions=True)
    expected = made.attentions[-1][0, :, -1:, row.visual]
    torch.testing.assert_close(found.attention, expected.detach(), atol=1e-5, rtol=1e-3)
    (fewer,) = backbone.attend([asked], visual_tokens=4)
    assert fewer.attention.shape[-1] == len(fewer.boxes) < row.visual.sum()


def test_a_prompt_that_ends_with_the_image_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    backbone = TransformersBackbone(tiny.build("llava", tmp_path), device="cpu")
    backbone.processor.chat_template = "{% for message in messages %}look at <image>{% endfor %}"
    asked = Prompt("", noise(5, (56, 56)))
    (found,) = backbone.attend([asked])
    (fewer,) = backbone.attend([asked], visual_tokens=4)
    row = backbone._encoder.encode(asked)
    assert row.visual[-1]
    backbone.model.set_attn_implementation("eager")
    made = backbone.model(input_ids=row.tokens["input_ids"][None], **row.extras, output_attentions=True)
    expected = made.attentions[-1].detach()[0, :, -1:, row.visual]
    torch.testing.assert_close(found.attention, expected, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(fewer.attention, expected, atol=1e-5, rtol=1e-3)


def test_the_language_model_sees_the_mean_of_its_neighbours(tmp_path: Path) -> None:
    """Against embeddings averaged by hand and put through the language model with a graph through all of its layers."""
    backbone = TransformersBackbone(tiny.build("llava", tmp_path), device="cpu")
    model = backbone.model
    asked = Prompt(WORDS, noise(2, (56, 56)))
    (found,) = backbone.attend([asked], visual_tokens=4)
    row = backbone._encoder.encode(asked)
    columns = row.visual.nonzero()[:, 0]
    assert len(columns) == 16
    features = model.get_image_features(**row.extras).pooler_output[0].reshape(4, 4, -1)
    means = features.reshape(2, 2, 2, 2, -1).mean(dim=(1, 3)).reshape(4, -1)
    words = model.get_input_embeddings()(row.tokens["input_ids"])
    first, last = int(columns[0]), int(columns[-1])
    embeds = torch.cat([words[:first], means, words[last + 1 :]])[None]
    middle = columns.reshape(4, 4)[::2, ::2].flatten()  # the second of four in order is on the first row, at the right
    places = torch.cat([torch.arange(first), middle + 1, torch.arange(last + 1, len(words))])[None]
    model.set_attn_implementation("eager")
    made = model.model.language_model(inputs_embeds=embeds, position_ids=places, output_attentions=True)
    weights = made.attentions[-1]
    (gradient,) = torch.autograd.grad(model.lm_head(made.last_hidden_state[0, -1]).max(), weights)
    torch.testing.assert_close(found.attention, weights.detach()[0, :, -1:, first : first + 4], atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found.gradient, gradient[0, :, -1:, first : first + 4], atol=1e-4, rtol=1e-3)
    (words_too,) = backbone.attend([asked], visual_tokens=4, of="loss", query=True)
    behind = len(words) - last - 1
    again = model.model.language_model(inputs_embeds=embeds, position_ids=places, output_attentions=True)
    logits = model.lm_head(again.last_hidden_state[0, -behind:])
    follow = torch.cat([row.tokens["input_ids"][last + 2 :], logits[-1:].argmax(dim=-1)])
    (gradient,) = torch.autograd.grad(
        torch.nn.functional.cross_entropy(logits, follow, reduction="sum"), again.attentions[-1]
    )
    assert words_too.gradient.shape == (4, behind, 4)
    torch.testing.assert_close(words_too.gradient, gradient[0, :, -behind:, first : first + 4], atol=1e-4, rtol=1e-3)


def test_every_family_is_given_the_means_at_the_places_of_the_middle_ones(backbone: TransformersBackbone) -> None:
    """Against what the language model is given without averaging, averaged by hand and put through it in one graph."""
    model, stack = backbone.model, text_model(backbone.model)
    asked = Prompt(WORDS, noise(2, (112, 80)))
    given: list[dict[str, Any]] = []
    hook = stack.register_forward_pre_hook(lambda module, args, named: given.append(named), with_kwargs=True)
    backbone.attend([asked])
    (whole, last), _ = given, hook.remove()
    (found,) = backbone.attend([asked], visual_tokens=4)
    columns = backbone._encoder.encode(asked).visual.nonzero()[:, 0].numpy()
    groups = neighbours(backbone.visual_boxes(asked.view or noise(2, (112, 80))), 4)
    assert 1 < len(np.unique(groups)) < len(groups)
    shares = [[column] for column in range(whole["inputs_embeds"].shape[1]) if column not in columns]
    shares += [columns[groups == group].tolist() for group in np.unique(groups)]
    squares = [tuple(each) for each in shares[-len(found.boxes) :]]
    middle = dict(zip(squares, columns[np.unique(groups)], strict=True))
    shares.sort(key=lambda each: middle.get(tuple(each), each[0]))
    own = [middle.get(tuple(each), each[0]) for each in shares]

    def mean(states: torch.Tensor) -> torch.Tensor:
        return torch.stack([states[each].mean(dim=0) for each in shares])

    more = {}
    if whole.get("visual_pos_masks") is not None:
        marks = whole["visual_pos_masks"][0]
        spread = [torch.zeros(len(marks), each.shape[-1]) for each in whole["deepstack_visual_embeds"]]
        for states, each in zip(spread, whole["deepstack_visual_embeds"], strict=True):
            states[marks] = each
        kept = torch.tensor([*marks[own], False])
        more = {
            "visual_pos_masks": kept[None],
            "deepstack_visual_embeds": [mean(states)[kept[:-1]] for states in spread],
        }
    embeds = torch.cat([mean(whole["inputs_embeds"][0]), last["inputs_embeds"][0]])
    places = torch.cat([whole["position_ids"][..., own], last["position_ids"]], dim=-1)
    model.set_attn_implementation("eager")
    made = stack(
        inputs_embeds=embeds[None],
        attention_mask=torch.ones(1, len(embeds), dtype=torch.long),  # without one, gaps in positions part sequences
        position_ids=places,
        output_attentions=True,
        use_cache=False,
        **more,
    )
    weights = made.attentions[-1]
    score = model.get_output_embeddings()(made.last_hidden_state[0, -1]).max()
    (gradient,) = torch.autograd.grad(score, weights)
    visual = torch.tensor([at for at, column in enumerate(own) if column in columns])
    torch.testing.assert_close(found.attention, weights.detach()[0, :, -1:, visual], atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found.gradient, gradient[0, :, -1:, visual], atol=1e-4, rtol=1e-3)


def test_the_small_model_says_that_its_tokens_are_not_neighbours(tmp_path: Path) -> None:
    """Its visual tokens are things found in the image, all at one position and seeing each other."""
    backbone = TransformersBackbone(tiny.tower(tmp_path), device="cpu")
    asked = Prompt(WORDS, noise(6, (64, 64)))
    (found,) = backbone.attend([asked])
    (same,) = backbone.attend([asked], visual_tokens=found.attention.shape[-1])
    torch.testing.assert_close(same.attention, found.attention)
    with pytest.raises(ContractError, match=r"cannot be averaged.*query_tokens=None"):
        backbone.attend([asked], visual_tokens=2)
    (after,) = backbone.attend([asked])
    torch.testing.assert_close(after.attention, found.attention)


def test_a_model_with_its_own_mask_says_that_it_cannot() -> None:
    stack = torch.nn.Identity()
    with (
        averaged(stack, object()),  # type: ignore[arg-type]
        pytest.raises(ContractError, match=r"cannot be averaged.*query_tokens=None"),
    ):
        stack(torch.zeros(1), inputs_embeds=torch.zeros(1, 2, 3), attention_mask=torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("mask", [{"full_attention": None}, None])
def test_nor_can_one_without_positions(mask: Any) -> None:
    stack = torch.nn.Identity()
    with (
        averaged(stack, object()),  # type: ignore[arg-type]
        pytest.raises(ContractError, match="its Identity is not given embeddings, positions and a mask of two axes"),
    ):
        stack(torch.zeros(1), inputs_embeds=torch.zeros(1, 2, 3), attention_mask=mask)
