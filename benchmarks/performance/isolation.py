"""What isolation costs: a head asked through a worker process, and the same head in this one; messages a second.

python benchmarks/performance/isolation.py
python benchmarks/performance/isolation.py --rounds 9 --size 1024
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rsground.assembly import assemble
from rsground.isolation.client import Client
from rsground.pipeline import Pipeline
from rsground.types import ImageRef, Prediction, Region, Sample, Task


def main() -> None:
    """Measure; print both sides and what lies between them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions; the best one counts (7)")
    parser.add_argument("--batch", type=int, default=8, help="samples asked at once (8)")
    parser.add_argument("--batches", type=int, default=10, help="batches of a round (10)")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures, pixels (512)")
    args = parser.parse_args()
    for title, steps, per_image in (
        ("no pictures", [], 1),
        ("drawn pictures, 4 samples each", ["blindfold"], 4),
        ("drawn pictures, one sample each", ["blindfold"], 1),
    ):
        added(title, steps, per_image, args)
    messages(args.rounds)


def added(title: str, steps: Sequence[str], per_image: int, args: argparse.Namespace) -> None:
    """Milliseconds per sample on both sides."""
    system = system_of(steps)
    parts = assemble(system)
    client = Client(sys.executable, system)
    here = Pipeline(parts.head, parts.backbone, parts.steps)
    samples = samples_of(args.batch * args.batches, args.size, per_image)
    batches = [samples[i : i + args.batch] for i in range(0, len(samples), args.batch)]
    try:
        both = [(seconds(here.answer, batches), seconds(client.answer, batches)) for _ in range(args.rounds)]
    finally:
        client.close()
    own, isolated = (1e3 * min(side) / len(samples) for side in zip(*both, strict=True))
    print(
        f"{title}, batch {args.batch}: {own:.2f} ms per sample in this process, {isolated:.2f} in a worker: "
        f"{isolated - own:+.2f} ms (limit 5)",
        flush=True,
    )


def seconds(answer: Callable[[Sequence[Sample]], list[Prediction]], batches: Sequence[Sequence[Sample]]) -> float:
    """How long all batches take."""
    began = time.perf_counter()
    for batch in batches:
        found = answer(batch)
        assert all(each.error is None and each.regions for each in found), found[0].error
    return time.perf_counter() - began


def messages(rounds: int) -> None:
    """Calls and answers a second, without work in between."""
    client = Client(sys.executable, system_of([]))
    best = 0.0
    try:
        for _ in range(rounds):
            began, number = time.perf_counter(), 0
            while time.perf_counter() - began < 0.5:
                client.usage()
                number += 1
            best = max(best, number / (time.perf_counter() - began))
    finally:
        client.close()
    print(f"messages: {best:,.0f} calls answered a second (at least 500)")


def system_of(steps: Sequence[str]) -> dict[str, Any]:
    """Boxes as text, repeated by the oracle."""
    return {
        "head": {"name": "codec", "options": {"codec": "text-hbb"}},
        "backbone": {"name": "oracle", "options": {}},
        "preprocess": [{"name": name, "options": {}} for name in steps],
        "segmenter": None,
        "checkpoint": None,
    }


def samples_of(count: int, size: int, per_image: int) -> list[Sample]:
    """Samples with a box each; pictures are drawn at once, so that only sending them is measured."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    found = []
    for number in range(count):
        picture = number // per_image
        image = ImageRef(f"noise:{picture}", size, size, partial(np.roll, noise, picture))
        box = Region(hbb=(10.0 + number % 50, 20.0, 90.0 + number % 50, 80.0))
        found.append(Sample(f"s{number}", (image,), f"thing {number}", Task.HBB, (box,)))
    return found


if __name__ == "__main__":
    main()
