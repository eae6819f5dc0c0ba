"""Train a system as a recipe says; a run that was broken off goes on where it stopped."""

from __future__ import annotations

import argparse
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SUMMARY = "train a system as a recipe says; broken-off runs go on"
EPILOG = """examples:
  rsground train geoground.toml                          train, or go on where the last run stopped
  rsground train geoground.toml --set schedule.steps=20 --set data.limit=50 --root /tmp/try    a quick try
  rsground train geoground.toml --set-all schedule.steps=2 --root /tmp/try    the same of all recipes it starts from
  rsground train geoground.toml --fresh                  forget the last run
  torchrun --nproc-per-node 4 -m rsground train geoground.toml --launcher pytorch              four GPUs

A run lies in ROOT/<recipe's name>: checkpoints, log and TensorBoard records (tensorboard --logdir ROOT), and the
result in out/. Recipes that it starts from (init) are trained first; --set does not reach them, --set-all does. A
value after either is written as in TOML; a word that is no TOML is a text. A folder that holds the run of another
recipe is left alone: train under another --root, or say --fresh.

exit status: 0 trained, 1 an error, 2 a bad command line, 130 interrupted (saved; the same command goes on).
"""
_NEEDED = ("torch", "transformers", "mmengine", "tensorboard")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe, where to, on what."""
    parser.set_defaults(fail=parser.error)
    parser.add_argument("recipe", metavar="RECIPE", help="a TOML file; docs/reference/recipes.md says what it holds")
    parser.add_argument("--root", default="runs", metavar="DIR", help="where runs and cached data lie (runs)")
    parser.add_argument("--fresh", action="store_true", help="forget what this recipe did before")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="schedule.steps=100 ...; repeat for several"
    )
    parser.add_argument(
        "--set-all",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the same in all recipes it starts from too",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1 ... (auto)")
    parser.add_argument(
        "--launcher", choices=("none", "pytorch"), default="none", help="pytorch: several processes, under torchrun"
    )
    parser.add_argument("--quiet", action="store_true", help="write logs to the run's folder only")


def run(args: argparse.Namespace) -> int:
    """Train."""
    changes = dict(_change(text, args) for text in args.set)
    for_all = dict(_change(text, args) for text in args.set_all)
    if args.fresh and args.launcher != "none":
        args.fail("--fresh is for one process; delete the run's folder instead")
    _check_installed()
    from rsground.models.training.recipe import read_recipe
    from rsground.models.training.running import run_recipe
    from rsground.models.training.ways import Ways, training_in

    recipe = read_recipe(args.recipe, {**for_all, **changes})
    line = _line(args)
    shown = () if line is None else (line,)
    try:
        with training_in(Ways(args.device, args.launcher, shown, quiet=args.quiet or bool(shown))):
            out = run_recipe(recipe, Path(args.root), fresh=args.fresh, changes=for_all)
    except KeyboardInterrupt:
        _tell_of_stop(args, Path(args.root) / recipe.name)
        return 130
    finally:
        if line is not None:
            line.stop()
    if not args.quiet and _is_first():
        _tell(out)
    return 0


def _change(text: str, args: argparse.Namespace) -> tuple[str, Any]:
    """A dotted name and its value."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        args.fail(f"--set takes NAME=VALUE, such as schedule.steps=100, got {text!r}")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _check_installed() -> None:
    from rsground.errors import MissingExtraError

    for package in _NEEDED:
        if find_spec(package) is None:
            raise MissingExtraError("training", "train", package)


def _line(args: argparse.Namespace) -> Any:
    """The progress line, in a terminal."""
    if args.quiet or not sys.stderr.isatty():
        return None
    from rsground.models.training.progress import ProgressLine

    return ProgressLine()


def _is_first() -> bool:
    from mmengine.dist import is_main_process

    return bool(is_main_process())


def _tell(out: Path) -> None:
    import json

    from rsground.models.training.passing import FILE, passed_over

    print(f"trained: {out}")  # noqa: T201
    lost = len(passed_over(out.parent))
    if lost:
        print(f"passed over: {lost}, named with the reasons in {out.parent / FILE}")  # noqa: T201
    card = out / "rsground.json"
    if not card.is_file():
        return
    told = json.loads(card.read_text(encoding="utf-8"))
    if "weights" in told["training"]:
        print(f"weights: {told['training']['weights']}")  # noqa: T201
    for name, scores in told["scores"].items():
        print(f"{name}: {', '.join(f'{key} {value:.4g}' for key, value in scores.items())}")  # noqa: T201
    print(f'ask it: rsground predict IMAGE -q "the red car" --system {out}')  # noqa: T201


def _tell_of_stop(args: argparse.Namespace, work: Path) -> None:
    from rsground.models.training.run_folder import DONE

    kept = sorted(work.glob("iter_*.pth"), key=lambda file: int(file.stem[5:]))
    if not kept:  # a recipe that this one starts from was on its way
        others = (file for file in work.parent.glob("*/iter_*.pth") if not (file.parent / DONE).is_file())
        kept = sorted(others, key=lambda file: file.stat().st_mtime)
    where = f"saved as {kept[-1]}" if kept else "nothing was saved yet"
    words = " ".join(sys.argv[1:]) if sys.argv[1:2] == ["train"] else f"train {args.recipe} --root {args.root}"
    again = words.replace(" --fresh", "")
    print(f"rsground: interrupted, {where}; to go on: rsground {again}", file=sys.stderr)  # noqa: T201
