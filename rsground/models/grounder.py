"""A system in one object: load it, ask it, save it.

::

    grounder = Grounder.from_pretrained("my_system")
    found = grounder.ground("harbour.png", "the white ship left of the pier")
    found.regions[0].rle, found.regions[0].score
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from rsground.assembly import assemble, locate
from rsground.errors import CheckpointError, ImageError, ShapeError, UnknownNameError
from rsground.isolation.system import IsolatedSystem, environment_of
from rsground.models.asking import Picture, Question, sample_of
from rsground.models.atomic import replacing_folder
from rsground.models.card import CARD, Card, PartCard, home_of, read_card, write_card
from rsground.pipeline import Pipeline, describe
from rsground.registry import registry
from rsground.specs import SystemSpec
from rsground.types import Prediction, Sample, Task

__all__ = ["Grounder", "Picture", "Question", "find_system"]


class Grounder:
    """A system that answers questions about images.

    Args:
        pipeline: its parts, joined; or a system of an isolated environment, whose parts are there.
        card: what it is made of and where it comes from.
        place: the folder it was loaded from, None for a system without weights.
        batch: questions given to the backbone at once.
    """

    def __init__(
        self, pipeline: Pipeline | IsolatedSystem, card: Card, place: Path | None = None, batch: int = 8
    ) -> None:
        if batch < 1:
            raise ShapeError(f"option 'batch' must be at least 1, got {batch}")
        self.pipeline, self.card, self.place, self.batch = pipeline, card, place, batch

    @classmethod
    def from_pretrained(cls, system: str | PathLike[str], *, batch: int = 8, seed: int = 0, **options: Any) -> Grounder:
        """Load a system.

        Args:
            system: a registered name (``"tiny/geopixel"``, or ``"tiny/mmrotate@mm"`` of the environment ``mm``) or a
                system folder; ``"./name"`` is always a folder.
            batch: questions given to the backbone at once.
            seed: of systems that draw.
            options: such as ``device="cuda"``, ``dtype="bfloat16"``, ``constrained=False``: given to every part that
                has such an option. None says *as the system has it*.

        Raises:
            UnknownNameError: neither a registered system nor a folder; or a part is not installed (the message says
                what to install), or no part has such an option.
            CheckpointError: the folder's card or weights cannot be used.
            PluginError: a part cannot be loaded.
            InstallError, CallError: (of an isolated environment) it cannot be used, or the system not be built there.
        """
        card, place = find_system(system)
        description = {
            "head": card.head.to_json(),
            "backbone": card.backbone.to_json(),
            "preprocess": [part.to_json() for part in card.preprocessors],
            "segmenter": None if card.segmenter is None else card.segmenter.to_json(),
            "checkpoint": None if place is None else str(place),
        }
        given = {name: value for name, value in options.items() if value is not None}
        if environment_of(description) is not None:
            return cls(IsolatedSystem(description, seed, offered=given), card, place, batch)
        return cls(Pipeline(*assemble(description, given), seed=seed), card, place, batch)

    @property
    def tasks(self) -> frozenset[Task]:
        """The tasks it answers."""
        return self.pipeline.tasks

    def ground(
        self, image: Picture | tuple[Picture, Picture], expression: str, task: Task | str | None = None
    ) -> Prediction:
        """Ask one question.

        Args:
            image: a path, a Pillow image, or ``(H, W, 3)`` uint8; (before, after) for change.
            expression: what to find.
            task: what is asked; None for the first that is served of mask, obb, hbb, change, gcg, others.

        Returns:
            Regions in pixels of the (later) image. Where the model itself failed, ``error`` says why.

        Raises:
            ImageError: an image cannot be read.
            UnknownNameError, ContractError, ShapeError: the question cannot be asked of this system.
        """
        sample = sample_of(Question(image, expression, task), self.tasks)
        if self.pipeline.looks:
            for ref in sample.images:
                self.pipeline.images.read(ref)
        return self.pipeline.answer([sample])[0]

    def ground_many(self, questions: Iterable[Question]) -> list[Prediction]:
        """Ask many questions, in batches; one prediction each, in order.

        An image that cannot be read, or an answer that fails, costs itself alone: ``error`` says why.

        Raises:
            UnknownNameError, ContractError, ShapeError: a question cannot be asked of this system.
        """
        return list(self.answers(questions))

    def answers(self, questions: Iterable[Question]) -> Iterator[Prediction]:
        """As :meth:`ground_many`, each prediction as soon as its batch is answered; takes endless questions."""
        waiting = iter(questions)
        while group := list(islice(waiting, self.batch)):
            asked = [self._sample(question) for question in group]
            found = iter(self.pipeline.answer([sample for sample in asked if isinstance(sample, Sample)]))
            for sample in asked:
                yield sample if isinstance(sample, Prediction) else next(found)

    def _sample(self, question: Question) -> Sample | Prediction:
        try:
            return sample_of(question, self.tasks)
        except ImageError as error:
            return Prediction.failure(describe(error))

    def save_pretrained(
        self, folder: str | PathLike[str], card: Card | None = None, *, overwrite: bool = False
    ) -> Path:
        """Write the system as one self-describing folder, safetensors only; it appears whole or not at all.

        The card in it is without the options that the folder stands for: where weights were loaded from, and what a
        part says that it saved with them (``saved_options``: of ``transformers`` the adapter, merged into the weights).

        Args:
            folder: made; may be an empty folder.
            card: instead of the system's own.
            overwrite: replace a system folder that is there.

        Raises:
            CheckpointError: something else is there, or it cannot be written.
        """
        target, pipeline = Path(folder), self.pipeline
        if isinstance(pipeline, IsolatedSystem):
            raise CheckpointError(
                f"system {self.card.name!r} lives in an isolated environment; save it with that environment's python",
                target,
            )
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
        if taken and not (overwrite and (target / CARD).is_file()):
            way_out = "give overwrite=True" if (target / CARD).is_file() else "give another folder"
            raise CheckpointError(f"there is something already; {way_out}", target)
        try:
            with replacing_folder(target) as fresh:
                held = self._save_parts(pipeline, fresh)
                write_card(fresh, _movable(card or self.card, held))
        except OSError as error:
            raise CheckpointError(f"cannot be written: {error}", target) from error
        return target

    def _save_parts(self, pipeline: Pipeline, folder: Path) -> Mapping[str, Collection[str]]:
        """Write every part into its place; per place, the options that what lies there stands for."""
        head, segmenter = pipeline.head, pipeline.head.segmenter
        held: dict[str, Collection[str]] = {}
        if hasattr(head, "state_dict"):
            from rsground.models.state import save_state  # torch, which systems of text alone do without

            state = head.state_dict()
            if state:
                save_state(state, folder / "head")
                held["head"] = ("checkpoint",)
        parts: list[tuple[Any, str, PartCard | None]] = [(pipeline.backbone, "backbone", self.card.backbone)]
        if segmenter is not None:
            parts.append((segmenter, "segmenter", self.card.segmenter))
        for part, step in zip(self.card.preprocessors, pipeline.steps, strict=True):
            parts.append((step, f"preprocessors/{part.name}", part))
        for thing, place, known in parts:
            held[place] = self._save_part(thing, folder / place, self._source(place, known))
        return held

    def _save_part(self, thing: Any, folder: Path, source: Path | None) -> Collection[str]:
        """What the part saves itself; else what it was loaded from, if anything. The options that this stands for."""
        if hasattr(thing, "save"):
            if folder.exists():
                raise CheckpointError(
                    f"two parts called {folder.name!r} keep something, and a folder has one place for a name. Leave "
                    "one of them out, or register it under a second name",
                    folder,
                )
            folder.mkdir(parents=True)
            thing.save(folder)
            return ("checkpoint", *getattr(thing, "saved_options", ()))
        if source is None or not source.is_dir():
            return ()
        shutil.copytree(source, folder)
        return ("checkpoint",)

    def _source(self, place: str, part: PartCard | None) -> Path | None:
        """The folder that a part was loaded from: in the checkpoint of its own, else in the system's."""
        own = None if part is None else part.options.get("checkpoint")
        if own is None:
            return None if self.place is None else self.place / place
        folder = locate(own)
        return folder / place if (folder / place).is_dir() else folder

    def close(self) -> None:
        """Free what the system holds."""
        self.pipeline.close()

    def __enter__(self) -> Grounder:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def find_system(system: str | PathLike[str]) -> tuple[Card, Path | None]:
    """The card of a system and where its checkpoint is, None where it has none.

    Raises:
        UnknownNameError: neither a registered system nor anything on disk.
        CheckpointError: no card that can be read is there, or the checkpoint is not installed.
    """
    name = str(system)
    if name in registry().offers("system"):
        spec: SystemSpec = registry().find("system", name)
        place = None if spec.checkpoint is None else locate(spec.checkpoint)
        return _card_of(spec, place), place
    folder = locate(name)
    if folder.exists():
        return read_card(folder), folder
    try:
        registry().find("system", name)  # says which names are near, and which plugins did not load
    except UnknownNameError as error:
        note = " ".join(filter(None, ("Nor is there such a folder.", home_of(name), error.note)))
        raise UnknownNameError("system", name, error.known, note) from error
    raise AssertionError("a system that is offered was found above")


