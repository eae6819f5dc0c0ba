"""Compare a run with a baseline: every score and cost that both have, on the samples that both answered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.bench.comparison import Change, Comparison, Missing, Rules, RunName, Verdict
from rsground.bench.cost_changes import COSTS, MEASURED, compare_cost
from rsground.bench.differences import comparable, differences
from rsground.bench.pairing import SamplePairs, pair_rows, pair_samples
from rsground.bench.results import MetricRow, Run
from rsground.bench.roles import Role, rulers
from rsground.bench.score_changes import compare_scores
from rsground.errors import StoreError, UnknownNameError
from rsground.metrics import holm

_MOST_PERMUTATIONS = 1_000_000


def open_baseline(folder: str | Path, out: Path | None = None) -> Run:
    """A run to compare with.

    Args:
        folder: its run folder.
        out: the folder that the new run is written to.

    Raises:
        StoreError: there is no run, or it is the one that is to be compared with it.
    """
    if out is not None and Path(folder).resolve() == out.resolve():
        raise StoreError(
            f"{folder} is the run itself, and a run compared with itself never gets worse; "
            "choose another baseline, or write the new run to another folder (--out)"
        )
    return Run.open(folder)


def compare_runs(run: Run, baseline: Run, rules: Rules | None = None) -> Comparison:
    """All that can be compared, tested and corrected together.

    Args:
        run: the new run.
        baseline: the one it is held against.
        rules: when a change is one; the defaults of :class:`Rules` otherwise.

    Raises:
        StoreError: they share no system, data set and protocol at all, or no sample.
        UnknownNameError, PluginError: a protocol of the run is not installed here, or no score is so called.
    """
    wanted = rules or Rules()
    shared = [row.label for row in run.datasets if row.label in {other.label for other in baseline.datasets}]
    pairs = {label: pair_samples(run, baseline, label) for label in shared}
    systems = [row.label for row in run.systems if row.label in {other.label for other in baseline.systems}]
    known = {row.label: row for row in baseline.metrics}
    metrics = [row for row in run.metrics if row.label in known and comparable(row, known[row.label])]
    draws = replace(wanted, permutations=_permutations(wanted, len(systems) * len(shared) * len(metrics)))
    scores = [
        change
        for label in shared
        for row in metrics
        for system in systems
        for change in _scores(run, baseline, pairs[label], system, row, draws)
    ]
    _check_patterns(wanted, run, shared, systems, metrics)
    costs = [c for label in shared for system in systems for c in _costs(run, baseline, pairs[label], system, draws)]
    beside, before = _beside(run), _beside(baseline)
    scores, costs = (
        [replace(change, role=beside.get(change.system, Role.SYSTEM).value) for change in found]
        for found in (scores, costs)
    )
    blind = {label for label, role in beside.items() if role is before.get(label) is Role.BLIND}
    missing, notes = differences(run, baseline, pairs)
    if not scores and not costs:
        raise StoreError(_nothing(run, baseline, missing))
    return Comparison(
        run=run_name(run),
        baseline=run_name(baseline),
        rules=wanted,
        scores=_judged(scores, wanted, wanted.tolerance, blind, counts=True),
        costs=_judged(costs, wanted, wanted.cost_tolerance, blind, counts=wanted.costs_count),
        missing=missing,
        notes=(*notes, *_power(scores, wanted)),
    )


def _check_patterns(
    rules: Rules, run: Run, datasets: Sequence[str], systems: Sequence[str], metrics: Sequence[MetricRow]
) -> None:
    """Every score that was asked for is one; a misspelt name must not pass as one that did not change."""
    if not rules.scores:
        return
    names: set[str] = set()
    for label in datasets:
        for row in metrics:
            for system in systems:
                table = run.columns(system, label, row.label)
                names.update(row.load().summarise(table.columns) if len(table) else ())
    for pattern in rules.scores:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UnknownNameError("score of these runs", pattern, names)


def run_name(run: Run) -> RunName:
    """What names a run in a comparison."""
    version = f"rsground {run.environment.get('rsground', '?')}"
    commit = run.environment.get("commit")
    return RunName(str(run.folder), run.name, run.created, f"{version} ({commit})" if commit else version)


def _scores(run: Run, baseline: Run, pairs: SamplePairs, system: str, row: MetricRow, rules: Rules) -> Iterator[Change]:
    ours, theirs = (each.columns(system, pairs.dataset, row.label) for each in (run, baseline))
    ours_rows, theirs_rows = ({"index": t.index, "seed": t.seed} for t in (ours, theirs))
    rows = pair_rows(pairs, ours_rows, theirs_rows)
    if not len(rows.run):
        return
    after = {name: column[rows.run] for name, column in ours.columns.items()}
    before = {name: column[rows.baseline] for name, column in theirs.columns.items()}
    images = ours.images[rows.run]
    tests = compare_scores(
        row.load(),
        after,
        before,
        images,
        permutations=rules.permutations,
        replicates=rules.replicates,
        level=rules.level,
        seed=rules.seed,
    )
    for name, test in tests.items():
        if name != row.primary and not any(fnmatchcase(name, pattern) for pattern in rules.scores):
            continue
        low, high = test.interval or (None, None)
        yield Change(
            system=system,
            dataset=pairs.dataset,
            metric=row.label,
            name=name,
            before=test.before,
            after=test.after,
            change=test.after - test.before,
            low=low,
            high=high,
            p=test.p,
            p_adjusted=None,
            n=len(rows.run),
            images=len(np.unique(images)),
            higher_is_better=row.higher_is_better,
            verdict=Verdict.UNTESTED,
            regression=False,
            tested=test.by,
            left_out=rows.unpaired,
        )


def _costs(run: Run, baseline: Run, pairs: SamplePairs, system: str, rules: Rules) -> Iterator[Change]:
    ours, theirs = run.usage(system, pairs.dataset), baseline.usage(system, pairs.dataset)
    rows = pair_rows(pairs, ours, theirs)
    images = run.image_codes(pairs.dataset)[ours["index"][rows.run]]
    alone = _asked_alone(ours, rows.run) and _asked_alone(theirs, rows.baseline)
    for name, column in COSTS.items():
        if column == "time_s" and alone:
            continue  # it is the latency, which is tested already
        after, before = ours[column][rows.run].copy(), theirs[column][rows.baseline]
        if name in MEASURED:
            after[ours["reused"][rows.run]] = np.nan  # measured in an earlier run, so it says nothing of this one
        test = compare_cost(
            after,
            before,
            images,
            permutations=rules.permutations,
            replicates=rules.replicates,
            level=rules.level,
            seed=rules.seed,
        )
        if test is None:
            continue
        yield Change(
            system=system,
            dataset=pairs.dataset,
            metric="cost",
            name=name,
            before=test.before,
            after=test.after,
            change=test.ratio,
            low=test.low,
            high=test.high,
            p=test.p,
            p_adjusted=None,
            n=test.n,
            images=len(np.unique(images[(after > 0) & (before > 0)])),
            higher_is_better=False,
            verdict=Verdict.UNTESTED,
            regression=False,
            left_out=test.left_out + rows.unpaired,
        )


def _asked_alone(usage: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> bool:
    """Whether the time of each answer is its latency."""
    return np.array_equal(usage["time_s"][rows], usage["latency_s"][rows], equal_nan=True)


def _beside(run: Run) -> dict[str, Role]:
    return rulers({row.label: row.role for row in run.systems})


def _judged(
    changes: Sequence[Change], rules: Rules, tolerance: float, blind: Set[str], *, counts: bool
) -> tuple[Change, ...]:
    """The same with corrected p-values and verdicts; what is ``blind`` in both runs may guess worse."""
    ps = [change.p for change in changes if change.p is not None]
    adjusted = iter(holm(ps).tolist())
    found = []
    for change in changes:
        if change.p is None:
            found.append(change)
            continue
        p = next(adjusted)
        moved = change.change - 1.0 if change.is_cost else change.change
        worse = moved < 0 if change.higher_is_better else moved > 0
        verdict = Verdict.SAME if p >= rules.alpha or moved == 0 else Verdict.WORSE if worse else Verdict.BETTER
        counted = counts and change.system not in blind
        regression = counted and verdict is Verdict.WORSE and abs(moved) > tolerance
        found.append(replace(change, p_adjusted=p, verdict=verdict, regression=regression))
    return tuple(found)


def _permutations(rules: Rules, tests: int) -> int:
    """So many that the smallest p there can be is still significant after correction for all tests."""
    tests *= max(1, 4 * len(rules.scores))
    return max(rules.permutations, min(_MOST_PERMUTATIONS, math.ceil(4 * tests / rules.alpha)))


def _power(scores: Sequence[Change], rules: Rules) -> Iterator[str]:
    """Where so few images are compared that nothing could ever be significant."""
    tests = sum(change.p is not None for change in scores)
    if not tests:
        return
    needed = 2 + math.floor(math.log2(tests / rules.alpha))  # all images one way: p = 2 / 2 ** images
    for dataset in dict.fromkeys(change.dataset for change in scores):
        images = max(change.images for change in scores if change.dataset == dataset)
        if images < needed:
            yield (
                f"{dataset}: {images} images are too few to find any regression among {tests} scores at alpha "
                f"{rules.alpha:g}; compare at least {needed}"
            )


def _nothing(run: Run, baseline: Run, missing: Sequence[Missing]) -> str:
    lists = [f"{one.what} only in {one.where}: {', '.join(one.names[:5])}" for one in missing]
    return (
        f"{run.folder} and {baseline.folder} have nothing in common to compare ({'; '.join(lists) or 'no answers'}); "
        "name systems and data sets alike in both suites"
    )
