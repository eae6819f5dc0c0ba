"""The tables of docs/results/ceilings.md, from finished runs of the `ceilings` suite.

rsground bench ceilings --data vhr10=/data/NWPU:all --out runs/vhr10
python benchmarks/ceilings_page.py runs/vhr10 [more runs] > tables.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

import numpy as np

from rsground.bench.results import Run, Table
from rsground.metrics import bootstrap_intervals
from rsground.regions import area_of

ROWS = (
    "text-hbb *",
    "vrsbench",
    "llava",
    "kosmos-2",
    "text-obb oc *",
    "point-set 1000",
    "geochat",
    "vrsbench-obb-v*",
    "text-mask 16 *",
    "text-mask 32 *",
    "text-mask 64 *",
    "text4seg *",
    "box-mask *",
    "keypoints 3",
    "point-set-polygon 0.95",
    "polygon 0.95",
    "polygon-box *",
)
"""Labels shown, patterns allowed; the run's own report has all."""
SIZES = (("small", 0.0, 32.0**2), ("medium", 32.0**2, 96.0**2), ("large", 96.0**2, float("inf")))
"""COCO's bins, by area of the target in square pixels."""
HEAD = "| form | chars | tokens | gIoU | HBB .5/.7 | OBB .5/.7 | vanished | {by_size} small | medium | large |"


def main() -> None:
    """Print one section per data set of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("--replicates", type=int, default=1000, help="bootstrap samples behind each interval")
    args = parser.parse_args()
    for folder in args.runs:
        with Run.open(folder) as run:
            for dataset in run.datasets:
                print("\n".join(section(run, dataset.label, args.replicates)))


def section(run: Run, dataset: str, replicates: int) -> Iterator[str]:
    """Heading, facts and table of one data set."""
    (facts,) = (row for row in run.datasets if row.label == dataset)
    areas = np.array([sum(map(area_of, sample.targets or ())) for _, sample in run.samples(dataset)])
    counts = ", ".join(f"{int(((areas > 0) & member(areas, *size[1:])).sum())} {size[0]}" for size in SIZES)
    yield f"\n### {dataset}\n"
    yield f"{facts.samples:,} samples on {facts.images} images, {facts.broken} broken records; targets: {counts}.\n"
    masks = any(row.label == "res" for row in run.metrics_of(dataset))
    yield HEAD.format(by_size="gIoU" if masks else "OBB .5")
    yield "|---|" + "--:|" * (HEAD.count("|") - 2)
    shown = [row.label for row in run.systems if any(fnmatch(row.label, pattern) for pattern in ROWS)]
    for label in shown:
        yield line(run, label, dataset, areas, replicates)


def line(run: Run, system: str, dataset: str, areas: np.ndarray, replicates: int) -> str:
    """One system's row."""
    usage = run.usage(system, dataset)
    scored = {row.label for row in run.metrics_of(dataset)}
    boxes = [run.columns(system, dataset, name) for name in ("rec-hbb", "rec-obb")]
    cells = [
        system,
        f"{usage['chars'].mean():.0f}",
        "-" if np.isnan(usage["output_tokens"]).all() else f"{np.nanmean(usage['output_tokens']):.0f}",
    ]
    if "res" not in scored:
        oriented = boxes[1]
        sizes = areas[oriented.index]
        by_size = [hits(oriented, member(sizes, *size[1:])) for size in SIZES]
        return "| " + " | ".join([*cells, "-", *map(accuracy, boxes), "-", *by_size]) + " |"
    masks = run.columns(system, dataset, "res")
    sizes = areas[masks.index]
    found = masks.columns["target"] > 0
    vanished = (masks.columns["intersection"] == 0) & found
    cells += [
        with_interval(masks, "gIoU", replicates),
        *map(accuracy, boxes),
        f"{vanished.sum()} ({100 * vanished.sum() / max(1, found.sum()):.1f} %)",
        *(mean_iou(masks, (sizes > 0) & member(sizes, *size[1:])) for size in SIZES),
    ]
    return "| " + " | ".join(cells) + " |"


def member(areas: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which areas lie in [low, high)."""
    return (areas >= low) & (areas < high)


def with_interval(table: Table, score: str, replicates: int) -> str:
    """A score in percent with its 95 % interval, resampling images."""
    metric = table.metric.load()
    value = metric.summarise(table.columns)[score]
    low, high = bootstrap_intervals(metric, table.columns, table.images, replicates=replicates)[score][:2]
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def accuracy(table: Table) -> str:
    """Acc@0.5 and Acc@0.7 in percent."""
    scores = table.metric.load().summarise(table.columns)
    return " / ".join(f"{100 * scores[name]:.1f}" for name in ("Acc@0.5", "Acc@0.7"))


def hits(table: Table, chosen: np.ndarray) -> str:
    """Acc@0.5 of some samples in percent."""
    if not chosen.any():
        return "-"
    part = {name: column[chosen] for name, column in table.columns.items()}
    return f"{100 * table.metric.load().summarise(part)['Acc@0.5']:.1f}"


def mean_iou(table: Table, chosen: Sequence[bool] | np.ndarray) -> str:
    """gIoU of some samples in percent."""
    return f"{100 * table.columns['iou'][chosen].mean():.1f}" if np.any(chosen) else "-"


if __name__ == "__main__":
    main()
