"""What was made about one image, as one line of JSON: the unit of work, of resuming, and of every writer."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rsground.datasets.boxes import Frame
from rsground.datasets.jsonl_region import region_from_json, region_to_json
from rsground.datasets.refer.engine import Expression
from rsground.datasets.refer.objects import SceneGraph
from rsground.datasets.refer.query import to_json
from rsground.types import Region, Size


@dataclass(frozen=True, slots=True)
class Ref:
    """One expression about an image.

    Attributes:
        text: the wording.
        targets: positions in :attr:`ImageRecord.regions`; empty for an absent target.
        kind, axes, category: as in :class:`~rsground.datasets.refer.engine.Expression`.
        query: the logical form as nested lists.
    """

    text: str
    targets: tuple[int, ...]
    kind: str
    axes: tuple[str, ...]
    category: str | None
    query: list[Any]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image, all its instances, and the expressions about it.

    Attributes:
        name: unique name of the image in its source.
        path: the image file.
        size: (H, W).
        split: of the output.
        regions: every instance, ``label`` in everyday words; ``attributes["certain"]`` false for doubtful ones.
        refs: the expressions.
    """

    name: str
    path: str
    size: Size
    split: str
    regions: tuple[Region, ...]
    refs: tuple[Ref, ...]


def record_of(name: str, path: str, split: str, graph: SceneGraph, expressions: list[Expression]) -> ImageRecord:
    """The record of one image's graph and expressions."""
    place = {item.id: k for k, item in enumerate(graph.objects)}
    regions = []
    for item in graph.objects:
        extra: dict[str, Any] = {} if item.certain else {"certain": False}
        known = {**item.region.attributes, **extra}
        regions.append(
            Region(item.hbb, item.quad, item.region.polygons, item.region.rle, label=item.category, attributes=known)
        )
    refs = tuple(
        Ref(e.text, tuple(place[i] for i in e.target_ids), e.kind, e.axes, e.category, to_json(e.query))
        for e in expressions
    )
    return ImageRecord(name, path, (graph.height, graph.width), split, tuple(regions), refs)


def dump(record: ImageRecord) -> str:
    """The record as one line of JSON, its checksum in front."""
    body = json.dumps(
        {
            "name": record.name,
            "path": record.path,
            "size": record.size,
            "split": record.split,
            "regions": [region_to_json(region) for region in record.regions],
            "refs": [[r.text, r.targets, r.kind, r.axes, r.category, r.query] for r in record.refs],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return f"{zlib.crc32(body.encode()):08x} {body}\n"


def parse(line: str) -> ImageRecord | None:
    """The record in a line of :func:`dump`; None where the line is damaged, as after a crash."""
    check, _, body = line.rstrip("\n").partition(" ")
    if not line.endswith("\n") or f"{zlib.crc32(body.encode()):08x}" != check:
        return None
    row = json.loads(body)
    height, width = row["size"]
    refs = tuple(
        Ref(t, tuple(ids), kind, tuple(axes), category, query) for t, ids, kind, axes, category, query in row["refs"]
    )
    frame = Frame((height, width), Counter())
    regions = tuple(region_from_json(entry, frame) for entry in row["regions"])
    return ImageRecord(row["name"], row["path"], (height, width), row["split"], regions, refs)
