"""Stage ``system``: any backbone, head and segmenter, on any registered data set; the result is a system's folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.logging import print_log

from rsground.assembly import locate
from rsground.contracts import Head, Preprocessor
from rsground.errors import SuiteError
from rsground.models.card import Card, PartCard
from rsground.models.grounder import Grounder
from rsground.models.loading import hub_folder
from rsground.models.teachable import TeachableBackbone
from rsground.models.training.engine import train
from rsground.models.training.hooks import BEST
from rsground.models.training.pair_kinds import kinds_offered, weighed
from rsground.models.training.parts import parameters_of, part
from rsground.models.training.passing import GoodPairs, PassedOver, passed_over
from rsground.models.training.processes import own_device
from rsground.models.training.recipe import Recipe
from rsground.models.training.sample_stream import PairStream, found_path, read_samples, together
from rsground.models.training.scoring import Scoring
from rsground.models.training.system_model import SystemModel, Trained
from rsground.pipeline import Pipeline
from rsground.registry import load, registry

_HEAD, _MODEL = {"name", "options"}, {"checkpoint", "options", "backbone"}
_OPTIONS = {"system", "licence", "preprocess"}


@dataclass(eq=False)
class Assembled:
    """The parts of a system that is trained.

    Attributes:
        backbone, head, steps: joined; the head has its segmenter and is bound.
        dtype: what the backbone's weights are stored in.
    """

    backbone: TeachableBackbone
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
    kinds = weighed(recipe.data.get("pairs"), kinds_offered(parts.head, samples, recipe.seed), "data.pairs")
    stream = PairStream(samples, parts.head, parts.backbone, parts.steps, kinds, recipe.seed)
    check = None if scoring is None else lambda: scoring.scores(pipeline, recipe.schedule.precision)
    good, hooks = GoodPairs(stream, parts.backbone), [PassedOver(work)]
    train(model, good, together, recipe.schedule, work, check=check, hooks=hooks, seed=recipe.seed)
    weights, scores = _take_best(model, work, recipe) if scoring is not None else ("of the last step", {})
    out = work / "out"
    if is_main_process():
        parts.backbone.model.to(parts.dtype)
        model.eval()
        scored = {scoring.name: scores} if scoring is not None else {}
        card = _card(recipe, parts, kinds, scored, time.monotonic() - began)
        told = {"images a step": recipe.schedule.step_images(get_world_size()), "weights": weights}
        told["samples passed over"] = len(passed_over(work))
        Grounder(pipeline, replace(card, training={**card.training, **told})).save_pretrained(out, overwrite=True)
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
        **{"device": str(own_device()), **options},
    )  # fmt: skip
    if not isinstance(backbone, TeachableBackbone):
        raise SuiteError(
            f"stage 'system' trains backbones that can be taught (rsground.models.teachable), such as 'transformers'; "
            f"{type(backbone).__name__} answers only"
        )
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
    """A registered part, on this process's device; one that takes a checkpoint is given ``folder``, unless the recipe
    names its own."""
    if "name" not in said or set(said) - _HEAD:
        raise SuiteError(f"{kind} of stage 'system' has name and options, got {dict(said)!r}")
    options = dict(said.get("options", {}))
    if "checkpoint" in options:
        options["checkpoint"] = str(locate(found_path(options["checkpoint"], base)))
    elif folder is not None and "checkpoint" in parameters_of(kind, said["name"]):
        options["checkpoint"] = str(folder)
    return part(kind, said["name"], options)


def _check(recipe: Recipe) -> None:
    if "name" not in recipe.head:
        raise SuiteError(f"recipe {recipe.name!r} names no head: [head] name = \"geoground\"; 'rsground list heads'")
    for key in recipe.options:
        if key not in _OPTIONS:
            raise SuiteError(f"options of stage 'system' are {', '.join(sorted(_OPTIONS))}; got {key!r}")


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


def _take_best(model: SystemModel, work: Path, recipe: Recipe) -> tuple[str, dict[str, float]]:
    """The weights that validated best: which they are, and their scores. The last ones where no score was a number."""
    if not (work / BEST).is_file():
        told = "of the last step: no validation score was a number"
        print_log(f"the weights are those {told}", logger="current", level=logging.WARNING)
        return told, {}
    kept = torch.load(work / BEST, map_location="cpu", weights_only=True)
    model.load_state_dict(kept["state_dict"], strict=False)
    scores = {name: round(float(score), 6) for name, score in kept["scores"].items()}
    return f"of step {kept['step'] // recipe.schedule.accumulate}, which validated best", scores


def _card(
    recipe: Recipe, parts: Assembled, kinds: Mapping[str, float], scores: Mapping[str, Any], seconds: float
) -> Card:
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
            "pairs": kinds,
            "steps": recipe.schedule.steps,
            "seconds": round(seconds),
            "device": str(parts.backbone.device),
        },
        scores=scores,
        licence=str(recipe.options.get("licence", "")),
    )
    return card if not recipe.segmenter else replace(card, segmenter=of("segmenter", recipe.segmenter))
