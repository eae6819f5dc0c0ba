"""The small model: packed lessons equal each lesson alone; soft numbers; a tokenizer that loses nothing."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import model, tokenizer

from rsground.contracts import Prompt, TokenHead
from rsground.models.tower_lm.tokenizer import NUMBERS, number_ids, runs
from rsground.models.training.dense import normalised
from rsground.models.training.language_losses import SoftNumbers, text_loss
from rsground.models.training.language_setup import processor_of
from rsground.models.training.lessons import Chances, SceneLessons, Speller, in_order
from rsground.models.training.packing import Lesson, pack, run_packed
from rsground.types import Generation, ImageRef, Prediction, Region, Sample, Task, View

WORDS = tokenizer()
QUESTIONS = [
    [("Where is the large white ship", "[12, 40, 300, 999]"), ("a small red car?", "none"), ("where", "[SEG]")],
    [("all storage tanks, please", "[0, 0, 1000, 1000] and more")],
]


def ids(text: str) -> tuple[int, ...]:
    return tuple(WORDS(text, add_special_tokens=False)["input_ids"])


def lessons(forced: bool = False) -> list[list[Lesson]]:
    return [
        [Lesson((*ids(question), 3), ids(answer), (0,), (), forced) for question, answer in each] for each in QUESTIONS
    ]


class StateHead(TokenHead):
    """Answers as heads with [SEG] do."""

    tasks = frozenset({Task.HBB})
    special_tokens = ("[SEG]",)
    state_token = "[SEG]"

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        return f"where is {' and '.join(['[SEG]'] * len(sample.targets or ()))} it"

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        return Prediction()

    def loss(self, hidden: Any, samples: Any, views: Any) -> dict[str, Any]:
        return {}


class FewScenes:
    """One image and three questions about one, two and no objects."""

    expressions = ((("one", (2,)), ("two", (1, 0)), ("none", ())),)
    steps = (((((1, 2), (2,)), ((0,), (0,))), (((1, 0), (1, 0)),), None),)

    def samples(self, at: int, task: Task) -> list[Sample]:
        images = (ImageRef("a.png", 64, 64),)
        boxes = [Region(hbb=(20.0 * number, 0.0, 20.0 * number + 9, 9.0)) for number in range(3)]
        return [
            Sample(f"{at}{text}", images, text, task, tuple(boxes[number] for number in meant))
            for text, meant in self.expressions[at]
        ]


JUDGES: dict[str, dict[str, Any]] = {
    "no judge": {"judge_layers": 0},
    "judge": {},
    "compares": {"compares": True},
    "measures": {"compares": True, "measures": True},
    "starts": {"compares": True, "measures": True, "starts": 2},
}


@pytest.fixture(scope="module", params=JUDGES)
def parts(request: Any) -> tuple[Any, Any, Any]:
    """Model, pixels of two images and their facts."""
    small = model(WORDS, **JUDGES[request.param])
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
    for lesson, (row, mark) in zip(packed.lessons, packed.asks.tolist(), strict=True):
        assert packed.ids[row, mark] == 3, "the answer mark"
        assert packed.labels[row, mark : mark + len(lesson.answer) + 1].tolist() == [*lesson.answer, 2]
        assert packed.ids[row, mark + 1 : mark + 1 + len(lesson.answer)].tolist() == list(lesson.answer)
    assert int((packed.labels >= 0).sum()) == sum(len(each.answer) + 1 for each in packed.lessons)
    assert packed.meant[0].tolist() == [True, False, False, True] + [False] * (visual - 4)
    forced = pack(lessons(forced=True), shown, visual, WORDS.eos_token_id)
    assert (forced.labels == -100).all()
    assert torch.equal(forced.asks, packed.asks)
    assert torch.equal(forced.about, packed.about)


def test_what_the_words_of_an_answer_lead_to() -> None:
    answers = [((4,), (), 3), ((4, 9, 2), (2, 5, 6), 6), ((4, 9), (), 3), ((), (), 1), ((7,), (), 0)]
    given = [Lesson((8, 3), tuple(range(20, 20 + length)), targets, ends) for targets, ends, length in answers]
    packed = pack([given], [torch.tensor([4, -1])], 2, WORDS.eos_token_id)
    found = [packed.about[0][packed.segment[0] == number].tolist() for number in range(len(given))]
    for number, lesson in enumerate(given[:-1]):
        asked = packed.labels[0][packed.segment[0] == number]
        assert asked[asked >= 0].tolist() == [*lesson.answer, WORDS.eos_token_id], "every answer ends"
    one, three, unknown, none, pointed = found
    assert one == [-1, 4, 4, 4, -2]
    assert three == [-1, 4, 4, 9, 9, 9, 2, -2]
    assert unknown == [-1] * 5
    assert none == [-1] * 3
    assert pointed == [-1, 7]


def test_the_order_of_the_questions_objects_is_theirs_from_left_to_right() -> None:
    boxes = [(70.0, 5.0, 90.0, 20.0), (10.0, 40.0, 30.0, 60.0), (40.0, 1.0, 60.0, 9.0)]
    regions = tuple(Region(hbb=box) for box in boxes)
    sample = Sample("a", (ImageRef("a.png", 100, 100),), "all ships", Task.HBB, regions)
    found, numbers = in_order(sample, (5, 6, 7))
    assert numbers == (6, 7, 5)
    assert [region.hbb for region in found.targets or ()] == [boxes[1], boxes[2], boxes[0]]


def test_where_the_objects_of_an_answer_end() -> None:
    speller = Speller(WORDS)
    answers = ["<[10, 20, 30, 40]>", "<[10, 20, 30, 40], [50, 60, 70, 80]>"]
    lesson = speller.lesson(Prompt("all ships"), answers, (3, 1), None)  # type: ignore[arg-type]
    first, second = lesson.ends
    assert second == len(lesson.answer)
    more = "<[10, 20, 30, 40], [50, 60, 70, 80], [50, 60, 70, 80]>"
    told = speller.lesson(Prompt("all ships"), answers, (3, 1), None, more)  # type: ignore[arg-type]
    assert told.ends[0] == first
    assert WORDS.decode(told.answer[: told.ends[1]]).rstrip(" ]") == "<[10, 20, 30, 40], [50, 60, 70, 80"
    alone = speller.lesson(Prompt("a ship"), answers[:1], (3,), None, answers[1])  # type: ignore[arg-type]
    assert alone.ends == (first,)
    assert "40" in WORDS.decode(lesson.answer[:first])
    assert "50" not in WORDS.decode(lesson.answer[:first])
    grids = ["0 *32\n1 *4| 0 *28", "1 *32\n0 *4| 1 *28"]  # one grid of both, which lists nothing
    assert speller.lesson(Prompt("all ships"), grids, (3, 1), None).ends == ()  # type: ignore[arg-type]


def test_the_state_of_a_token_stands_for_its_own_object() -> None:
    scenes = FewScenes()
    lessons = SceneLessons(scenes, [(StateHead(), (Task.HBB,))], Speller(WORDS), Chances(each=3))  # type: ignore[arg-type]
    for lesson in lessons[0][1]:
        state = WORDS.convert_tokens_to_ids("[SEG]")
        packed = pack([[lesson]], [torch.tensor(lesson.targets)], len(lesson.targets), WORDS.eos_token_id)
        fed, about = packed.ids[0].tolist(), packed.about[0].tolist()
        assert [each for token, each in zip(fed, about, strict=True) if token == state] == list(lesson.targets)


@torch.no_grad()
def test_a_judge_that_says_nothing_leaves_the_pointer_alone(parts: tuple[Any, Any, Any]) -> None:
    small, _, found = parts
    visual = small.config.visual_tokens
    packed = pack(lessons(), [torch.full((visual,), -1)] * 2, visual, WORDS.eos_token_id)
    read = run_packed(small, found, packed)
    if small.judge is None:
        assert read.verdict.settled is read.verdict.first
        return
    assert (read.verdict.settled - read.verdict.first).abs().max() > 1e-3
    verdict = small.judge.verdict
    kept = [each.clone() for each in (verdict.weight, verdict.bias)]
    verdict.weight.zero_()
    verdict.bias.zero_()
    silent = run_packed(small, found, packed)
    verdict.weight.copy_(kept[0])
    verdict.bias.copy_(kept[1])
    torch.testing.assert_close(silent.verdict.settled, silent.verdict.first)


@torch.no_grad()
def test_what_a_judge_begins_to_compare_changes_nothing_yet() -> None:
    plain, more = model(WORDS), model(WORDS, compares=True)
    more.load_state_dict(plain.state_dict(), strict=False)
    assert more.judge is not None
    more.judge.begin_comparing()
    found = plain.facts(torch.randn(2, 3, 64, 64))
    visual = plain.config.visual_tokens
    packed = pack(lessons(), [torch.full((visual,), -1)] * 2, visual, WORDS.eos_token_id)
    settled = [run_packed(each, found, packed).verdict.settled for each in (plain, more)]
    torch.testing.assert_close(settled[1], settled[0])


@torch.no_grad()
def test_half_precision_answers_too(parts: tuple[Any, Any, Any]) -> None:
    small, images, _ = parts
    inputs = processor_of(small, WORDS)(
        text="<image>Where is the ship<answer>", images=[images[0]], return_tensors="pt"
    )
    whole = small(**inputs).logits[0, -1]
    inputs["pixel_values"] = inputs["pixel_values"].bfloat16()
    half = copy.deepcopy(small).bfloat16()(**inputs).logits[0, -1]
    assert half.isfinite().all()
    assert float((half.exp() - whole.exp()).abs().sum()) < 1.0  # of at most 2


@torch.no_grad()
def test_equal_images_are_looked_at_once(parts: tuple[Any, Any, Any]) -> None:
    small, images, found = parts
    looked = []
    hook = small.tower.register_forward_pre_hook(lambda module, given: looked.append(len(given[0])))
    again = small.facts(normalised(torch.from_numpy(images[[0, 1, 1, 0, 1]])))
    hook.remove()
    assert looked == [2]
    for name in ("numbers", "told", "features"):
        wanted = getattr(found, name)[[0, 1, 1, 0, 1]]
        torch.testing.assert_close(getattr(again, name), wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_is_settled_stays_through_an_answer(parts: tuple[Any, Any, Any]) -> None:
    """An answer word by word, from the cache, says what the whole says at once."""
    small, images, _ = parts
    inputs = processor_of(small, WORDS)(
        text="<image>Where is the large white ship<answer>[12, 40, 300, 999]", images=[images[0]], return_tensors="pt"
    )
    whole = small(**inputs).logits[0]
    mark = int((inputs["input_ids"][0] == 3).nonzero()[-1])
    step = small(
        input_ids=inputs["input_ids"][:, : mark + 1],
        pixel_values=inputs["pixel_values"],
        attention_mask=inputs["attention_mask"][:, : mark + 1],
        use_cache=True,
    )
    said = [step.logits[0, -1]]
    for at in range(mark + 1, inputs["input_ids"].shape[1]):
        step = small(
            input_ids=inputs["input_ids"][:, at : at + 1],
            attention_mask=inputs["attention_mask"][:, : at + 1],
            past_key_values=step.past_key_values,
            use_cache=True,
        )
        said.append(step.logits[0, -1])
    torch.testing.assert_close(torch.stack(said), whole[mark:], rtol=1e-4, atol=2e-3)


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
