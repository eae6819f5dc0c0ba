"""Stage ``system``: any backbone, head and segmenter, on any registered data set; the result is a system's folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process

from rsground.assembly import locate
from rsground.contracts import Head, Preprocessor
from rsground.errors import SuiteError
from rsground.models.backbone import TransformersBackbone
from rsground.models.card import Card, PartCard
from rsground.models.grounder import Grounder
from rsground.models.loading import hub_folder
from rsground.models.training.engine import train
from rsground.models.training.hooks import BEST
from rsground.models.training.recipe import Recipe
from rsground.models.training.sample_stream import PairStream, found_path, read_samples, together
from rsground.models.training.scoring import Scoring
from rsground.models.training.system_model import SystemModel, Trained
from rsground.models.training.ways import ways
from rsground.pipeline import Pipeline
from rsground.registry import load, registry, target_of

_HEAD, _MODEL = {"name", "options"}, {"checkpoint", "options", "backbone"}
_OPTIONS = {"system", "licence", "preprocess"}


@dataclass(eq=False)
class Assembled:
    """The parts of a system that is trained.

    Attributes:
        backbone, head, steps: joined; the head has its segmenter and is bound.
        dtype: what the backbone's weights are stored in.
    """

    backbone: TransformersBackbone
    head: Head
    steps: tuple[Preprocessor, ...]
    dtype: torch.dtype


def run(recipe: Recipe, work: Path, init: Path | None, cache: Path) -> Path:
    """Train, and answer the system's folder."""
    del cache
    began = time.monotonic()
    base = Path() if recipe.path is None else recipe.path.parent
    _check(recipe)
    samples = read_samples(recipe.data, base)
    scoring = _scoring(recipe, base)
    torch.manual_seed(recipe.seed)
    said = {key: value for key, value in recipe.model.items() if key not in _MODEL}
    what = Trained.of(said)
    parts = assembled(recipe, init, base, lora=what.lora)
    model = SystemModel(parts.backbone, parts.head, what)
    pipeline = Pipeline(parts.head, parts.backbone, parts.steps, seed=recipe.seed)
    stream = PairStream(samples, parts.head, parts.backbone, parts.steps, recipe.data.get("pairs"), recipe.seed)
    check = None if scoring is None else lambda: scoring.scores(pipeline, recipe.schedule.precision)
    train(model, stream, together, recipe.schedule, work, check=check, seed=recipe.seed)
    scores = _take_best(model, work) if scoring is not None else {}
    out = work / "out"
    if is_main_process():
        parts.backbone.model.to(parts.dtype)
        model.eval()
        card = _card(recipe, parts, {scoring.name: scores} if scoring is not None else {}, time.monotonic() - began)
        Grounder(pipeline, card).save_pretrained(out, overwrite=True)
    barrier()
    return out


def assembled(recipe: Recipe, init: Path | None, base: Path, lora: Mapping[str, Any] | None = None) -> Assembled:
    """Build and join the parts that a recipe names, special tokens and adapters included.

    Args:
        recipe: what to build.
        init: folder to start from: a model in hub layout, or a system; None takes ``model.checkpoint``.
        base: folder that relative paths are in, where they are not in the working folder.
        lora: options of the adapters, None for none.

    Raises:
        SuiteError: no checkpoint is named.
        RsgroundError: what the parts say of their options and weights.
    """
    folder = init
    if folder is None:
        if "checkpoint" not in recipe.model:
            raise SuiteError(f'recipe {recipe.name!r} starts from nothing: say model.checkpoint = "folder", or init')
        folder = locate(found_path(recipe.model["checkpoint"], base))
    low = lora is not None and recipe.schedule.precision == "bfloat16"
    options = {"dtype": "bfloat16" if low else "float32", **recipe.model.get("options", {})}
    if options["dtype"] not in ("float32", recipe.schedule.precision):
        raise SuiteError(
            f"recipe {recipe.name!r}: weights in {options['dtype']} are trained with schedule.precision = "
            f"{options['dtype']!r}, got {recipe.schedule.precision!r}"
        )
    backbone = load(
        "backbone", recipe.model.get("backbone", "transformers"), checkpoint=str(hub_folder(folder)),
        **{"device": ways().device, **options},
    )  # fmt: skip
    if not isinstance(backbone, TransformersBackbone):
        raise SuiteError(f"stage 'system' trains backbones made on 'transformers', not {type(backbone).__name__}")
    head: Head = _part("head", recipe.head, folder if (folder / "head").is_dir() else None, base)
    if recipe.segmenter:
        head.segmenter = _part("segmenter", recipe.segmenter, folder if (folder / "segmenter").is_dir() else None, base)
    dtype = backbone.model.dtype
    backbone.add_tokens(getattr(head, "special_tokens", ()))
    if hasattr(head, "bind"):
        head.bind(backbone)
    if lora is not None:
        backbone.add_lora(**lora)
    steps = tuple(_part("preprocessor", each, None, base) for each in recipe.options.get("preprocess", ()))
    for step in steps:
        if hasattr(step, "listen"):  # as in a system that answers: asked about the image in the head's own words
            step.listen(head)
    return Assembled(backbone, head, steps, dtype)


