"""Several questions behind one image in one sequence, so that the image is paid for once.

``[visual tokens][question, answer][question, answer]...``: every question sees the image and itself, never another. A
question of words alone sees itself only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.facts import Facts
from rsground.models.tower_lm.judge import Verdict
from rsground.models.tower_lm.recall import Memory
from rsground.models.training.steps import Steps
from rsground.types import Sample

STEPS = 3
"""How many steps of a question are told: what it means, what that starts from, and what this starts from."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One question about an image.

    Attributes:
        prompt: its tokens, the answer mark last.
        answer: tokens of the right answer, without the end; empty where only the pointer is taught.
        targets: numbers of the objects meant, as in the image's list of objects, in the order they are written.
        ends: for each target, how many of the answer's tokens are written when it is; empty where that is not known.
            One more where the states of what was written are read: then a token is about the object that it stands for.
        forced: whether the answer is given, not learned: its tokens are fed and nothing is asked.
        sample: what it came from, for heads that read states.
        head: number of the head that asks, among those trained together.
        steps: see :mod:`rsground.models.training.steps`, None where nobody tells.
        blind: whether it is asked without the image; then it has no targets, and its steps are not told.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    targets: tuple[int, ...]
    ends: tuple[int, ...] = ()
    forced: bool = False
    sample: Sample | None = None
    head: int = 0
    steps: Steps | None = None
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """Lessons about B images as tensors; L text tokens an image at most.

    Attributes:
        ids: ``(B, L)`` tokens, 0 where none stands.
        segment: ``(B, L)`` number of the lesson among all, -1 where none stands.
        place: ``(B, L)`` position within the lesson, from 0.
        labels: ``(B, L)`` the token to say next, -100 where nothing is asked.
        about: ``(B, L)`` number of the object that the next token is about; -1 where that is not said, -2 for none.
        written: ``(B, L, V)`` bool, whether the visual token shows an object that stands complete before the word.
        asks: ``(N, 2)`` (image, column) of the answer marks.
        shown: ``(B, V)`` which object each visual token shows, -1 for none.
        meant: ``(N, V)`` whether a visual token shows what is meant.
        steps: ``(N, 3, 2, V)`` whether it shows what the first three steps choose among, and what they choose.
        known: ``(N, 3)`` bool, whether that is known and the tokens show it; "from nothing" is.
        sees: ``(N,)`` bool, whether the lesson is asked about the image.
        lessons: the N lessons.
    """

    ids: Tensor
    segment: Tensor
    place: Tensor
    labels: Tensor
    about: Tensor
    written: Tensor
    asks: Tensor
    shown: Tensor
    meant: Tensor
    steps: Tensor
    known: Tensor
    sees: Tensor
    lessons: tuple[Lesson, ...]


def pack(images: Sequence[Sequence[Lesson]], shown: Sequence[Tensor], visual_tokens: int, end: int) -> Packed:
    """Pack the lessons of each image.

    Args:
        images: lessons, image by image.
        shown: per image ``(V,)`` int64, which object each visual token shows, -1 for none.
        visual_tokens: V.
        end: the token that ends an answer.
    """
    length = max(sum(len(each.prompt) + len(each.answer) for each in lessons) for lessons in images)
    ids = np.zeros((len(images), length), dtype=np.int64)
    segment = np.full_like(ids, -1)
    place = np.zeros_like(ids)
    labels = np.full_like(ids, -100)
    about = np.full_like(ids, -1)
    written = torch.zeros(len(images), length, visual_tokens, dtype=torch.bool)
    asks: list[tuple[int, int]] = []
    meant: list[Tensor] = []
    steps: list[tuple[Tensor, Tensor]] = []
    for row, lessons in enumerate(images):
        at = 0
        for lesson in lessons:
            text = (*lesson.prompt, *lesson.answer)
            stop = at + len(text)
            mark = at + len(lesson.prompt) - 1
            ids[row, at:stop], segment[row, at:stop] = text, len(asks)
            place[row, at:stop] = np.arange(len(text))
            if lesson.answer and not lesson.forced:
                labels[row, mark:stop] = (*lesson.answer, end)
            about[row, mark:stop] = _about(lesson)
            for target, complete in zip(lesson.targets, lesson.ends, strict=False):
                written[row, mark + complete : stop] |= shown[row] == target
            asks.append((row, mark))
            meant.append(_shows(shown[row], lesson.targets))
            steps.append(_steps(shown[row], None if lesson.blind else lesson.steps))
            at = stop
    return Packed(
        torch.from_numpy(ids),
        torch.from_numpy(segment),
        torch.from_numpy(place),
        torch.from_numpy(labels),
        torch.from_numpy(about),
        written,
        torch.tensor(asks),
        torch.stack(list(shown)),
        torch.stack(meant) if meant else torch.zeros(0, visual_tokens, dtype=torch.bool),
        torch.stack([each for each, _ in steps])
        if steps
        else torch.zeros(0, STEPS, 2, visual_tokens, dtype=torch.bool),
        torch.stack([each for _, each in steps]) if steps else torch.zeros(0, STEPS, dtype=torch.bool),
        torch.tensor([not lesson.blind for lessons in images for lesson in lessons], dtype=torch.bool),
        tuple(lesson for lessons in images for lesson in lessons),
    )


