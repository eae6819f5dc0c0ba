"""The project's own small model through the backbone like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from rsground.contracts import Prompt
from rsground.errors import DeviceError
from rsground.models.backbone import TransformersBackbone
from rsground.models.loading import fitting_dtype
from rsground.types import View

HIDDEN = frozenset({"hidden"})


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> TransformersBackbone:
    return TransformersBackbone(tiny.tower(tmp_path_factory.mktemp("tower")), device="cpu")


def view(*sizes: tuple[int, int]) -> View:
    rng = np.random.default_rng(sum(map(sum, sizes)))
    return View(tuple(rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes), sizes[-1])


PROMPTS = (
    Prompt("Where is the red car?", view((40, 60)), max_new_tokens=9, capture=HIDDEN),
    Prompt("Segment the very large storage tanks by the pier, please.", view((64, 32)), max_new_tokens=7),
    Prompt("Which is larger, 10 or 9?", None, max_new_tokens=5, capture=HIDDEN),
    Prompt("What changed?", view((40, 60), (30, 30)), max_new_tokens=6, capture=HIDDEN),
)


def test_batches_answer_like_single_prompts(backbone: TransformersBackbone) -> None:
    together = backbone.generate(PROMPTS)
    alone = [backbone.generate([prompt])[0] for prompt in PROMPTS]
    assert [each.token_ids for each in together] == [each.token_ids for each in alone]
    assert [each.usage.visual_tokens for each in together] == [10, 10, 0, 20]


def test_decoded_states_are_those_of_a_forced_answer(backbone: TransformersBackbone) -> None:
    (said,) = backbone.generate([replace(PROMPTS[0], answer="[100, 200]")])
    taught = backbone.teach([replace(PROMPTS[0], answer="[100, 200]"), replace(PROMPTS[1], answer="9")])
    torch.testing.assert_close(taught.hidden[0], said.hidden, atol=1e-4, rtol=1e-3)
    taught.loss.backward()
    assert torch.isfinite(taught.loss)
    assert any(weight.grad is not None for weight in backbone.model.visual.parameters())
    backbone.model.zero_grad(set_to_none=True)


def test_its_tokens_say_which_part_of_the_view_they_are(backbone: TransformersBackbone) -> None:
    for prompt, count in ((PROMPTS[0], 10), (PROMPTS[3], 20)):
        (found,) = backbone.attend([prompt])
        assert found.attention.shape == (4, 1, count) == found.gradient.shape
        boxes = found.boxes.numpy()
        assert boxes.shape == (count, 4)
        assert np.isnan(boxes[:-10]).all()
        assert prompt.view is not None
        height, width = prompt.view.size
        known = boxes[-10:][~np.isnan(boxes[-10:, 0])]
        assert len(known) >= 4
        assert (known >= 0).all()
        assert (known <= [width, height, width, height]).all()


def test_words_of_a_question_are_read_as_one_question(backbone: TransformersBackbone) -> None:
    """Against a graph through the whole model: what a question means is settled at its mark, not before."""
    (found,) = backbone.attend([PROMPTS[0]], of="loss", query=True)
    row = backbone._encoder.encode(PROMPTS[0])
    ids, last = row.tokens["input_ids"], int(row.visual.nonzero().max())
    behind = len(ids) - last - 1
    backbone.model.set_attn_implementation("eager")
    made = backbone.model(input_ids=ids[None], **row.extras, output_attentions=True)
    logits = made.logits[0, -behind:]
    follow = torch.cat([ids[last + 2 :], logits[-1:].argmax(dim=-1)])
    loss = torch.nn.functional.cross_entropy(logits, follow, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, made.attentions[-1])
    assert found.gradient.shape == (4, behind, 10)
    assert found.gradient.abs().max() > 1e-4
    torch.testing.assert_close(found.gradient, gradient[0, :, -behind:][..., row.visual], atol=1e-5, rtol=1e-3)
    expected = made.attentions[-1].detach()[0, :, -behind:][..., row.visual]
    torch.testing.assert_close(found.attention, expected, atol=1e-5, rtol=1e-3)


def test_adapters_go_on_its_language_model_alone(backbone: TransformersBackbone, tmp_path: Path) -> None:
    backbone.save(tmp_path)
    copy = TransformersBackbone(tmp_path, device="cpu")
    expected = copy.generate(PROMPTS)
    copy.add_lora(rank=2)
    names = [name for name, weight in copy.model.named_parameters() if weight.requires_grad]
    assert names
    assert all(".layers." in name for name in names)
    assert [each.token_ids for each in copy.generate(PROMPTS)] == [each.token_ids for each in expected]


def test_it_computes_in_float32_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA has bfloat16, ``auto`` takes it for other models."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    folder, other = tiny.tower(tmp_path / "tower"), tiny.build("llava", tmp_path / "other")
    assert fitting_dtype(other, "auto", torch.device("cuda")) == torch.bfloat16
    assert fitting_dtype(folder, "auto", torch.device("cuda")) == torch.float32
    assert fitting_dtype(folder, "fp32", torch.device("cpu")) == torch.float32
    with pytest.raises(DeviceError, match="computes in float32 only"):
        TransformersBackbone(folder, device="cpu", dtype="float16")
