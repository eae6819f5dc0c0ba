"""Text-mask encode + decode of 512 x 512 masks at N = 32: rsground beside two plain implementations.

    python benchmarks/performance/text_mask.py

``per-row``: what one writes after reading the papers: a row at a time, runs grouped in a Python loop, labels in lists,
pooling and upsampling with NumPy slices cell by cell. ``lists``: the same with nested lists all the way. All three must
produce the same text and the same mask; times are the best of several rounds over the same masks, taken in turn, in one
process. Masks are random blobs like those of annotated objects, a new set each round, so that remembered rows help only
as far as rows repeat in real use (``--same`` repeats one set instead).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from rsground.codecs import TextMask
from rsground.codecs.runs import _read_short_row, _write_row

N = 32
SIDE = 512
Mask = np.ndarray


def blobs(count: int, seed: int) -> list[Mask]:
    """``count`` masks of one to four turned ellipses or rectangles, from small vehicles to stadiums."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    found = []
    for _ in range(count):
        mask = np.zeros((SIDE, SIDE), bool)
        for _ in range(int(rng.integers(1, 5))):
            x, y = rng.uniform(0, SIDE, 2)
            a, b = np.exp(rng.uniform(np.log(6), np.log(150), 2))
            turn = rng.uniform(0, np.pi)
            along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
            across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
            power = 2 if rng.random() < 0.5 else 8
            mask |= np.abs(along / a) ** power + np.abs(across / b) ** power < 1
        found.append(mask)
    return found


def runs_of(row: list[int]) -> str:
    """One row as text, grouping runs in a loop."""
    runs, label, count = [], row[0], 0
    for value in row:
        if value == label:
            count += 1
        else:
            runs.append(f"{label} *{count}")
            label, count = value, 1
    runs.append(f"{label} *{count}")
    return "| ".join(runs)


def rows_in(text: str) -> list[list[int]]:
    """The grid of a text, row by row."""
    body = text.split("<seg>")[1].split("</seg>")[0].strip("\n")
    grid = []
    for line in body.split("\n "):
        row: list[int] = []
        for run in line.split("| "):
            label, count = run.split(" *")
            row.extend([int(label)] * int(count))
        grid.append(row)
    return grid


def per_row(mask: Mask) -> tuple[str, Mask]:
    """Row by row in Python, pooling and upsampling by NumPy slices."""
    cell = SIDE // N
    lines = []
    for i in range(N):
        row = [int(mask[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell].any()) for j in range(N)]
        lines.append(runs_of(row))
    text = "<seg>" + "\n ".join(lines) + "\n</seg>"
    back = np.zeros((SIDE, SIDE), bool)
    for i, row in enumerate(rows_in(text)):
        for j, value in enumerate(row):
            back[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell] = bool(value)
    return text, back


def lists(mask: Mask) -> tuple[str, Mask]:
    """The same with nested lists all the way."""
    cell = SIDE // N
    pixels = mask.tolist()
    lines = []
    for i in range(N):
        band = pixels[i * cell : (i + 1) * cell]
        row = [int(any(any(line[j * cell : (j + 1) * cell]) for line in band)) for j in range(N)]
        lines.append(runs_of(row))
    text = "<seg>" + "\n ".join(lines) + "\n</seg>"
    grid = rows_in(text)
    back = [[bool(grid[y * N // SIDE][x * N // SIDE]) for x in range(SIDE)] for y in range(SIDE)]
    return text, np.array(back)


def ours(mask: Mask) -> tuple[str, Mask]:
    """rsground's codec."""
    codec = TextMask(N)
    text = codec.encode(mask)
    return text, codec.decode(text, (SIDE, SIDE))


def seconds_per_mask(side: Callable[[Mask], object], masks: list[Mask]) -> float:
    """Wall-clock of one pass over the masks, a mask."""
    began = time.perf_counter()
    for mask in masks:
        side(mask)
    return (time.perf_counter() - began) / len(masks)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=int, default=30, help="masks a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, best of (default %(default)s)")
    parser.add_argument("--same", action="store_true", help="the same masks in every round")
    parser.add_argument("--cold", action="store_true", help="forget remembered rows before every round")
    options = parser.parse_args()
    best = dict.fromkeys(("rsground", "per-row", "lists"), float("inf"))
    for number in range(options.rounds):
        masks = blobs(options.masks, 0 if options.same else number)
        for mask in masks[:3]:
            expected = ours(mask)
            for other in (per_row(mask), lists(mask)):
                assert other[0] == expected[0], "the plain implementation writes another text"
                assert np.array_equal(other[1], expected[1]), "the plain implementation reads another mask"
        if options.cold:
            _write_row.cache_clear()
            _read_short_row.cache_clear()
        for name, side in (("rsground", ours), ("per-row", per_row), ("lists", lists)):
            best[name] = min(best[name], seconds_per_mask(side, masks))
    for name, spent in best.items():
        print(f"{name:>9}: {spent * 1e6:9.1f} us a mask, {spent / best['rsground']:6.1f} x rsground's time")


if __name__ == "__main__":
    main()
