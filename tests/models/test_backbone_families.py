"""Every family from disk: batches, forced answers, hidden states, teaching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from rsground.contracts import Prompt
from rsground.models.backbone import TransformersBackbone
from rsground.models.encoding import join
from rsground.models.running import forward
from rsground.registry import load
from rsground.types import View

HIDDEN = frozenset({"hidden"})


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackbone:
    folder = tiny.build(request.param, tmp_path_factory.mktemp("tiny"))
    return TransformersBackbone(folder, device="cpu")


@cache
def view(*sizes: tuple[int, int]) -> View:
    rng = np.random.default_rng(sum(map(sum, sizes)))
    return View(tuple(rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes), sizes[-1])


PROMPTS = (
    Prompt("Where is the red car?", view((40, 60)), max_new_tokens=12, capture=HIDDEN),
    Prompt("Segment the very large storage tanks by the pier, please.", view((64, 32)), max_new_tokens=7),
    Prompt("Which is larger, 10 or 9?", None, max_new_tokens=5, capture=HIDDEN),
    Prompt("What changed?", view((40, 60), (30, 30)), max_new_tokens=9, capture=HIDDEN),
    Prompt("x", view((90, 20)), max_new_tokens=12, capture=HIDDEN),
    Prompt("船", view((28, 28)), max_new_tokens=1, capture=HIDDEN),
)


def with_answers(answers: Sequence[str]) -> list[Prompt]:
    return [replace(prompt, answer=answer) for prompt, answer in zip(PROMPTS, answers, strict=True)]


def test_batched_answers_equal_one_by_one_answers(backbone: TransformersBackbone) -> None:
    together = backbone.generate(PROMPTS)
    alone = [backbone.generate([prompt])[0] for prompt in PROMPTS]
    assert [each.token_ids for each in together] == [each.token_ids for each in alone]
    assert [each.usage.visual_tokens for each in together] == [each.usage.visual_tokens for each in alone]
    for one, other in zip(together, alone, strict=True):
        assert (one.hidden is None) == (other.hidden is None)
        if one.hidden is not None:
            assert one.hidden.shape == (len(one.token_ids or ()), backbone.hidden_size)
            torch.testing.assert_close(one.hidden, other.hidden, atol=1e-4, rtol=1e-3)


def test_forced_tokens_of_one_row_do_not_touch_its_neighbours(backbone: TransformersBackbone) -> None:
    """Grammars force tokens here and there, so rows go on by different numbers of tokens in one step."""
    boxes = load("codec", "text-hbb").grammar((40, 60))
    masks = load("codec", "text-mask", resolution=4).grammar((40, 60))
    grammars = (boxes, None, masks, boxes, None, masks)
    asked = [
        replace(prompt, grammar=grammar, max_new_tokens=60, capture=HIDDEN)
        for prompt, grammar in zip(PROMPTS, grammars, strict=True)
    ]
    together = backbone.generate(asked)
    for prompt, found in zip(asked, together, strict=True):
        (alone,) = backbone.generate([prompt])
        assert found.token_ids == alone.token_ids
        assert prompt.grammar is None or prompt.grammar.matches(found.text)
        torch.testing.assert_close(found.hidden, alone.hidden, atol=1e-4, rtol=1e-3)


def test_answers_are_those_of_the_library(backbone: TransformersBackbone) -> None:
    """The library's own ``generate`` is the oracle of a prompt with an image."""
    for prompt in PROMPTS[:1] + PROMPTS[3:5]:
        assert prompt.view is not None
        shown = [{"type": "image", "image": image} for image in prompt.view.images]
        given = backbone.processor.apply_chat_template(
            [{"role": "user", "content": [*shown, {"type": "text", "text": prompt.text}]}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        found = backbone.model.generate(**given, max_new_tokens=prompt.max_new_tokens, do_sample=False)
        ours = backbone.generate([prompt])[0]
        expected = found[0, given["input_ids"].shape[1] :].tolist()
        if ours.finish == "stop":
            assert expected.pop() in backbone.marks.ends
        assert list(ours.token_ids or ()) == expected


def test_what_is_shown_matters(backbone: TransformersBackbone) -> None:
    black = View((np.zeros((40, 60, 3), np.uint8),), (40, 60))
    seen, unseen = backbone.generate(
        [replace(PROMPTS[0], answer="a ship", view=each) for each in (view((40, 60)), black)]
    )
    assert (seen.hidden - unseen.hidden).abs().max() > 1e-2


def test_forced_answers_give_the_states_of_generated_ones(backbone: TransformersBackbone) -> None:
    """Random models write bytes that are no text, so their tokens are forced through the tokenizer's own words."""
    texts = ["[100, 200]", "the small plane", "9", "船", "", "a pier [25]"]
    together = backbone.generate(with_answers(texts))
    assert [each.text for each in together] == texts
    assert {each.finish for each in together} == {"forced"}
    for prompt, text, each in zip(PROMPTS, texts, together, strict=True):
        assert each.token_ids == tuple(backbone.tokenizer(text, add_special_tokens=False)["input_ids"])
        assert (each.hidden is not None) == ("hidden" in prompt.capture)
        if each.hidden is not None:
            (alone,) = backbone.generate([replace(prompt, answer=text)])
            torch.testing.assert_close(each.hidden, alone.hidden, atol=1e-4, rtol=1e-3)


def test_states_of_a_decoded_answer_are_those_of_one_pass(backbone: TransformersBackbone) -> None:
    """Decoding with a cache and one forward pass over the same tokens agree on every state."""
    (written,) = backbone.generate(PROMPTS[:1])
    row = backbone._encoder.encode(replace(PROMPTS[0], answer="any"))
    from rsground.models.teaching import force

    with torch.no_grad():
        (states,) = force(backbone.model, [replace(row, answer=written.token_ids)], backbone.marks.pad)
    torch.testing.assert_close(written.hidden, states, atol=1e-4, rtol=1e-3)


def test_teaching_gives_the_mean_loss_and_gradients(backbone: TransformersBackbone) -> None:
    texts = ["[100, 200]", "the small plane", "9", "船", "", "a pier [25]"]
    prompts = with_answers(texts)
    taught = backbone.teach(prompts)
    alone = [backbone.teach([prompt]) for prompt in prompts]
    counts = torch.tensor([len(each.token_ids[0]) + 1.0 for each in alone])
    losses = torch.stack([each.loss for each in alone])
    torch.testing.assert_close(taught.loss, (losses * counts).sum() / counts.sum(), atol=1e-4, rtol=1e-4)
    forced = backbone.generate([replace(prompt, capture=HIDDEN) for prompt in prompts])
    for ids, hidden, generation in zip(taught.token_ids, taught.hidden, forced, strict=True):
        assert tuple(ids.tolist()) == generation.token_ids
        torch.testing.assert_close(hidden, generation.hidden, atol=1e-4, rtol=1e-3)
    (taught.loss + sum(each.sum() for each in taught.hidden)).backward()
    gradients = [weight.grad for weight in backbone.model.parameters() if weight.grad is not None]
    assert all(torch.isfinite(each).all() for each in gradients)
    vision = [name for name, weight in backbone.model.named_parameters() if "vis" in name and weight.grad is not None]
    assert vision
    backbone.model.zero_grad(set_to_none=True)


def test_a_saved_model_answers_the_same(backbone: TransformersBackbone, tmp_path: Path) -> None:
    backbone.save(tmp_path / "system" / "backbone")
    again = TransformersBackbone(tmp_path / "system", device="cpu")
    first, second = backbone.generate(PROMPTS), again.generate(PROMPTS)
    assert [each.token_ids for each in second] == [each.token_ids for each in first]


@pytest.mark.parametrize("family", tiny.MIXTURES)
def test_mixtures_of_experts_do_what_their_families_do(family: str, tmp_path: Path) -> None:
    mixture = TransformersBackbone(tiny.build(family, tmp_path), device="cpu")
    test_batched_answers_equal_one_by_one_answers(mixture)
    test_answers_are_those_of_the_library(mixture)
    boxes = mixture.visual_boxes(view((40, 60)))
    dense = tiny.build(family.removesuffix("-moe"), tmp_path / "dense")
    np.testing.assert_array_equal(boxes, TransformersBackbone(dense, device="cpu").visual_boxes(view((40, 60))))


def test_a_sliding_window_counts_tokens_whoever_the_neighbours_are(tmp_path: Path) -> None:
    folder = tiny.build("llava-onevision", tmp_path, use_sliding_window=True, sliding_window=8, max_window_layers=0)
    test_forced_tokens_of_one_row_do_not_touch_its_neighbours(TransformersBackbone(folder, device="cpu"))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_in_bfloat16_a_batch_departs_only_where_two_tokens_are_as_likely(family: str, tmp_path: Path) -> None:
    """Sums of another order round differently: states agree to the precision, and so do the answers, but for ties."""
    backbone = TransformersBackbone(tiny.build(family, tmp_path), device="cpu", dtype="bfloat16")
    texts = ["[100, 200]", "the small plane", "9", "船", "a ship by", "a pier [25]"]
    forced = [replace(prompt, capture=HIDDEN) for prompt in with_answers(texts)]
    for prompt, found in zip(forced, backbone.generate(forced), strict=True):
        (alone,) = backbone.generate([prompt])
        assert (found.hidden - alone.hidden).norm() < 0.02 * alone.hidden.norm()
    grammar = load("codec", "text-hbb").grammar((40, 60))
    asked = [replace(prompt, grammar=each, max_new_tokens=20) for prompt in PROMPTS for each in (None, grammar)]
    for prompt, found in zip(asked, backbone.generate(asked), strict=True):
        (alone,) = backbone.generate([prompt])
        assert prompt.grammar is None or prompt.grammar.matches(found.text)
        said, other = ([*(each.token_ids or ()), backbone.marks.end] for each in (found, alone))
        if said != other:
            shared = next(at for at, pair in enumerate(zip(said, other, strict=False)) if pair[0] != pair[1])
            logits = next_logits(backbone, prompt, said[:shared])
            apart = (logits[said[shared]] - logits[other[shared]]).abs()
            assert apart <= 4 * torch.finfo(torch.bfloat16).eps * logits.abs().max()


def next_logits(backbone: TransformersBackbone, prompt: Prompt, said: Sequence[int]) -> torch.Tensor:
    """``(V,)`` of the token that follows what was said, in one pass."""
    row = backbone._encoder.encode(prompt)
    batch = join([row], [said], backbone.marks.pad, backbone.device, backbone.model.dtype)
    with torch.no_grad():
        return forward(backbone.model, batch, 1).logits[0, -1].float()
