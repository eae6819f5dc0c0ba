"""The shipped detector asked in this process and through a worker process; needs MMRotate here.

Both sides answer the same samples in turn, so that a busy machine slows both. Run it with the environment's python:

    python plugins/rsground-mmrotate/benchmarks/specialist.py
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from rsground.assembly import assemble
from rsground.datasets.scenes.dataset import ScenesDataset
from rsground.images import read_image
from rsground.isolation.client import Client
from rsground.pipeline import Pipeline
from rsground.types import ImageRef, Prediction, Sample

SYSTEM: dict[str, Any] = {
    "head": {"name": "mmrotate", "options": {"threshold": 0.2}},
    "backbone": {"name": "mmrotate", "options": {"device": "cpu"}},
    "preprocess": [],
    "segmenter": None,
    "checkpoint": "rsground_mmrotate:trained/fcos_tiny",
}


def main() -> None:
    """Measure; print both sides and what lies between them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions; the best one counts (7)")
    parser.add_argument("--batch", type=int, default=8, help="samples asked at once (8)")
    parser.add_argument("--samples", type=int, default=64, help="samples of a round, four about each scene (64)")
    args = parser.parse_args()
    samples = drawn(args.samples)
    batches = [samples[i : i + args.batch] for i in range(0, len(samples), args.batch)]
    parts = assemble(SYSTEM)
    here, client = Pipeline(parts.head, parts.backbone, parts.steps), Client(sys.executable, SYSTEM)
    try:
        assert answers(here.answer, batches) == answers(client.answer, batches), "the two sides answer differently"
        both = [(seconds(here.answer, batches), seconds(client.answer, batches)) for _ in range(args.rounds)]
    finally:
        client.close()
    own, isolated = (min(side) / len(samples) for side in zip(*both, strict=True))
    sys.stdout.write(
        f"batch {args.batch}, four samples a scene: {1 / own:.1f} samples/s in this process, {1 / isolated:.1f} in a "
        f"worker; {1e3 * own:.2f} and {1e3 * isolated:.2f} ms per sample: {1e3 * (isolated - own):+.2f} ms "
        f"({isolated / own:.3f} times)\n"
    )


def drawn(count: int) -> list[Sample]:
    """Samples whose pictures are drawn already: drawing is no part of what is measured."""
    found = list(islice(ScenesDataset(split="val", tasks=("obb",), per_scene=4), count))
    pictures = {sample.image.uri: read_image(sample.image) for sample in found}

    def held(image: ImageRef) -> ImageRef:
        return ImageRef(image.uri, image.height, image.width, lambda: pictures[image.uri])

    return [Sample(s.id, tuple(map(held, s.images)), s.expression, s.task, s.targets) for s in found]


def answers(answer: Callable[[Sequence[Sample]], list[Prediction]], batches: Sequence[Sequence[Sample]]) -> list[Any]:
    """The oriented boxes of every sample."""
    found = [each for batch in batches for each in answer(batch)]
    assert all(each.error is None for each in found), next(each.error for each in found if each.error)
    return [[region.quad for region in each.regions] for each in found]


def seconds(answer: Callable[[Sequence[Sample]], list[Prediction]], batches: Sequence[Sequence[Sample]]) -> float:
    """How long all batches take."""
    began = time.perf_counter()
    for batch in batches:
        answer(batch)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
