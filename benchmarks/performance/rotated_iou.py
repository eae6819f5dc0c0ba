"""Rotated IoU of many pairs: rsground beside a shapely loop and mmcv's C++ operator.

Both sides get the same boxes (float32 values, so that mmcv sees exactly what the others see), run single-threaded in
one process tree, and are timed best of several rounds. The error is measured against shapely on every pair.

    python benchmarks/performance/rotated_iou.py --mmcv-python PATH/TO/env/bin/python

``--mmcv-python`` is an interpreter with mmcv 2.1.0 (with ops) and torch 2.1.2; without it that column is left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  (after the thread counts, which it reads once)

MMCV_SIDE = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import torch
from mmcv.ops import box_iou_rotated

folder, rounds = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
for name in sys.argv[3:]:
    kind = name.split("-")[0]
    raw = [bytearray(open(f"{folder}/{name}.{side}", "rb").read()) for side in "ab"]
    a, b = (torch.frombuffer(data, dtype=torch.float32).reshape(-1, 5) for data in raw)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        iou = box_iou_rotated(a, b, aligned=kind == "aligned")
        best = min(best, time.perf_counter() - start)
    with open(f"{folder}/{name}.mmcv", "wb") as out:
        out.write(bytes(iou.contiguous().to(torch.float32).untyped_storage()))
    print(name, best)
"""


