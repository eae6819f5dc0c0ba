"""From a run to a report: the one place that knows how a run is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.bench.results import DatasetRow, Run, SystemRow
from rsground.bench.roles import Role
from rsground.errors import UnknownNameError
from rsground.report.collect_boards import Settings, boards_of
from rsground.report.collect_examples import failures_of, gallery_of
from rsground.report.gallery import within_budget
from rsground.report.model import BrokenRow, Cost, DatasetBlock, Failure, GalleryItem, ReportData, RunFacts, SystemInfo

_BROKEN = 200
_PICTURES = 3_000_000
"""Bytes of JPEG in one report, over all data sets; with the outlines, a page stays around 6 MB."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a report is to hold.

    Attributes:
        gallery: samples drawn per data set.
        baseline: label that every system is compared with; None for the best one.
        replicates: bootstrap samples behind an interval, at most.
        permutations: sign patterns behind a test.
        confidence: level of the intervals.
        examples: whether to collect gallery and failures at all (a terminal needs neither).
    """

    gallery: int = 12
    baseline: str | None = None
    replicates: int = 1000
    permutations: int = 10_000
    confidence: float = 0.95
    examples: bool = True


def collect(run: Run, options: Options | None = None) -> ReportData:
    """Everything a report shows of a run.

    Args:
        run: open; may be unfinished.
        options: what to hold; the defaults of :class:`Options` otherwise.

    Raises:
        UnknownNameError: the baseline is no system of the run.
    """
    wanted = options or Options()
    labels = [system.label for system in run.systems]
    if wanted.baseline is not None and wanted.baseline not in labels:
        raise UnknownNameError("system of this run", wanted.baseline, labels)
    problems: list[str] = []
    settings = Settings(wanted.baseline, wanted.replicates, wanted.permutations, wanted.confidence)
    blocks = tuple(_block(run, row, wanted, settings, problems) for row in run.datasets)
    broken = tuple(islice(_broken(run), _BROKEN))
    return ReportData(
        run=_facts(run, problems),
        systems=tuple(SystemInfo(row.label, row.family, describe(row), row.role.value) for row in run.systems),
        datasets=_within_budget(blocks),
        broken=broken,
        broken_total=sum(row.broken for row in run.datasets),
        baseline=wanted.baseline,
        ceilings=is_ceilings(run.systems),
        confidence=wanted.confidence,
    )


def describe(system: SystemRow) -> str:
    """The parts of a system in one line: ``codec (codec=text-mask, resolution=32) on oracle, after magcrop``."""
    spec = system.spec
    words = _part(spec.get("head"))
    backbone = _part(spec.get("backbone"))
    if backbone:
        words += f" on {backbone}"
    steps = [_part(step) for step in spec.get("preprocess") or ()]
    if steps:
        words += f", after {', '.join(steps)}"
    if spec.get("segmenter"):
        words += f", masks by {_part(spec['segmenter'])}"
    return words.strip()


def _part(part: Any) -> str:
    """A part and its options; what is no record of ours is shown as it is."""
    if not isinstance(part, Mapping):
        return str(part or "")
    name, options = str(part.get("name", "")), part.get("options") or {}
    chosen = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{name} ({chosen})" if chosen else name


def is_ceilings(systems: tuple[SystemRow, ...]) -> bool:
    """Whether every system repeats the right answer, so that scores are those of its form alone."""
    return bool(systems) and all(system.role is Role.CEILING for system in systems)


def _block(run: Run, row: DatasetRow, wanted: Options, settings: Settings, problems: list[str]) -> DatasetBlock:
    boards = boards_of(run, row, settings, problems)
    labels = [system.label for system in run.systems]
    usage = {label: run.usage(label, row.label) for label in labels}
    costs = {label: cost_of(found) for label, found in usage.items() if len(found["index"])}
    families = {system.label: system.family for system in run.systems}
    first = next((board for board in boards if board.paired), None)
    gallery: tuple[GalleryItem, ...] = ()
    failures: tuple[Failure, ...] = ()
    if first is not None and wanted.examples:
        gallery = gallery_of(run, row.label, first, families, wanted.gallery, wanted.baseline)
        failures = failures_of(run, row.label, first, usage)
    return DatasetBlock(
        label=row.label,
        name=row.name,
        split=row.split,
        tasks=row.tasks,
        samples=row.samples,
        images=row.images,
        note=f"{row.broken:,} broken record{'s' if row.broken > 1 else ''} skipped" if row.broken else "",
        boards=boards,
        costs=costs,
        issues={label: run.issues(label, row.label) for label in labels},
        gallery=gallery,
        failures=failures,
        failures_total=sum(cost.n for cost in costs.values()),
    )


def cost_of(usage: Mapping[str, NDArray[Any]]) -> Cost:
    """Means, quantiles and peaks over the answers that have them."""
    latency = _known(usage["latency_s"])
    p50, p95 = (float(value) for value in np.quantile(latency, [0.5, 0.95])) if len(latency) else (None, None)
    memory = _known(usage["peak_memory_bytes"])
    failed = np.asarray(usage["failed"], bool)
    return Cost(
        n=len(usage["index"]),
        chars=_mean(usage["chars"][~failed]),
        tokens=_mean(usage["output_tokens"]),
        visual_tokens=_mean(usage["visual_tokens"]),
        latency_p50=p50,
        latency_p95=p95,
        time=_mean(usage["time_s"]),
        memory=float(memory.max()) if len(memory) else None,
        flops=_mean(usage["flops"]),
        unparsed=int((~np.asarray(usage["parsed"], bool) & ~failed).sum()),
        errors=int(failed.sum()),
    )


def _known(values: NDArray[Any]) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    return np.asarray(numbers[np.isfinite(numbers)])


def _mean(values: NDArray[Any]) -> float | None:
    known = _known(values)
    return float(known.mean()) if len(known) else None


def _broken(run: Run) -> Iterator[BrokenRow]:
    for dataset, record in run.broken:
        yield BrokenRow(dataset, record.path, record.line, record.code, record.detail)


_SHOWN = {"commit": "commit", "platform": "platform", "cpus": "CPU cores", "gpu": "GPU", "hardware": "hardware"}
"""What of a run's environment stands in the header; paths of the machine do not."""


