"""Detection and instance data as samples: the same targets, asked for one by one, by category, or all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rsground.datasets.noun import noun, plural
from rsground.errors import UnknownNameError
from rsground.types import ImageRef, Region, Sample, Task

GROUPINGS = ("object", "category", "image")
"""What one sample holds: one instance, all instances of a category in an image, or all instances of an image."""


def check_grouping(per: str) -> str:
    """``per`` if it is one of :data:`GROUPINGS`.

    Raises:
        UnknownNameError: it is none.
    """
    if per not in GROUPINGS:
        raise UnknownNameError("grouping (per=)", per, GROUPINGS)
    return per


def detection_samples(
    image: ImageRef,
    stem: str,
    regions: Sequence[Region],
    per: str,
    task: Task | None,
    meta: Mapping[str, Any],
) -> Iterator[Sample]:
    """Samples of one annotated image, in a fixed order.

    An ``object`` sample asks for ``the ship`` and holds one instance: fit for ceilings, where nothing reads the
    expression, and ambiguous for a model. A ``category`` sample asks for ``all ships``. An ``image`` sample asks for
    ``all objects``; without any instance its targets are ``()``.

    Args:
        image: the image.
        stem: prefix of the ids, unique to the image.
        regions: its instances, each with its category as ``label``.
        per: one of :data:`GROUPINGS`.
        task: what is asked; None takes the richest form that every region of a sample has.
        meta: facts about the image, shared by its samples.
    """
    groups: list[tuple[str, str, list[Region]]] = []
    if per == "object":
        groups = [(f"{stem}#{k}", f"the {noun(r.label or 'object')}", [r]) for k, r in enumerate(regions)]
    elif per == "category":
        labels = dict.fromkeys(region.label or "object" for region in regions)
        for label in labels:
            same = [region for region in regions if (region.label or "object") == label]
            groups.append((f"{stem}#{label}", f"all {plural(noun(label))}", same))
    else:
        groups = [(stem, "all objects", list(regions))]
    for name, expression, targets in groups:
        facts = dict(meta)
        if per != "image":
            facts["category"] = targets[0].label
            facts["is_unique"] = sum(region.label == targets[0].label for region in regions) == 1
        yield Sample(name, (image,), expression, task or richest(targets), tuple(targets), meta=facts)


def richest(regions: Sequence[Region]) -> Task:
    """The task that uses the most of what all ``regions`` carry: mask, oriented box, or box."""
    if regions and all(region.rle is not None or region.polygons is not None for region in regions):
        return Task.MASK
    if regions and all(region.quad is not None for region in regions):
        return Task.OBB
    return Task.HBB
