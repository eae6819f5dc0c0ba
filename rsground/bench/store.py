"""The writing side of a run's store: one writer, every answer committed as it comes, nothing counted twice."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsground.bench.lock import FolderLock
from rsground.bench.places import Places
from rsground.bench.plan import Plan
from rsground.bench.run_parts import check_store
from rsground.bench.schema import APPLICATION_ID, STORE, TABLES, UPGRADES, VERSION
from rsground.contracts import Notice, Outcome
from rsground.errors import StoreError
from rsground.metrics.breakdowns import group_keys
from rsground.records import dumps, sample_to_json, whole_usage
from rsground.types import Sample

_EMPTY: dict[str, Any] = {"parsed": False, "error": None, "text": "", "regions": [], "issues": [], "usage": []}
"""What is stored of a sample that a system does not serve."""


class Store:
    """A run folder, open for writing.

    Args:
        folder: made if need be.

    Raises:
        StoreError: another process writes there, the disk is full, or the store is no store of ours.

    Attributes:
        shield: entered while an answer is written, so that a signal handler can wait for it.
        reused: answers stored since it was opened that came from a cache.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shield: Callable[[], AbstractContextManager[None]] = nullcontext
        self.reused = 0
        self._lock = FolderLock(folder)
        try:
            with self._told():
                self._db = _connected(folder / STORE)
        except BaseException:
            self._lock.release()
            raise
        self._jobs: dict[str, tuple[int, int]] = {}
        self._datasets: dict[str, int] = {}
        self._metrics: dict[str, tuple[int, list[str], list[str], struct.Struct]] = {}
        self.done: dict[str, Places] = {}
        """Job key → places answered."""
        self._samples: dict[int, Places] = {}

    # the plan ------------------------------------------------------------------------------------------------------

    def begin(self, plan: Plan, environment: Mapping[str, Any]) -> None:
        """Make the plan the run's present one. Answers to jobs with a known key are kept and not asked again."""
        with self._told(), self._db:
            self._write_run(plan, environment)
            for table in ("systems", "datasets", "metrics", "jobs"):
                self._db.execute(f"UPDATE {table} SET place = NULL")
            self._db.execute("DELETE FROM notes")
            self._db.executemany("INSERT OR IGNORE INTO notes VALUES (?)", [(note,) for note in plan.suite.notes])
            systems = [
                self._row(
                    "systems",
                    f"{s.key}|{s.entry.label}",
                    place,
                    label=s.entry.label,
                    family=s.entry.family,
                    spec=dumps(s.entry.to_json()),
                )
                for place, s in enumerate(plan.systems)
            ]
            datasets = [
                self._row(
                    "datasets",
                    d.key,
                    place,
                    label=d.choice.label,
                    fingerprint=d.fingerprint,
                    most=d.choice.limit,
                    spec=dumps(d.choice.to_json()),
                )
                for place, d in enumerate(plan.datasets)
            ]
            metrics = [
                self._row("metrics", m.key, place, label=m.label, spec=dumps(m.spec))
                for place, m in enumerate(plan.metrics)
            ]
            for place, p in enumerate(plan.jobs):
                ident = self._row(
                    "jobs", p.job.key, place, system=systems[p.system], dataset=datasets[p.dataset], seed=p.job.seed
                )
                self._jobs[p.job.key] = (ident, datasets[p.dataset])
        self._datasets = {d.key: ident for d, ident in zip(plan.datasets, datasets, strict=True)}
        for m, ident in zip(plan.metrics, metrics, strict=True):
            statistics = list(m.spec["statistics"])
            self._metrics[m.label] = (
                ident,
                statistics,
                list(m.spec["payloads"]),
                struct.Struct(f"<{len(statistics)}d"),
            )
        self._read_done()

    def _write_run(self, plan: Plan, environment: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._db.execute(
            "INSERT INTO run (id, name, key, suite, summary, created, finished, environment) "
            "VALUES (1, ?, ?, ?, ?, ?, NULL, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
            "key = excluded.key, suite = excluded.suite, summary = excluded.summary, "
            "finished = NULL, environment = excluded.environment",
            (plan.suite.name, plan.key, plan.suite.text, plan.suite.summary, now, dumps(environment)),
        )

    def _row(self, table: str, key: str, place: int, **values: Any) -> int:
        names = ["key", "place", *values]
        marks = ", ".join("?" for _ in names)
        updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        (ident,) = self._db.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) "
            f"ON CONFLICT (key) DO UPDATE SET {updates} RETURNING id",
            (key, place, *values.values()),
        ).fetchone()
        return int(ident)

    def _read_done(self) -> None:
        for key, (ident, _) in self._jobs.items():
            rows = self._db.execute("SELECT idx FROM answers WHERE job = ?", (ident,))
            self.done[key] = Places(idx for (idx,) in rows)
        for ident in self._datasets.values():
            rows = self._db.execute("SELECT idx FROM samples WHERE dataset = ?", (ident,))
            self._samples[ident] = Places(idx for (idx,) in rows)

    def forget_failures(self) -> int:
        """Drop answers that are errors, so that they are asked again; how many there were."""
        with self._told(), self._db:
            query = "SELECT job, idx FROM answers WHERE error IS NOT NULL"
            failed = [row for row in self._db.execute(query) if row[0] in {ident for ident, _ in self._jobs.values()}]
            for table in ("scores", "answers"):
                self._db.executemany(f"DELETE FROM {table} WHERE job = ? AND idx = ?", failed)
        self._read_done()
        return len(failed)

    def sizes(self) -> dict[str, tuple[int | None, bool]]:
        """Data set key → (samples seen when a pass last ended, whether that was the end of the data)."""
        rows = {i: (size, bool(end)) for i, size, end in self._db.execute("SELECT id, size, ended FROM datasets")}
        return {key: rows[ident] for key, ident in self._datasets.items()}

    # answers -------------------------------------------------------------------------------------------------------

    def add(self, outcome: Outcome) -> bool:
        """Store an answer, for good when this returns; false for one that is there already.

        Raises:
            StoreError: the disk is full or failing. What was stored before is safe.
        """
        if outcome.index in self.done[outcome.job]:
            return False
        job, dataset = self._jobs[outcome.job]
        with self.shield(), self._told(), self._db:
            if outcome.index not in self._samples[dataset]:
                self._add_sample(dataset, outcome)
            self._add_answer(job, outcome)
            if outcome.record.get("reused"):
                self._insert("reused", [job, outcome.index])
                self.reused += 1
            self._add_scores(job, outcome)
        self.done[outcome.job].add(outcome.index)
        self._samples[dataset].add(outcome.index)
        return True

    def _add_sample(self, dataset: int, outcome: Outcome) -> None:
        sample = outcome.sample
        row = [dataset, outcome.index, sample.id, sample.image.uri, sample.task.value, _groups(sample)]
        self._insert("samples", [*row, dumps(sample_to_json(sample))])

    def _add_answer(self, job: int, outcome: Outcome) -> None:
        found = outcome.record["prediction"]
        served = found is not None
        found = found if served else _EMPTY
        row = [job, outcome.index, served, bool(found["parsed"]), found["error"], found["text"], len(found["text"])]
        self._insert("answers", [*row, dumps(found["regions"]), dumps(found["issues"]), *whole_usage(found["usage"])])

    def _insert(self, table: str, row: list[Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", [_plain(value) for value in row])

    def _add_scores(self, job: int, outcome: Outcome) -> None:
        for label, values in outcome.record["scores"].items():
            metric, statistics, payloads, packer = self._metrics[label]
            blob = packer.pack(*(_float(values.get(name)) for name in statistics))
            payload = dumps([values.get(name) for name in payloads]) if payloads else None
            self._db.execute("INSERT INTO scores VALUES (?, ?, ?, ?, ?)", (job, metric, outcome.index, blob, payload))

    def note(self, notice: Notice) -> None:
        """Store what a pass found out."""
        dataset = self._datasets[notice.dataset]
        with self.shield(), self._told(), self._db:
            if notice.broken is not None:
                path, line, code, detail = notice.broken
                row = (dataset, _plain(path), -1 if line is None else line, code, _plain(detail))
                self._db.execute("INSERT OR IGNORE INTO broken VALUES (?, ?, ?, ?, ?)", row)
            if notice.size is not None:
                query = "UPDATE datasets SET size = ?, ended = ? WHERE id = ? AND NOT (ended AND size >= ?)"
                self._db.execute(query, (notice.size, notice.ended, dataset, notice.size))

    def finish(self) -> None:
        """Say that every answer of the plan is there."""
        with self.shield(), self._told(), self._db:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._db.execute("UPDATE run SET finished = ? WHERE finished IS NULL", (now,))

    def close(self) -> None:
        """Close the store and let the folder go; what is written stays readable without us."""
        try:
            self._db.close()
        finally:
            self._lock.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the disk in words."""
        try:
            yield
        except sqlite3.Error as error:
            advice = "free some space and run the same command again" if "full" in str(error) else "run it again"
            raise StoreError(
                f"{self.folder / STORE} cannot be written: {error}; every answer stored so far is safe: {advice}"
            ) from error


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if tables or application:
        check_store(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last answers, never the store
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    if not tables:
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {TABLES} COMMIT;"
        )
    else:
        _upgrade(connection)
    return connection


def _upgrade(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < VERSION:
        steps = " ".join(UPGRADES[each] for each in range(version, VERSION))
        connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {VERSION}; COMMIT;")


def _groups(sample: Sample) -> str:
    try:
        return dumps(group_keys(sample))
    except Exception:  # an annotation nobody can measure is in no group; its scores say what is wrong
        return "{}"


def _plain(value: Any) -> Any:
    """A value as SQLite can hold it: lone surrogates of undecodable bytes become escapes, giant integers floats."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value) if abs(value) < 1e300 else None
    return value


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
