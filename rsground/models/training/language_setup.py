"""What the two language stages share: model, heads, facts, checks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, ViTImageProcessor

from rsground.contracts import Head
from rsground.errors import CheckpointError
from rsground.models.folder import CARD, load_state, part_folder, read_card
from rsground.models.tower_lm import TowerLM, TowerLMConfig, TowerLMProcessor
from rsground.models.tower_lm.beginning import Spell, begin_headings
from rsground.models.tower_lm.beginning import begin as begin_language
from rsground.models.tower_lm.cursor import grid_tokens
from rsground.models.tower_lm.tokenizer import number_ids
from rsground.models.training.dense import MEAN, STD
from rsground.models.training.language import LanguageModel, PackLessons
from rsground.models.training.lessons import SceneLessons
from rsground.models.training.recipe import Recipe
from rsground.models.training.refer_book import ReferBook
from rsground.models.training.scene_cache import SceneCache
from rsground.models.training.vocabulary import learn_vocabulary
from rsground.registry import load
from rsground.types import Task

GROUNDING = (Task.HBB, Task.OBB, Task.MASK)
LATER = (
    "look",
    "headings",
    "judge_width",
    "judge_layers",
    "judge_compares",
    "judge_measures",
    "judge_starts",
    "ledger",
    "cursor",
)
"""What a recipe's ``model`` may say of a model that is gone on with."""
_LEARNED_FROM = 800
_CHECKED = 40


def heads_of(options: Sequence[Mapping[str, Any]]) -> list[tuple[Head, tuple[Task, ...]]]:
    """Heads by ``{"name", "options", "tasks"}``, with the tasks each is asked."""
    found = []
    for each in options:
        head: Head = load("head", each["name"], **each.get("options", {}))
        tasks = tuple(Task(name) for name in each.get("tasks", ())) or tuple(t for t in GROUNDING if t in head.tasks)
        found.append((head, tasks))
    return found


