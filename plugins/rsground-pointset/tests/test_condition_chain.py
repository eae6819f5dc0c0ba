"""The chain splits first and grounds with what it found, on scripted answers, replayed ones and a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsground.assembly import assemble
from rsground.contracts import Backbone, Prompt
from rsground.errors import ContractError, UnknownNameError
from rsground.pipeline import Pipeline
from rsground.registry import load
from rsground.testing import PreprocessorConformance, miniature
from rsground.testing.samples import blank_view
from rsground.types import Generation, ImageRef, Region, Sample, Task, Usage, View
from rsground_pointset.anyres import AnyRes
from rsground_pointset.chained import NO_COST, Chained, added, chained
from rsground_pointset.condition_chain import ConditionChain
from rsground_pointset.conditions import Step
from rsground_pointset.georsmllm import GeoRsmllmHead

INSTRUCTION = "the largest ship left of the pier"
SPLIT = "1. detect all ship\n2. select the one left of the pier\n3. select the largest one"
SHIPS = "{(100, 100), (200, 100), (200, 200), (100, 200)}\n{(500, 500), (600, 500), (600, 700), (500, 700)}"
LEFT = "{(100, 100), (200, 100), (200, 200), (100, 200)}"


class Scripted(Backbone):
    """Answers by what the question asks for, and keeps all questions."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers, self.asked = answers, list[Prompt]()

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        self.asked.extend(prompts)
        return [self._one(prompt.text) for prompt in prompts]

    def _one(self, text: str) -> Generation:
        answer = next((said for words, said in self.answers.items() if words in text), "{}")
        return Generation(answer, usage=Usage(output_tokens=10, prompt_tokens=len(text), peak_memory_bytes=7))


def backbone() -> Scripted:
    return Scripted({"Split the instruction": SPLIT, "corners of all ship": SHIPS, "left of the pier": LEFT})


def sample_of(task: Task = Task.HBB, size: tuple[int, int] = (100, 100)) -> Sample:
    image = ImageRef("a.png", *size, render=partial(np.zeros, (*size, 3), np.uint8))
    return Sample("s", (image,) * (2 if task is Task.CHANGE else 1), INSTRUCTION, task)


def chain(parser: str = "backbone", **head: Any) -> ConditionChain:
    """The step as a system has it: told of its head."""
    made = ConditionChain(parser)  # type: ignore[arg-type]
    made.listen(GeoRsmllmHead(**head))
    return made


class TestConditionChain(PreprocessorConformance):
    preprocessor_name = "condition-chain"


@pytest.mark.parametrize("parser", ["backbone", "rules"])
def test_each_question_carries_the_answer_before_it(parser: str) -> None:
    model, sample = backbone(), sample_of()
    view = chain(parser).apply(blank_view(sample), sample, model)
    last = GeoRsmllmHead().prompt(sample, view).text
    *parsing, first, second = model.asked
    assert [prompt.view for prompt in parsing] == ([None] if parser == "backbone" else [])
    assert first.text == "[detection] Give the corners of all ship."
    assert second.text.startswith("[detection] Give the corners of the one left of the pier. Candidates: {(100, 100)")
    assert second.text.count("{") == 2
    assert last == f"[detection] Give the corners of the largest one. Candidates: {LEFT}"
    assert first.grammar is not None
    assert first.grammar.matches(SHIPS)
    found = chained(view)
    assert found is not None
    assert found.steps == (
        Step("detect", "all ship"),
        Step("select", "the one left of the pier"),
        Step("select", "the largest one"),
    )
    assert found.usage.output_tokens == 10 * len(model.asked)


def test_the_cost_of_all_questions_is_that_of_the_answer() -> None:
    model = backbone()
    (found,) = Pipeline(GeoRsmllmHead(), model, [chain()]).answer([sample_of()])
    assert found.error is None
    assert len(model.asked) == 4
    assert found.usage.output_tokens == 40
    assert found.usage.prompt_tokens == sum(len(prompt.text) for prompt in model.asked)
    assert found.usage.peak_memory_bytes == 7


