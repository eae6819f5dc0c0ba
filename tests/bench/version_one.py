"""Stores as rsground wrote them before an answer had a time: version 1, word for word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

TABLES = """
CREATE TABLE reused (
    job INTEGER NOT NULL REFERENCES jobs,
    idx INTEGER NOT NULL,           -- of an answer that came from a cache: its cost was measured in an earlier run
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;

CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,             -- of the suite
    key TEXT NOT NULL,              -- content hash of the plan
    suite TEXT NOT NULL,            -- the suite file, as it was read
    summary TEXT NOT NULL,
    created TEXT NOT NULL,          -- ISO 8601, UTC
    finished TEXT,                  -- NULL until every job is done
    environment TEXT NOT NULL       -- JSON: versions, hardware, plugins
);
CREATE TABLE systems (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    family TEXT NOT NULL,
    place INTEGER,                  -- order in the suite; NULL: not part of the present plan
    spec TEXT NOT NULL              -- JSON: head, backbone, preprocessors, options
);
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    place INTEGER,
    spec TEXT NOT NULL,             -- JSON: name, root, split, tasks, options
    most INTEGER,                   -- samples asked, from the first; NULL for all
    size INTEGER,                   -- samples seen when a pass last ended, NULL before
    ended INTEGER NOT NULL DEFAULT 0 -- 1: that pass reached the end of the data, not just the limit
);
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    place INTEGER,
    spec TEXT NOT NULL              -- JSON: name, options, statistics, payloads, primary, ...
);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    system INTEGER NOT NULL REFERENCES systems,
    dataset INTEGER NOT NULL REFERENCES datasets,
    seed INTEGER NOT NULL,
    place INTEGER
);
CREATE TABLE samples (
    dataset INTEGER NOT NULL REFERENCES datasets,
    idx INTEGER NOT NULL,           -- place in the data set's order, from 0
    id TEXT NOT NULL,
    image TEXT NOT NULL,            -- uri of the image predictions are drawn on
    task TEXT NOT NULL,
    groups TEXT NOT NULL,           -- JSON: breakdown -> groups the sample is in
    record TEXT NOT NULL,           -- JSON: the sample without its pixels
    PRIMARY KEY (dataset, idx)
);
CREATE TABLE answers (
    job INTEGER NOT NULL REFERENCES jobs,
    idx INTEGER NOT NULL,
    served INTEGER NOT NULL,        -- 0: the system's head does not serve the sample's task; nothing was asked
    parsed INTEGER NOT NULL,
    error TEXT,
    text TEXT NOT NULL,
    chars INTEGER NOT NULL,         -- length of the text
    regions TEXT NOT NULL,          -- JSON
    issues TEXT NOT NULL,           -- JSON
    latency_s REAL,
    visual_tokens INTEGER,
    prompt_tokens INTEGER,
    output_tokens INTEGER,
    peak_memory_bytes INTEGER,
    flops REAL,
    PRIMARY KEY (job, idx)
);
CREATE TABLE scores (
    job INTEGER NOT NULL REFERENCES jobs,
    metric INTEGER NOT NULL REFERENCES metrics,
    idx INTEGER NOT NULL,
    stats BLOB NOT NULL,            -- little-endian float64, one per statistic of the metric, in its order
    payload TEXT,                   -- JSON list, one per payload of the metric
    PRIMARY KEY (job, metric, idx)
) WITHOUT ROWID;
CREATE TABLE broken (
    dataset INTEGER NOT NULL REFERENCES datasets,
    path TEXT NOT NULL,
    line INTEGER NOT NULL,          -- -1 where the whole file is meant
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (dataset, path, line, code, detail)
) WITHOUT ROWID;
CREATE TABLE notes (
    text TEXT PRIMARY KEY           -- what was left out, and why
) WITHOUT ROWID;
"""
"""What made a store of version 1."""


def as_version_one(store: Path) -> None:
    """Put a store of version 1 in the place of one of this version: the same rows, less what version 1 did not know."""
    old = store.with_name("version-1.sqlite")
    with closing(sqlite3.connect(old)) as made:
        made.executescript(f"PRAGMA application_id = 0x72736772; PRAGMA user_version = 1; {TABLES}")
        made.execute("ATTACH ? AS new", (str(store),))
        for (table,) in made.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            names = ", ".join(name for _, name, *_ in made.execute(f"PRAGMA main.table_info({table})"))
            made.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
        made.commit()
    for place in store.parent.glob(f"{store.name}*"):
        place.unlink()
    old.rename(store)
