"""A suite as frozen records: systems x data sets x seeds x protocols. Read from TOML by :mod:`.suite_reader`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """A registered thing and the options it is built with.

    Attributes:
        name: as registered.
        options: keyword arguments, JSON-able.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """``{"name": ..., "options": {...}}``."""
        return {"name": self.name, "options": dict(self.options)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One system of a suite.

    Attributes:
        label: unique in the suite.
        family: what long leaderboards group it by.
        head, backbone, preprocess, segmenter: its parts; ``preprocess`` in the order they are applied.
        checkpoint: where the parts load their weights from, None where nothing is trained.
        batch: samples given to the backbone at once; latency is measured at 1 only, the time per answer always.
        optional: left out with a note where a part is not installed, instead of stopping the run.
    """

    label: str
    head: Part
    backbone: Part
    family: str = ""
    preprocess: tuple[Part, ...] = ()
    segmenter: Part | None = None
    checkpoint: str | None = None
    batch: int = 1
    optional: bool = False

    def to_json(self) -> dict[str, Any]:
        """What a worker builds the system from."""
        return {
            "label": self.label,
            "family": self.family,
            "head": self.head.to_json(),
            "backbone": self.backbone.to_json(),
            "preprocess": [part.to_json() for part in self.preprocess],
            "segmenter": None if self.segmenter is None else self.segmenter.to_json(),
            "checkpoint": self.checkpoint,
            "batch": self.batch,
        }

    def parts(self) -> list[tuple[str, Part]]:
        """(kind, part) of everything registered that it is made of."""
        found = [("head", self.head), ("backbone", self.backbone)]
        found += [("preprocessor", part) for part in self.preprocess]
        return found if self.segmenter is None else [*found, ("segmenter", self.segmenter)]


@dataclass(frozen=True, slots=True)
class DataChoice:
    """One data set of a suite.

    Attributes:
        label: unique in the run.
        name: registered reader; with ``root``, ``split`` and ``options`` what it is opened with.
        limit: samples asked, None for all.
        tasks: only samples of these tasks; empty for all.
    """

    label: str
    name: str
    root: str | None = None
    split: str = "test"
    limit: int | None = None
    tasks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What an executor opens the data set from; the limit is the job's, not the data's."""
        return {
            "label": self.label,
            "name": self.name,
            "root": self.root,
            "split": self.split,
            "tasks": sorted(self.tasks),
            "options": dict(self.options),
        }


@dataclass(frozen=True, slots=True)
class Suite:
    """What to compare.

    Attributes:
        name: of the suite; ``summary`` is one line on what it compares.
        entries, datasets: see there.
        metrics: protocols; each scores the samples of its tasks.
        seeds: of systems that draw; every system answers once per seed.
        executor: where jobs are worked off.
        text: the file, as it was read.
        source: where it was read from.
        notes: what was left out while reading, and why.
    """

    name: str
    entries: tuple[Entry, ...]
    datasets: tuple[DataChoice, ...]
    metrics: tuple[Part, ...]
    summary: str = ""
    seeds: tuple[int, ...] = (0,)
    executor: Part = Part("local")
    text: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
