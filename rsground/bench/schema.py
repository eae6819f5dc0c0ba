"""The tables of a run's store, and the marks that say which store it is; see docs/reference/store.md."""

from __future__ import annotations

APPLICATION_ID = 0x72736772
"""``PRAGMA application_id`` of a store: the letters ``rsgr``."""
VERSION = 2
"""``PRAGMA user_version``; raised whenever a table changes. All versions up to it are read."""
STORE = "store.sqlite"
"""File name of the store inside a run folder."""

REUSED = """
CREATE TABLE IF NOT EXISTS reused (
    job INTEGER NOT NULL REFERENCES jobs,
    idx INTEGER NOT NULL,           -- of an answer that came from a cache: its cost was measured in an earlier run
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;
"""
"""A store of version 1 that was made before there were caches is without it."""

UPGRADES = {1: f"{REUSED} ALTER TABLE answers ADD COLUMN time_s REAL;"}
"""Version → what makes a store the next one; done when it is next written to."""

TABLES = f"""{REUSED}
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
    time_s REAL,
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
