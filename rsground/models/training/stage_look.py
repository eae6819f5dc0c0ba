"""Stage ``look``: a small model learns to look at the tower's peaks a second time, everything else frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from rsground.errors import SuiteError
from rsground.models.training.engine import train
from rsground.models.training.fact_cache import cached_facts
from rsground.models.training.language_setup import gone_on_with, holds_model, save_gone_on_with
from rsground.models.training.passing import PassedOver
from rsground.models.training.processes import main_only
from rsground.models.training.recipe import Recipe
from rsground.models.training.second_look import LookModel, PackLooks
from rsground.models.training.sources import picture_book, refused


def run(recipe: Recipe, work: Path, init: Path | None, cache: Path) -> Path:
    """Train, and answer the folder of the model."""
    if init is None or not holds_model(init):
        raise SuiteError("stage 'look' goes on with a small model: say init = \"a refer or answer recipe\"")
    torch.manual_seed(recipe.seed)
    model, tokenizer = gone_on_with(replace(recipe, model={"look": 1, **recipe.model}), init)
    book = picture_book(recipe.data, cache)
    facts = cached_facts(model, book, recipe.data, cache, look=False)
    assert model.look is not None
    model.look.train()
    train(
        LookModel(model.look),
        range(len(book)),
        PackLooks(facts, book.images, book.objects),
        recipe.schedule,
        work,
        hooks=[PassedOver(work, refused(book))],
        seed=recipe.seed,
    )
    main_only(lambda: save_gone_on_with(model, tokenizer, init, work / "out"))
    return work / "out"
