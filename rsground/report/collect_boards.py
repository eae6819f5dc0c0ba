"""Leaderboards of a run: scores with intervals, paired tests, breakdowns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.bench.results import DatasetRow, MetricRow, Run, Table
from rsground.bench.roles import Role, rulers
from rsground.contracts import Metric
from rsground.errors import RsgroundError
from rsground.metrics import bootstrap_intervals, compare_systems, score_where
from rsground.metrics.breakdowns import sorted_groups
from rsground.pipeline import describe
from rsground.report.model import Board, Breakdown, Pair, Score
from rsground.report.tables import featured

TESTED, TESTED_MANY_IMAGES = 12, 6
"""Systems compared pair by pair; fewer of them where there are more than :data:`MANY_IMAGES` images."""
MANY_IMAGES = 20_000
CHARTED = 8
"""Systems drawn in charts, and so with an interval in every bin."""
_DRAWS = 2_000_000_000
_CORPUS_REPLICATES = 100
_BINS = 30
_TITLES = {
    "size": "object size (COCO: small < 32² px, large ≥ 96² px)",
    "relative-size": "object's share of the image",
    "category": "category",
    "angle": "lean of the oriented box off the image axes",
    "targets": "number of targets",
    "uniqueness": "uniqueness in the image",
    "empty": "target present or absent",
    "axes": "difficulty of the expression",
}
_IN_ORDER = {"size", "relative-size", "angle", "targets", "uniqueness", "empty"}


@dataclass(frozen=True, slots=True)
class Settings:
    """How intervals and tests are computed; see :class:`rsground.report.collect.Options`."""

    baseline: str | None
    replicates: int
    permutations: int
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """One protocol's statistics of all systems on one data set."""

    row: MetricRow
    metric: Metric
    tables: Mapping[str, Table]
    codes: NDArray[np.int64]

    @property
    def images(self) -> int:
        return int(self.codes.max()) + 1 if len(self.codes) else 0


def boards_of(run: Run, dataset: DatasetRow, settings: Settings, problems: list[str]) -> tuple[Board, ...]:
    """A board per protocol that scored the data set.

    Args:
        run, dataset, settings: what of, and how.
        problems: takes the names of protocols that cannot be loaded, that fail at their scores, or that give others
            than their primary one.
    """
    rows = run.metrics_of(dataset.label)
    families = {system.label: system.family for system in run.systems}
    aside = rulers({system.label: system.role for system in run.systems})
    groups: Groups | None = None
    boards = []
    for row in rows:
        try:
            metric = row.load()
        except RsgroundError as error:
            problems.append(f"protocol {row.label}: {error}")
            continue
        scored = _scored(run, dataset.label, row, metric)
        if not scored.tables:
            continue
        if groups is None:
            groups = groups_of(run, dataset.label)
        try:
            board = _board(scored, groups, families, aside, settings)
        except Exception as error:  # of a plugin's metric; the scores of the others are not lost for it
            problems.append(
                f"protocol {row.label}: {describe(error)}; the answers are kept, a report can be made again"
            )
            continue
        if len(board.scores) > 1 and not any(row.primary in scores for scores in board.rows.values()):
            others = ", ".join(board.scores[1:])
            problems.append(f"protocol {row.label} gives no {row.primary!r}, its primary score, but {others}")
        boards.append(board)
    return tuple(boards)


def _scored(run: Run, dataset: str, row: MetricRow, metric: Metric) -> _Scored:
    tables = {system.label: run.columns(system.label, dataset, row.label) for system in run.systems}
    scored = {label: table for label, table in tables.items() if len(table)}
    return _Scored(row, metric, scored, run.image_codes(dataset))


def _board(
    scored: _Scored, groups: Groups, families: Mapping[str, str], aside: Mapping[str, Role], settings: Settings
) -> Board:
    replicates = _replicates(scored, settings.replicates)
    rows = {label: _scores(scored, table, replicates, settings) for label, table in scored.tables.items()}
    names = dict.fromkeys(name for row in rows.values() for name in row)
    primary = scored.row.primary
    board = Board(
        metric=scored.row.label,
        summary=scored.row.summary,
        primary=primary,
        higher_is_better=scored.row.higher_is_better,
        scores=(primary, *(name for name in names if name != primary)),
        rows=rows,
        paired=scored.row.paired or "",
        aside={label: role.value for label, role in aside.items() if label in rows},
    )
    tested = _tested(board, families, settings.baseline, scored.images)
    shown = featured(board, families, settings.baseline, CHARTED)
    return replace(
        board,
        tested=tested,
        pairs=_pairs(scored, tested, settings),
        breakdowns=tuple(_breakdowns(scored, groups, shown, replicates, settings)),
    )


def _replicates(scored: _Scored, wanted: int) -> int:
    """As many bootstrap samples as a report can wait for: fewer over very many images, and for corpus scores."""
    if scored.row.payloads:
        return min(wanted, _CORPUS_REPLICATES)
    affordable = _DRAWS // max(1, scored.images * len(scored.tables))
    return max(min(wanted, affordable), min(wanted, 200))


