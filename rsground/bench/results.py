"""Read a run: its systems, data sets, statistics, answers, costs, broken records. Reading never changes a run.

>>> run = Run.open("runs/ceilings-1a2b3c4d")                                     # doctest: +SKIP
>>> table = run.columns("text-hbb res=1000", "scenes", "rec")                    # doctest: +SKIP
>>> table.metric.load().summarise(table.columns)                                 # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from rsground.bench.rows import Answered, DatasetRow, MetricRow, SystemRow, Table
from rsground.bench.run_parts import RunParts
from rsground.contracts import BrokenRecord
from rsground.errors import RsgroundError
from rsground.records import USAGE, prediction_from_json, sample_from_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.types import ImageRef, Prediction, Sample

__all__ = ["Answered", "DatasetRow", "MetricRow", "Run", "SystemRow", "Table"]


class Run(RunParts):
    """A run folder, open for reading, also while it is still being written. Use :meth:`open`."""

    def metrics_of(self, dataset: str) -> tuple[MetricRow, ...]:
        """The protocols that scored at least one answer on this data set, in the suite's order."""
        ident = self._id("datasets", dataset)
        query = "SELECT 1 FROM scores WHERE job = ? AND metric = ? LIMIT 1"
        jobs = self._all("SELECT id FROM jobs WHERE dataset = ? AND place IS NOT NULL", ident)
        ids = self._labels("metrics")
        return tuple(row for row in self.metrics if any(self._one(query, job, ids[row.label]) for (job,) in jobs))

    def columns(self, system: str, dataset: str, metric: str, seed: int | None = None) -> Table:
        """All statistics of one system on one data set under one protocol; rows by seed, then sample.

        Args:
            system, dataset, metric: labels.
            seed: only answers of this seed; None for all seeds, one below the other.

        Raises:
            UnknownNameError: no such label in this run.
        """
        metric_id = self._id("metrics", metric)
        row = next(row for row in self.metrics if row.label == metric)
        query = "SELECT idx, stats, payload FROM scores WHERE job = ? AND metric = ? AND idx < ? ORDER BY idx"
        parts = [
            (job_seed, self._all(query, job, metric_id, self._bound(dataset)))
            for job, job_seed in self._jobs(system, dataset, seed)
        ]
        index = np.array([i for _, rows in parts for i, _, _ in rows], np.int64)
        seeds = np.repeat(np.array([s for s, _ in parts], np.int64), [len(rows) for _, rows in parts])
        stats = np.frombuffer(b"".join(blob for _, rows in parts for _, blob, _ in rows), "<f8")
        stats = stats.reshape(len(index), len(row.statistics))
        columns: dict[str, NDArray[Any]] = {name: stats[:, k].copy() for k, name in enumerate(row.statistics)}
        if row.payloads:
            payloads = [json.loads(text) for _, rows in parts for _, _, text in rows]
            for k, name in enumerate(row.payloads):
                columns[name] = _objects([payload[k] for payload in payloads])
        return Table(row, columns, index, seeds, self.image_codes(dataset)[index])

    def image_codes(self, dataset: str) -> NDArray[np.int64]:
        """``(N,)`` code of the image of each sample, by place in the data set's order; -1 where none was answered."""
        if dataset not in self._codes:
            rows = self._all(
                "SELECT idx, image FROM samples WHERE dataset = ? ORDER BY idx", self._id("datasets", dataset)
            )
            codes = np.full(rows[-1][0] + 1 if rows else 0, -1, np.int64)
            numbers: dict[str, int] = {}
            for place, image in rows:
                codes[place] = numbers.setdefault(image, len(numbers))
            self._codes[dataset] = codes
        return self._codes[dataset]

    def groups(self, dataset: str) -> dict[str, list[tuple[str, ...]]]:
        """Breakdown → the groups of each sample (empty where it is in none), by place in the data set's order."""
        rows = self._all(
            "SELECT idx, groups FROM samples WHERE dataset = ? AND idx < ? ORDER BY idx",
            self._id("datasets", dataset),
            self._bound(dataset),
        )
        size = rows[-1][0] + 1 if rows else 0
        found: dict[str, list[tuple[str, ...]]] = {}
        for place, text in rows:
            for name, groups in json.loads(text).items():
                found.setdefault(name, [()] * size)[place] = tuple(groups)
        return found

    @cached_property
    def _codes(self) -> dict[str, NDArray[np.int64]]:
        return {}

    def usage(self, system: str, dataset: str) -> dict[str, NDArray[Any]]:
        """What each answer cost, ``(n,)`` arrays over all seeds.

        ``latency_s``, ``visual_tokens``, ``prompt_tokens``, ``output_tokens``, ``peak_memory_bytes``, ``flops``,
        ``time_s`` (float64, nan where unknown), ``chars`` (length of the answer), ``parsed`` (bool), ``failed`` (bool:
        no answer came), ``reused`` (bool: it came from a cache, so its cost was measured in an earlier run), ``index``,
        ``seed`` (int64).
        """
        names = (*self._costs, "chars", "parsed", "error IS NOT NULL", self._is_reused, "idx", "?")
        query = f"SELECT {', '.join(names)} FROM answers WHERE job = ? AND served AND idx < ? ORDER BY idx"
        rows = [
            row
            for job, seed in self._jobs(system, dataset, None)
            for row in self._all(query, seed, job, self._bound(dataset))
        ]
        table = np.array(rows, np.float64).reshape(len(rows), len(names)).T
        found: dict[str, NDArray[Any]] = dict(zip((*USAGE, "chars"), table, strict=False))
        flags = dict(zip(("parsed", "failed", "reused"), table[-5:-2] == 1, strict=True))
        return found | flags | {"index": table[-2].astype(np.int64), "seed": table[-1].astype(np.int64)}

    @cached_property
    def _costs(self) -> tuple[str, ...]:
        """Columns of the costs, ``NULL`` for those that a store of an earlier version does not have."""
        columns = {name for _, name, *_ in self._all("PRAGMA table_info(answers)")}
        return tuple(name if name in columns else "NULL" for name in USAGE)

    @property
    def reused(self) -> int:
        """Answers that came from a cache."""
        query = f"SELECT COUNT(*) FROM answers WHERE {self._is_reused} AND idx < ? AND job = ?"
        counts = (
            self._one(query, self._bound(row.label), job) or (0,)
            for row in self.datasets
            for system in self.systems
            for job, _ in self._jobs(system.label, row.label, None)
        )
        return sum(int(count) for (count,) in counts)

    @cached_property
    def _is_reused(self) -> str:
        """Whether an answer came from a cache, in SQL; stores made before there were caches have no such answers."""
        known = self._one("SELECT 1 FROM sqlite_master WHERE name = 'reused'") is not None
        where = "reused.job = answers.job AND reused.idx = answers.idx"
        return f"EXISTS (SELECT 1 FROM reused WHERE {where})" if known else "0"

    def issues(self, system: str, dataset: str) -> dict[str, int]:
        """Issue code → how many answers have it, most frequent first."""
        counts: dict[str, int] = {}
        for job, _ in self._jobs(system, dataset, None):
            query = "SELECT issues FROM answers WHERE job = ? AND idx < ? AND served AND issues <> '[]'"
            for (text,) in self._db.execute(query, (job, self._bound(dataset))):
                for code in {issue[0] for issue in json.loads(text)}:
                    counts[code] = counts.get(code, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    # what was asked and answered -----------------------------------------------------------------------------------

    def samples(self, dataset: str, index: Iterable[int] | None = None) -> Iterator[tuple[int, Sample]]:
        """(place, sample) of a data set, streamed in order; only those in ``index`` where it is given."""
        ident = self._id("datasets", dataset)
        query = "SELECT idx, record FROM samples WHERE dataset = ? AND idx < ? ORDER BY idx"
        if index is None:
            for place, record in self._db.execute(query, (ident, self._bound(dataset))):
                yield place, sample_from_json(json.loads(record))
            return
        for place in sorted({int(value) for value in index}):
            row = self._one("SELECT record FROM samples WHERE dataset = ? AND idx = ?", ident, place)
            if row is not None:
                yield place, sample_from_json(json.loads(row[0]))

    def sample_keys(self, dataset: str) -> dict[str, tuple[int, str]]:
        """Sample id → (place, digest of what was asked and what is right), of all samples answered by any system.

        Image folders do not count, names do. Where ids repeat, later ones are ``id#2``, ``id#3`` ...
        """
        query = "SELECT idx, id, record FROM samples WHERE dataset = ? AND idx < ? ORDER BY idx"
        found: dict[str, tuple[int, str]] = {}
        times: dict[str, int] = {}
        for place, ident, text in self._db.execute(query, (self._id("datasets", dataset), self._bound(dataset))):
            record = json.loads(text)
            record["images"] = [[PurePath(uri).name, *size] for uri, *size in record["images"]]
            digest = hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=16).hexdigest()
            times[ident] = times.get(ident, 0) + 1
            found[ident if times[ident] == 1 else f"{ident}#{times[ident]}"] = (place, digest)
        return found

    def answers(
        self, system: str, dataset: str, index: Iterable[int] | None = None, seed: int | None = None
    ) -> Iterator[Answered]:
        """Answers with their samples, streamed in order; only places in ``index`` where it is given.

        For a gallery take the places from :meth:`columns` (its worst and best rows) and ask for those alone.
        """
        wanted = None if index is None else sorted({int(value) for value in index})
        names = ", ".join(("regions", "parsed", "issues", "text", "error", *self._costs))
        query = (
            f"SELECT answers.idx, samples.record, {names} FROM answers JOIN samples "
            "ON samples.dataset = ? AND samples.idx = answers.idx WHERE answers.job = ? AND served AND "
        )
        ident = self._id("datasets", dataset)
        for job, job_seed in self._jobs(system, dataset, seed):
            if wanted is None:
                rows: Iterable[Any] = self._db.execute(
                    query + "answers.idx < ? ORDER BY answers.idx", (ident, job, self._bound(dataset))
                )
            else:
                rows = (row for i in wanted for row in self._all(query + "answers.idx = ?", ident, job, i))
            for row in rows:
                yield Answered(row[0], job_seed, sample_from_json(json.loads(row[1])), _prediction(row[2:]))

    def images(self, dataset: str, index: Sequence[int]) -> dict[int, ImageRef]:
        """References whose pixels can be read, also for images that are drawn, by place in the data set's order.

        Opens the data set again and passes over it up to the largest place. Places whose data set cannot be opened
        any more keep the stored reference, which reads a file by its path.
        """
        wanted = {int(value) for value in index}
        found = {place: sample.image for place, sample in self.samples(dataset, wanted)}
        if all(Path(ref.uri).is_file() for ref in found.values()):
            return found
        from rsground.bench.data import open_dataset, samples_from

        row = next(row for row in self.datasets if row.label == dataset)
        try:
            source = open_dataset(row.name, row.root, row.split, row.options, row.asked)
            for place, sample in samples_from(source, min(wanted), max(wanted) + 1, row.asked):
                if place in found and sample.image.uri == found[place].uri:
                    found[place] = sample.image
        except (RsgroundError, OSError, ValueError):
            return found
        return found

    @property
    def broken(self) -> Iterator[tuple[str, BrokenRecord]]:
        """(data set label, record) of all records that were skipped, in order of file and line."""
        query = (
            "SELECT label, path, NULLIF(line, -1), code, detail FROM broken JOIN datasets ON datasets.id = dataset "
            "WHERE place IS NOT NULL ORDER BY place, path, line"
        )
        for label, *record in self._db.execute(query):
            yield label, BrokenRecord(*record)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def _prediction(row: Sequence[Any]) -> Prediction:
    regions, parsed, issues, text, error, *usage = row
    return prediction_from_json(
        {
            "regions": json.loads(regions),
            "parsed": parsed,
            "issues": json.loads(issues),
            "text": text,
            "error": error,
            "usage": usage,
        }
    )