def begin(
    tower: Path, text: Mapping[str, Any], heads: Sequence[Head], book: SceneCache | ReferBook, seed: int
) -> tuple[TowerLM, Any]:
    """A model with a taught tower and an untaught language side, and its tokenizer."""
    torch.manual_seed(seed)
    samples = [
        sample
        for at in range(min(len(book), _LEARNED_FROM))
        for sample in book.samples(at, GROUNDING[at % len(GROUNDING)])[:10]
    ]
    tokenizer = learn_vocabulary(heads, samples, int(text.get("vocabulary", 2048)))
    config = TowerLMConfig.from_pretrained(tower)
    sizes = {key: value for key, value in text.items() if key != "vocabulary" and key not in LATER}
    kind: Any = type(config.text_config)
    config.text_config = kind(
        vocab_size=-(-len(tokenizer) // 16) * 16,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    config.numbers = list(number_ids(tokenizer).values())
    parts = _parts(text, tokenizer)
    headings = parts.pop("headings", False)
    config.update(parts)
    model = TowerLM(config)
    begin_language(model, _spell(tokenizer))
    if headings:
        begin_headings(model, _spell(tokenizer))
    load_state(model.tower, tower)
    return model, tokenizer


def _parts(said: Mapping[str, Any], tokenizer: Any) -> dict[str, Any]:
    """The ``LATER`` ones of what is said of a model, as its configuration has them."""
    parts = {key: said[key] for key in LATER if key in said}
    if not parts.get("cursor"):
        return parts
    sides = parts["cursor"] if isinstance(parts["cursor"], Mapping) else {}  # of grids that are not the usual ones
    return {**parts, "cursor": grid_tokens(tokenizer, **sides)}


def _spell(tokenizer: Any) -> Spell:
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


def resume_from(folder: Path, tower: Path | None = None, **changes: Any) -> tuple[TowerLM, Any]:
    """The model and tokenizer of a former stage: in the folder itself, or the backbone of the systems in it.

    Args:
        folder: what that stage wrote.
        tower: what a dense stage wrote, whose weights take the place of the model's own tower.
        changes: to the model's configuration; parts that it did not have begin untaught.

    Raises:
        CheckpointError: the folder holds no model.
    """
    home = model_folder(folder)
    if home is None:
        raise CheckpointError("holds neither a model nor a system with one", folder)
    former = TowerLMConfig.from_pretrained(home)
    headings = changes.pop("headings", former.headings)
    tokenizer = AutoTokenizer.from_pretrained(home)
    model = TowerLM.from_pretrained(home, dtype=torch.float32, **_parts(changes, tokenizer))
    if model.judge is not None and not former.judge_layers:
        model.judge.begin()
    elif model.judge is not None and not former.judge_compares:
        model.judge.begin_comparing()
    elif model.judge is not None and not former.judge_measures:
        model.judge.begin_measuring()
    elif model.judge is not None and not former.judge_starts:
        model.judge.begin_starting()
    if model.look is not None and not former.look:
        model.look.begin()
    if headings and not former.headings:
        begin_headings(model, _spell(tokenizer))
    if model.ledger is not None and not former.ledger:
        model.ledger.begin()
    if model.cursor is not None and not former.cursor:
        model.cursor.begin(model.visual.numbers.weight)
    if tower is not None:
        load_state(model.tower, tower)
    return model, tokenizer


def gone_on_with(recipe: Recipe, init: Path) -> tuple[TowerLM, Any]:
    """The model and tokenizer of a former stage, with the tower and the new parts that the recipe says.

    Raises:
        CheckpointError: the folder holds no model.
    """
    tower = recipe.options.get("tower")
    changes = {key: recipe.model[key] for key in LATER if key in recipe.model}
    return resume_from(init, None if tower is None else Path(tower), **changes)


def holds_model(folder: Path) -> bool:
    """Whether a stage of the language side wrote the folder; a dense stage writes a tower alone."""
    return model_folder(folder) is not None


def model_folder(folder: Path) -> Path | None:
    """Where the model lies: in the folder, as the backbone of systems in it, or where their cards say."""
    homes = (folder, folder / "backbone", *sorted(folder.glob("*/backbone")))
    found = next((each for each in homes if (each / "tokenizer.json").is_file()), None)
    if found is None:  # systems that share a backbone
        cards = (read_card(each.parent) for each in (*folder.glob(CARD), *sorted(folder.glob(f"*/{CARD}"))))
        named = next(
            (str(card.backbone.options["checkpoint"]) for card in cards if "checkpoint" in card.backbone.options), None
        )
        found = None if named is None else part_folder(named, "backbone")
    return found


def processor_of(model: TowerLM, tokenizer: Any) -> TowerLMProcessor:
    """How pictures and words become the model's inputs."""
    side = model.config.image_size
    pictures = ViTImageProcessor(
        size={"height": side, "width": side}, image_mean=list(MEAN), image_std=list(STD), resample=2
    )
    return TowerLMProcessor(pictures, tokenizer, visual_tokens=model.config.visual_tokens)


def save_model(model: TowerLM, tokenizer: Any, folder: Path) -> Path:
    """Write a model in the hub's layout."""
    if folder.is_dir():
        shutil.rmtree(folder)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor_of(model, tokenizer).save_pretrained(folder)
    return folder


def save_gone_on_with(model: TowerLM, tokenizer: Any, init: Path, folder: Path) -> None:
    """Write a model, and the heads of the systems that it goes on with, where stage ``answer`` looks for them."""
    save_model(model, tokenizer, folder)
    for trained in init.glob("*/head"):
        shutil.copytree(trained, folder / trained.parent.name / "head")


def checker(model: LanguageModel, lessons: SceneLessons, make: PackLessons) -> Callable[[], dict[str, float]]:
    """Validation: losses and accuracy over a fixed number of images, accuracy first."""

    def check() -> dict[str, float]:
        total: dict[str, float] = {}
        lessons.restart()
        for at in range(0, _CHECKED * 8, 8):
            batch = [lessons[(at + each) % len(lessons)] for each in range(8)]
            for name, value in model(**make(batch)).items():
                total[name] = total.get(name, 0.0) + float(value) / _CHECKED
        return {"accuracy": total.pop("accuracy"), **total}

    return check
