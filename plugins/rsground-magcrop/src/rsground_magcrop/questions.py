"""Questions with their granularity, from heads and from wordings, for training and testing the classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from rsground.contracts import Head
from rsground.errors import RsgroundError
from rsground.registry import load, load_dataset, registry
from rsground.types import Sample, Task
from rsground_magcrop.granularity import OF_TASK, Granularity
from rsground_magcrop.phrasing import composed

_ALIAS = "geomag"
"""Asks what geopixel asks."""
_FORM_OF_TASK = {Task.HBB: "hbb", Task.OBB: "obb", Task.MASK: "mask"}


class Question(NamedTuple):
    """One question.

    Attributes:
        text: as a model is asked.
        level: what it asks for.
        source: the head that asks so, or ``"wordings"``, ``"parts"``, or the data set.
    """

    text: str
    level: Granularity
    source: str


def phrases(split: str, scenes: int) -> list[Sample]:
    """Samples of generated scenes, all tasks, for their expressions; pixels are never drawn."""
    return list(load_dataset("scenes", None, split, count=scenes, size=256, per_scene=4))


def from_wordings(
    wordings: Mapping[Task, Sequence[str]], samples: Sequence[Sample], rng: np.random.Generator, each: int
) -> list[Question]:
    """Every wording ``each`` times, with other expressions where it has room for one."""
    named = [sample.expression for sample in samples if sample.task is Task.MASK]
    found = []
    for task, texts in wordings.items():
        for text in texts:
            for _ in range(each):
                phrase = _article(str(rng.choice(named)), rng)
                found.append(Question(text.replace("{x}", phrase), OF_TASK[task], "wordings"))
    return found


def from_parts(samples: Sequence[Sample], rng: np.random.Generator, each: int) -> list[Question]:
    """``each`` composed questions per task."""
    named = [sample.expression for sample in samples if sample.task is Task.MASK]
    found = []
    for task, level in OF_TASK.items():
        for _ in range(each):
            phrase = _article(str(rng.choice(named)), rng)
            found.append(Question(composed(task, rng).replace("{x}", phrase), level, "parts"))
    return found


def from_data(name: str, root: str, limit: int) -> list[Question]:
    """Expressions of a data set that are whole questions or instructions, as it words them."""
    tasks = (Task.VQA, Task.CAPTION, Task.SCENE, Task.GCG)
    samples = (sample for sample in load_dataset(name, root) if sample.task in tasks and sample.expression.strip())
    return [Question(sample.expression, OF_TASK[sample.task], name) for sample in islice(samples, limit)]


def from_heads(
    samples: Sequence[Sample],
    rng: np.random.Generator,
    *,
    without: Sequence[str] = (),
    only: Sequence[str] | None = None,
    each: int = 200,
) -> list[Question]:
    """What every registered head that can be built without a checkpoint asks, ``each`` times per task it serves.

    A codec read as another form (a box asked for, to be scored as a mask) asks for what it writes: such pairs of task
    and codec are left out; and heads that ask the same whatever is wanted, such as a detector's.
    """
    found = []
    for name, head in _heads(without, only):
        for task in sorted(head.tasks):
            form = getattr(getattr(head, "codec", None), "carries", None)
            if form is not None and _FORM_OF_TASK.get(task) != form:
                continue
            mine = [sample for sample in samples if sample.task is task]
            if len({head._ask(sample) for sample in mine}) == 1 < len({sample.expression for sample in mine}):
                continue
            chosen = rng.permutation(len(mine))[:each]
            found += [Question(head._ask(mine[place]), _level(head, mine[place]), name) for place in chosen]
    return found


def _level(head: Head, sample: Sample) -> Granularity:
    """What a head's words ask for: a head that asks for a mask and takes the box from it asks for pixels."""
    if sample.task not in _FORM_OF_TASK or Task.MASK not in head.tasks:
        return OF_TASK[sample.task]
    alike = head._ask(sample) == head._ask(replace(sample, task=Task.MASK))
    by_codec = getattr(head, "codec", None) is not None
    return Granularity.PIXEL if alike and not by_codec else OF_TASK[sample.task]


def _heads(without: Sequence[str], only: Sequence[str] | None) -> list[tuple[str, Head]]:
    found: list[tuple[str, Head]] = []
    for name in sorted(registry().offers("head")):
        if name in (*without, _ALIAS) or (only is not None and name not in only):
            continue
        for options in _options(name):
            try:
                found.append((name, load("head", name, **options)))
            except (RsgroundError, ValueError, OSError):
                continue  # needs a checkpoint or a package that is not here; the others teach its tasks
    return found


def _options(name: str) -> list[dict[str, Any]]:
    """The codec head once per form; others as they are."""
    return [{"codec": codec} for codec in ("text-hbb", "text-obb", "text-mask")] if name == "codec" else [{}]


def _article(phrase: str, rng: np.random.Generator) -> str:
    """With *the* half the time where the data set gives none."""
    return f"the {phrase}" if rng.random() < 0.5 and not phrase.lower().startswith(("the ", "a ", "an ")) else phrase