def _part(kind: str, said: Mapping[str, Any], folder: Path | None, base: Path) -> Any:
    """A registered part; one that takes a checkpoint is given ``folder``, unless the recipe names its own."""
    if "name" not in said or set(said) - _HEAD:
        raise SuiteError(f"{kind} of stage 'system' has name and options, got {dict(said)!r}")
    options = dict(said.get("options", {}))
    if "checkpoint" in options:
        options["checkpoint"] = str(locate(found_path(options["checkpoint"], base)))
    elif folder is not None and "checkpoint" in _parameters(kind, said["name"]):
        options["checkpoint"] = str(folder)
    return load(kind, said["name"], **options)


def _parameters(kind: str, name: str) -> list[str]:
    import inspect

    return list(inspect.signature(target_of(registry().find(kind, name))).parameters)


def _check(recipe: Recipe) -> None:
    if "name" not in recipe.head:
        raise SuiteError(f"recipe {recipe.name!r} names no head: [head] name = \"geoground\"; 'rsground list heads'")
    for key in recipe.options:
        if key not in _OPTIONS:
            raise SuiteError(f"options of stage 'system' are {', '.join(sorted(_OPTIONS))}; got {key!r}")
    if not isinstance(recipe.data.get("pairs", {}), Mapping):
        raise SuiteError("data.pairs says how often each kind of pair is drawn: pairs = { base = 1, pal = 1 }")


def _scoring(recipe: Recipe, base: Path) -> Scoring | None:
    said = recipe.data.get("val")
    if said is None:
        return None
    table = {key: value for key, value in recipe.data.items() if key not in ("val", "limit", "pairs")}
    asked = {key: value for key, value in said.items() if key not in ("metric", "metric_options")}
    if "metric" not in said or not {"split", "root", "name"} & set(said):
        raise SuiteError("data.val names a split (or another root or data set) and a metric; 'rsground list metrics'")
    samples = read_samples({**table, **asked}, base, "data.val")
    name = str(asked.get("name", table["name"]))
    return Scoring(load("metric", said["metric"], **said.get("metric_options", {})), samples, name)


def _take_best(model: SystemModel, work: Path) -> dict[str, float]:
    """The weights that validated best, and their scores."""
    kept = torch.load(work / BEST, map_location="cpu", weights_only=True)
    model.load_state_dict(kept["state_dict"], strict=False)
    return {name: round(float(score), 6) for name, score in kept["scores"].items()}


def _card(recipe: Recipe, parts: Assembled, scores: Mapping[str, Any], seconds: float) -> Card:
    def of(kind: str, said: Mapping[str, Any]) -> PartCard:
        options = {key: value for key, value in said.get("options", {}).items() if key not in ("checkpoint", "device")}
        return PartCard(said["name"], options, registry().offers(kind)[said["name"]].distribution)

    backbone = {"name": recipe.model.get("backbone", "transformers"), "options": dict(recipe.model.get("options", {}))}
    backbone["options"].pop("adapter", None)
    card = Card(
        name=str(recipe.options.get("system", f"my/{recipe.name}")),
        summary=recipe.summary,
        head=of("head", recipe.head),
        backbone=of("backbone", backbone),
        preprocessors=tuple(of("preprocessor", each) for each in recipe.options.get("preprocess", ())),
        tokens=tuple(getattr(parts.head, "special_tokens", ())),
        training={
            "recipe": "" if recipe.path is None else recipe.path.name,
            "seed": recipe.seed,
            "data": {key: recipe.data[key] for key in ("name", "split", "tasks", "limit") if key in recipe.data},
            "steps": recipe.schedule.steps,
            "seconds": round(seconds),
            "device": str(parts.backbone.device),
        },
        scores=scores,
        licence=str(recipe.options.get("licence", "")),
    )
    return card if not recipe.segmenter else replace(card, segmenter=of("segmenter", recipe.segmenter))
