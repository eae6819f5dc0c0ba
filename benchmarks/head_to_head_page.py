"""The tables of docs/results/head_to_head.md, from finished runs of the `head_to_head` suite or one like it.

rsground bench head_to_head --out runs/h2h
python benchmarks/head_to_head_page.py runs/h2h > tables.md

All data sets of a run are taken together. A system is compared with its blindfolded self ("NAME, blindfolded") and with
the best of the task, in pairs, images flipping together; the tests of one table are corrected by Holm's method.

"NAME, perfect words" gives NAME its ceiling, also blindfolded and not tuned; it is in no row and in no test.
ms/answer is the mean time of an answer: a batch's divided by its samples, whatever their tasks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rsground.bench.results import Run
from rsground.contracts import Metric
from rsground.metrics import bootstrap_intervals, holm, paired_permutation
from rsground.report.text import significant

BLIND, UNTUNED, PERFECT = ", blindfolded", ", not tuned", ", perfect words"
TITLES = {"rec-hbb": "Horizontal boxes", "rec-obb": "Oriented boxes", "res": "Masks"}
BREAKDOWNS = ("size", "targets", "axes")


@dataclass(frozen=True, eq=False)
class Scores:
    """One system's statistics under one protocol, over all data sets of a run.

    Attributes:
        columns: statistic → (n,) values.
        images: (n,) codes, equal for samples of one image.
        groups: breakdown → per sample its groups.
        tokens: (n,) written tokens.
        times: (n,) seconds.
    """

    metric: Metric
    columns: dict[str, np.ndarray]
    images: np.ndarray
    groups: dict[str, list[tuple[str, ...]]]
    tokens: np.ndarray
    times: np.ndarray

    @property
    def value(self) -> float:
        """The primary score in percent."""
        return 100 * float(self.metric.summarise(self.columns)[self.metric.primary])

    @property
    def each(self) -> np.ndarray:
        """What is tested in pairs."""
        return np.asarray(self.columns[self.metric.paired], np.float64)

    def interval(self, replicates: int) -> tuple[float, float]:
        """95 % interval of the primary score in percent, resampling images."""
        found = bootstrap_intervals(self.metric, self.columns, self.images, replicates=replicates)
        low, high = found[self.metric.primary][:2]
        return 100 * float(low), 100 * float(high)

    def within(self, breakdown: str, group: str) -> tuple[float, int]:
        """The primary score in percent of a group, and how many samples it has."""
        chosen = np.array([group in of for of in self.groups.get(breakdown, [()] * len(self.images))], bool)
        if not chosen.any():
            return float("nan"), 0
        part = {name: column[chosen] for name, column in self.columns.items()}
        return 100 * float(self.metric.summarise(part)[self.metric.primary]), int(chosen.sum())


def main() -> None:
    """Print the tables of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("--replicates", type=int, default=1000, help="bootstrap samples behind each interval")
    args = parser.parse_args()
    for folder in args.runs:
        with Run.open(folder) as run:
            done, planned = run.progress()
            if done < planned:
                sys.exit(f"{folder} is not finished: {done:,} of {planned:,} answers; start the same command again")
            columns = {row.label: known_of(run, row.label) for row in run.metrics}
            print("\n".join(overview(run, columns, args.replicates)))
            for metric, known in columns.items():
                print("\n".join(section(run, metric, known, args.replicates)))


def overview(run: Run, columns: dict[str, dict[str, Scores]], replicates: int) -> Iterator[str]:
    """All systems beside each other, a column a protocol: the score, its interval, and the ceiling of the form."""
    columns = {metric: known for metric, known in columns.items() if known}
    labels = [system.label for system in run.systems if not system.label.endswith(PERFECT)]
    heads = [f"{TITLES.get(metric, metric)}, {primary_of(known)}" for metric, known in columns.items()]
    yield "\n| system | " + " | ".join(heads) + " |"
    yield "|---|" + "--:|" * len(heads)
    for label in labels:
        cells = [placed(known, label, labels, replicates) for known in columns.values()]
        if set(cells) != {"-"}:
            yield "| " + " | ".join([label, *cells]) + " |"


def placed(known: dict[str, Scores], label: str, labels: list[str], replicates: int) -> str:
    """A cell of the overview; the best of its column stands out."""
    if label not in known:
        return "-"
    low, high = known[label].interval(replicates)
    best = max(known[other].value for other in labels if other in known)
    number = f"{known[label].value:.1f}"
    strong = f"**{number}**" if known[label].value == best else number
    top = ceiling(known, label)
    return f"{strong} [{low:.1f}, {high:.1f}]" + ("" if top == "-" else f" of {top}")


def known_of(run: Run, metric: str) -> dict[str, Scores]:
    """The systems that were scored under a protocol."""
    found = {system.label: gathered(run, system.label, metric) for system in run.systems}
    return {label: scores for label, scores in found.items() if scores is not None}


