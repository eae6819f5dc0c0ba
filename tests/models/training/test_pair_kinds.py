"""Further pairs of a head: drawn as often as is said, refused where nobody makes them, taught in packed lessons too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import WORDS as TEXTS
from small import model

from rsground.contracts import TextHead, Training
from rsground.errors import SuiteError
from rsground.models.tower_lm.tokenizer import make_tokenizer
from rsground.models.training.dense import normalised
from rsground.models.training.language import LanguageModel
from rsground.models.training.language_losses import SoftNumbers, pointer_accuracy, pointer_loss, text_loss
from rsground.models.training.language_setup import processor_of
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.packing import Lesson, pack, run_packed
from rsground.models.training.pair_kinds import drawn, kinds_offered, weighed
from rsground.types import Generation, ImageRef, Prediction, Region, Sample, Task, View

WORDS = make_tokenizer(TEXTS, ["Where is ", "<seg>", "</seg>", "\n</seg>", "\n "], size=320)


class Squares(TextHead):
    """Asks where something is; further pairs tell the box in the question, or ask without the image."""

    tasks = frozenset({Task.HBB})

    def _ask(self, sample: Sample) -> str:
        return f"Where is {sample.expression}"

    def target(self, sample: Sample, view: View) -> str:
        return "; ".join(str(round(region.hbb[0])) for region in sample.targets or () if region.hbb) or "none"

    def training_pairs(self, sample: Sample, view: View, rng: np.random.Generator) -> Iterator[Training]:
        yield Training(self._ask(sample), self.target(sample, view))
        if sample.targets:
            yield Training(f"Where is the small red car of {self.target(sample, view)}", "a car", kind="pal")
            yield Training("<seg>0 *32\n 0 *3| 1 *9</seg>", "3", use_image=False, kind="ggl")

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        return Prediction()


class FewScenes:
    """One image and three questions about one, two and no objects."""

    expressions = ((("one", (2,)), ("two", (1, 0)), ("none", ())),)
    steps = (((((1, 2), (2,)),), (((1, 0), (1, 0)),), None),)

    def samples(self, at: int, task: Task) -> list[Sample]:
        boxes = [Region(hbb=(20.0 * number, 0.0, 20.0 * number + 9, 9.0)) for number in range(3)]
        return [
            Sample(text, (ImageRef("a.png", 64, 64),), text, task, tuple(boxes[number] for number in meant))
            for text, meant in self.expressions[at]
        ]

    def __len__(self) -> int:
        return 1


def ids(text: str) -> tuple[int, ...]:
    return tuple(WORDS(text, add_special_tokens=False)["input_ids"])


KINDS = st.sampled_from(["base", "pal", "ggl", "cyclic"])


@given(st.lists(KINDS, max_size=8), st.none() | st.dictionaries(KINDS, st.floats(0, 9)), st.integers(0, 99))
def test_what_is_drawn_is_offered_and_wanted(kinds: list[str], often: dict[str, float] | None, seed: int) -> None:
    offered = [Training("", str(number), kind=kind) for number, kind in enumerate(kinds)]
    found = drawn(offered, often, np.random.default_rng(seed))
    wanted = [pair for pair in offered if often is None or often.get(pair.kind, 0) > 0]
    assert (found is None) == (not wanted)
    assert found is None or found in wanted


def test_a_kind_is_drawn_as_often_as_is_said_however_many_pairs_are_of_it() -> None:
    offered = [Training("", "", kind=kind) for kind in ("base", "pal", "pal", "pal", "ggl")]
    rng = np.random.default_rng(0)
    for often, shares in ((None, (1 / 3, 1 / 3)), ({"base": 3, "pal": 1, "ggl": 0}, (3 / 4, 1 / 4))):
        found = [pair.kind for pair in (drawn(offered, often, rng) for _ in range(2000)) if pair is not None]
        assert [found.count(kind) / 2000 for kind in ("base", "pal")] == pytest.approx(shares, abs=0.04)


def test_weights() -> None:
    samples = FewScenes().samples(0, Task.HBB)
    offered = kinds_offered(Squares(), samples)
    assert offered == {"base", "pal", "ggl"}
    assert kinds_offered(Squares(), samples[2:]) == {"base"}
    assert weighed(None, offered, "data.pairs") == {"base": 1.0, "ggl": 1.0, "pal": 1.0}
    assert weighed({"base": 1, "ggl": 0.5, "cyclic": 0}, offered, "x") == {"base": 1.0, "ggl": 0.5, "cyclic": 0.0}
    with pytest.raises(SuiteError, match=r"data.pairs asks for cyclic, pall; .* makes base, ggl, pal\. Leave"):
        weighed({"base": 1, "pall": 1, "cyclic": 1}, offered, "data.pairs")
    for wrong in (3, {"base": -1}, {"base": True}, {"base": "often"}, ["base"]):
        with pytest.raises(SuiteError, match=r"options.pairs says how often"):
            weighed(wrong, offered, "options.pairs")


def test_lessons_are_the_plain_pairs_unless_others_are_wanted() -> None:
    heads = [(Squares(), (Task.HBB,))]
    plain = SceneLessons(FewScenes(), heads, Speller(WORDS), Chances(each=3))  # type: ignore[arg-type]
    asked = {WORDS.decode(lesson.prompt[:-1]) for _ in range(9) for lesson in plain[0][1]}
    assert asked == {"Where is one", "Where is two", "Where is none"}
    chances = Chances.of({"pairs": {"pal": 1.0, "ggl": 1.0}}, 3, write=True)
    taught = SceneLessons(FewScenes(), heads, Speller(WORDS), chances)  # type: ignore[arg-type]
    found = [lesson for _ in range(20) for lesson in taught[0][1]]
    blind = [lesson for lesson in found if lesson.blind]
    helped = [lesson for lesson in found if WORDS.decode(lesson.answer) == "a car"]
    assert {lesson.targets for lesson in blind} == {()}
    assert {lesson.targets for lesson in helped} == {(2,), (0, 1)}
    assert all(lesson.prompt[-1] == Speller(WORDS).mark for lesson in found)
    assert len(blind) + len(helped) == 40, "what has no target is asked plainly"
    assert {WORDS.decode(lesson.prompt[:-1]) for lesson in found if lesson not in blind + helped} == {"Where is none"}


@pytest.fixture(scope="module")
def small() -> Any:
    """A model with every part, and what it sees of an image."""
    made = model(WORDS, ledger=True, compares=True, measures=True, starts=2, cursor=True)
    image = np.random.default_rng(2).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        return made, made.facts(normalised(torch.from_numpy(image)))


SEEN = Lesson((*ids("Where is the large white ship"), 3), ids("12, 40"), (0,))
BLIND = Lesson((*ids("<seg>0 *32\n 0 *3| 1 *9</seg> where"), 3), ids("3, 999"), (), blind=True, steps=(((1,), (0,)),))


def packed_of(made: Any, *lessons: Lesson) -> Any:
    visual = made.config.visual_tokens
    shown = torch.tensor([0] + [-1] * (visual - 1))
    return pack([list(lessons)], [shown], visual, WORDS.eos_token_id)


@torch.no_grad()
@pytest.mark.parametrize("lessons", [(BLIND,), (BLIND, SEEN), (SEEN, BLIND, SEEN)])
def test_a_blind_lesson_is_what_a_question_without_an_image_is(small: Any, lessons: tuple[Lesson, ...]) -> None:
    made, found = small
    packed = packed_of(made, *lessons)
    read = run_packed(made, found, packed)
    text = f"{WORDS.decode(BLIND.prompt)}{WORDS.decode(BLIND.answer)}"
    inputs = processor_of(made, WORDS)(text=text, return_tensors="pt")
    mine = packed.segment[0] == lessons.index(BLIND)
    assert inputs["input_ids"][0].tolist() == packed.ids[0][mine].tolist()
    logits = made.say(read.words, read.weights, read.memory.numbers)[0][mine]
    torch.testing.assert_close(logits, made(**inputs).logits[0], rtol=1e-4, atol=2e-3)


def test_blind_lessons_teach_words_and_no_pointing(small: Any) -> None:
    made, found = small
    alone, beside = packed_of(made, SEEN), packed_of(made, SEEN, BLIND)
    soft = SoftNumbers({0: 4}, made.config.text_config.vocab_size)
    assert not beside.known[1].any(), "no steps either"
    with torch.no_grad():
        reads = [run_packed(made, found, each) for each in (alone, beside)]
        for loss in (pointer_loss, pointer_accuracy):
            torch.testing.assert_close(loss(reads[0], alone), loss(reads[1], beside))
        assert not torch.equal(text_loss(made, reads[0], alone, soft), text_loss(made, reads[1], beside, soft))
        assert float(pointer_accuracy(run_packed(made, found, packed_of(made, BLIND)), packed_of(made, BLIND))) == 1.0
    losses = LanguageModel(made, soft)(found, packed_of(made, BLIND), [0])
    whole = sum(value for name, value in losses.items() if name.startswith("loss"))
    assert isinstance(whole, torch.Tensor)
    whole.backward()
    grads = {name: each.grad for name, each in made.named_parameters() if each.grad is not None}
    assert all(bool(torch.isfinite(each).all()) for each in grads.values())
    assert bool(made.get_input_embeddings().weight.grad[list(BLIND.answer)].any())
    made.zero_grad(set_to_none=True)