def test_a_mask_question_selects_among_boxes() -> None:
    model, sample = backbone(), sample_of(Task.MASK)
    view = chain("rules").apply(blank_view(sample), sample, model)
    asked = GeoRsmllmHead().prompt(sample, view)
    assert asked.text == f"[seg] Give the box and key points of the largest one. Candidates: {LEFT}"
    assert asked.grammar is not None
    assert asked.grammar.matches("{(1, 2), (3, 4)} {(2, 3)}")


def test_candidates_are_written_in_the_view_that_is_asked_about() -> None:
    """A step after the chain moves the image; the same place is meant."""
    model, sample = backbone(), sample_of(size=(50, 100))
    view = chain("rules").apply(blank_view(sample), sample, model)
    moved = AnyRes(tile=32, grids=[(2, 2)]).apply(view, sample)  # 64 x 32 of the image in the middle of 64 x 64
    text = GeoRsmllmHead().prompt(sample, moved).text
    assert text.endswith("Candidates: {(100, 300), (200, 300), (200, 350), (100, 350)}")


@pytest.mark.parametrize(
    ("expression", "answers", "model", "plain"),
    [
        ("aircraft", {}, "scripted", "one-condition"),
        (INSTRUCTION, {}, "scripted", "no-candidates"),
        (INSTRUCTION, {"corners of all ship": "I see no ships."}, "scripted", "no-candidates"),
        (INSTRUCTION, {}, "none", "no-backbone"),
        (INSTRUCTION, {}, "oracle", "needs-answer"),
    ],
)
def test_where_a_chain_cannot_go_on_the_instruction_is_asked(
    expression: str, answers: dict[str, str], model: str, plain: str
) -> None:
    sample = replace(sample_of(), expression=expression)
    asked = {"scripted": Scripted(answers), "none": None, "oracle": Oracle()}[model]
    view = chain("rules").apply(blank_view(sample), sample, asked)
    found = chained(view)
    assert found is not None
    assert found.plain == plain
    assert GeoRsmllmHead().prompt(sample, view).text == GeoRsmllmHead().prompt(sample, blank_view(sample)).text


class Oracle(Backbone):
    needs_answer = True

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        raise AssertionError("a step has no right answer to repeat")


def test_other_tasks_are_left_alone() -> None:
    sample = miniature(Task.REGION_CAPTION)
    view = blank_view(sample)
    assert chain().apply(view, sample, backbone()) is view


def test_replayed_chains(tmp_path: Path) -> None:
    lines = {"s#conditions": SPLIT, "s#step-1": SHIPS, "s#step-2": LEFT, "s": LEFT}
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(json.dumps({"id": name, "text": text}) for name, text in lines.items()))
    pipeline = Pipeline(GeoRsmllmHead(), load("backbone", "replay", path=str(file)), [chain()])
    (found,) = pipeline.answer([sample_of()])
    assert found.error is None
    assert found.regions[0].quad == ((10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0))
    file.write_text(json.dumps({"id": "s", "text": LEFT}))
    (missing,) = Pipeline(GeoRsmllmHead(), load("backbone", "replay", path=str(file)), [chain()]).answer([sample_of()])
    assert "s#conditions" in str(missing.error)


def test_a_change_is_selected_among_polygons() -> None:
    ring = "{(100, 100), (200, 100), (200, 200), (100, 100)}"
    model = Scripted({"polygons of all ship": ring, "left of the pier": ring})
    sample = sample_of(Task.CHANGE)
    view = chain("rules").apply(blank_view(sample), sample, model)
    assert len(model.asked[0].view.images) == 2  # type: ignore[union-attr]
    assert GeoRsmllmHead().prompt(sample, view).text.endswith(f"the largest one. Candidates: {ring}")


@pytest.mark.parametrize("family", ["tower", "llava"])
def test_a_chain_runs_on_a_model(family: str, tiny_backbone: Callable[..., Any]) -> None:
    """A random model, constrained: its first step always names candidates or none, and its last one parses."""
    model = Short(tiny_backbone(family))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    plain = set()
    for seed in range(3):
        sample = replace(sample_of(Task.OBB, (60, 80)), expression=f"{INSTRUCTION} {seed}")
        view = chain().apply(View((image,), (60, 80)), sample, model)
        head = GeoRsmllmHead()
        prompt = head.prompt(sample, view)
        (said,) = model.generate([prompt])
        found = head.read(said, sample, view)
        state = chained(view)
        assert state is not None
        assert found.parsed
        assert prompt.grammar is not None
        assert prompt.grammar.matches(said.text)
        assert len(state.said) >= 2
        assert (found.usage.output_tokens or 0) > (state.usage.output_tokens or 0) > 0
        assert ("Candidates:" in prompt.text) is (state.plain is None)
        plain.add(state.plain)
    assert plain <= {None, "no-candidates"}


