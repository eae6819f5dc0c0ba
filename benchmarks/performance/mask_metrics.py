"""gIoU, cIoU and Pr@X of large masks: rsground against the usual per-sample torch histogram loop.

    python benchmarks/performance/mask_metrics.py                       # torch importable here
    python benchmarks/performance/mask_metrics.py --torch-python PATH   # torch lives in another environment

Both sides stream the same seeded pairs and are timed on the metric alone. The loop follows the rules of LISA's
``intersectionAndUnionGPU`` (ignore label 255, ``histc`` of intersection, output and target) on the CPU; its counts are
float32 as upstream, its ratios float64, so that the scores can be compared to 1e-9.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

CHUNK = 20
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
IOU_EPS, SUM_EPS = 1e-5, 1e-10
AIM = 15.0


def pairs(count: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Seeded (prediction, target) masks: one to four ellipses, and the same ones moved a little; some empty."""
    rng = np.random.default_rng(20240)
    y, x = np.ogrid[:size, :size]
    for index in range(count):
        masks = np.zeros((2, size, size), bool)
        for _ in range(int(rng.integers(0, 5)) if index % 10 == 0 else int(rng.integers(1, 5))):
            cx, cy = rng.uniform(0.1 * size, 0.9 * size, 2)
            a, b = rng.uniform(0.02 * size, 0.2 * size, 2)
            for mask, shift in zip(masks, (rng.normal(0, 0.2, 2) * (a, b), (0.0, 0.0)), strict=True):
                mask |= ((x - cx - shift[0]) / a) ** 2 + ((y - cy - shift[1]) / b) ** 2 <= 1.0
        yield masks[0], masks[1]


def chunks(count: int, size: int) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """The pairs, a few at a time."""
    held = []
    for pair in pairs(count, size):
        held.append(pair)
        if len(held) == CHUNK:
            yield held
            held = []
    if held:
        yield held


def summary(iou: list[float], inter: float, union: float, seconds: float) -> dict[str, float]:
    """Scores of both sides in one form."""
    values = np.array(iou)
    found = {"gIoU": float(values.mean()), "cIoU": inter / (union + SUM_EPS), "seconds": seconds}
    return found | {f"Pr@{t}": float((values >= t).mean()) for t in THRESHOLDS}


def run_torch(count: int, size: int) -> dict[str, float]:
    """The per-sample histogram loop."""
    import torch

    iou, inter_sum, union_sum, seconds = [], 0.0, 0.0, 0.0
    for chunk in chunks(count, size):
        tensors = [tuple(torch.from_numpy(mask.astype(np.int32)) for mask in pair) for pair in chunk]
        start = perf_counter()
        for predicted, target in tensors:
            output, wanted = predicted.clone().view(-1), target.view(-1)
            output[wanted == 255] = 255
            matching = output[output == wanted]
            inter, area_p, area_t = (
                torch.histc(values.float(), bins=2, min=0, max=1) for values in (matching, output, wanted)
            )
            union = (area_p + area_t - inter).double()
            ratio = inter.double() / (union + IOU_EPS)
            ratio[union == 0] = 1.0
            iou.append(float(ratio[1]))
            inter_sum += float(inter[1])
            union_sum += float(union[1])
        seconds += perf_counter() - start
    return summary(iou, inter_sum, union_sum, seconds)


def run_arrays(count: int, size: int) -> dict[str, float]:
    """rsground on bool arrays."""
    from rsground.metrics import mask_iou_counts

    counts: list[tuple[Any, Any]] = []
    seconds = 0.0
    for chunk in chunks(count, size):
        start = perf_counter()
        counts += [mask_iou_counts(predicted, target) for predicted, target in chunk]
        seconds += perf_counter() - start
    return _from_counts(counts, seconds)


def run_rle(count: int, size: int) -> dict[str, float]:
    """rsground on run-length encoded masks, as predictions are stored."""
    from rsground.geometry import mask_to_rle
    from rsground.metrics import mask_iou_counts

    counts: list[tuple[Any, Any]] = []
    seconds = 0.0
    for chunk in chunks(count, size):
        encoded = [(mask_to_rle(predicted), mask_to_rle(target)) for predicted, target in chunk]
        start = perf_counter()
        counts += [mask_iou_counts(predicted, target) for predicted, target in encoded]
        seconds += perf_counter() - start
    return _from_counts(counts, seconds)


def _from_counts(counts: list[tuple[Any, Any]], seconds: float) -> dict[str, float]:
    start = perf_counter()
    inter, union = np.array(counts, np.float64).T
    iou = np.where(union == 0, 1.0, inter / (union + IOU_EPS))
    found = summary(iou.tolist(), float(inter.sum()), float(union.sum()), 0.0)
    return found | {"seconds": seconds + perf_counter() - start}


SIDES = {"torch": run_torch, "arrays": run_arrays, "rle": run_rle}


def measure(side: str, arguments: argparse.Namespace) -> dict[str, float]:
    """One round of one side; torch runs in its own interpreter where it is not installed in this one."""
    if side != "torch" or importlib.util.find_spec("torch"):
        return SIDES[side](arguments.pairs, arguments.size)
    if not arguments.torch_python:
        sys.exit("torch is not installed here; name an interpreter that has it: --torch-python PATH")
    command = [arguments.torch_python, str(Path(__file__).resolve()), "--side", "torch"]
    command += ["--pairs", str(arguments.pairs), "--size", str(arguments.size)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(answer)
    return found


def main() -> int:
    """Print the ratio; exit 1 where the scores differ or the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1024, help="pixels a side")
    parser.add_argument("--rounds", type=int, default=3, help="best of so many")
    parser.add_argument("--torch-python", metavar="PATH", help="interpreter of an environment with torch and numpy")
    parser.add_argument("--side", choices=sorted(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments.side, arguments)))
        return 0
    best: dict[str, dict[str, float]] = {}
    for _ in range(arguments.rounds):
        for side in SIDES:
            found = measure(side, arguments)
            best[side] = min(found, best.get(side, found), key=lambda scores: scores["seconds"])
    difference = max(
        abs(best[side][name] - best["torch"][name])
        for side in ("arrays", "rle")
        for name in best["torch"]
        if name != "seconds"
    )
    print(f"{arguments.pairs} pairs of {arguments.size} x {arguments.size}, best of {arguments.rounds} rounds")
    for side, scores in best.items():
        ratio = best["torch"]["seconds"] / scores["seconds"]
        print(f"  {side:7} {scores['seconds'] / arguments.pairs * 1e3:8.3f} ms a pair   {ratio:6.1f} x")
    print(f"  gIoU {best['torch']['gIoU']:.6f}, cIoU {best['torch']['cIoU']:.6f}; largest difference {difference:.1e}")
    slowest = min(best["torch"]["seconds"] / best[side]["seconds"] for side in ("arrays", "rle"))
    return 0 if difference <= 1e-9 and slowest >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
