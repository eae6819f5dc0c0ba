"""Samples of any registered data set as an endless stream of supervised pairs, in an order that a seed fixes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from rsground.contracts import Backbone, Head, Preprocessor, Prompt, TokenHead, Training
from rsground.errors import SuiteError
from rsground.models.training.pair_kinds import drawn
from rsground.models.training.refusal import Refusal
from rsground.pipeline import Images, without_answer
from rsground.regions import map_region
from rsground.registry import load_dataset, registry, target_of
from rsground.types import Sample, Task, View

REPLY = "reply"
"""The option of a prompt that holds what :meth:`rsground.contracts.TokenHead.reply` says."""
_KEYS = {"kind", "name", "root", "split", "options", "tasks", "limit", "pairs", "val"}


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One question with its right answer.

    Attributes:
        prompt: the question, its answer in ``prompt.answer``.
        forced: whether the head brings the answer along, so that there is nothing to write.
        reads: whether the head's own loss is taken on the answer's states.
        sample: what it came from; where ``reads``, its targets are those the answer tells of.
        view: what is shown, or would be.
        kind: as :attr:`rsground.contracts.Training.kind`.
        encoded: the prompt as the backbone takes it, None where nobody has encoded it yet.
        instead_of: samples that were passed over at its place.
    """

    prompt: Prompt
    forced: bool
    reads: bool
    sample: Sample
    view: View
    kind: str = "base"
    encoded: Any = None
    instead_of: tuple[Refusal, ...] = ()


def read_samples(table: Mapping[str, Any], base: Path, where: str = "data") -> list[Sample]:
    """The samples that a recipe's ``data`` table names, annotated ones only.

    Args:
        table: ``name``, and ``root``, ``split``, ``options``, ``tasks``, ``limit`` where they matter.
        base: folder that a relative ``root`` is in, where it is not in the working folder.
        where: name of the table, for messages.

    Raises:
        SuiteError: the table is not of that form, or nothing annotated is there.
        RsgroundError: the data set's own refusals.
    """
    unknown = set(table) - _KEYS
    if unknown or "name" not in table or table.get("kind", "dataset") != "dataset":
        raise SuiteError(
            f"{where} of stage 'system' says kind = \"dataset\" and a registered data set's name, and may say "
            f"{', '.join(sorted(_KEYS - {'kind', 'name'}))}; got {dict(table)!r}"
        )
    tasks = [_task(each, where) for each in table.get("tasks", ())]
    options = dict(table.get("options", {}))
    if tasks and "tasks" in inspect.signature(target_of(registry().find("dataset", table["name"]))).parameters:
        options.setdefault("tasks", tuple(tasks))
    root = None if table.get("root") is None else found_path(table["root"], base)
    source = load_dataset(table["name"], root, table.get("split", "train"), **options)
    annotated = (
        sample
        for sample in source
        if (not tasks or sample.task in tasks) and (sample.targets is not None or sample.answer is not None)
    )
    samples = list(islice(annotated, int(table.get("limit", 0)) or None))
    if not samples:
        asked = f" of task {', '.join(tasks)}" if tasks else ""
        raise SuiteError(f"{where}: data set {table['name']!r} has no annotated samples{asked} in this split")
    return samples


def found_path(name: str, base: Path) -> str:
    """A path of a recipe: from the working folder, else beside the recipe."""
    return str(base / name) if not Path(name).exists() and (base / name).exists() else str(name)


def _task(name: Any, where: str) -> Task:
    if name not in list(Task):
        raise SuiteError(f"{where}.tasks: there is no task {name!r}; tasks are {', '.join(Task)}")
    return Task(name)


class PairStream(TorchDataset[Pair]):
    """Item *p* is the stream's p-th pair: every epoch has all samples once, in an order of its own.

    Chances (which pair of a sample, and what a head draws) depend on the seed and p alone: not on workers, nor on
    where a run was broken off.

    Args:
        samples: with targets.
        head: makes the pairs.
        backbone: for preprocessors that ask it.
        steps: preprocessors, in order.
        kinds: kinds of pairs and how often each is drawn, relative to the others; None for all that the head makes,
            alike. A sample that gives none of them is asked plainly.
        seed: of order and chances.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        head: Head,
        backbone: Backbone | None = None,
        steps: Sequence[Preprocessor] = (),
        kinds: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.samples, self.head, self.backbone, self.steps = list(samples), head, backbone, list(steps)
        self.kinds, self.seed, self.images = None if kinds is None else dict(kinds), seed, Images()
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Pair:
        return self.pair(self.sample(place), np.random.default_rng((self.seed, 2, place)))

    def sample(self, place: int) -> Sample:
        """The sample that is shown there."""
        epoch, within = divmod(place, len(self.samples))
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.samples)).tolist()
        return self.samples[self._order[1][within]]

    def stream(self, rank: int, world: int) -> Places:
        """Which places this process takes, in order."""
        return Places(self, rank, world)

    def pair(self, sample: Sample, rng: np.random.Generator) -> Pair:
        """One of the sample's pairs, by chance."""
        view = self.view(sample)
        asked = self.head.prompt(without_answer(sample), view)
        if asked.answer is not None:
            reply = self.head.reply(sample) if isinstance(self.head, TokenHead) else None
            options = asked.options if reply is None else {**asked.options, REPLY: reply}
            return Pair(replace(asked, options=options), True, True, sample, view)
        offered = list(self.head.training_pairs(sample, view, rng))
        chosen = drawn(offered, self.kinds, rng) or drawn(offered, {"base": 1.0}, rng)
        if chosen is None:
            return Pair(replace(asked, answer=self.head.target(sample, view)), False, True, sample, view)
        return _pair(chosen, asked, sample, view)

    def view(self, sample: Sample) -> View:
        """What the model sees of a sample."""
        pixels = tuple(self.images.read(ref) for ref in sample.images)
        view = View(pixels, sample.size, meta={"uri": sample.images[-1].uri})
        for step in self.steps:
            view = step.apply(view, without_answer(sample), self.backbone)
        return view


def _pair(chosen: Training, asked: Prompt, sample: Sample, view: View) -> Pair:
    prompt = replace(asked, text=chosen.prompt, answer=chosen.answer, view=view if chosen.use_image else None)
    if chosen.kind == "base":
        return Pair(prompt, False, True, sample, view)
    if chosen.regions:
        sample = replace(sample, targets=tuple(map_region(region, view) for region in chosen.regions))
    return Pair(prompt, False, bool(chosen.regions), sample, view, chosen.kind)


class Places(Sampler[int]):
    """Every world-th place of a stream, from the rank-th on, without end.

    Args:
        source: the stream.
        rank, world: this process among how many.
    """

    def __init__(self, source: PairStream, rank: int = 0, world: int = 1) -> None:
        self.source, self.rank, self.world, self.first = source, rank, world, 0

    def begin_at(self, taken: int) -> None:
        """Begin after as many places of this process."""
        self.first = taken

    def __iter__(self) -> Iterator[int]:
        place = self.rank + self.first * self.world
        while True:
            yield place
            place += self.world

    def __len__(self) -> int:
        return len(self.source)


def together(pairs: Sequence[Pair]) -> dict[str, Any]:
    """A batch: the pairs as they are; the backbone pads them."""
    return {"pairs": list(pairs)}
