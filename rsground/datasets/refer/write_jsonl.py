"""Our own JSONL: a sample a line, every target with every form that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rsground.datasets.jsonl import write_jsonl as write_samples
from rsground.datasets.refer.placing import file_name, place_image
from rsground.datasets.refer.records import ImageRecord, Ref
from rsground.types import ImageRef, Region, Sample, Task


def write_jsonl(root: Path, records: Iterable[ImageRecord], images: str) -> int:
    """Write ``expressions.jsonl``, every line with its split, and ``images/``.

    Returns:
        Number of samples.
    """
    return write_samples(_samples(root, records, images), root / "expressions.jsonl")


def _samples(root: Path, records: Iterable[ImageRecord], images: str) -> Iterator[Sample]:
    pictures = root / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    for record in records:
        if record.refs:
            place_image(record, pictures, images)
        path = record.path if images == "none" else str(pictures / file_name(record))
        for number, ref in enumerate(record.refs):
            yield _sample(record, ref, f"{record.name}-{number}", path)


def _sample(record: ImageRecord, ref: Ref, name: str, path: str) -> Sample:
    targets = tuple(record.regions[k] for k in ref.targets)
    meta: dict[str, Any] = {"category": ref.category, "kind": ref.kind, "axes": list(ref.axes), "query": ref.query}
    if len(targets) == 1:
        meta["is_unique"] = sum(region.label == ref.category for region in record.regions) == 1
    meta["split"] = record.split
    image = ImageRef(path, *record.size)
    return Sample(name, (image,), ref.text, _task(targets or record.regions), targets, meta=meta)


def _task(regions: tuple[Region, ...]) -> Task:
    """What the annotation can answer: masks, oriented boxes, or boxes."""
    if all(region.rle is not None or region.polygons is not None for region in regions):
        return Task.MASK
    return Task.OBB if all(region.quad is not None for region in regions) else Task.HBB
