"""A run as it was planned: its systems, data sets, protocols and seeds, and how much of it is done."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from rsground.bench.rows import DatasetRow, MetricRow, SystemRow
from rsground.bench.schema import APPLICATION_ID, STORE, VERSION
from rsground.errors import StoreError, UnknownNameError

NO_BOUND = 2**62


class RunParts:
    """A run folder, open for reading, also while it is still being written: what it compared, and how far it is.

    Attributes:
        folder: the run folder.
        name, summary: of the suite; ``suite`` is the text of its file.
        created: ISO 8601 UTC; ``finished`` likewise, None while answers are missing.
        environment: versions, hardware, plugins, command line: JSON-able.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder, self._db = folder, connection
        row = self._one("SELECT name, summary, suite, created, finished, environment, key FROM run")
        if row is None:
            raise StoreError(f"{folder}: the run was stopped before it began; run the same command again")
        self.name, self.summary, self.suite, self.created, self.finished = row[:5]
        self.environment: Mapping[str, Any] = json.loads(row[5])
        self.key: str = row[6]

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a run folder (or its store).

        Raises:
            StoreError: no run there, or one of a later version.
        """
        path = Path(folder)
        store = path if path.suffix == ".sqlite" else path / STORE
        if not store.is_file():
            raise StoreError(
                f"{path} is no run folder: it has no {STORE}. 'rsground bench SUITE --out {path}' makes one"
            )
        connection = None
        try:
            connection = sqlite3.connect(store.resolve().as_uri() + "?mode=ro", uri=True, timeout=30)
            check_store(connection, store)
            return cls(store.parent, connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{store} cannot be read: {error}") from error
            raise

    def close(self) -> None:
        """Close the store."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    # what was compared ---------------------------------------------------------------------------------------------

    @cached_property
    def systems(self) -> tuple[SystemRow, ...]:
        """In the suite's order."""
        rows = self._all("SELECT label, family, spec FROM systems WHERE place IS NOT NULL ORDER BY place")
        return tuple(SystemRow(label, family, json.loads(spec)) for label, family, spec in rows)

    @cached_property
    def datasets(self) -> tuple[DatasetRow, ...]:
        """In the suite's order."""
        rows = self._all(
            "SELECT id, label, fingerprint, spec, most, size, ended FROM datasets "
            "WHERE place IS NOT NULL ORDER BY place"
        )
        return tuple(self._dataset(*row) for row in rows)

    def _dataset(
        self, ident: int, label: str, fingerprint: str, spec: str, most: int | None, size: int | None, ended: int
    ) -> DatasetRow:
        bound = NO_BOUND if most is None else most
        counted = self._one(
            "SELECT COUNT(*), COUNT(DISTINCT image) FROM samples WHERE dataset = ? AND idx < ?", ident, bound
        )
        samples, images = counted or (0, 0)
        tasks = self._all("SELECT DISTINCT task FROM samples WHERE dataset = ? AND idx < ? ORDER BY 1", ident, bound)
        broken = self._one("SELECT COUNT(*) FROM broken WHERE dataset = ?", ident)
        found = json.loads(spec)
        return DatasetRow(
            label=label,
            name=found["name"],
            root=found["root"],
            split=found["split"],
            options=found["options"],
            fingerprint=fingerprint,
            limit=most,
            size=None if size is None or not (ended or size >= bound) else min(size, bound),
            samples=samples,
            images=images,
            asked=tuple(found["tasks"]),
            tasks=tuple(task for (task,) in tasks),
            broken=0 if broken is None else broken[0],
        )

    @property
    def limit(self) -> int | None:
        """Samples asked of each data set; None for all, and where data sets differ in it."""
        limits = {row.limit for row in self.datasets}
        return limits.pop() if len(limits) == 1 else None

    @cached_property
    def metrics(self) -> tuple[MetricRow, ...]:
        """In the suite's order."""
        rows = self._all("SELECT spec FROM metrics WHERE place IS NOT NULL ORDER BY place")
        return tuple(_metric_row(json.loads(spec)) for (spec,) in rows)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the run, ascending."""
        return tuple(s for (s,) in self._all("SELECT DISTINCT seed FROM jobs WHERE place IS NOT NULL ORDER BY seed"))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the run, and why (optional entries whose plugin is absent ...)."""
        return tuple(text for (text,) in self._all("SELECT text FROM notes ORDER BY text"))

    @property
    def complete(self) -> bool:
        """Whether every system has answered every sample."""
        return self.finished is not None

    def progress(self) -> tuple[int, int | None]:
        """(answers stored, answers wanted); the latter None while the size of a data set is unknown."""
        stored, wanted = 0, 0
        for row in self.datasets:
            jobs = self._all(
                "SELECT id FROM jobs WHERE dataset = ? AND place IS NOT NULL", self._id("datasets", row.label)
            )
            query = "SELECT COUNT(*) FROM answers WHERE job = ? AND idx < ?"
            stored += sum((self._one(query, job, self._bound(row.label)) or (0,))[0] for (job,) in jobs)
            wanted += len(jobs) * (row.size or 0)
        return stored, None if any(row.size is None for row in self.datasets) else wanted

    def _bound(self, dataset: str) -> int:
        """Places from here on were asked in an earlier, larger run of this folder."""
        limit = next(row.limit for row in self.datasets if row.label == dataset)
        return NO_BOUND if limit is None else limit

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(query, values).fetchall()

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return found

    def _labels(self, table: str) -> dict[str, int]:
        return dict(self._all(f"SELECT label, id FROM {table} WHERE place IS NOT NULL"))

    def _id(self, table: str, label: str) -> int:
        labels = self._labels(table)
        if label not in labels:
            raise UnknownNameError(f"{table[:-1]} of this run", label, labels)
        return labels[label]

    def _jobs(self, system: str, dataset: str, seed: int | None) -> list[tuple[int, int]]:
        query = "SELECT id, seed FROM jobs WHERE system = ? AND dataset = ? AND place IS NOT NULL ORDER BY seed"
        jobs = self._all(query, self._id("systems", system), self._id("datasets", dataset))
        return [(ident, job_seed) for ident, job_seed in jobs if seed in (None, job_seed)]


def check_store(connection: sqlite3.Connection, path: Path) -> None:
    """Pass for a store of this version or an earlier one.

    Raises:
        StoreError: another file, or a store of a later version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is no rsground store")
    if not 1 <= version <= VERSION:
        raise StoreError(
            f"{path} has store version {version}, this rsground reads 1 to {VERSION}; use the version that wrote it"
        )


def _metric_row(spec: dict[str, Any]) -> MetricRow:
    lists = ("statistics", "payloads", "tasks")
    return MetricRow(**(spec | {name: tuple(spec[name]) for name in lists}))