def primary_of(known: dict[str, Scores]) -> str:
    """The name of a protocol's primary score."""
    return next(iter(known.values())).metric.primary


def section(run: Run, metric: str, known: dict[str, Scores], replicates: int) -> Iterator[str]:
    """Heading, table and breakdowns of one protocol."""
    scored = {label: scores for label, scores in known.items() if not label.endswith(PERFECT)}
    if not scored:
        return
    first = next(iter(scored.values()))
    yield f"\n### {TITLES.get(metric, metric)} (`{metric}`, {primary_of(known)})\n"
    yield f"{len(first.images)} questions on {len(set(first.images.tolist()))} images.{mixing(run)}\n"
    yield "| system | score [95 %] | ceiling | against itself, blindfolded | against the best | tokens | ms/answer |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    order = sorted(scored, key=lambda label: -scored[label].value)
    best = order[0]
    pairs = [(label, other) for label in order for other in dict.fromkeys((label + BLIND, best))]
    wanted = [(label, other) for label, other in pairs if other in scored and other != label]
    raw = [paired_permutation(scored[a].each, scored[b].each, scored[a].images).p for a, b in wanted]
    p_of = dict(zip(wanted, holm(raw).tolist(), strict=True))
    for label in order:
        mine = scored[label]
        low, high = mine.interval(replicates)
        cells = [label, f"{mine.value:.1f} [{low:.1f}, {high:.1f}]", ceiling(known, label)]
        cells += [compared(scored, p_of, label, other) for other in (label + BLIND, best)]
        cells += ["-" if np.isnan(mine.tokens).all() else f"{np.nanmean(mine.tokens):.0f}"]
        cells += ["-" if np.isnan(mine.times).all() else significant(1000 * float(np.nanmean(mine.times)), 3)]
        yield "| " + " | ".join(cells) + " |"
    shown = [label for label in order if not label.endswith(BLIND)]
    for breakdown in BREAKDOWNS:
        yield from broken_down(scored, shown, breakdown)


def mixing(run: Run) -> str:
    """What to know of ms/answer where questions of several tasks stand in one data set, and so in one batch."""
    mixed = any(len(row.tasks) > 1 for row in run.datasets)
    return " Batches mix tasks, whose questions share the time alike." if mixed else ""


def ceiling(known: dict[str, Scores], label: str) -> str:
    """What perfect words score in a system's form: with its own segmenter, where that is measured apart."""
    for name in (label, label.partition(BLIND)[0], label.partition(UNTUNED)[0]):
        if name + PERFECT in known:
            return f"{known[name + PERFECT].value:.1f}"
    return "-"


def compared(scored: dict[str, Scores], p_of: dict[tuple[str, str], float], label: str, other: str) -> str:
    """Difference in points, and its corrected p."""
    if (label, other) not in p_of:
        return "-"
    p = p_of[label, other]
    return f"{scored[label].value - scored[other].value:+.1f} ({'p < 0.001' if p < 0.001 else f'p {p:.3f}'})"


def broken_down(scored: dict[str, Scores], shown: list[str], breakdown: str) -> Iterator[str]:
    """A table of systems by groups."""
    groups = sorted({group for label in shown for of in scored[label].groups.get(breakdown, ()) for group in of})
    if not groups:
        return
    counts = [scored[shown[0]].within(breakdown, group)[1] for group in groups]
    yield f"\n| by {breakdown} | " + " | ".join(f"{g} ({n})" for g, n in zip(groups, counts, strict=True)) + " |"
    yield "|---|" + "--:|" * len(groups)
    for label in shown:
        values = [scored[label].within(breakdown, group)[0] for group in groups]
        yield f"| {label} | " + " | ".join("-" if np.isnan(v) else f"{v:.0f}" for v in values) + " |"


def gathered(run: Run, system: str, metric: str) -> Scores | None:
    """One system's statistics over all data sets; None where it was not scored."""
    columns: dict[str, list[np.ndarray]] = {}
    images, tokens, times = [], [], []
    groups: dict[str, list[tuple[str, ...]]] = {}
    offset = 0
    for dataset in run.datasets:
        table = run.columns(system, dataset.label, metric)
        for name, column in table.columns.items():
            columns.setdefault(name, []).append(column)
        images.append(table.images + offset)
        offset += int(run.image_codes(dataset.label).max(initial=0)) + 1
        for name, found in run.groups(dataset.label).items():
            groups.setdefault(name, []).extend(found[at] for at in table.index.tolist())
        usage = run.usage(system, dataset.label)
        here = np.isin(usage["index"], table.index)
        tokens.append(usage["output_tokens"][here])
        times.append(usage["time_s"][here])
    if not sum(map(len, images)):
        return None
    return Scores(
        next(row for row in run.metrics if row.label == metric).load(),
        {name: np.concatenate(parts) for name, parts in columns.items()},
        np.concatenate(images),
        groups,
        np.concatenate(tokens),
        np.concatenate(times),
    )


if __name__ == "__main__":
    main()
