"""What surrounds an answer: limits, memory, chance, templates, grammars, tokens, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from rsground.codecs import Grammar
from rsground.contracts import Prompt
from rsground.errors import DeviceError, PromptError
from rsground.models.backbone import TransformersBackbone
from rsground.models.devices import in_parts, is_out_of_memory
from rsground.models.encoding import Encoded
from rsground.registry import load
from rsground.testing.parts import BackboneConformance
from rsground.types import Generation, View


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build("llava", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def backbone(built: Path) -> TransformersBackbone:
    return TransformersBackbone(built, device="cpu")


def view(seed: int = 0, size: tuple[int, int] = (40, 60)) -> View:
    return View((np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8),), size)


PROMPTS = tuple(Prompt(f"Where is ship {number}?", view(number), max_new_tokens=6) for number in range(10))


class TestTinyLlava(BackboneConformance):
    """The laws of every backbone."""

    backbone_name = "transformers"

    @pytest.fixture(autouse=True)
    def _weights(self, built: Path) -> None:
        self.backbone_options = {"checkpoint": str(built), "device": "cpu"}


def test_the_registry_builds_it_from_a_system_folder(built: Path, tmp_path: Path) -> None:
    (tmp_path / "backbone").symlink_to(built)
    found = load("backbone", "transformers", checkpoint=str(tmp_path), device="cpu", batch_size=3)
    assert found.batch_size == 3
    assert found.hidden_size == 32
    assert found.count_tokens("[100, 200]") == len(found.tokenizer("[100, 200]", add_special_tokens=False)["input_ids"])


def test_a_batch_that_does_not_fit_is_halved(backbone: TransformersBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = backbone.generate(PROMPTS)
    sizes: list[int] = []
    forward = type(backbone.model).forward

    def small(self: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(backbone.model), "forward", small)
    found = backbone.generate(PROMPTS)
    assert [each.token_ids for each in found] == [each.token_ids for each in expected]
    assert sizes[:3] == [8, 4, 2]
    assert max(sizes[2:]) == 2, "what did not fit once is not tried again"


def test_one_prompt_that_does_not_fit_is_an_error(
    backbone: TransformersBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(type(backbone.model), "forward", full)
    with pytest.raises(DeviceError, match=r"one prompt alone does not fit in memory .*smaller image"):
        backbone.generate(PROMPTS)


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    def fails(part: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        in_parts([1, 2], 2, fails)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))
    assert in_parts([], 2, fails) == []


def test_a_prompt_longer_than_the_context_is_refused_before_anything_runs(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = TransformersBackbone(built, device="cpu", max_context=60)
    long = replace(PROMPTS[0], text="ship " * 60)
    called: list[int] = []
    forward = type(backbone.model).forward
    monkeypatch.setattr(
        type(backbone.model), "forward", lambda self, **given: called.append(1) or forward(self, **given)
    )
    with pytest.raises(PromptError, match=r"'ship ship .*' takes \d+ tokens \(16 of them visual\) .* context is 60"):
        backbone.generate([PROMPTS[0], long, PROMPTS[1]])
    assert not called
    assert len(backbone.generate([PROMPTS[0], PROMPTS[1]])) == 2
    with pytest.raises(PromptError, match="context is 60"):
        backbone.teach([replace(PROMPTS[0], answer="[1, 2]" * 20)])


def test_an_answer_ends_where_the_context_does(built: Path) -> None:
    free = TransformersBackbone(built, device="cpu")
    row = free._encoder.encode(PROMPTS[0])
    bound = TransformersBackbone(built, device="cpu", max_context=row.length + 4)
    asked = replace(PROMPTS[0], max_new_tokens=50)
    (found,) = bound.generate([asked])
    (longer,) = free.generate([asked])
    assert found.finish == "length"
    assert found.token_ids == (longer.token_ids or ())[:4]
    assert free.max_context == 512


def test_the_image_mark_in_a_text_is_refused(backbone: TransformersBackbone) -> None:
    for spoilt in (replace(PROMPTS[0], text="see <image>"), replace(PROMPTS[0], answer="<image>")):
        with pytest.raises(PromptError, match="must not hold '<image>'"):
            backbone.generate([PROMPTS[1], spoilt])


def test_draws_follow_the_seed_and_not_the_neighbours(built: Path) -> None:
    backbone = TransformersBackbone(built, device="cpu", temperature=1.5, top_p=0.9)
    asked = [replace(prompt, options={"seed": 3}) for prompt in PROMPTS]

    def ids(prompts: Sequence[Prompt]) -> list[tuple[int, ...] | None]:
        return [each.token_ids for each in backbone.generate(prompts)]

    together = ids(asked)
    assert ids(asked) == together
    assert [ids([prompt])[0] for prompt in asked] == together
    assert ids([replace(prompt, options={"seed": 4}) for prompt in asked]) != together
    greedy = TransformersBackbone(built, device="cpu").generate(asked)
    assert [each.token_ids for each in greedy] != together


def test_another_image_draws_other_numbers(built: Path) -> None:
    """A model that sees nothing, so that nothing but the dice can tell one image from another."""
    backbone = TransformersBackbone(built, device="cpu", temperature=1.5)
    with torch.no_grad():
        for weight in backbone.model.model.multi_modal_projector.parameters():
            weight.zero_()
    image = view(1).images[0]
    dotted = image.copy()
    dotted[-1, -1, -1] ^= 1
    shown = [(image,), (image.copy(),), (dotted,), (image, dotted), (dotted, image)]
    asked = [Prompt("Where is the ship?", View(each, (40, 60)), max_new_tokens=12) for each in shown]
    first, again, other, pair, turned = (each.token_ids for each in backbone.generate(asked))
    assert first == again
    assert len({first, other, pair, turned}) == 4
    blind = TransformersBackbone(built, device="cpu")
    blind.model = backbone.model
    assert len({each.token_ids for each in blind.generate(asked[:3])}) == 1, "without dice they are one question"


def test_a_grammar_is_kept_and_can_be_switched_off(built: Path) -> None:
    codec = load("codec", "text-hbb")
    grammar = codec.grammar((40, 60))
    assert isinstance(grammar, Grammar)
    asked = [replace(prompt, grammar=grammar, max_new_tokens=40) for prompt in PROMPTS[:3]]
    bound = TransformersBackbone(built, device="cpu").generate([*asked, PROMPTS[3]])
    assert all(grammar.matches(each.text) for each in bound[:3])
    free = TransformersBackbone(built, device="cpu", constrained=False).generate([*asked, PROMPTS[3]])
    assert not any(grammar.matches(each.text) for each in free)
    assert bound[3].token_ids == free[3].token_ids


def test_a_processor_without_a_template_gets_a_plain_turn(backbone: TransformersBackbone) -> None:
    templated = backbone._encoder.encode(PROMPTS[0]).tokens["input_ids"]
    backbone.processor.chat_template = None
    plain = backbone._encoder.encode(PROMPTS[0]).tokens["input_ids"]
    assert torch.equal(plain, templated), "the fallback is LLaVA-1.5's own template"
    two = backbone._encoder.encode(Prompt("What changed?", View((*view(1).images, *view(2).images), (40, 60))))
    assert int(two.visual.sum()) == 32


def test_added_tokens_are_one_token_each_and_survive_saving(backbone: TransformersBackbone, tmp_path: Path) -> None:
    before = backbone.generate(PROMPTS[:2])
    old = len(backbone.tokenizer)
    mean = backbone.model.get_input_embeddings().weight.mean(dim=0)
    backbone.add_tokens(["[SEG]", "<p>", "[SEG]", "</s>"])
    assert len(backbone.tokenizer) == old + 2
    torch.testing.assert_close(backbone.model.get_input_embeddings().weight[old], mean)
    torch.testing.assert_close(backbone.model.get_input_embeddings().weight[old + 1], mean)
    assert backbone.model.get_output_embeddings().weight.shape[0] == old + 2
    (found,) = backbone.generate([replace(PROMPTS[0], answer="a ship [SEG]", capture=frozenset({"hidden"}))])
    assert found.token_ids is not None
    assert found.token_ids[-1] == old
    assert found.text == "a ship [SEG]"
    assert len(found.hidden) == len(found.token_ids)
    backbone.add_tokens(["[SEG]"])
    assert len(backbone.tokenizer) == old + 2
    backbone.save(tmp_path)
    again = TransformersBackbone(tmp_path, device="cpu")
    assert again.tokenizer.convert_tokens_to_ids("[SEG]") == old
    assert [each.text for each in again.generate(PROMPTS[:2])] == [each.text for each in before]


def test_special_tokens_stay_in_the_text(backbone: TransformersBackbone) -> None:
    """A head that outputs nothing but one token writes it, special or not."""
    backbone.add_tokens(["[SEG]"])
    wanted = backbone.tokenizer.convert_tokens_to_ids("[SEG]")
    with torch.no_grad():
        weight = backbone.model.get_output_embeddings().weight
        weight.zero_()
        weight[wanted] = backbone.generate([replace(PROMPTS[0], answer="[SEG]", capture=frozenset({"hidden"}))])[
            0
        ].hidden
    (found,) = backbone.generate([replace(PROMPTS[0], answer=None, max_new_tokens=3, capture=frozenset({"hidden"}))])
    assert wanted in (found.token_ids or ())
    assert "[SEG]" in found.text
    assert len(found.hidden) == len(found.token_ids or ()) == 3


def test_images_that_must_not_be_written_are_shown_too(backbone: TransformersBackbone) -> None:
    """Pixels shared between systems are read only, black ones take no memory, cut ones are not contiguous."""
    image = view().images[0]
    shared = image.copy()
    shared.flags.writeable = False
    turned = np.ascontiguousarray(image[::-1])[::-1]
    asked = [replace(PROMPTS[0], view=View((each,), (40, 60))) for each in (image, shared, turned)]
    found = backbone.generate(asked)
    assert len({each.token_ids for each in found}) == 1
    black = np.broadcast_to(np.uint8(0), (40, 60, 3))
    assert backbone.generate([replace(PROMPTS[0], view=View((black,), (40, 60)))])[0].token_ids
    assert not shared.flags.writeable


def test_cost_is_counted(built: Path) -> None:
    backbone = TransformersBackbone(built, device="cpu", count_flops=True)
    row = backbone._encoder.encode(PROMPTS[0])
    (found,) = backbone.generate([replace(PROMPTS[0], answer="ship")])
    usage = found.usage
    assert (usage.visual_tokens, usage.prompt_tokens) == (16, row.length - 16)
    assert usage.output_tokens == len(found.token_ids or ())
    assert usage.peak_memory_bytes is not None
    assert usage.peak_memory_bytes > 10_000_000
    # Two operations per weight and token in the language model's blocks alone, from their shapes:
    blocks = sum(weight.numel() for weight in backbone.model.get_decoder().layers.parameters() if weight.dim() == 2)
    tokens = row.length + len(found.token_ids or ())
    assert usage.flops is not None
    assert 2 * blocks * tokens < usage.flops < 6 * blocks * tokens
    assert TransformersBackbone(built, device="cpu").generate(PROMPTS[:1])[0].usage.flops is None


def test_answers_come_without_dropout_while_training(backbone: TransformersBackbone) -> None:
    expected = [each.token_ids for each in backbone.generate(PROMPTS[:3])]
    backbone.add_lora(rank=2, dropout=0.9)
    backbone.model.train()
    assert [each.token_ids for each in backbone.generate(PROMPTS[:3])] == expected
    assert backbone.model.training


def test_teaching_needs_answers(backbone: TransformersBackbone) -> None:
    with pytest.raises(PromptError, match="needs an answer to every prompt; 'Where is ship 1"):
        backbone.teach([replace(PROMPTS[0], answer="here"), PROMPTS[1]])


def test_needs_keep_prompts_apart_and_results_in_order(backbone: TransformersBackbone) -> None:
    seen: list[int] = []

    def run(rows: Sequence[Encoded]) -> list[Generation]:
        assert len({row.needs for row in rows}) == 1
        seen.append(len(rows))
        return [Generation(row.prompt.text) for row in rows]

    mixed = [PROMPTS[0], replace(PROMPTS[1], view=None), PROMPTS[2], replace(PROMPTS[3], answer="x"), PROMPTS[4]]
    rows = [backbone._encoder.encode(prompt) for prompt in mixed]
    assert [each.text for each in backbone._in_groups(rows, run)] == [prompt.text for prompt in mixed]
    assert sorted(seen) == [1, 1, 3]
