"""How far a small model's answers are lost before a word is written: what its tower shows, and what it points at.

    python benchmarks/pointing.py plugins/rsground-zoo-tiny/src/rsground_zoo_tiny/backbones/tiny-text-measure
    python benchmarks/pointing.py work/tiny-refer-judge/out --tower work/tiny-tower-last/out

On drawn scenes never trained on, by number of targets: the share of expressions of which a visual token shows a target,
of which the first choice (one token, or none) is one, and of which exactly the tokens that show targets are chosen.
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

from rsground.models.training.language import PackLessons
from rsground.models.training.language_setup import cached_facts, heads_of, resume_from
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.packing import run_packed
from rsground.models.training.sources import picture_book, unseen

BATCH = 8


@torch.no_grad()
def shares(model: Any, tokenizer: Any, scenes: int, head: str, cache: Path) -> dict[str, np.ndarray]:
    """Number of targets → ``(N, 3)`` shown, first choice right, all right, of N expressions."""
    data = unseen({"kind": "scenes", "count": scenes})
    book = picture_book(data, cache)
    make = PackLessons(cached_facts(model, book, data, cache), tokenizer.eos_token_id)
    lessons = SceneLessons(book, heads_of([{"name": head}]), Speller(tokenizer), Chances(each=24, write=False))
    found: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for start in range(0, min(scenes, len(lessons)), BATCH):
        batch = make([lessons[at] for at in range(start, min(start + BATCH, scenes, len(lessons)))])
        packed = batch["packed"]
        scores = run_packed(model, batch["found"], packed).verdict.settled[:, 0]
        best = torch.cat([scores, torch.zeros_like(scores[:, :1])], 1).argmax(1)
        for lesson, meant, row, first in zip(packed.lessons, packed.meant, scores, best.tolist(), strict=True):
            shown = bool(meant.any()) or not lesson.targets
            right = not lesson.targets if first == len(row) else bool(meant[first])
            said = (shown, shown and right, shown and torch.equal(row > 0, meant))
            for name in ("all", str(min(len(lesson.targets), 3))):
                found[name].append(said)
    return {name: np.array(rows) for name, rows in sorted(found.items())}


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
        found = shares(model.eval(), tokenizer, args.scenes, args.head, Path(cache))
    table = Table("targets", "expressions", "shown", "first choice", "all")
    for name, rows in found.items():
        label = f"{name} or more" if name == "3" else name
        table.add_row(label, str(len(rows)), *(f"{share:.3f}" for share in rows.mean(0)))
    Console().print(table)


if __name__ == "__main__":
    main()
