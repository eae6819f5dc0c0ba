"""From samples to lessons: what a head asks and answers, as tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from rsground.contracts import Head, Prompt, TokenHead, Training
from rsground.errors import DataError
from rsground.models.training.annotated import untold
from rsground.models.training.as_told import AsTold
from rsground.models.training.packing import Lesson
from rsground.models.training.pair_kinds import drawn
from rsground.models.training.refer_book import ReferBook
from rsground.models.training.refusal import Refusal, Tally
from rsground.models.training.scene_cache import SceneCache
from rsground.models.training.steps import Steps
from rsground.models.training.vocabulary import blank
from rsground.regions import hbb_of
from rsground.types import Sample, Task

ANSWER_MARK = "<answer>"
_FOLLOWED = 16
"""Most targets of an answer of which each is told where it is written."""
_CLOSING = 2
"""Tokens that may close a shorter answer where a longer one goes on; what differs earlier does not list its targets."""


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

    def lesson(
        self, prompt: Prompt, answers: Sequence[str], targets: Sequence[int], sample: Sample, more: str | None = None
    ) -> Lesson:
        """One question; its answer is forced where the head brings it along.

        Args:
            prompt: what is asked.
            answers: the answer last, and before it what it would be for the first one, two ... of several targets.
            targets: numbers of the objects meant, in the order in which they are written.
            sample: what it came from.
            more: what the answer would be if another object came after the last; that tells where the last one ends.
        """
        *firsts, whole = (self.answer(each) for each in answers)
        ends = [_common(first, whole) for first in firsts]
        apart = all(end >= len(first) - _CLOSING for end, first in zip(ends, firsts, strict=True))
        last = len(whole) if more is None else _common(whole, self.answer(more))
        ends.append(last if last >= len(whole) - _CLOSING else len(whole))
        followed = tuple(ends) if len(answers) == len(targets) and apart and sorted(ends) == ends else ()
        return Lesson(self.question(prompt.text), whole, tuple(targets), followed, prompt.answer is not None, sample)

    def of_pair(self, pair: Training, targets: Sequence[int], sample: Sample) -> Lesson:
        """A further pair of a head's; one that is asked without the image points at nothing."""
        question = (*self.answer(pair.prompt), self.mark)  # of this sample alone, and not remembered
        meant = tuple(targets) if pair.use_image else ()
        return Lesson(question, self.answer(pair.answer), meant, sample=sample, blind=not pair.use_image)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two answers begin with alike."""
    return next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


@dataclass(frozen=True, slots=True)
class Chances:
    """How lessons are drawn.

    Attributes:
        each: lessons an image.
        longest: most tokens of an answer; questions with longer ones are passed over.
        room: most tokens of all lessons of an image together; what does not fit is left for another time.
        write: whether answers are taught; otherwise only pointing.
        related: how much likelier a question that starts from something is drawn than one that does not.
        favoured: how much likelier one is drawn whose expression contains a word, by word.
        pairs: kinds of a text head's own pairs and how often each is drawn, see :mod:`.pair_kinds`; empty for the plain
            pair alone.
    """

    each: int = 12
    longest: int = 400
    room: int = 1000
    write: bool = True
    related: float = 1.0
    favoured: Mapping[str, float] = field(default_factory=dict)
    pairs: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any], each: int, *, write: bool) -> Chances:
        """As a recipe's options say; ``each`` where they are silent."""
        names = ("longest", "room", "related", "favoured", "pairs")
        said = {name: options[name] for name in names if name in options}
        return cls(each=int(options.get("each", each)), write=write, **said)


class Asked(NamedTuple):
    """What is taught of one scene.

    Attributes:
        at: its number.
        lessons: all of one head: what a head looks at, it looks at once.
        refused: what was passed over on the way.
    """

    at: int
    lessons: list[Lesson]
    refused: list[Refusal]


