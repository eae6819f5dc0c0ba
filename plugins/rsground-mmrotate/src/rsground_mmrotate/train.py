"""Train a rotated detector on a folder in DOTA's layout: ``python -m rsground_mmrotate.train``.

Runs where MMRotate is installed. The work folder keeps checkpoints to resume from; what ``rsground`` loads, a config
and weights without pickle, is written to ``final/`` in it.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from typing import Any

from rsground.errors import DataError, UnknownNameError
from rsground_mmrotate.labels import read_classes
from rsground_mmrotate.weights import save_detector

RECIPES = ("fcos_tiny",)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, train, write the detector."""
    parser = argparse.ArgumentParser(prog="python -m rsground_mmrotate.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that 'rsground dota export' wrote")
    parser.add_argument("--val", type=Path, help="another one, scored by MMRotate's DOTAMetric while training")
    parser.add_argument("--out", type=Path, required=True, help="work folder")
    parser.add_argument("--recipe", default="fcos_tiny", help=f"one of {', '.join(RECIPES)}, or an MMRotate config")
    parser.add_argument("--iterations", type=int, help="steps of the optimiser (default: the recipe's)")
    parser.add_argument("--batch", type=int, help="images a step (default: the recipe's)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    parser.add_argument("--val-every", type=int, help="steps between scores (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the work folder")
    parser.add_argument("--half", action="store_true", help="write final/ in 16 bits, half as large")
    args = parser.parse_args(argv)
    config = configure(recipe_path(args.recipe), args.data, args.val, args.out)
    shorten(config, args.iterations, args.batch, args.val_every)
    config.randomness = {"seed": args.seed, "deterministic": False}
    config.resume = args.resume
    train(config, threads=args.threads)
    save_detector(args.out / "final", config, _last(args.out), half=args.half)
    print(f"the detector is in {args.out / 'final'}")  # noqa: T201
    return 0


def recipe_path(name: str) -> Path:
    """The file of a recipe that ships here, or the path of any config.

    Raises:
        UnknownNameError: it is neither.
    """
    if name in RECIPES:
        return Path(str(files("rsground_mmrotate") / "recipes" / f"{name}.py"))
    if not Path(name).is_file():
        raise UnknownNameError("recipe", name, RECIPES, "A path of an MMRotate config does as well.")
    return Path(name)


def configure(recipe: Path, data: Path, val: Path | None, out: Path) -> Any:
    """The recipe with its data and categories filled in (an ``mmengine.Config``)."""
    from mmengine import Config

    config = Config.fromfile(str(recipe))
    classes = read_classes(data)
    config.metainfo = {"classes": tuple(classes)}
    _count(config.model, len(classes))
    config.work_dir = str(out)
    _point(config.train_dataloader.dataset, data, config.metainfo)
    if val is None:
        config.val_dataloader = config.val_evaluator = config.val_cfg = None
    else:
        _point(config.val_dataloader.dataset, val, config.metainfo)
    config.test_dataloader = config.test_evaluator = config.test_cfg = None
    return config


def shorten(config: Any, iterations: int | None, batch: int | None, val_every: int | None) -> None:
    """Set the length, with the schedule of the learning rate stretched to it.

    Raises:
        DataError: the length of a config that warms up or ends otherwise than the recipes here.
    """
    if batch is not None:
        config.train_dataloader.batch_size = batch
    if val_every is not None:
        config.train_cfg.val_interval = val_every
    if iterations is None:
        return
    kinds = [step["type"] for step in config.param_scheduler]
    if kinds != ["LinearLR", "CosineAnnealingLR"]:
        raise DataError(f"--iterations knows how to stretch a warm-up and a cosine, this config has {kinds}")
    warm_up, cosine = config.param_scheduler
    begin = min(warm_up.end, iterations // 10)
    warm_up.end = cosine.begin = begin
    cosine.end = config.train_cfg.max_iters = iterations
    config.param_scheduler = [warm_up, cosine] if begin else [cosine]


def train(config: Any, *, threads: int) -> None:
    """Run MMEngine's runner."""
    import torch
    from mmengine.runner import Runner
    from mmrotate.utils import register_all_modules

    torch.set_num_threads(threads)
    register_all_modules(init_default_scope=True)
    Runner.from_cfg(config).train()


def _count(part: Any, classes: int) -> None:
    """Set the number of categories in every head of a model."""
    if isinstance(part, dict):
        if "num_classes" in part:
            part["num_classes"] = classes
        part = part.values()
    elif not isinstance(part, list | tuple):
        return
    for each in part:
        _count(each, classes)


def _point(dataset: Any, folder: Path, metainfo: dict[str, Any]) -> None:
    dataset.data_root = f"{folder.resolve()}/"
    dataset.metainfo = metainfo


def _last(out: Path) -> Path:
    name = out / "last_checkpoint"
    if not name.is_file():
        raise DataError("training wrote no checkpoint", out)
    return Path(name.read_text().strip())


if __name__ == "__main__":
    raise SystemExit(main())