def _shows(shown: Tensor, objects: Sequence[int]) -> Tensor:
    """Which visual tokens show one of the objects."""
    return torch.isin(shown, torch.tensor(objects, dtype=torch.long))


def _steps(shown: Tensor, steps: Steps | None) -> tuple[Tensor, Tensor]:
    """``(3, 2, V)`` which tokens show the steps' objects, and ``(3,)`` of which steps that is known."""
    told = [torch.stack([_shows(shown, among), _shows(shown, meant)]) for among, meant in (steps or ())[:STEPS]]
    seen = [number == 0 or bool(each[1].any()) for number, each in enumerate(told)]
    nothing = torch.zeros(2, len(shown), dtype=torch.bool)
    known = [*seen, steps is not None, *[False] * STEPS][:STEPS]
    return torch.stack([*told, *[nothing] * STEPS][:STEPS]), torch.tensor(known)


def _about(lesson: Lesson) -> NDArray[np.int64]:
    """What the mark and each token of an answer lead to: the object that is written next, -2 after the last."""
    found = np.full(len(lesson.answer) + 1, -1, dtype=np.int64)
    ends = lesson.ends or ((max(len(lesson.answer), 1),) if len(lesson.targets) == 1 else ())
    for target, begin, end in zip(lesson.targets, (0, *ends), ends, strict=False):
        found[begin:end] = target
    if ends:
        found[ends[-1] :] = -2
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What the model made of B packed images.

    Attributes:
        memory: what it remembers of the V visual tokens.
        plain: ``(B, L, D)`` last-layer states of the words, after the final norm.
        verdict: of the N questions, where they end.
        scores: ``(B, L, V)`` how words score the visual tokens.
        words: ``(B, L, D)`` the same with what they point at; this is what heads read.
        weights: ``(B, L, V)`` how much each word points at each visual token.
    """

    memory: Memory
    plain: Tensor
    verdict: Verdict
    scores: Tensor
    words: Tensor
    weights: Tensor


def run_packed(model: TowerLM, found: Facts, packed: Packed) -> Read:
    """One pass over all lessons."""
    tokens = model.visual(found, torch.zeros(len(packed.ids), dtype=torch.long))
    words = model.get_input_embeddings()(packed.ids)
    rows, columns = packed.asks.unbind(1)
    number = packed.segment.clamp(min=0)
    sees = packed.sees[number]
    if model.cursor is not None and len(packed.asks):
        answering = (packed.segment >= 0) & (torch.arange(packed.ids.shape[1]) > columns[number])
        cursors = model.cursor.follow(packed.ids, answering)
        words = words + model.cursor(cursors, found.numbers, packed.meant[number])
    visual = tokens.shape[1]
    first = torch.full_like(packed.ids[:, :1], visual - 1).expand(-1, visual)
    places = torch.cat([first, packed.place + visual * sees], 1)
    output = model.language_model.model(
        inputs_embeds=torch.cat([tokens, words], 1),
        attention_mask=_mask(packed, sees, visual, words.dtype),
        position_ids=places,
        use_cache=False,
    )
    states: Tensor = output.last_hidden_state
    shown = torch.ones(tokens.shape[:2], dtype=torch.bool)
    memory = model.remembered(states[:, :visual], tokens, found.numbers, shown)
    plain = states[:, visual:]
    verdict = model.settle(plain[rows, columns], memory, found.clear, rows)
    scores = model.scores(plain, memory, verdict.settled[number, 0], packed.written)
    scores = scores.masked_fill(~sees[..., None], -torch.inf)
    return Read(memory, plain, verdict, scores, *model.recall(plain, scores, memory))


def _mask(packed: Packed, sees: Tensor, visual: int, dtype: torch.dtype) -> Tensor:
    length = packed.ids.shape[1]
    same = packed.segment[:, :, None] == packed.segment[:, None, :]
    words = same & torch.ones(length, length, dtype=torch.bool).tril()
    rows = len(packed.ids)
    lower = torch.cat([sees[..., None].expand(rows, length, visual), words], 2)
    upper = torch.cat(
        [torch.ones(rows, visual, visual, dtype=torch.bool), torch.zeros(rows, visual, length, dtype=torch.bool)], 2
    )
    allowed = torch.cat([upper, lower], 1)
    return torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