class SceneLessons:
    """Lessons about drawn scenes or photographs, drawn anew each time: expressions, heads and tasks by chance.

    No answer is taught that an annotation does not tell, such as a mask where only a box is known; such a question goes
    to the head's other tasks, and where it has none, only what it means is taught.

    An expression that the head cannot ask or answer is passed over: another one of the scene is asked instead. Where
    none is left, or none with an answer that is short enough, the next scene stands in.

    Args:
        scenes: the scenes.
        heads: heads with the tasks each is asked.
        speller: of the model.
        chances: how many, how long.
        seed: of the chances.
        told: writes oriented boxes as the tower tells them; None to write them as they are annotated.
    """

    def __init__(
        self,
        scenes: SceneCache | ReferBook,
        heads: Sequence[tuple[Head, Sequence[Task]]],
        speller: Speller,
        chances: Chances,
        seed: int = 0,
        told: AsTold | None = None,
    ) -> None:
        self.scenes, self.heads, self.speller, self.chances = scenes, list(heads), speller, chances
        self.seed, self.told = seed, told
        self.restart()

    def restart(self) -> None:
        """Begin the chances anew."""
        self.rng = np.random.default_rng(self.seed)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, at: int) -> Asked:
        """What is taught of a scene.

        Raises:
            DataError: more than half of the expressions are no good, or no scene has a question that is short enough.
        """
        found, refused = self._taught(at), list[Refusal]()
        for other in range(at + 1, at + len(self.scenes.expressions)):
            if found.lessons:
                break
            refused += found.refused
            found = self._taught(other % len(self.scenes.expressions))
        if not found.lessons:
            raise DataError(
                f"no question has an answer of {self.chances.longest} tokens or fewer (options.longest) that fits with "
                f"its prompt into {self.chances.room} (options.room): give more"
            )
        return found._replace(refused=[*refused, *found.refused])

    def _taught(self, at: int) -> Asked:
        number = int(self.rng.integers(len(self.heads)))
        samples = self.scenes.samples(at, Task.HBB)
        told, steps = self.scenes.expressions[at], self.scenes.steps[at]
        lessons, refused = list[Lesson](), list[Refusal]()
        for each in self._in_turn(steps, [text for text, _ in told]):
            if len(lessons) == self.chances.each:
                break
            try:
                lesson = self._lesson(at, number, samples[each], told[each][1])
            except Exception as error:  # any part may fail in any way; the reason is counted and shown
                refused.append(self._tally.bad(samples[each].id, error))
                continue
            self._tally.good()
            lessons.append(replace(lesson, steps=steps[each]))
        short = [lesson for lesson in lessons if len(lesson.answer) <= self.chances.longest]
        used = np.cumsum([len(lesson.prompt) + len(lesson.answer) for lesson in short])
        kept = [lesson for lesson, tokens in zip(short, used, strict=True) if tokens <= self.chances.room]
        return Asked(at, kept, refused)

    @cached_property
    def _tally(self) -> Tally:
        return Tally(sum(map(len, self.scenes.expressions)))

    def _in_turn(self, steps: Sequence[Steps | None], expressions: Sequence[str]) -> list[int]:
        """The questions in random order (Efraimidis and Spirakis, 2006: the largest u^(1/weight) first)."""
        weights = np.array([self.chances.related if len(each or ()) > 1 else 1.0 for each in steps])
        for word, more in self.chances.favoured.items():
            weights[[word in text.split() for text in expressions]] *= more
        keys = np.log(self.rng.random(len(steps))) / weights
        order: list[int] = np.argsort(-keys).tolist()
        return order

    def _lesson(self, at: int, number: int, sample: Sample, targets: Sequence[int]) -> Lesson:
        head, tasks = self.heads[number]
        sample, targets = in_order(sample, targets)
        askable = [task for task in tasks if task not in untold(sample)] if self.chances.write else tasks
        tasks = askable or tasks
        sample = replace(sample, task=tasks[int(self.rng.integers(len(tasks)))])
        sample = sample if self.told is None else self.told(at, sample, targets)
        view = blank(sample)
        prompt = head.prompt(replace(sample, targets=None), view)
        if not askable:  # what the question means can be taught, and no answer
            return Lesson(self.speller.question(prompt.text), (), tuple(targets), head=number)
        if prompt.answer is None and not self.chances.write:
            return Lesson(self.speller.question(prompt.text), (), tuple(targets), sample=sample, head=number)
        regions = sample.targets or ()
        reads = isinstance(head, TokenHead)  # which says itself where its targets are
        if self.chances.pairs and not reads and prompt.answer is None:
            pair = drawn(list(head.training_pairs(sample, view, self.rng)), self.chances.pairs, self.rng)
            if pair is not None and pair.kind != "base":
                return replace(self.speller.of_pair(pair, targets, sample), head=number)
        followed = not reads and 0 < len(regions) <= _FOLLOWED
        told = [regions[:count] for count in range(1, len(regions))] if followed else []
        answers = [head.target(replace(sample, targets=each), view) for each in (*told, regions)]
        more = head.target(replace(sample, targets=(*regions, regions[-1])), view) if followed else None
        lesson = replace(self.speller.lesson(prompt, answers, targets, sample, more), head=number)
        return replace(lesson, ends=self._read_ends(head, lesson)) if reads else lesson

    def _read_ends(self, head: Head, lesson: Lesson) -> tuple[int, ...]:
        """Where states that are read no longer stand for a target: the k-th state token does for the k-th one."""
        token = getattr(head, "state_token", None)
        if token is None:
            return (len(lesson.answer) + 1,) * (len(lesson.targets) == 1)
        ident = self.speller.tokenizer.convert_tokens_to_ids(token)
        ends = tuple(at + 2 for at, each in enumerate(lesson.answer) if each == ident)
        return ends if len(ends) == len(lesson.targets) else ()


def in_order(sample: Sample, targets: Sequence[int]) -> tuple[Sample, tuple[int, ...]]:
    """Targets from left to right, so that there is one right answer and the next object can be known."""
    regions = sample.targets or ()
    order = sorted(range(len(regions)), key=lambda at: hbb_of(regions[at]) or (0.0,))
    return replace(sample, targets=tuple(regions[at] for at in order)), tuple(targets[at] for at in order)
