"""From samples to lessons: what a head asks and answers, as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rsground.contracts import Head, Prompt
from rsground.models.training.packing import Lesson
from rsground.models.training.refer_book import ReferBook
from rsground.models.training.scene_cache import SceneCache
from rsground.models.training.vocabulary import blank
from rsground.types import Sample, Task

ANSWER_MARK = "<answer>"


class Speller:
    """Writes questions and answers in tokens; what was written before is remembered."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.mark = int(tokenizer.convert_tokens_to_ids(ANSWER_MARK))
        self._known: dict[str, tuple[int, ...]] = {}

    def question(self, text: str) -> tuple[int, ...]:
        """Tokens of a question, the answer mark last."""
        if text not in self._known:
            self._known[text] = (*self.answer(text), self.mark)
        return self._known[text]

    def answer(self, text: str) -> tuple[int, ...]:
        """Tokens of an answer."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def lesson(self, prompt: Prompt, answer: str, targets: Sequence[int], sample: Sample) -> Lesson:
        """One question; its answer is forced where the head brings it along."""
        forced = prompt.answer is not None
        return Lesson(self.question(prompt.text), self.answer(answer), tuple(targets), forced, sample)


@dataclass(frozen=True, slots=True)
class Chances:
    """How lessons are drawn.

    Attributes:
        each: lessons an image.
        longest: most tokens of an answer; questions with longer ones are passed over.
        room: most tokens of all lessons of an image together; what does not fit is left for another time.
        write: whether answers are taught; otherwise only pointing.
    """

    each: int = 12
    longest: int = 400
    room: int = 1000
    write: bool = True


class SceneLessons:
    """Lessons about drawn scenes, drawn anew each time: expressions, heads and tasks by chance.

    Args:
        scenes: the scenes.
        heads: heads with the tasks each is asked.
        speller: of the model.
        chances: how many, how long.
        seed: of the chances.
    """

    def __init__(
        self,
        scenes: SceneCache | ReferBook,
        heads: Sequence[tuple[Head, Sequence[Task]]],
        speller: Speller,
        chances: Chances,
        seed: int = 0,
    ) -> None:
        self.scenes, self.heads, self.speller, self.chances = scenes, list(heads), speller, chances
        self.seed = seed
        self.restart()

    def restart(self) -> None:
        """Begin the chances anew."""
        self.rng = np.random.default_rng(self.seed)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, at: int) -> tuple[int, list[Lesson]]:
        """The scene's number and its lessons, all of one head: what a head looks at, it looks at once."""
        number = int(self.rng.integers(len(self.heads)))
        samples = self.scenes.samples(at, Task.HBB)
        picked = self.rng.permutation(len(samples))[: self.chances.each].tolist()
        told = self.scenes.expressions[at]
        lessons = [self._lesson(number, samples[each], told[each][1]) for each in picked]
        short = [lesson for lesson in lessons if len(lesson.answer) <= self.chances.longest]
        used = np.cumsum([len(lesson.prompt) + len(lesson.answer) for lesson in short])
        return at, [lesson for lesson, tokens in zip(short, used, strict=True) if tokens <= self.chances.room]

    def _lesson(self, number: int, sample: Sample, targets: Sequence[int]) -> Lesson:
        head, tasks = self.heads[number]
        sample = replace(sample, task=tasks[int(self.rng.integers(len(tasks)))])
        view = blank(sample)
        prompt = head.prompt(replace(sample, targets=None), view)
        if prompt.answer is None and not self.chances.write:
            return Lesson(self.speller.question(prompt.text), (), tuple(targets), sample=sample, head=number)
        return replace(self.speller.lesson(prompt, head.target(sample, view), targets, sample), head=number)