def _facts(run: Run, problems: list[str]) -> RunFacts:
    environment = run.environment
    facts = [(title, _flat(environment[name])) for name, title in _SHOWN.items() if name in environment]
    if run.limit is not None:
        facts.append(("limit", f"{run.limit:,} samples of each data set"))
    if run.reused:
        facts.append(("from the cache", f"{run.reused:,} answers, whose time and memory are of an earlier run"))
    plugins = sorted(set(map(str, dict(environment.get("plugins") or {}).values())))
    facts.append(("plugins", ", ".join(plugins)))
    unused = environment.get("not_in_use") or {}
    facts += [("plugin not in use", f"{name}: {_flat(why)}") for name, why in dict(unused).items()]
    facts += [("left out", note) for note in (*run.notes, *problems)]
    stored, total = run.progress()
    return RunFacts(
        suite=run.name,
        title=run.summary,
        created=_moment(run.created),
        command=_command(environment.get("command")),
        seeds=run.seeds,
        versions=_versions(environment),
        facts=tuple((name, value) for name, value in facts if value),
        complete=run.complete,
        progress=f"{stored:,} of {total:,} answers" if total is not None else f"{stored:,} answers so far",
    )


def _moment(text: str) -> str:
    """An ISO 8601 moment as ``2026-03-01 10:00 UTC``; any other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return f"{moment:%Y-%m-%d %H:%M}"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _versions(environment: Mapping[str, Any]) -> dict[str, str]:
    found = {name: environment[name] for name in ("rsground", "python") if environment.get(name)}
    found |= dict(environment.get("versions") or {})
    return {str(name): str(version) for name, version in found.items()}


def _command(value: object) -> str:
    if isinstance(value, (list, tuple)):
        import shlex

        return shlex.join(str(word) for word in value)
    return str(value or "")


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else str(value)


def _within_budget(blocks: tuple[DatasetBlock, ...]) -> tuple[DatasetBlock, ...]:
    """All blocks, their pictures together within what a page may weigh; every data set gets an equal share."""
    from dataclasses import replace

    share = _PICTURES // max(1, len(blocks))
    return tuple(replace(block, gallery=within_budget(block.gallery, share)) for block in blocks)
