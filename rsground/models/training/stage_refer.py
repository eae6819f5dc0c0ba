"""Stage ``refer``: the language side learns what expressions mean, by pointing, in every paradigm's wording alike."""

from __future__ import annotations

from pathlib import Path

from rsground.errors import SuiteError
from rsground.models.training.engine import train
from rsground.models.training.fact_cache import cached_facts
from rsground.models.training.language import LanguageModel, PackLessons
from rsground.models.training.language_setup import (
    begin,
    checker,
    gone_on_with,
    heads_of,
    holds_model,
    save_gone_on_with,
)
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.passing import PassedOver
from rsground.models.training.processes import main_only
from rsground.models.training.recipe import Recipe
from rsground.models.training.sources import picture_book, refused, unseen


def run(recipe: Recipe, work: Path, init: Path | None, cache: Path) -> Path:
    """Train, and answer the folder of the model."""
    if init is None:
        raise SuiteError("stage 'refer' starts from a taught tower: say init = \"the dense recipe\"")
    heads = heads_of(recipe.options.get("heads", ()))
    tables = (recipe.data, unseen(recipe.data))
    book, other = (picture_book(table, cache) for table in tables)
    if holds_model(init):
        model, tokenizer = gone_on_with(recipe, init)
    else:
        model, tokenizer = begin(init, recipe.model, [head for head, _ in heads], book, recipe.seed)
    facts = [cached_facts(model, some, table, cache) for some, table in zip((book, other), tables, strict=True)]
    speller = Speller(tokenizer)
    chances = Chances.of(recipe.options, each=20, write=False)
    makers = [PackLessons(each, tokenizer.eos_token_id) for each in facts]
    language = LanguageModel(model)
    train(
        language,
        SceneLessons(book, heads, speller, chances, recipe.seed),
        makers[0],
        recipe.schedule,
        work,
        check=checker(language, SceneLessons(other, heads, speller, chances, 1), makers[1]),
        hooks=[PassedOver(work, refused(book))],
        seed=recipe.seed,
    )
    main_only(lambda: save_gone_on_with(model, tokenizer, init, work / "out"))
    return work / "out"
