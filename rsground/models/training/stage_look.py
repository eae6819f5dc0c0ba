"""Stage ``look``: a small model learns to look at the tower's peaks a second time, everything else frozen.

It goes on with a model, or begins one after a tower; then its words, which heads ask and answer with, are untaught yet.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from rsground.errors import SuiteError
from rsground.models.training.engine import train
from rsground.models.training.fact_cache import cached_facts
from rsground.models.training.language_setup import begin, gone_on_with, heads_of, holds_model, save_gone_on_with
from rsground.models.training.passing import PassedOver
from rsground.models.training.processes import main_only
from rsground.models.training.recipe import Recipe
from rsground.models.training.second_look import LookModel, PackLooks
from rsground.models.training.sources import picture_book, refused


def run(recipe: Recipe, work: Path, init: Path | None, cache: Path) -> Path:
    """Train, and answer the folder of the model."""
    if init is None:
        raise SuiteError("stage 'look' starts from a taught tower or a small model: say init = \"such a recipe\"")
    torch.manual_seed(recipe.seed)
    said = {"look": 1, **recipe.model}
    book = picture_book(recipe.data, cache)
    if holds_model(init):
        model, tokenizer = gone_on_with(replace(recipe, model=said), init)
    else:
        heads = heads_of(recipe.options.get("heads", ()))
        model, tokenizer = begin(init, said, [head for head, _ in heads], book, recipe.seed)
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
