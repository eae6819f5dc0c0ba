"""Train the small model: ``python -m rsground_sam2.training --cache FOLDER --out FOLDER --minutes 35``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsground.assembly import locate
from rsground.errors import RsgroundError
from rsground_sam2.training.beginning import begin
from rsground_sam2.training.cache import CacheKey, Pictures, SceneCache
from rsground_sam2.training.loop import Budget, Trainer, make_optimiser, run
from rsground_sam2.training.photos import Photographs
from rsground_sam2.training.pool import FeaturePool
from rsground_sam2.training.scores import score
from rsground_sam2.training.small import small_model
from rsground_sam2.training.state import Record, load_training, load_trunk, load_weights, write_record
from rsground_sam2.weights import save_model

VAL = CacheKey(first=1 << 30, count=200)


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    made = argparse.ArgumentParser(prog="python -m rsground_sam2.training", description=__doc__)
    usual = Budget()
    made.add_argument("--cache", type=Path, help="folder for drawn scenes (2.6 GB for 10,000), kept")
    made.add_argument(
        "--refer", help="in their place: a referring set's folder in RRSIS-D's layout; train, scored on val"
    )
    made.add_argument("--windows", type=int, default=3, help="random windows of each photograph (default: %(default)s)")
    made.add_argument("--out", type=Path, required=True, help="folder for the model, the record and the state")
    made.add_argument("--scenes", type=int, default=10_000, help="training scenes (default: %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of weights, crops and prompts (default: %(default)s)")
    made.add_argument("--resume", action="store_true", help="go on with the training in --out, for a further budget")
    made.add_argument("--trunk", type=Path, help="begin with the trunk of the training in this --out folder")
    made.add_argument(
        "--model", help="begin with a model's weights and record: its folder, rsground_zoo_tiny:segmenter ..."
    )
    made.add_argument("--frozen", action="store_true", help="train the decoder alone, from a beginning solved for")
    made.add_argument("--warm", type=int, default=usual.warm, help="steps to the highest rate (default: %(default)s)")
    made.add_argument("--steps", type=int, help="of this run, 0 to score only; without it, --minutes counts")
    made.add_argument("--minutes", type=float, default=usual.minutes, help="of this run (default: %(default)s)")
    made.add_argument("--rate", type=float, default=usual.rate, help="highest learning rate (default: %(default)s)")
    made.add_argument("--dense", type=float, help="share for the trunk alone (default: 0.15, 0 where it is trained)")
    made.add_argument("--crops", type=int, default=usual.crops, help="smallest crops per step (default: %(default)s)")
    made.add_argument("--prompts", type=int, default=usual.prompts, help="prompts per step (default: %(default)s)")
    made.add_argument("--threads", type=int, default=1, help="of the processor (default: %(default)s)")
    made.add_argument("--score-scenes", type=int, default=40, help="scenes to score on (default: %(default)s)")
    made.add_argument("--draw-only", action="store_true", help="draw the scenes and stop")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Draw, train, score, save."""
    options = parser().parse_args(arguments)
    starts = [name for name in ("resume", "trunk", "model") if getattr(options, name)]
    if (options.cache is None) == (options.refer is None):
        parser().error("say what to train on: --cache for drawn scenes, or --refer for a referring set")
    if len(starts) > 1:
        parser().error(f"a training begins in one way, not in several: --{' and --'.join(starts)}")
    if options.frozen and not starts:
        parser().error("--frozen needs a trained trunk: give --trunk, --model or --resume")
    try:
        return _train(options)
    except RsgroundError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _train(options: argparse.Namespace) -> int:
    cache, held_out, data, split = _photographs(options) if options.refer else _scenes(options)
    if options.draw_only:
        return 0
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    trainer = Trainer(small_model())
    optimiser = make_optimiser(trainer, options.rate)
    state = options.out / "state"
    if options.resume:
        record = load_training(state, trainer, optimiser)
    elif options.model is not None:
        record = load_weights(locate(options.model), trainer.model)
    else:
        record = Record("small SAM 2", {}, "cpu", options.seed)
    record.data |= data
    if options.trunk is not None:
        load_trunk(options.trunk / "state", trainer)
    begun = options.resume or options.trunk is not None or options.model is not None
    dense = options.dense if options.dense is not None else 0.0 if begun else Budget().dense
    names = ("steps", "minutes", "rate", "crops", "prompts", "threads", "frozen", "warm")
    beside = Budget().beside if options.model is None else 0.0  # a saved model has no dense task that was taught
    budget = replace(Budget(dense=dense, beside=beside), **{name: getattr(options, name) for name in names})
    if budget.steps != 0:
        record.runs.append({**asdict(budget), "trunk": options.trunk is not None})
    pool = None
    if options.frozen:
        pool = FeaturePool(trainer.model, cache, np.random.default_rng([options.seed, record.steps]))
        if options.trunk is not None:
            begin(trainer.model, trainer.dense, pool)
    run(trainer, optimiser, cache, record, budget, state, say, pool)
    save_model(trainer.model, options.out, dtype=torch.float16)
    write_record(record, options.out / "training.json")
    record.scores = {"split": split, "scenes": options.score_scenes, "miou": {}}
    record.scores["miou"] = score(trainer.model, held_out, options.score_scenes)
    say(json.dumps(record.scores["miou"], indent=2))
    write_record(record, options.out / "training.json")
    write_record(record, state / "training.json")
    return 0


def _scenes(options: argparse.Namespace) -> tuple[Pictures, Pictures, dict[str, Any], dict[str, Any]]:
    """Drawn scenes to train and to score on, and what a record says of both."""
    cache = SceneCache(options.cache / "train", CacheKey(seed=0, count=options.scenes))
    held_out = SceneCache(options.cache / "val", VAL)
    for each in (held_out, cache):
        each.draw(lambda done, of: say(f"drawn {done} of {of}") if done % 500 == 0 else None)
    return cache, held_out, {"scenes": asdict(cache.key)}, asdict(VAL)


def _photographs(options: argparse.Namespace) -> tuple[Pictures, Pictures, dict[str, Any], dict[str, Any]]:
    """A referring set's photographs, likewise."""
    say(f"reading the photographs of {options.refer}")
    held_out = Photographs(options.refer, "val")
    cache = Photographs(options.refer, "train", options.windows, seed=options.seed)
    for each in (*held_out.passed_over, *cache.passed_over):
        say(f"passed over: {each.sample}: {each.reason}")
    said = {"set": Path(options.refer).name, "windows": options.windows}
    if cache.passed_over:
        said["passed_over"] = len(cache.passed_over)
    return cache, held_out, {"photographs": said}, {"set": said["set"], "split": "val"}


def say(line: str) -> None:
    """A line of progress."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
