"""The small model: packed lessons equal each lesson alone; soft numbers; a tokenizer that loses nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import model, tokenizer

from rsground.models.tower_lm.tokenizer import NUMBERS, number_ids, runs
from rsground.models.training.dense import normalised
from rsground.models.training.language_losses import SoftNumbers, text_loss
from rsground.models.training.language_setup import processor_of
from rsground.models.training.packing import Lesson, pack, run_packed

WORDS = tokenizer()
QUESTIONS = [
    [("Where is the large white ship", "[12, 40, 300, 999]"), ("a small red car?", "none"), ("where", "[SEG]")],
    [("all storage tanks, please", "[0, 0, 1000, 1000] and more")],
]


def ids(text: str) -> tuple[int, ...]:
    return tuple(WORDS(text, add_special_tokens=False)["input_ids"])


def lessons(forced: bool = False) -> list[list[Lesson]]:
    return [[Lesson((*ids(question), 3), ids(answer), (0,), forced) for question, answer in each] for each in QUESTIONS]


@pytest.fixture(scope="module")
def parts() -> tuple[Any, Any, Any]:
    """Model, pixels of two images and their facts."""
    small = model(WORDS)
    images = np.random.default_rng(2).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        found = small.facts(normalised(torch.from_numpy(images)))
    return small, images, found


@torch.no_grad()
def test_packed_lessons_equal_each_lesson_alone(parts: tuple[Any, Any, Any]) -> None:
    small, images, found = parts
    visual = small.config.visual_tokens
    shown = [torch.full((visual,), -1)] * 2
    packed = pack(lessons(), shown, visual, WORDS.eos_token_id)
    read = run_packed(small, found, packed)
    logits = small.say(read.words, read.weights, read.memory.numbers)
    process = processor_of(small, WORDS)
    summed, asked = 0.0, 0
    for row, each in enumerate(QUESTIONS):
        for number, (question, answer) in enumerate(each, 0 if row == 0 else len(QUESTIONS[0])):
            inputs = process(text=f"<image>{question}<answer>{answer}", images=[images[row]], return_tensors="pt")
            alone = small(**inputs).logits[0, visual:]
            mine = packed.segment[row] == number
            assert inputs["input_ids"][0, visual:].tolist() == packed.ids[row][mine].tolist()
            torch.testing.assert_close(logits[row][mine], alone, rtol=1e-4, atol=2e-3)
            wanted = torch.tensor([*ids(answer), WORDS.eos_token_id])
            said = alone[-len(wanted) :].log_softmax(-1)
            summed -= float(said.gather(1, wanted[:, None]).sum())
            asked += len(wanted)
    plain = SoftNumbers({0: 4}, small.config.text_config.vocab_size)
    assert float(text_loss(small, read, packed, plain)) == pytest.approx(summed / asked, rel=1e-4)


@torch.no_grad()
def test_no_lesson_sees_another(parts: tuple[Any, Any, Any]) -> None:
    small, _, found = parts
    visual = small.config.visual_tokens
    shown = [torch.full((visual,), -1)] * 2
    before = pack(lessons(), shown, visual, WORDS.eos_token_id)
    first = before.lessons[0]
    changed = lessons()
    changed[0][0] = Lesson(tuple(7 + token % 50 for token in first.prompt), first.answer, first.targets)
    after = pack(changed, shown, visual, WORDS.eos_token_id)
    read, other = run_packed(small, found, before), run_packed(small, found, after)
    torch.testing.assert_close(read.memory.offers, other.memory.offers, rtol=0, atol=1e-6)
    same = before.segment != 0
    torch.testing.assert_close(read.words[same], other.words[same], rtol=0, atol=1e-6)
    assert (read.words[~same] - other.words[~same]).abs().max() > 0.01


def test_what_is_asked_where(parts: tuple[Any, Any, Any]) -> None:
    visual = parts[0].config.visual_tokens
    shown = [torch.tensor([0, -1, 1, 0] + [-1] * (visual - 4))] * 2
    packed = pack(lessons(), shown, visual, WORDS.eos_token_id)
    for lesson, (row, mark), start in zip(packed.lessons, packed.asks.tolist(), packed.starts.tolist(), strict=True):
        assert packed.ids[row, mark] == 3, "the answer mark"
        assert packed.labels[row, mark : mark + len(lesson.answer) + 1].tolist() == [*lesson.answer, 2]
        assert packed.ids[row, start : start + len(lesson.answer)].tolist() == list(lesson.answer)
    assert int((packed.labels >= 0).sum()) == sum(len(each.answer) + 1 for each in packed.lessons)
    assert packed.meant[0].tolist() == [True, False, False, True] + [False] * (visual - 4)
    forced = pack(lessons(forced=True), shown, visual, WORDS.eos_token_id)
    assert (forced.labels == -100).all()
    ends = [start + len(each.answer) - 1 for each, start in zip(forced.lessons, forced.starts.tolist(), strict=True)]
    assert forced.asks[:, 1].tolist() == ends


def test_soft_numbers_forgive_neighbours() -> None:
    soft = SoftNumbers({number: 10 + number for number in range(21)}, 40, spread=2.0)
    label = torch.tensor([20])
    steps = torch.arange(21.0)
    best = torch.full((1, 40), -60.0)
    best[0, 10:31] = -((steps - 10) ** 2) / 8
    assert float(soft(best, label)) == pytest.approx(0, abs=1e-4)

    def sure(token: int) -> float:
        logits = torch.zeros(1, 40)
        logits[0, token] = 8.0
        return float(soft(logits, label))

    assert sure(20) < sure(21) < sure(23) < sure(30)
    assert sure(21) == pytest.approx(sure(19), rel=1e-4)
    words = torch.randn(5, 40)
    others = torch.tensor([1, 2, 35, 39, 0])
    torch.testing.assert_close(soft(words, others), torch.nn.functional.cross_entropy(words, others, reduction="none"))
    mixed = soft(torch.cat([best, words]), torch.cat([label, others]))
    torch.testing.assert_close(mixed[1:], soft(words, others))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_comes_back(text: str) -> None:
    found = WORDS.decode(list(ids(text)), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert found == text


def test_every_number_and_run_is_one_token() -> None:
    known = number_ids(WORDS)
    assert len(set(known.values())) == NUMBERS == 1001
    for number in range(NUMBERS):
        assert ids(str(number)) == (known[number],)
    for run in runs():
        assert len(ids(run)) == 1, run
    inside = ids("[12, 7, 1000, 999]")
    assert [token for token in inside if token in known.values()] == [known[number] for number in (12, 7, 1000, 999)]
