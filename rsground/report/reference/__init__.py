"""Published figures, as data: what papers print for a data set and task, with their sources and oddities.

They are shown beside a run's own scores and never mixed with them: other protocols, other splits, other authors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_ALIASES = {"rsgcg": "geopixeld", "gcg": "geopixeld", "nwpuresisc45": "resisc45"}


@dataclass(frozen=True, slots=True)
class Column:
    """One published score: as the paper calls it, on which data set and split (empty where the paper says none)."""

    dataset: str
    split: str
    score: str

    @property
    def title(self) -> str:
        """Score and split, as a table heads it."""
        return f"{self.score} ({self.split})" if self.split else self.score


@dataclass(frozen=True, slots=True)
class Row:
    """One published system.

    Attributes:
        method: as printed.
        values: as printed, digit by digit (percent unless the column says otherwise), None for "not reported".
        source: paper and table.
        marks: numbers of the table's notes that concern this row, from 1.
    """

    method: str
    values: tuple[str | None, ...]
    source: str
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A table of published figures for one data set and task.

    Attributes:
        id, title: stable name, and one for people.
        task: a value of :class:`rsground.types.Task`.
        columns, rows: as printed; every row has a value (or None) for every column.
        notes: what to know before quoting, in the order of the rows' ``marks``.
        marks: numbers of the notes that concern the whole table.
        papers: short key → full name of the papers that ``rows`` name.
    """

    id: str
    title: str
    task: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    marks: tuple[int, ...] = ()
    papers: Mapping[str, str] | None = None


def published(dataset: str, tasks: Iterable[str], split: str = "") -> tuple[Published, ...]:
    """Published tables of a data set, cut to its own columns; empty where no paper at hand reports it.

    Args:
        dataset: registered name of the reader; case and punctuation do not matter.
        tasks: values of the tasks asked; tables of other tasks are left out.
        split: with ``"val"`` or ``"test"``, columns of the other split are left out.
    """
    wanted, kinds = _key(dataset), set(tasks)
    found = (_cut(table, wanted, split.lower()) for table in load() if table.task in kinds)
    return tuple(table for table in found if table is not None)


@cache
def load() -> tuple[Published, ...]:
    """Every published table, whole."""
    folder = files(__name__)
    notes = tomllib.loads(folder.joinpath("notes.toml").read_text(encoding="utf-8"))
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".toml") and item.name != "notes.toml")
    tables: list[Published] = []
    for name in names:
        text = folder.joinpath(name).read_text(encoding="utf-8")
        raw = tomllib.loads(text, parse_float=str)  # 81.30 stays 81.30
        tables.extend(_table(entry, notes) for entry in raw["table"])
    return tuple(tables)


def _table(raw: Mapping[str, Any], notes: Mapping[str, Any]) -> Published:
    known = {note["id"]: note for note in notes["note"]}
    cited = [known[name] for name in raw.get("notes", ())]
    texts = [note["text"] for note in cited] + ([raw["note"]] if "note" in raw else [])
    whole = [place for place, note in enumerate(cited, 1) if not note.get("methods")]
    if "note" in raw:
        whole.append(len(texts))
    rows = tuple(_row(entry, cited) for entry in raw["rows"])
    used = " ".join(row.source for row in rows)
    return Published(
        id=raw["id"],
        title=raw["title"],
        task=raw["task"],
        columns=tuple(Column(**column) for column in raw["columns"]),
        rows=rows,
        notes=tuple(texts),
        marks=tuple(whole),
        papers={key: name for key, name in notes["papers"].items() if re.search(rf"\b{key}\b", used)},
    )


def _row(entry: list[Any], cited: list[Mapping[str, Any]]) -> Row:
    method, values, source = entry
    marks = tuple(place for place, note in enumerate(cited, 1) if method in note.get("methods", ()))
    return Row(method, tuple(None if value == "-" else str(value) for value in values), source, marks)


def _cut(table: Published, wanted: str, split: str) -> Published | None:
    """The columns of one data set (and split), and the rows that say anything there."""
    keep = [place for place, column in enumerate(table.columns) if _key(column.dataset) == wanted]
    same = [place for place in keep if not table.columns[place].split or table.columns[place].split.startswith(split)]
    if split in ("val", "test"):
        keep = same
    rows = [
        Row(row.method, tuple(row.values[place] for place in keep), row.source, row.marks)
        for row in table.rows
        if any(row.values[place] is not None for place in keep)
    ]
    if not rows:
        return None
    return Published(
        id=table.id,
        title=table.title,
        task=table.task,
        columns=tuple(table.columns[place] for place in keep),
        rows=tuple(rows),
        notes=table.notes,
        marks=table.marks,
        papers=table.papers,
    )


def _key(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower().split(":")[0])
    return _ALIASES.get(plain, plain)
