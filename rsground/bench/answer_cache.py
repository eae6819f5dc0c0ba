"""Answers of earlier runs, by content: what is asked again word for word need not be answered again.

One SQLite file in a folder, beside any number of run folders. Nothing here is precious: deleting the folder costs time
only, and a cache that cannot be written never stops a run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rsground.errors import StoreError
from rsground.records import dumps

FILE = "answers.sqlite"
APPLICATION_ID = 0x72736763
"""``PRAGMA application_id``: the letters ``rsgc``."""
VERSION = 1
KEPT_DAYS = 60
"""Systems that no run has used for so long are forgotten."""
_FLUSH = 256
_TABLES = """
CREATE TABLE systems (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,            -- for people who look inside
    used TEXT NOT NULL              -- day of the last run that had it
);
CREATE TABLE answers (
    system INTEGER NOT NULL,
    sample TEXT NOT NULL,
    prediction TEXT NOT NULL,       -- JSON; null where the system does not serve the task
    PRIMARY KEY (system, sample)
) WITHOUT ROWID;
CREATE TABLE scores (
    system INTEGER NOT NULL,
    sample TEXT NOT NULL,
    metric TEXT NOT NULL,
    stats TEXT NOT NULL,            -- JSON
    PRIMARY KEY (system, sample, metric)
) WITHOUT ROWID;
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest TEXT NOT NULL,
    used TEXT NOT NULL
) WITHOUT ROWID;
"""


class Remembered(NamedTuple):
    """An answer of an earlier run.

    Attributes:
        prediction: JSON-able, as :func:`rsground.records.prediction_to_json` has it; None where the system does
            not serve the sample's task.
        scores: metric key → statistics, of the protocols it was measured with.
    """

    prediction: Mapping[str, Any] | None
    scores: Mapping[str, Mapping[str, Any]]


class AnswerCache:
    """An open cache. Several runs may use one at the same time.

    Args:
        folder: made if need be.

    Raises:
        StoreError: the folder cannot be written, or holds a cache of another version.

    Attributes:
        trouble: why nothing is written any more; empty while all is well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.trouble = folder, ""
        self._today = datetime.now(UTC).date().isoformat()
        self._answers: list[tuple[int, str, str]] = []
        self._scores: list[tuple[int, str, str, str]] = []
        self._files: list[tuple[str, int, int, str, str]] = []
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = _connected(path)
            self._forget()
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"the cache {path} cannot be used: {error}; delete the folder (it holds copies of answers only), "
                "or leave out --cache"
            ) from error

    def system(self, key: str, label: str) -> int:
        """The number of a system, which is now in use."""
        query = (
            "INSERT INTO systems (key, label, used) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET label = excluded.label, used = excluded.used RETURNING id"
        )
        try:
            with self._db:
                (ident,) = self._db.execute(query, (key, label, self._today)).fetchone()
            return int(ident)
        except sqlite3.Error as error:
            raise StoreError(f"the cache {self.folder / FILE} cannot be written: {error}; leave out --cache") from error

    def knows(self, system: int) -> bool:
        """Whether any answer of the system is remembered."""
        return self._db.execute("SELECT 1 FROM answers WHERE system = ? LIMIT 1", (system,)).fetchone() is not None

    def get(self, system: int, sample: str) -> Remembered | None:
        """The answer of a system to a sample; None where there is none, or it cannot be read."""
        try:
            row = self._db.execute(
                "SELECT prediction FROM answers WHERE system = ? AND sample = ?", (system, sample)
            ).fetchone()
            if row is None:
                return None
            scores = self._db.execute(
                "SELECT metric, stats FROM scores WHERE system = ? AND sample = ?", (system, sample)
            ).fetchall()
            return Remembered(json.loads(row[0]), {metric: json.loads(stats) for metric, stats in scores})
        except (sqlite3.Error, ValueError) as error:
            self.trouble = self.trouble or str(error)
            return None

    def put(
        self, system: int, sample: str, prediction: Mapping[str, Any] | None, scores: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Remember an answer and its statistics by metric key."""
        self._answers.append((system, sample, dumps(prediction)))
        self._scores += [(system, sample, metric, dumps(stats)) for metric, stats in scores.items()]
        if len(self._answers) >= _FLUSH:
            self.flush()

    def digest_of(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The digest of a file that has not changed since."""
        query = "SELECT digest FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        row = self._db.execute(query, (path, size, mtime_ns)).fetchone()
        return None if row is None else str(row[0])

    def keep_digest(self, path: str, size: int, mtime_ns: int, digest: str) -> None:
        """Remember the digest of a file."""
        self._files.append((path, size, mtime_ns, digest, self._today))

    def flush(self) -> None:
        """Write what was put; a disk that refuses ends the writing, not the run."""
        if not self.trouble:
            try:
                with self._db:
                    self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", self._answers)
                    self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", self._scores)
                    self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", self._files)
            except sqlite3.Error as error:
                self.trouble = str(error)
        self._answers, self._scores, self._files = [], [], []

    def close(self) -> None:
        """Write the rest and close."""
        self.flush()
        self._db.close()

    def _forget(self) -> None:
        """Drop what no run has used for :data:`KEPT_DAYS` days."""
        limit = (datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)).isoformat()
        with self._db:
            old = [row[0] for row in self._db.execute("SELECT id FROM systems WHERE used < ?", (limit,))]
            for table, name in (("scores", "system"), ("answers", "system"), ("systems", "id")):
                self._db.executemany(f"DELETE FROM {table} WHERE {name} = ?", [(ident,) for ident in old])
            self._db.execute("DELETE FROM files WHERE used < ?", (limit,))
        if old:
            self._db.execute("PRAGMA incremental_vacuum").fetchall()


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("BEGIN IMMEDIATE")  # of two runs that start at once, one makes the tables
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if (tables or application) and (application, version) != (APPLICATION_ID, VERSION):
            what = f"a cache of version {version}" if application == APPLICATION_ID else "no cache of answers"
            raise StoreError(f"{path} is {what}, this rsground writes version {VERSION}; choose another --cache folder")
        if not tables:
            connection.rollback()
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            _make_tables(connection)
        else:
            connection.rollback()
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection
    except BaseException:
        connection.close()
        raise


def _make_tables(connection: sqlite3.Connection) -> None:
    tables = _TABLES.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {tables} COMMIT;"
    )
