"""What an earlier run has answered, word for word the same, is taken from the cache; only the rest is asked."""

from __future__ import annotations

import platform
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rsground.bench.answer_cache import AnswerCache, Remembered
from rsground.bench.environment import versions
from rsground.bench.feed import Group, feed
from rsground.bench.keys import content_key, entry_key, part_key
from rsground.bench.plan import Plan
from rsground.bench.sample_keys import SampleKeys
from rsground.bench.suite import Entry, Part
from rsground.bench.work import Workbench
from rsground.contracts import Job, Notice, Outcome
from rsground.environments import find_environment
from rsground.records import prediction_from_json
from rsground.registry import registry
from rsground.types import Sample

_NOT_ANSWERING = frozenset({"metrics", "datasets"})
"""Rooms of the core that no system of it uses while it answers: scores have their own key, and so have samples."""
_PLUMBING = frozenset({"pluggy"})
_KINDS = ("head", "backbone", "preprocessor", "segmenter", "codec")


class _Known(NamedTuple):
    """What the cache has to know of a job."""

    system: int
    metrics: Mapping[str, tuple[str, tuple[str, ...]]]  # label → key, float statistics


class Reuse:
    """The cache as one run uses it.

    Args:
        plan: of the run.
        cache: open; closed by whoever opened it.
    """

    def __init__(self, plan: Plan, cache: AnswerCache) -> None:
        self._cache, self._samples = cache, SampleKeys(cache)
        surroundings = _surroundings()
        keys = [answering_key(planned.entry, surroundings) for planned in plan.systems]
        metrics = {m.label: (m.key, tuple(m.spec["statistics"])) for m in plan.metrics}
        self._jobs: dict[str, _Known] = {}
        for planned in plan.jobs:
            entry = plan.systems[planned.system].entry
            key = content_key([keys[planned.system], planned.job.seed])
            self._jobs[planned.job.key] = _Known(cache.system(key, entry.label), metrics)

    @property
    def trouble(self) -> str:
        """Why the cache could not be used to the end; empty while all is well."""
        return self._cache.trouble

    def outcomes(self, jobs: Sequence[Job], done: Mapping[str, Container[int]]) -> Iterator[Outcome | Notice]:
        """What is remembered of the jobs' samples that are not in ``done``; one pass over each data set."""
        known = [job for job in jobs if self._cache.knows(self._jobs[job.key].system)]
        if not known:
            return
        judge = Workbench(known)
        for key in dict.fromkeys(job.dataset["key"] for job in known):
            group = Group(tuple(place for place, job in enumerate(known) if job.dataset["key"] == key), 1)
            for found in feed(known, group, done):
                if isinstance(found, Notice):
                    yield found
                    continue
                for place in found.jobs:
                    record = self._record(judge, place, known[place], found.sample)
                    if record is not None:
                        yield Outcome(known[place].key, found.place, found.sample, {**record, "reused": True})

    def keep(self, outcome: Outcome) -> None:
        """Remember a new answer; one that failed is to be asked again."""
        prediction = outcome.record["prediction"]
        if prediction is None or prediction["error"] is None:
            sample = self._samples.of(outcome.sample)
            if sample is not None:
                self._put(self._jobs[outcome.job], sample, outcome.record)

    def _record(self, judge: Workbench, place: int, job: Job, sample: Sample) -> dict[str, Any] | None:
        """The record of a remembered answer; measured again where a protocol is new."""
        key = self._samples.of(sample)
        known = self._jobs[job.key]
        found = None if key is None else self._cache.get(known.system, key)
        if key is None or found is None:
            return None
        if found.prediction is None:
            return {"prediction": None, "scores": {}}
        scores = _scores(known, found)
        if scores.keys() == judge.protocols_for(place, sample):
            return {"prediction": found.prediction, "scores": scores}
        record = judge.record(place, sample, prediction_from_json(found.prediction))
        if record["prediction"]["error"] is not None:
            return None
        self._put(known, key, record)
        return record

    def _put(self, known: _Known, sample: str, record: Mapping[str, Any]) -> None:
        scores = {}
        for label, stats in record["scores"].items():
            key, floats = known.metrics[label]
            scores[key] = {name: _number(value) if name in floats else value for name, value in stats.items()}
        self._cache.put(known.system, sample, record["prediction"], scores)


def answering_key(entry: Entry, surroundings: object) -> str:
    """Key of everything that decides what a system answers: its parts, and what it stands on.

    Args:
        entry: the system.
        surroundings: what is the same for all systems of a run: versions of packages, the machine's kind.
    """
    named = sorted({(kind, name) for _, part in entry.parts() for kind, name in _named(part.options)})
    others = [part_key(kind, Part(name), _NOT_ANSWERING) for kind, name in named]
    away = sorted({e for _, part in entry.parts() if (e := part.name.partition("@")[2])})
    records = [dict(find_environment(name).record) for name in away]
    return content_key([entry_key(entry, _NOT_ANSWERING), entry.batch, others, records, surroundings])


def _named(options: object) -> Iterator[tuple[str, str]]:
    """(kind, name) of registered things that options name, which the part may load by itself."""
    if isinstance(options, Mapping):
        for value in options.values():
            yield from _named(value)
    elif isinstance(options, (list, tuple)):
        for value in options:
            yield from _named(value)
    elif isinstance(options, str):
        yield from ((kind, options) for kind in _KINDS if options in registry().offers(kind))


def _surroundings() -> list[Any]:
    packages = {name: version for name, version in versions().items() if name not in _PLUMBING}
    return [packages, ".".join(platform.python_version_tuple()[:2]), platform.system(), platform.machine()]


def _scores(known: _Known, found: Remembered) -> dict[str, Any]:
    """Statistics by label, of the protocols that are remembered."""
    return {label: found.scores[key] for label, (key, _) in known.metrics.items() if key in found.scores}


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
