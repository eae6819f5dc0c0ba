"""What two runs do not share, in words: nothing that is left out of a comparison is left out silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rsground.bench.comparison import Missing
from rsground.bench.pairing import SamplePairs
from rsground.bench.results import DatasetRow, MetricRow, Run

_NAMES = 20
"""Names of one kind that are kept; all are counted."""


def differences(
    run: Run, baseline: Run, pairs: Mapping[str, SamplePairs]
) -> tuple[tuple[Missing, ...], tuple[str, ...]]:
    """(what only one run has, what a reader must know)."""
    return tuple(_missing(run, baseline, pairs)), tuple(_notes(run, baseline))


def comparable(row: MetricRow, other: MetricRow) -> bool:
    """Whether two runs measured by one protocol: its name, options and statistics are the same."""
    names = ("name", "options", "primary", "higher_is_better", "statistics", "payloads")
    return all(getattr(row, name) == getattr(other, name) for name in names)


def _missing(run: Run, baseline: Run, pairs: Mapping[str, SamplePairs]) -> Iterator[Missing]:
    for what, ours, theirs in (
        ("system", run.systems, baseline.systems),
        ("data set", run.datasets, baseline.datasets),
        ("protocol", run.metrics, baseline.metrics),
    ):
        labels, others = [row.label for row in ours], [row.label for row in theirs]
        yield from _named(what, [label for label in labels if label not in others], "run")
        yield from _named(what, [label for label in others if label not in labels], "baseline")
    known = {row.label: row for row in baseline.metrics}
    other = [row.label for row in run.metrics if row.label in known and not comparable(row, known[row.label])]
    yield from _named("protocol", other, "both")
    for label, found in pairs.items():
        yield from _named("samples", found.added, "run", label)
        yield from _named("samples", found.removed, "baseline", label)
        yield from _named("samples", found.changed, "both", label)


def _named(what: str, names: Sequence[str], where: str, dataset: str = "") -> Iterator[Missing]:
    if names:
        yield Missing(what, tuple(names[:_NAMES]), len(names), where, dataset)


def _notes(run: Run, baseline: Run) -> Iterator[str]:
    if run.name != baseline.name:
        yield f"the baseline is a run of another suite: {baseline.name}, not {run.name}"
    elif run.suite != baseline.suite:
        yield "the suite file is not the baseline's"
    for name, each in (("run", run), ("baseline", baseline)):
        if not each.complete:
            stored, wanted = each.progress()
            whole = "an unknown number" if wanted is None else f"{wanted:,}"
            yield f"the {name} is not finished: {stored:,} answers of {whole}"
    theirs = {row.label: row for row in baseline.datasets}
    for row in run.datasets:
        if row.label in theirs:
            yield from _data_notes(row, theirs[row.label])
    specs = {row.label: row.spec for row in baseline.systems}
    for system in run.systems:
        before = specs.get(system.label)
        parts = [name for name in system.spec if before is not None and system.spec[name] != before.get(name)]
        if shown := [part for part in parts if part not in ("label", "family")]:
            yield f"system {system.label} is not made as in the baseline: other {', '.join(shown)}"
    if run.seeds != baseline.seeds:
        yield f"other seeds: {_list(run.seeds)}, in the baseline {_list(baseline.seeds)}; shared ones are compared"
        if not set(run.seeds) & set(baseline.seeds):
            yield "no seed is shared, so seeds were paired in ascending order"


def _data_notes(row: DatasetRow, before: DatasetRow) -> Iterator[str]:
    if row.name != before.name or row.split != before.split:
        yield f"data set {row.label} was {before.name} {before.split} in the baseline, and is {row.name} {row.split}"
    elif row.fingerprint != before.fingerprint or dict(row.options) != dict(before.options):
        yield f"data set {row.label} is not the baseline's (annotations or options changed)"
    if row.limit != before.limit:
        yield f"data set {row.label}: {_limit(row.limit)} asked, in the baseline {_limit(before.limit)}"


def _limit(limit: int | None) -> str:
    return "all samples" if limit is None else f"the first {limit:,}"


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
