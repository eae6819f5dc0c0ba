"""A suite with its data sets opened and everything keyed: what a run will do, before it does anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsground.bench.data import open_dataset, takes_tasks
from rsground.bench.keys import content_key, data_key, entry_key, part_key
from rsground.bench.protocols import protocol
from rsground.bench.suite import DataChoice, Entry, Part, Suite
from rsground.contracts import Job
from rsground.errors import SuiteError
from rsground.registry import registry

NO_LIMIT = 2**62
"""``Job.stop`` where everything is asked."""


@dataclass(frozen=True, slots=True)
class PlannedSystem:
    """An entry and its key."""

    key: str
    entry: Entry
    light: bool
    """Whether its parts need nothing beyond the core, so that many may share a process."""


@dataclass(frozen=True, slots=True)
class PlannedData:
    """A data set, its key, and what is known of it before it is read."""

    key: str
    choice: DataChoice
    fingerprint: str
    size_hint: int | None


@dataclass(frozen=True, slots=True)
class PlannedMetric:
    """A protocol: its key, its label and what :class:`rsground.bench.rows.MetricRow` says of it."""

    key: str
    label: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job and the places of its system and data set in the plan."""

    job: Job
    system: int
    dataset: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Attributes:
        key: of the whole plan, limits included.
        suite: checked.
        systems, datasets, metrics, jobs: jobs by data set, then system, then seed.
    """

    key: str
    suite: Suite
    systems: tuple[PlannedSystem, ...]
    datasets: tuple[PlannedData, ...]
    metrics: tuple[PlannedMetric, ...]
    jobs: tuple[PlannedJob, ...]

    def wanted(self) -> int | None:
        """Answers the run will hold if size hints are right, None where a size is unknown."""
        total = 0
        for planned in self.jobs:
            size = self.datasets[planned.dataset].size_hint
            if size is None and planned.job.stop == NO_LIMIT:
                return None
            total += min(planned.job.stop, planned.job.stop if size is None else size)
        return total


def make_plan(suite: Suite) -> Plan:
    """The plan of a checked suite.

    Raises:
        LayoutError, DataError: a data set cannot be opened.
        SuiteError: two entries, or two data sets, are the same.
    """
    systems = tuple(PlannedSystem(entry_key(entry), entry, is_light(entry)) for entry in suite.entries)
    metrics = _metrics(suite.metrics)
    datasets = tuple(_data(choice) for choice in suite.datasets)
    _distinct({s.entry.label: s.key for s in systems}, "entries", suite.source)
    _distinct({d.choice.label: d.key for d in datasets}, "data sets", suite.source)
    jobs = tuple(
        PlannedJob(_job(systems[s], datasets[d], seed, metrics), s, d)
        for d in range(len(datasets))
        for s in range(len(systems))
        for seed in suite.seeds
    )
    key = content_key([suite.name, [(p.job.key, p.job.stop, systems[p.system].entry.label) for p in jobs]])
    return Plan(key, suite, systems, datasets, metrics, jobs)


def _distinct(keys: Mapping[str, str], what: str, source: str) -> None:
    """Two labels for one thing would share their answers, and a table would show them as two."""
    first: dict[str, str] = {}
    for label, key in keys.items():
        if key in first:
            raise SuiteError(f"{source}: {what} {first[key]!r} and {label!r} are the same; remove one")
        first[key] = label


def is_light(entry: Entry) -> bool:
    """Whether every part is of this interpreter and needs nothing beyond the core."""
    offers = [registry().offer(kind, part.name) for kind, part in entry.parts()]
    return not any(offer.spec.requires or offer.environment for offer in offers)


def _data(choice: DataChoice) -> PlannedData:
    source = open_dataset(choice.name, choice.root, choice.split, choice.options, choice.tasks)
    fingerprint = source.fingerprint()
    hint = None if choice.tasks and not takes_tasks(choice.name) else source.size_hint()
    return PlannedData(data_key(choice, fingerprint), choice, fingerprint, hint)


def _metrics(parts: Sequence[Part]) -> tuple[PlannedMetric, ...]:
    repeated = {name for name, count in Counter(part.name for part in parts).items() if count > 1}
    found = {}
    for part in parts:
        metric = protocol(part.name, part.options)
        words = " ".join(f"{name}={value}" for name, value in part.options.items())
        label = f"{part.name} {words}".strip() if part.name in repeated else part.name
        spec = {
            "name": part.name,
            "label": label,
            "options": dict(part.options),
            "primary": metric.primary,
            "higher_is_better": metric.higher_is_better,
            "statistics": list(metric.statistics),
            "payloads": list(metric.payloads),
            "paired": metric.paired,
            "tasks": sorted(metric.tasks),
            "summary": registry().find("metric", part.name).summary,
        }
        found[label] = PlannedMetric(content_key([part_key("metric", part), label]), label, spec)
    return tuple(found.values())


def _job(system: PlannedSystem, data: PlannedData, seed: int, metrics: Sequence[PlannedMetric]) -> Job:
    key = content_key([system.key, data.key, seed, [metric.key for metric in metrics]])
    return Job(
        key=key,
        system={**system.entry.to_json(), "light": system.light},
        dataset={**data.choice.to_json(), "key": data.key},
        seed=seed,
        start=0,
        stop=NO_LIMIT if data.choice.limit is None else data.choice.limit,
        metrics=tuple({name: metric.spec[name] for name in ("label", "name", "options")} for metric in metrics),
    )