def _card_of(spec: SystemSpec, place: Path | None) -> Card:
    """The card of a registered system: its parts as registered, the other facts from the card in its folder."""
    written = read_card(place) if place is not None and (place / CARD).is_file() else None
    sources = {} if written is None else {(kind, part.name): part.source for kind, part in written.parts()}

    def part(kind: str, name: str, options: Mapping[str, Any]) -> PartCard:
        offer = registry().offers(kind).get(name)
        return PartCard(name, dict(options), sources.get((kind, name), "") if offer is None else offer.distribution)

    return Card(
        name=spec.name,
        summary=spec.summary,
        head=part("head", spec.head, spec.head_options),
        backbone=part("backbone", spec.backbone, spec.backbone_options),
        preprocessors=tuple(part("preprocessor", name, options) for name, options in spec.preprocessors),
        segmenter=None if spec.segmenter is None else part("segmenter", spec.segmenter, spec.segmenter_options),
        tokens=() if written is None else written.tokens,
        training={} if written is None else written.training,
        scores={} if written is None else written.scores,
        licence="" if written is None else written.licence,
    )


def _movable(card: Card, held: Mapping[str, Collection[str]]) -> Card:
    """The card without the options that, place by place, the folder stands for."""

    def moved(part: PartCard, place: str) -> PartCard:
        gone = held.get(place, ())
        return replace(part, options={name: value for name, value in part.options.items() if name not in gone})

    return replace(
        card,
        head=moved(card.head, "head"),
        backbone=moved(card.backbone, "backbone"),
        preprocessors=tuple(moved(part, f"preprocessors/{part.name}") for part in card.preprocessors),
        segmenter=None if card.segmenter is None else moved(card.segmenter, "segmenter"),
    )