def _scores(scored: _Scored, table: Table, replicates: int, settings: Settings) -> dict[str, Score]:
    found = scored.metric.summarise(table.columns)
    bounds = bootstrap_intervals(
        scored.metric, table.columns, table.images, level=settings.confidence, replicates=replicates
    )
    return {name: _score(value, bounds.get(name), len(table)) for name, value in found.items()}


def _score(value: float, bounds: tuple[float, float] | None, n: int) -> Score:
    low, high = bounds if bounds is not None else (None, None)
    return Score(float(value), low, high, n)


def paired_values(table: Table, column: str, size: int) -> NDArray[np.float64]:
    """``(size,)`` value of each sample by its place, the mean over seeds; nan where there is none."""
    values = np.asarray(table.columns[column], np.float64)
    known = ~np.isnan(values)
    sums = np.bincount(table.index[known], weights=values[known], minlength=size)
    counts = np.bincount(table.index[known], minlength=size)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), np.float64)


def _tested(board: Board, families: Mapping[str, str], baseline: str | None, images: int) -> tuple[str, ...]:
    if not board.paired:
        return ()
    found = featured(board, families, baseline, TESTED if images <= MANY_IMAGES else TESTED_MANY_IMAGES)
    return found if len(found) > 1 else ()


def _pairs(scored: _Scored, tested: Sequence[str], settings: Settings) -> tuple[Pair, ...]:
    if len(tested) < 2 or scored.row.paired is None:
        return ()
    size = len(scored.codes)
    values = {label: paired_values(scored.tables[label], scored.row.paired, size) for label in tested}
    known = np.zeros(size, bool)
    for column in values.values():
        known |= ~np.isnan(column)
    found = compare_systems(
        {label: column[known] for label, column in values.items()},
        scored.codes[known],
        permutations=settings.permutations,
    )
    return tuple(
        Pair(one.first, one.second, one.test.difference, one.test.p, one.p_holm, one.test.n)
        for one in found
        if not math.isnan(one.test.difference)
    )


Groups = Mapping[str, Mapping[str, NDArray[np.bool_]]]
"""Breakdown → group → ``(N,)`` which samples are in it, by place in the data set's order."""


def groups_of(run: Run, dataset: str) -> Groups:
    """Who is in which group."""
    size = len(run.image_codes(dataset))
    members: dict[str, dict[str, list[int]]] = {}
    for axis, rows in run.groups(dataset).items():
        for place, names in enumerate(rows):
            for name in names:
                members.setdefault(axis, {}).setdefault(name, []).append(place)
    return {axis: {name: _member(places, size) for name, places in named.items()} for axis, named in members.items()}


def _member(places: Sequence[int], size: int) -> NDArray[np.bool_]:
    found = np.zeros(size, bool)
    found[list(places)] = True
    return found


def _breakdowns(
    scored: _Scored, groups: Groups, shown: Sequence[str], replicates: int, settings: Settings
) -> Iterator[Breakdown]:
    for axis in [*(name for name in _TITLES if name in groups), *(name for name in groups if name not in _TITLES)]:
        named = groups[axis]
        if axis == "empty" and "0" in groups.get("targets", {}):
            continue  # the number of targets says it already
        names = _bins(axis, named, scored)
        if len(names) < 2:
            continue
        values = {
            label: tuple(
                _group_score(scored, table, named[name], replicates if label in shown else 0, settings)
                for name in names
            )
            for label, table in scored.tables.items()
        }
        counts = tuple(int(named[name].sum()) for name in names)
        yield Breakdown(axis, _TITLES.get(axis, axis), scored.row.primary, tuple(names), counts, values)


def _bins(axis: str, named: Mapping[str, NDArray[np.bool_]], scored: _Scored) -> list[str]:
    """Groups that were scored at all: in their own order, or the most frequent first."""
    answered = np.zeros(len(scored.codes), bool)
    for table in scored.tables.values():
        answered[table.index] = True
    names = [name for name, member in named.items() if (member & answered).any()]
    if axis in _IN_ORDER:
        return sorted_groups(set(names))
    return sorted(names, key=lambda name: (-int(named[name].sum()), name))[:_BINS]


def _group_score(
    scored: _Scored, table: Table, member: NDArray[np.bool_], replicates: int, settings: Settings
) -> Score | None:
    chosen = member[table.index]
    count = int(chosen.sum())
    if not count:
        return None
    value = score_where(scored.metric, table.columns, chosen).get(scored.row.primary, math.nan)
    if not replicates or scored.row.payloads:
        return Score(value, None, None, count)
    part: dict[str, Any] = {name: column[chosen] for name, column in table.columns.items()}
    bounds = bootstrap_intervals(
        scored.metric, part, table.images[chosen], level=settings.confidence, replicates=min(replicates, 400)
    )
    return _score(value, bounds.get(scored.row.primary), count)