class Short(Backbone):
    """A backbone whose answers are cut early."""

    def __init__(self, inner: Backbone) -> None:
        self.inner = inner

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        return self.inner.generate([replace(prompt, max_new_tokens=60) for prompt in prompts])


def test_what_is_not_known_of_one_is_not_known_of_both() -> None:
    assert added(Usage(1.0, None, 3, 4, 10), Usage(2.0, 5, 6, 7, 8)) == Usage(3.0, None, 9, 11, 10)


def test_times_are_added_too_and_no_question_costs_nothing() -> None:
    one = Usage(1.0, 2, 3, 4, 5, 6.0, time_s=0.5)
    assert added(one, one) == Usage(2.0, 4, 6, 8, 5, 12.0, time_s=1.0)
    assert added(NO_COST, one) == added(one, NO_COST) == one


def test_an_unknown_parser_is_named() -> None:
    with pytest.raises(UnknownNameError, match="rules"):
        ConditionChain("llm")  # type: ignore[arg-type]


def test_a_state_without_candidates_asks_its_step() -> None:
    sample = sample_of()
    view = replace(blank_view(sample), meta={"conditions": Chained(steps=(Step("detect", "all planes"),))})
    assert GeoRsmllmHead().prompt(sample, view).text == "[detection] Give the corners of all planes."
    with_one = replace(view, meta={"conditions": Chained((Step("detect", "x"),), (Region(hbb=(0, 0, 50, 100)),))})
    asked = GeoRsmllmHead().prompt(sample, with_one).text
    assert asked.endswith("Candidates: {(0, 0), (500, 0), (500, 1000), (0, 1000)}")


def system(head: dict[str, Any], path: Path) -> Any:
    """The parts of a system with a chain, built by name."""
    return assemble(
        {
            "head": head,
            "backbone": {"name": "replay", "options": {"path": str(path)}},
            "preprocess": [{"name": "condition-chain", "options": {"parser": "rules"}}],
            "segmenter": None,
            "checkpoint": None,
        }
    )


def test_the_steps_of_a_system_are_in_its_own_heads_form(tmp_path: Path) -> None:
    """The head writes hundredths, so the steps are asked and read in hundredths."""
    tenth = {
        "s#step-1": "{(10, 10), (20, 10), (20, 20), (10, 20)}",
        "s#step-2": "{(10, 10), (20, 10), (20, 20), (10, 20)}",
    }
    (tmp_path / "answers.jsonl").write_text(
        "\n".join(json.dumps({"id": key, "text": said}) for key, said in tenth.items())
    )
    parts = system({"name": "georsmllm", "options": {"resolution": 100}}, tmp_path / "answers.jsonl")
    sample = sample_of(size=(50, 100))
    (step,) = parts.steps
    view = step.apply(blank_view(sample), sample, parts.backbone)
    state = chained(view)
    assert state is not None
    assert state.candidates[0].quad == ((10.0, 5.0), (20.0, 5.0), (20.0, 10.0), (10.0, 10.0))
    assert parts.head.prompt(sample, view).text.endswith("Candidates: {(10, 10), (20, 10), (20, 20), (10, 20)}")


def test_a_head_that_would_lose_the_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("")
    with pytest.raises(ContractError, match=r"'georsmllm'.* CodecHead does not: leave the chain out"):
        system({"name": "codec", "options": {"codec": "text-hbb"}}, tmp_path / "answers.jsonl")
    model, sample = backbone(), sample_of()
    with pytest.raises(ContractError, match=r"told of none.*listen\(head\)"):
        ConditionChain("rules").apply(blank_view(sample), sample, model)
    assert not model.asked, "nothing is asked that nobody counts"
