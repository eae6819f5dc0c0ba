"""Turns an instance data set into a referring one: resumable, and whole or not there at all.

Every finished image is one line of a journal in ``OUT.partial/``; after a crash the run goes on behind the last whole
line. The layouts are written from the journal, next to it, and moved to ``OUT`` in one rename at the very end.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rsground.datasets.refer.engine import DEFAULT_MARGIN, KINDS, expressions
from rsground.datasets.refer.instances import DEFAULT_DOUBTS, Doubts, scene_graph
from rsground.datasets.refer.journal import Journal
from rsground.datasets.refer.margins import Margin
from rsground.datasets.refer.records import ImageRecord, record_of
from rsground.datasets.refer.sources import Annotated, Source, hashed_split
from rsground.datasets.refer.writers import WRITERS
from rsground.errors import DataError, UnknownNameError

SHARES: tuple[tuple[str, float], ...] = (("train", 0.8), ("val", 0.1), ("test", 0.1))
"""Splits by hash, and their shares of the pictures."""
ABSENT_SHARE = 0.25
"""Expressions without a target, as a share of the others about an image: easy to make, so they would crowd them out."""
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make of every image.

    Attributes:
        seed: of all draws; with the image's name it fixes the expressions of an image, whatever the others are.
        per_image: most expressions about one image.
        kinds: kinds of expressions, see :data:`rsground.datasets.refer.engine.KINDS`.
        limit: stop after so many expressions; None for all images.
        split_by: ``"source"`` (the source's own splits), ``"hash"`` (by picture) or ``"auto"`` (the source's where an
            image has one, else by picture).
        margin: slack every expression survives.
        doubts: which instances are never referred to.
        capitalise: whether expressions begin with a capital letter.
    """

    seed: int = 0
    per_image: int = 12
    kinds: tuple[str, ...] = KINDS
    limit: int | None = None
    split_by: str = "auto"
    margin: Margin = DEFAULT_MARGIN
    doubts: Doubts = DEFAULT_DOUBTS
    capitalise: bool = True


@dataclass(slots=True)
class Summary:
    """What was made.

    Attributes:
        images: images looked at, those that gave no expression included.
        refs: expressions.
        resumed: images that an earlier, broken-off run had already done.
        by_kind, by_split: expressions.
        by_targets: expressions with one target, several, none.
        written: expressions that each layout holds (a layout of single targets leaves the others out).
    """

    images: int = 0
    refs: int = 0
    resumed: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_split: Counter[str] = field(default_factory=Counter)
    by_targets: Counter[str] = field(default_factory=Counter)
    written: dict[str, int] = field(default_factory=dict)

    def add(self, record: ImageRecord) -> None:
        """Count one image."""
        self.images += 1
        self.refs += len(record.refs)
        self.by_split[record.split] += len(record.refs)
        for ref in record.refs:
            self.by_kind[ref.kind] += 1
            self.by_targets["single" if len(ref.targets) == 1 else "plural" if ref.targets else "absent"] += 1


def build(
    source: Source,
    out: Path,
    formats: tuple[str, ...] = ("jsonl",),
    plan: Plan = Plan(),
    *,
    images: str = "link",
    on_image: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Make the expressions of every image of ``source`` and write them to the new folder ``out``.

    Args:
        source: where the instances come from.
        out: folder to create; a folder ``out.partial`` beside it holds the work in progress and is resumed from.
        formats: of :data:`rsground.datasets.refer.writers.WRITERS`.
        plan: what to make.
        images: ``"link"`` images into the layout, ``"copy"`` them, or write ``"none"``.
        on_image: called after every image.

    Raises:
        DataError: ``out`` exists, or ``out.partial`` belongs to other options.
        UnknownNameError: no such format or way of splitting.
    """
    for name in formats:
        if name not in WRITERS:
            raise UnknownNameError("format", name, WRITERS)
    for kind, known, value in (
        ("way to split", ("auto", "source", "hash"), plan.split_by),
        ("images", _IMAGES, images),
    ):
        if value not in known:
            raise UnknownNameError(kind, value, known)
    if out.exists():
        raise DataError("the output exists already: name a new folder, or delete this one", path=out)
    work = out.with_name(out.name + ".partial")
    journal = Journal(work / "journal.txt", _fingerprint(source, plan))
    summary = Summary()
    _make(source, plan, journal, summary, on_image)
    fresh = work / "data"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name in formats:
        summary.written[name] = WRITERS[name](fresh, journal.records(), images)
    os.replace(fresh, out)
    shutil.rmtree(work)
    return summary


_IMAGES = ("link", "copy", "none")


def _make(source: Source, plan: Plan, journal: Journal, summary: Summary, on_image: Callable[[Summary], None]) -> None:
    done = set()
    for record in journal.records():
        done.add(record.name)
        summary.add(record)
    summary.resumed = len(done)
    with journal.writer() as write:
        for image in source:
            if plan.limit is not None and summary.refs >= plan.limit:
                return
            if image.name in done:
                continue
            left = plan.per_image if plan.limit is None else min(plan.per_image, plan.limit - summary.refs)
            record = make_record(image, source.complete, plan, left)
            write(record)
            summary.add(record)
            on_image(summary)


def make_record(image: Annotated, complete: frozenset[str], plan: Plan, limit: int) -> ImageRecord:
    """The expressions about one image, at most ``limit``."""
    graph = scene_graph(image.size, image.regions, complete, doubts=plan.doubts, gsd=image.gsd)
    rng = np.random.default_rng([plan.seed, zlib.crc32(image.name.encode())])
    options: dict[str, Any] = {"margin": plan.margin, "capitalise": plan.capitalise}
    present = tuple(kind for kind in plan.kinds if kind != "absent")
    made = expressions(graph, rng, kinds=present, limit=limit, **options)
    if "absent" in plan.kinds:
        absent = max(1, round(ABSENT_SHARE * len(made))) if present else limit
        made = made[: max(limit - absent, 0)] + expressions(graph, rng, kinds=["absent"], limit=absent, **options)
    return record_of(image.name, image.path, _split(image, plan.split_by), graph, made)


def _split(image: Annotated, by: str) -> str:
    if by == "source" and image.split is None:
        raise DataError(f"image {image.name!r} says no split of its own; use split-by 'hash' or 'auto'")
    return image.split if by != "hash" and image.split is not None else hashed_split(image.scene, SHARES)


def _fingerprint(source: Source, plan: Plan) -> str:
    facts = [FORMAT_VERSION, source.name, str(source.root), sorted(source.complete), source.splits, asdict(plan)]
    facts.append([reader.fingerprint() for reader in source.readers])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
