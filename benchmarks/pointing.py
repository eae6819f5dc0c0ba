"""How far a small model's answers are lost before a word is written: what its tower shows, and what it points at.

    python benchmarks/pointing.py plugins/rsground-zoo-tiny/src/rsground_zoo_tiny/backbones/tiny-text-framed
    python benchmarks/pointing.py work/tiny-refer-judge/out --tower work/tiny-tower-last/out

On drawn scenes never trained on, by number of targets, and of one target by kind of expression: the share of
expressions of which a visual token shows a target, of which the first choice (one token, or none) is one, and of which
exactly the tokens that show targets are chosen. Last, where the judge asks for it: of the expressions that start from
an object which a token shows ("nearest to the court"), the share in which that is the first choice of it. Then, of one
target, how well the boxes fit: those of the token that fits best, and of the one that scores highest.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from rsground.datasets.scenes import Scene
from rsground.models.tower_lm.facts import intersections
from rsground.models.training.fact_cache import cached_facts
from rsground.models.training.language import PackLessons
from rsground.models.training.language_losses import first_choice_right
from rsground.models.training.language_setup import heads_of, resume_from
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.packing import run_packed
from rsground.models.training.scene_cache import SceneCache, asked
from rsground.models.training.sources import picture_book, unseen
from rsground.types import Task

BATCH = 8
COUNTS = ("no target", "one", "two", "three or more")
EVERY, STARTS = "all", "what they start from"
FITS = (0.5, 0.7)
SECTIONS = (EVERY, "size")


@torch.no_grad()
def shares(model: Any, tokenizer: Any, scenes: int, head: str, cache: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What is asked → ``(N, 3)`` shown, first choice right, all right, of N expressions.

    And ``(M, 2)`` IoU of the target's box with the best and with the first choice, of M expressions of one target.
    """
    data = unseen({"kind": "scenes", "count": scenes})
    book = picture_book(data, cache)
    facts = cached_facts(model, book, data, cache)
    make = PackLessons(facts, tokenizer.eos_token_id)
    lessons = SceneLessons(book, heads_of([{"name": head}]), Speller(tokenizer), Chances(each=24, write=False))
    found: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    fits: list[Tensor] = []
    scenes = min(scenes, len(lessons))
    for start in range(0, scenes, BATCH):
        images = range(start, min(start + BATCH, scenes))
        kinds = {ident: kind for at in images for ident, kind in kinds_of(book, at)}
        batch = make([lessons[at] for at in images])
        packed = batch["packed"]
        settled = run_packed(model, batch["found"], packed).verdict.settled
        right = first_choice_right(settled[:, 0], packed.meant).tolist()
        rows = packed.asks[:, 0]
        for row, lesson, meant, first, scores in zip(
            rows, packed.lessons, packed.meant, right, settled[:, 0], strict=True
        ):
            shown = bool(meant.any()) or not lesson.targets
            said = (shown, shown and first, shown and torch.equal(scores > 0, meant))
            one = lesson.sample is not None and len(lesson.targets) == 1
            for name in (EVERY, COUNTS[min(len(lesson.targets), 3)], *([kinds[lesson.sample.id]] if one else [])):
                found[name].append(said)
            if one:
                target = book.objects[images[int(row)]].boxes[lesson.targets[0]] / book.images.shape[1]
                fits.append(overlaps(facts.facts.numbers[images[int(row)]], target, scores))
        if settled.shape[1] > 1:
            starts, scores = packed.steps[:, 1, 1], settled[:, 1]
            some, exact = starts.any(1), ((scores > 0) == starts).all(1)
            told = torch.stack([some, first_choice_right(scores, starts), exact], 1)[some]
            found[STARTS] += map(tuple, told.tolist())
    order = [*COUNTS, EVERY, *sorted(set(found) - {*COUNTS, EVERY, STARTS}), STARTS]
    return {name: np.array(found[name]) for name in order if name in found}, torch.stack(fits).numpy()


def overlaps(numbers: Tensor, target: np.ndarray, scores: Tensor) -> Tensor:
    """``(2,)`` IoU of a target's box with the token's that fits best, and with the one's that scores highest."""
    inner, union = intersections(numbers[:, :4].float(), torch.from_numpy(target)[None])
    found = (inner / union)[:, 0]
    return torch.stack([found.amax(), found[scores.argmax()]])


def kinds_of(book: SceneCache, at: int) -> list[tuple[str, str]]:
    """Ids of the samples about a scene, and the kinds of their expressions."""
    made = asked(Scene(book.seed, book.first + at, book.images.shape[1]))
    return [(sample.id, each.kind) for sample, each in zip(book.samples(at, Task.HBB), made, strict=True)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a small model, or of a system with one")
    parser.add_argument("--tower", type=Path, help="folder of a tower to put in its place")
    parser.add_argument("--scenes", type=int, default=160, help="scenes asked about (default: %(default)s)")
    parser.add_argument("--head", default="geoground", help="whose wording asks (default: %(default)s)")
    args = parser.parse_args()
    model, tokenizer = resume_from(args.model, args.tower)
    with tempfile.TemporaryDirectory() as cache:
        found, fits = shares(model.eval(), tokenizer, args.scenes, args.head, Path(cache))
    table = Table("expressions", "", "shown", "first choice", "all")
    for name, rows in found.items():
        table.add_row(name, str(len(rows)), *(f"{share:.3f}" for share in rows.mean(0)), end_section=name in SECTIONS)
    boxes = Table("boxes of one target", str(len(fits)), *(f"IoU of {least} or more" for least in FITS), "mean IoU")
    for name, column in zip(("that fits best", "first choice"), fits.T, strict=True):
        boxes.add_row(name, "", *(f"{(column >= least).mean():.3f}" for least in FITS), f"{column.mean():.3f}")
    Console().print(table, boxes)


if __name__ == "__main__":
    main()
