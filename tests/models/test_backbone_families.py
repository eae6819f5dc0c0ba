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
