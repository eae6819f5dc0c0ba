"""Put what a recipe trained into the zoo plugin, and note on the cards what it descends from and what was measured.

    rsground train benchmarks/recipes/tiny-text-framed.toml --root work
    python benchmarks/zoo.py collect work/tiny-text-framed
    rsground bench head_to_head --out runs/h2h
    python benchmarks/zoo.py scores runs/h2h
    python benchmarks/zoo.py descent                   what the recipes say now, on the cards that are there

Systems that were trained together have one backbone; it is kept once, in ``backbones/RECIPE``. So is the segmenter that
the plugin holds already, where training left it as it was. Scores are over all data sets of a run; beside them stand
those of the same system blindfolded ("NAME, blindfolded"), where the run has it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from head_to_head_page import BLIND, gathered
from safetensors.torch import load_file

from rsground.bench.results import Run
from rsground.models.card import Card, PartCard, read_card, write_card
from rsground.models.training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).resolve().parent / "recipes"
ZOO = Path(__file__).resolve().parents[1] / "plugins/rsground-zoo-tiny/src/rsground_zoo_tiny"


def collect(work: Path) -> None:
    """Copy every system that a recipe has trained in its folder, their backbone once."""
    trained = work / "out"
    systems = sorted(place for place in trained.iterdir() if (place / "rsground.json").is_file())
    if not systems:
        sys.exit(f"{trained} holds no systems")
    shared = f"backbones/{work.name}"
    _copy(systems[0] / "backbone", ZOO / shared)
    for place in systems:
        target = ZOO / "systems" / place.name
        if target.is_dir():
            shutil.rmtree(target)
        target.mkdir(parents=True)
        card = with_descent(read_card(place))
        card = replace(card, backbone=_elsewhere(card.backbone, shared))
        if (place / "head").is_dir():
            _copy(place / "head", target / "head")
        if card.segmenter is not None and _is_the_zoos(place / "segmenter"):
            card = replace(card, segmenter=_elsewhere(card.segmenter, "segmenter"))
        elif card.segmenter is not None:
            _copy(place / "segmenter", target / "segmenter")
        write_card(target, card)
        print(f"{card.name}: {sum(each.stat().st_size for each in target.rglob('*') if each.is_file()):,} bytes")


def scores(run: Path) -> None:
    """Note a run's scores, over all its data sets, on the cards of the systems it compared."""
    with Run.open(run) as opened:
        labels = [row.label for row in opened.systems]
        for place in sorted((ZOO / "systems").iterdir()):
            if place.name not in labels:
                continue
            own = {}
            for row in opened.metrics:
                for label, note in ((place.name, ""), (place.name + BLIND, BLIND)):
                    found = gathered(opened, label, row.label) if label in labels else None
                    if found is not None:
                        low, high = (round(each, 1) for each in found.interval(1000))
                        own[f"{row.label} {row.primary}{note}"] = f"{found.value:.1f} [{low}, {high}]"
            write_card(place, replace(read_card(place), scores={f"{opened.name}, percent": own}))


def descent() -> None:
    """Note on the plugin's cards what their recipes descend from."""
    for place in sorted((ZOO / "systems").iterdir()):
        write_card(place, with_descent(read_card(place)))


def with_descent(card: Card) -> Card:
    """A card with what each recipe says that its own descends from, in the order of training, its own last."""
    line = lineage(RECIPES / card.training["recipe"])
    told = {each.name: _in_short(each) for each in line}
    steps = sum(each.schedule.steps for each in line)
    return replace(card, training={**card.training, "steps of all recipes": steps, "recipes": told})


def lineage(recipe: Path) -> list[Recipe]:
    """A recipe and those it starts from or whose tower it takes, in the order of training, each once."""
    found: dict[str, Recipe] = {}

    def follow(file: Path) -> None:
        said = read_recipe(file)
        for name in (said.init, said.options.get("tower")):
            if name is not None and name not in found and (beside := file.with_name(f"{name}.toml")).is_file():
                follow(beside)
        found[said.name] = said

    follow(recipe)
    return list(found.values())


def _in_short(recipe: Recipe) -> str:
    """Of how many processes it was, the recipe's first lines say."""
    images, scenes = recipe.schedule.batch * recipe.schedule.accumulate, recipe.data["count"]
    return f"{recipe.stage}: {recipe.schedule.steps} steps of {images} images a process, of {scenes} scenes"


def _elsewhere(part: PartCard, folder: str) -> PartCard:
    """A part whose weights lie in another folder of the plugin."""
    return replace(part, options={**part.options, "checkpoint": f"rsground_zoo_tiny:{folder}"})


def _is_the_zoos(segmenter: Path) -> bool:
    """Whether a segmenter is the one that the plugin holds, but for the precision it was written in."""
    own, other = (load_file(folder / "model.safetensors") for folder in (ZOO / "segmenter", segmenter))
    same = own.keys() == other.keys() and all(torch.equal(own[name].half(), other[name].half()) for name in own)
    return same and (ZOO / "segmenter/config.json").read_bytes() == (segmenter / "config.json").read_bytes()


def _copy(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    shutil.copytree(source, target)
    for file in target.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("collect", "scores", "descent"))
    parser.add_argument("folders", type=Path, nargs="*", help="collect: of a recipe that was trained; scores: of a run")
    args = parser.parse_args()
    if bool(args.folders) == (args.what == "descent"):
        parser.error("collect and scores take folders, descent takes none")
    if args.what == "descent":
        descent()
    for folder in args.folders:
        {"collect": collect, "scores": scores}[args.what](folder)


if __name__ == "__main__":
    main()
