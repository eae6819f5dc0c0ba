"""Stage ``answer``: one paradigm learns to say what is meant, in its own form; the result is a system's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size

from rsground.contracts import Head
from rsground.errors import SuiteError
from rsground.models.card import Card, PartCard, write_card
from rsground.models.folder import load_state, save_state
from rsground.models.tower_lm.tokenizer import number_ids
from rsground.models.training.as_told import AsTold
from rsground.models.training.dense import normalised
from rsground.models.training.engine import train
from rsground.models.training.fact_cache import cached_facts
from rsground.models.training.language import LanguageModel, PackLessons
from rsground.models.training.language_losses import SoftNumbers
from rsground.models.training.language_setup import gone_on_with, heads_of, save_model
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.pair_kinds import kinds_offered, weighed
from rsground.models.training.parts import part
from rsground.models.training.passing import PassedOver, passed_over
from rsground.models.training.processes import main_only
from rsground.models.training.recipe import Recipe
from rsground.models.training.refer_book import ReferBook
from rsground.models.training.scene_cache import SceneCache
from rsground.models.training.sources import picture_book, refused
from rsground.types import Task, View

_LOOKED_AT = 64
"""Most scenes that are looked at for the kinds of pairs that heads make of them."""


@dataclass(eq=False)
class Trainee:
    """The small model as heads see a backbone while they are trained.

    Attributes:
        model, tokenizer: of the small model.
    """

    model: Any
    tokenizer: Any

    @property
    def hidden_size(self) -> int:
        """Width of the states."""
        return int(self.model.config.text_config.hidden_size)

    @property
    def device(self) -> Any:
        """Where the model is."""
        return self.model.device

    def pyramid(self, view: View) -> Any:
        """The tower's maps of a view's last image, finest first."""
        with torch.no_grad():
            return self.model.pyramid(normalised(torch.from_numpy(np.array(view.images[-1]))[None]))


def run(recipe: Recipe, work: Path, init: Path | None, cache: Path) -> Path:
    """Train, and answer the system's folder; with several heads, the folder of their systems' folders."""
    if init is None:
        raise SuiteError("stage 'answer' starts from a model that knows what is meant: say init = \"the refer recipe\"")
    model, tokenizer = gone_on_with(recipe, init)
    said = [dict(each) for each in recipe.options.get("heads", ())] or [
        {**recipe.head, "segmenter": recipe.segmenter or None}
    ]
    asked = heads_of(said)
    for each, (head, _) in zip(said, asked, strict=True):
        _assemble(head, each.get("segmenter"), Trainee(model, tokenizer))
        weights = init / each["name"] / "head" / "model.safetensors"
        if weights.is_file() and isinstance(head, torch.nn.Module):  # the systems that are gone on with
            load_state(head, weights)
    book = picture_book(recipe.data, cache)
    kinds = _kinds(recipe, asked, book)
    facts = cached_facts(model, book, recipe.data, cache)
    told = AsTold(facts.facts, facts.shows) if recipe.options.get("as_told", False) else None
    chances = Chances.of(recipe.options, each=12, write=True)
    soft = SoftNumbers(number_ids(tokenizer), model.config.text_config.vocab_size, recipe.options.get("spread", 3.0))
    language = LanguageModel(model, soft, [head for head, _ in asked], book, recipe.options.get("pointing", 0.3))
    train(
        language,
        SceneLessons(book, asked, Speller(tokenizer), chances, recipe.seed, told),
        PackLessons(facts, tokenizer.eos_token_id),
        recipe.schedule,
        work,
        hooks=[PassedOver(work, refused(book))],
        seed=recipe.seed,
    )
    out = work / "out"
    places = [out if len(said) == 1 else out / each["name"] for each in said]

    def write() -> None:
        for each, (head, _), place, often in zip(said, asked, places, kinds, strict=True):
            export(recipe, each, head, model, tokenizer, place, often, _passed_over(work, book))

    main_only(write)
    return out


def _kinds(
    recipe: Recipe, heads: Sequence[tuple[Head, Sequence[Task]]], book: SceneCache | ReferBook
) -> list[Mapping[str, float] | None]:
    """For each head, how often each kind of pair that it makes is drawn; None where the recipe does not say.

    Raises:
        SuiteError: no head makes pairs of such a kind, or the images are photographs.
    """
    said = recipe.options.get("pairs")
    if said is None:
        return [None] * len(heads)
    if isinstance(book, ReferBook):
        raise SuiteError(
            'options.pairs is for drawn scenes (data.kind = "scenes"): a photograph\'s instances have masks here '
            "whether they were annotated or not, and pairs would teach what nobody said; use stage 'system'"
        )
    looked_at = range(0, len(book), -(-len(book) // _LOOKED_AT))
    offered = [
        kinds_offered(head, [sample for at in looked_at for task in tasks for sample in book.samples(at, task)[:1]])
        for head, tasks in heads
    ]
    kinds = weighed(said, frozenset().union(*offered), "options.pairs")
    return [{kind: often for kind, often in kinds.items() if kind in makes} for makes in offered]


def _passed_over(work: Path, book: SceneCache | ReferBook) -> dict[str, int]:
    images = len(refused(book))
    return {"images passed over": images, "samples passed over": len(passed_over(work)) - images}


def _assemble(head: Head, segmenter: Mapping[str, Any] | None, trainee: Trainee) -> None:
    if segmenter is not None:
        head.segmenter = part("segmenter", segmenter["name"], segmenter.get("options", {}))
    if hasattr(head, "bind"):
        head.bind(trainee)


def export(
    recipe: Recipe,
    said: Mapping[str, Any],
    head: Head,
    model: Any,
    tokenizer: Any,
    out: Path,
    kinds: Mapping[str, float] | None = None,
    passed: Mapping[str, int] | None = None,
) -> Path:
    """Write one system's folder: backbone, head, segmenter, card.

    ``kinds`` of pairs are told where some were asked, and how many samples were ``passed`` over.
    """
    save_model(model.to(torch.float16), tokenizer, out / "backbone")
    model.float()
    if isinstance(head, torch.nn.Module) and head.state_dict():
        save_state(head, out / "head" / "model.safetensors", dtype=torch.float16)
    segmenter = None
    if head.segmenter is not None:
        head.segmenter.save(out / "segmenter")  # type: ignore[attr-defined]
        segmenter = PartCard(said["segmenter"]["name"])
    training = {
        "recipe": "" if recipe.path is None else recipe.path.name,
        "seed": recipe.seed,
        "data": dict(recipe.data),
        "steps": recipe.schedule.steps,
        "images a step": recipe.schedule.step_images(get_world_size()),
        "questions an image": int(recipe.options.get("each", 12)),
        "heads trained together": max(len(recipe.options.get("heads", ())), 1),
        **({} if passed is None else passed),
        **({} if kinds is None else {"pairs": dict(kinds)}),
    }
    card = Card(
        name=str(said.get("system", f"tiny/{said['name']}")),
        summary=str(said.get("summary", recipe.summary)),
        head=PartCard(said["name"], said.get("options", {})),
        backbone=PartCard("transformers", {"dtype": "float32"}),
        segmenter=segmenter,
        tokens=tuple(getattr(head, "special_tokens", ())),
        training=training,
        licence="Apache-2.0",
    )
    write_card(out, card)
    return out