def overlapping(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Pairs as detections and their ground truths are: nearly all overlap."""
    a = np.concatenate([rng.uniform(0, 1000, (count, 2)), rng.uniform(8, 120, (count, 2))], axis=1)
    a = np.concatenate([a, rng.uniform(-np.pi / 2, np.pi / 2, (count, 1))], axis=1)
    b = a + rng.normal(0, 1, a.shape) * [6, 6, 4, 4, 0.15]
    b[:, 2:4] = np.abs(b[:, 2:4]) + 1
    return a.astype(np.float32), b.astype(np.float32)


def scattered(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Boxes anywhere in a 400-pixel tile: about one pair in thirteen overlaps."""

    def boxes() -> Any:
        place, sides = rng.uniform(0, 400, (count, 2)), rng.uniform(8, 120, (count, 2))
        return np.concatenate([place, sides, rng.uniform(-np.pi / 2, np.pi / 2, (count, 1))], axis=1)

    return boxes().astype(np.float32), boxes().astype(np.float32)


def special(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Identical, half-turned, quarter-turned, touching, nested and edge-sharing pairs, a sixth of each."""
    a, _ = overlapping(rng, count)
    a = a.astype(np.float64)
    b, kind = a.copy(), np.arange(count) % 6
    b[kind == 1, 4] += np.pi
    quarter = kind == 2
    b[quarter, 2], b[quarter, 3], b[quarter, 4] = a[quarter, 3], a[quarter, 2], a[quarter, 4] + np.pi / 2
    beside = kind == 3
    b[beside, 0] += np.cos(a[beside, 4]) * a[beside, 2]
    b[beside, 1] += np.sin(a[beside, 4]) * a[beside, 2]
    b[kind == 4, 2:4] /= 3
    half = kind == 5
    b[half, 0] += np.cos(a[half, 4]) * a[half, 2] / 4
    b[half, 1] += np.sin(a[half, 4]) * a[half, 2] / 4
    b[half, 2] /= 2
    return a.astype(np.float32), b.astype(np.float32)


def shapely_loop(a: Any, b: Any) -> Any:
    """What evaluation scripts do: two polygons and an intersection a pair, one at a time."""
    from shapely.geometry import Polygon

    from rsground.geometry import obb_to_quad

    iou = np.zeros(len(a))
    for k, (first, second) in enumerate(zip(obb_to_quad(a), obb_to_quad(b), strict=True)):
        one, other = Polygon(first), Polygon(second)
        inter = one.intersection(other).area
        iou[k] = inter / (one.area + other.area - inter)
    return iou


def shapely_batch(a: Any, b: Any) -> Any:
    """The same through shapely 2's array functions: the fastest shapely can do, and the reference."""
    import shapely

    from rsground.geometry import obb_to_quad

    one, other = shapely.polygons(obb_to_quad(a)), shapely.polygons(obb_to_quad(b))
    inter = shapely.area(shapely.intersection(one, other))
    return inter / (shapely.area(one) + shapely.area(other) - inter)


def best_of(rounds: int, function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the fastest round, and the answer."""
    best, answer = float("inf"), None
    for _ in range(rounds):
        start = time.perf_counter()
        answer = function()
        best = min(best, time.perf_counter() - start)
    return best, answer


def run_mmcv(python: str, work: dict[str, tuple[Any, Any]], rounds: int) -> dict[str, tuple[float, Any]]:
    """Seconds and answers of mmcv, in its own interpreter as a child of this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "side.py").write_text(MMCV_SIDE)
        for key, (a, b) in work.items():
            (folder / f"{key}.a").write_bytes(a.tobytes())
            (folder / f"{key}.b").write_bytes(b.tobytes())
        command = [python, str(folder / "side.py"), str(folder), str(rounds), *work]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the mmcv side failed:\n{done.stderr[-2000:]}")
        seconds = dict(line.split() for line in done.stdout.splitlines())
        return {key: (float(seconds[key]), np.fromfile(folder / f"{key}.mmcv", np.float32)) for key in work}


def report(name: str, ours: float, rows: Sequence[tuple[str, float, float]]) -> None:
    """One block of the printed table: seconds, ratio to ours, largest error."""
    print(f"\n{name}")
    for label, seconds, error in rows:
        ratio = "" if seconds == ours else f"{seconds / ours:7.1f}x slower than rsground"
        print(f"  {label:<34}{seconds * 1e3:9.1f} ms   max error {error:8.1e}   {ratio}")


def main() -> None:
    """Time every workload and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000, help="pairs of the aligned form (default 100000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, the best counts (default 7)")
    parser.add_argument("--mmcv-python", metavar="PATH", help="interpreter of an environment with mmcv 2.1.0")
    arguments = parser.parse_args()
    from rsground.geometry import iou_obb, iou_obb_matrix, iou_quad, obb_to_quad

    rng = np.random.default_rng(0)
    side = int(arguments.pairs**0.5)
    work = {
        "aligned-overlapping": overlapping(rng, arguments.pairs),
        "aligned-scattered": scattered(rng, arguments.pairs),
        "aligned-special": special(rng, arguments.pairs),
        "matrix-scattered": scattered(rng, side),
    }
    found = run_mmcv(arguments.mmcv_python, work, arguments.rounds) if arguments.mmcv_python else {}
    for name, (a32, b32) in work.items():
        a, b = a32.astype(np.float64), b32.astype(np.float64)
        matrix = name.startswith("matrix")
        ours, iou = best_of(arguments.rounds, lambda a=a, b=b, f=iou_obb_matrix if matrix else iou_obb: f(a, b))
        pairs_a, pairs_b = (np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))) if matrix else (a, b)
        batch, truth = best_of(1, lambda a=pairs_a, b=pairs_b: shapely_batch(a, b))
        loop, by_loop = best_of(1, lambda a=pairs_a, b=pairs_b: shapely_loop(a, b))
        rows = [
            ("rsground iou_obb" + "_matrix" * matrix, ours, np.abs(iou.ravel() - truth).max()),
            ("shapely, a loop over pairs", loop, np.abs(by_loop - truth).max()),
            ("shapely, array functions", batch, 0.0),
        ]
        if name == "aligned-overlapping":
            quads = obb_to_quad(a), obb_to_quad(b)
            seconds, by_quad = best_of(arguments.rounds, lambda q=quads: iou_quad(*q))
            rows.append(("rsground iou_quad (any quads)", seconds, np.abs(by_quad - truth).max()))
        if name in found:
            seconds, by_mmcv = found[name]
            rows.append(("mmcv box_iou_rotated (C++, float32)", seconds, np.abs(by_mmcv - truth).max()))
        report(f"{name}: {len(truth):,} pairs, {(truth > 1e-12).mean():.0%} overlap", ours, rows)
    if not found:
        print("\nmmcv was not measured: give --mmcv-python the interpreter of an environment that has it.")


if __name__ == "__main__":
    main()
