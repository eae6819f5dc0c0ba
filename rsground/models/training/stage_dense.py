"""Stage ``dense``: the tower of a small model learns what stands where."""

from __future__ import annotations

from pathlib import Path

import torch

from rsground.models.state import load_state, save_state
from rsground.models.tower_lm import TowerLMConfig
from rsground.models.tower_lm.tower import Tower
from rsground.models.training.dense import DenseModel, TurnedImages, collate
from rsground.models.training.engine import train
from rsground.models.training.language_setup import model_folder
from rsground.models.training.passing import PassedOver
from rsground.models.training.processes import main_only
from rsground.models.training.recipe import Recipe
from rsground.models.training.sources import picture_book, refused

_TOWER = "tower."


def run(recipe: Recipe, work: Path, init: Path | None, cache: Path) -> Path:
    """Train, and answer the folder with ``config.json`` and the tower's ``model.safetensors``.

    It starts from a tower that such a stage wrote, or from the tower of a small model.
    """
    torch.manual_seed(recipe.seed)
    model = None if init is None else model_folder(init)
    begun = init if model is None else model
    own = begun is None or recipe.model
    config = TowerLMConfig(**recipe.model) if own else TowerLMConfig.from_pretrained(str(begun))
    tower = Tower(config).to(memory_format=torch.channels_last)
    if begun is not None:
        load_state(tower, begun, rename=None if model is None else _of_model)
    book = picture_book(recipe.data, cache)
    train(
        DenseModel(tower),
        TurnedImages(
            book.images,
            book.objects,
            recipe.seed,
            size=config.image_size,
            least=float(recipe.options.get("window", 1.0)),
            often=float(recipe.options.get("often", 0.0)),
        ),
        collate,
        recipe.schedule,
        work,
        hooks=[PassedOver(work, refused(book))],
        seed=recipe.seed,
    )
    out = work / "out"

    def write() -> None:
        out.mkdir(exist_ok=True)
        config.save_pretrained(out)
        save_state(tower, out / "model.safetensors")

    main_only(write)
    return out


def _of_model(key: str) -> str | None:
    """A key of a whole model as its tower has it; None where it is another part's."""
    return key.removeprefix(_TOWER) if key.startswith(_TOWER) else None
