"""What magcrop changes, from a run of the suite `magcrop`: the difference it makes, mean over heads, with intervals.

    rsground bench magcrop --limit 30 --out runs/magcrop
    python benchmarks/magcrop_effect.py runs/magcrop

Every question is answered by each head with and without magcrop; a question's difference is the mean over the heads
that have answered all of a data set both ways. Whole images are drawn again (bootstrap) and flipped (permutation);
the tests of one table are corrected by Holm's method. Questions whose targets are all small, as COCO has it, stand in
rows of their own.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np

from rsground.bench.results import Run
from rsground.contracts import Columns
from rsground.metrics import bootstrap_intervals, holm, paired_permutation

WITH = " + magcrop, "


@dataclass(frozen=True, eq=False)
class Effect:
    """Values ``(n,)`` in percent of n questions without and with magcrop, and the image of each."""

    label: str
    preset: str
    heads: int
    without: np.ndarray
    changed: np.ndarray
    images: np.ndarray

    def interval(self) -> tuple[float, float]:
        """95 % of the mean difference, whole images drawn with replacement."""
        mean: Any = MeanChange()
        low, high = bootstrap_intervals(mean, {"change": self.changed - self.without}, self.images)["change"][:2]
        return float(low), float(high)


class MeanChange:
    """The mean of what is measured already, for the intervals that every score has."""

    def summarise(self, columns: Columns, weights: np.ndarray | None = None) -> dict[str, float]:
        """As a metric does."""
        return {"change": float(np.average(columns["change"], weights=weights))}


def effects(run: Run, metric: str) -> list[Effect]:
    """Of every data set and preset, and of the small objects of all data sets together."""
    labels = [system.label for system in run.systems]
    presets = sorted({label.partition(WITH)[2] for label in labels if WITH in label})
    heads = [label for label in labels if WITH not in label]
    found: list[Effect] = []
    for preset in presets:
        small: list[Effect] = []
        for number, dataset in enumerate(run.datasets):
            sizes = run.groups(dataset.label).get("size")
            asked = run.columns(heads[0], dataset.label, metric)
            tables = [
                tuple(run.columns(each, dataset.label, metric) for each in (head, head + WITH + preset))
                for head in heads
            ]
            whole = [pair for pair in tables if all(np.array_equal(each.index, asked.index) for each in pair)]
            if not whole or not len(asked.index):
                continue
            pairs = [[each.columns[each.metric.paired] for each in pair] for pair in whole]
            before, after = 100 * np.asarray(pairs, np.float64).mean(0)
            images = asked.images + number * 1_000_000  # other data sets' images are others
            found.append(Effect(dataset.label, preset, len(whole), before, after, images))
            if sizes is not None:
                chosen = np.array([sizes[at] == ("small",) for at in asked.index.tolist()], bool)
                parts = (before[chosen], after[chosen], images[chosen])
                small.append(Effect("small objects", preset, len(whole), *parts))
        if small:
            parts = [
                np.concatenate([getattr(each, name) for each in small]) for name in ("without", "changed", "images")
            ]
            found.append(Effect("small objects of all", preset, min(each.heads for each in small), *parts))
    return [each for each in found if len(each.images)]


def main() -> None:
    """Print a table for each protocol of a run, finished or not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="run folder")
    args = parser.parse_args()
    with Run.open(args.run) as run:
        for row in run.metrics:
            found = effects(run, row.label)
            tests = holm([paired_permutation(each.changed, each.without, each.images).p for each in found])
            print(
                f"\n`{row.label}`\n\n| images | magcrop | questions | heads | without | with | difference [95 %] | p |"
            )
            print("|---|---|--:|--:|--:|--:|--:|--:|")
            for each, p in zip(found, tests.tolist(), strict=True):
                low, high = each.interval()
                means = (each.without.mean(), each.changed.mean(), each.changed.mean() - each.without.mean())
                cells = f"{means[0]:.1f} | {means[1]:.1f} | {means[2]:+.1f} [{low:+.1f}, {high:+.1f}] | {p:.3f}"
                print(f"| {each.label} | {each.preset} | {len(each.images)} | {each.heads} | {cells} |")


if __name__ == "__main__":
    main()
