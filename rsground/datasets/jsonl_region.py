"""Regions in JSON Lines: one object per region, or columns with one entry per target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.datasets.boxes import Frame
from rsground.datasets.fields import RecordError, as_int, as_list, as_map, as_number, as_text, json_able, numbers
from rsground.datasets.masks import rle_at
from rsground.geometry import hbb_to_quad, polygons_to_mask, quad_to_hbb, rle_area, rle_to_mask
from rsground.types import HBB, RLE, Quad, Region


def region_to_json(region: Region) -> dict[str, Any]:
    """What is known of a region, as JSON-able values; forms it does not carry are left out."""
    row: dict[str, Any] = {}
    if region.hbb is not None:
        row["hbb"] = list(region.hbb)
    if region.quad is not None:
        row["quad"] = [list(point) for point in region.quad]
    if region.polygons is not None:
        row["polygons"] = [[list(point) for point in ring] for ring in region.polygons]
    if region.rle is not None:
        row["rle"] = {"size": list(region.rle.size), "counts": region.rle.counts.decode("ascii")}
    if region.points is not None:
        row["points"] = [list(point) for point in region.points]
    plain = {"label": region.label, "score": region.score, "span": list(region.span) if region.span else None}
    row |= {key: value for key, value in plain.items() if value is not None}
    if region.attributes:
        row["attributes"] = dict(region.attributes)
    return row


def region_from_json(value: Any, frame: Frame) -> Region:
    """The region of one entry of ``targets``.

    Raises:
        RecordError: a form breaks the rules of ``frame``, or nothing says where the region is.
    """
    row = as_map(value, "a target")
    points = row.get("points")
    span = row.get("span")
    region = Region(
        hbb=frame.hbb(row["hbb"], "hbb") if row.get("hbb") is not None else None,
        quad=frame.quad(row["quad"], "quad") if row.get("quad") is not None else None,
        polygons=frame.polygons(row["polygons"], "polygons") if row.get("polygons") is not None else None,
        rle=frame.rle(row["rle"]) if row.get("rle") is not None else None,
        points=_points(points) if points is not None else None,
        score=as_number(row["score"], "score") if row.get("score") is not None else None,
        label=as_text(row["label"], "label") if row.get("label") is not None else None,
        span=_span(span) if span is not None else None,
        attributes=json_able(as_map(row.get("attributes") or {}, "attributes")),
    )
    if not region.is_located:
        raise RecordError("missing-field", "a target needs one of hbb, quad, polygons, rle, points")
    return region


def _points(value: Any) -> tuple[tuple[float, float], ...]:
    flat = numbers(value, "points")
    if len(flat) % 2:
        raise RecordError("bad-field", "points must be pairs x, y")
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _span(value: Any) -> tuple[int, int]:
    ends = [as_int(end, "span") for end in as_list(value, "span")]
    if len(ends) != 2 or not 0 <= ends[0] <= ends[1]:
        raise RecordError("bad-field", f"span must be (start, end), got {ends[:4]}")
    return (ends[0], ends[1])


def regions_from_columns(record: Mapping[str, Any], frame: Frame) -> tuple[Region, ...] | None:
    """The targets of a record in column form; None where no column is filled.

    Raises:
        RecordError: a column is malformed, or they disagree about the number of targets.
    """
    boxes = [frame.hbb(box, "hbb") for box in _rows(record.get("hbb"), 4)]
    quads = [frame.quad(quad, "obb") for quad in _rows(record.get("obb"), 8)]
    if boxes and quads and len(boxes) != len(quads):
        raise RecordError("bad-field", f"{len(boxes)} boxes in hbb, {len(quads)} in obb")
    rle = frame.rle(record["rle"], "rle", empty=True) if record.get("rle") is not None else None
    if record.get("polygons") is not None:
        label = _label(record)
        return (Region(polygons=frame.polygons(record["polygons"], "polygons"), label=label),)
    if rle is not None and rle_area(rle) == 0:
        if boxes or quads:
            raise RecordError("empty-mask", "there are boxes, but rle has no pixel")
        return ()
    if not boxes and not quads:
        if rle is not None:
            return (Region(rle=rle, label=_label(record)),)
        return () if any(record.get(key) == [] for key in ("hbb", "obb")) else None
    return _join(boxes, quads, rle, _label(record))


def _join(boxes: list[HBB], quads: list[Quad], rle: RLE | None, label: str | None) -> tuple[Region, ...]:
    count = max(len(boxes), len(quads))
    masks: Sequence[RLE | None] = [rle] * count
    if rle is not None and count > 1:
        shared = _shared(boxes, quads, rle)
        if shared is None:
            return (Region(rle=rle, label=label),)
        masks = shared
    return tuple(
        Region(hbb=boxes[k] if boxes else None, quad=quads[k] if quads else None, rle=masks[k], label=label)
        for k in range(count)
    )


def _shared(boxes: list[HBB], quads: list[Quad], union: RLE) -> list[RLE] | None:
    """Each target's part of a mask that all share; None where the boxes do not cover it or one gets nothing."""
    mask = rle_to_mask(union)
    upright = boxes or [_hbb(quad_to_hbb(quad)) for quad in quads]
    for shapes in ([quads] if quads else []) + [[_quad(hbb_to_quad(box)) for box in upright]]:
        covered = np.zeros_like(mask)
        parts = [_inside(mask, shape, box, covered) for shape, box in zip(shapes, upright, strict=True)]
        if all(part is not None for part in parts) and not (mask & ~covered).any():
            return [part for part in parts if part is not None]
    return None


def _inside(mask: NDArray[np.bool_], shape: Quad, box: HBB, covered: NDArray[np.bool_]) -> RLE | None:
    """The pixels of ``mask`` in ``box`` whose centres lie in ``shape``, marked in ``covered``; None for none."""
    height, width = mask.shape
    left, top = max(int(box[0]), 0), max(int(box[1]), 0)
    right, bottom = min(math.ceil(box[2]), width), min(math.ceil(box[3]), height)
    if right <= left or bottom <= top:
        return None
    outline = polygons_to_mask([[(x - left, y - top) for x, y in shape]], (bottom - top, right - left))
    found = mask[top:bottom, left:right] & outline
    covered[top:bottom, left:right] |= found
    columns, rows = np.nonzero(found.T)
    return rle_at((columns + left) * height + rows + top, (height, width)) if len(rows) else None


def _hbb(box: NDArray[np.float64]) -> HBB:
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1, y1, x2, y2)


def _quad(corners: Any) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return (a, b, c, d)


def _rows(value: Any, count: int) -> list[Any]:
    """A column's entries; one entry that is not wrapped in a list counts as one."""
    if value is None:
        return []
    items = as_list(value, "a column")
    flat = len(items) == count and not any(isinstance(item, list) for item in items)
    return [items] if flat else items


def _label(record: Mapping[str, Any]) -> str | None:
    category = record.get("category")
    return category if isinstance(category, str) else None
