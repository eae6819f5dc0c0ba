"""How fast procedural scenes are made, with their masks and boxes, and how that compares to reading stored images.

    python benchmarks/performance/scenes.py --size 256 --count 150

Everything runs in this one process on one core; rates are given by its CPU time, which is what one core does, and by
wall time. The other side of the ratio is the cheapest thing one could do instead of generating: decode the same
pictures from PNG and JPEG bytes in memory, and their masks from COCO run lengths.

Where numba is installed (extra ``fast``), the first lines are of compiled kernels and the same work is measured again
with plain NumPy; kernels are compiled, or loaded from numba's cache, before anything is timed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from rsground.datasets.scenes import ChangeScene, Scene
from rsground.datasets.scenes.compiled.switch import SWITCH, is_compiled


class Rate(NamedTuple):
    """Scenes per second of this process's CPU time, which is what one core does, and of wall time."""

    cpu: float
    wall: float


def best(work: Callable[[int], object], first: int, count: int, rounds: int) -> Rate:
    """The best rate of several rounds, by each clock."""
    cpu = wall = float("inf")
    for _ in range(rounds):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        for index in range(first, first + count):
            work(index)
        cpu = min(cpu, time.process_time() - cpu_start)
        wall = min(wall, time.perf_counter() - wall_start)
    return Rate(count / cpu, count / wall)


def stored(seed: int, size: int, first: int, count: int, kind: str) -> Callable[[int], object]:
    """A function that decodes one stored scene: the picture and all its masks."""
    shelf = {}
    for index in range(first, first + count):
        scene, file = Scene(seed, index, size), io.BytesIO()
        Image.fromarray(scene.render()).save(file, format=kind)
        rles = [item.region.rle for item in scene.graph.objects if item.region.rle is not None]
        masks = [{"size": list(rle.size), "counts": rle.counts} for rle in rles]
        shelf[index] = (file.getvalue(), masks)

    def read(index: int) -> object:
        data, masks = shelf[index]
        return np.asarray(Image.open(io.BytesIO(data))), coco_mask.decode(masks) if masks else None

    return read


def measure(seed: int, size: int, count: int, rounds: int) -> dict[str, Rate]:
    """The rate of every way, and the ratio to reading."""

    def whole(index: int) -> object:
        scene = Scene(seed, index, size)
        return scene.render(), scene.graph

    def masks(index: int) -> object:
        return Scene(seed, index, size).graph

    best(whole, 0, count, 1)  # compiles what is not compiled yet, fills the banks and atlases of this process
    rates = {
        "pixels, masks and boxes": best(whole, 0, count, rounds),
        "masks and boxes only": best(masks, 0, count, rounds),
        "before/after pair with change mask": best(lambda index: _pair(seed, index, size), 0, count, rounds),
        "decode PNG and masks": best(stored(seed, size, 0, count, "PNG"), 0, count, rounds),
        "decode JPEG and masks": best(stored(seed, size, 0, count, "JPEG"), 0, count, rounds),
    }
    made, read = rates["pixels, masks and boxes"], rates["decode PNG and masks"]
    rates["ratio generate : decode PNG"] = Rate(made.cpu / read.cpu, made.wall / read.wall)
    if is_compiled():
        with plain_numpy():
            plain = best(whole, 0, count, rounds)
            rates |= {
                "pixels, masks and boxes, plain": plain,
                "masks and boxes only, plain": best(masks, 0, count, rounds),
            }
        rates["ratio compiled : plain"] = Rate(made.cpu / plain.cpu, made.wall / plain.wall)
    return rates


@contextmanager
def plain_numpy() -> Iterator[None]:
    """No kernels inside."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def _pair(seed: int, index: int, size: int) -> object:
    pair = ChangeScene(seed, index, size)
    return pair.render(0), pair.render(1), pair.regions


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="pixels a side, one or several")
    parser.add_argument("--count", type=int, default=150, help="scenes per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    args = parser.parse_args()
    results = {size: measure(args.seed, size, args.count, args.rounds) for size in args.size}
    if args.json:
        plain = {size: {name: rate._asdict() for name, rate in rates.items()} for size, rates in results.items()}
        print(json.dumps(plain))
        return
    for size, rates in results.items():
        way = "compiled kernels" if is_compiled() else "plain NumPy"
        print(f"{size} x {size}, {args.count} scenes, best of {args.rounds}, one core, {way}")
        print(f"  {'':38s} {'/CPU s':>9s} {'/wall s':>9s}")
        for name, rate in rates.items():
            print(f"  {name:38s} {rate.cpu:9.2f} {rate.wall:9.2f}")


if __name__ == "__main__":
    main()
