"""Which groups a sample belongs to, so that scores can be read group by group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from rsground.geometry import quad_to_obb
from rsground.metrics.forms import UNUSABLE
from rsground.regions import area_of
from rsground.types import Region, Sample

Groups = dict[str, tuple[str, ...]]
"""Breakdown → the groups of it that a sample is in."""

SMALL_SIDE, MEDIUM_SIDE = 32, 96
"""COCO's borders: small < 32^2 <= medium < 96^2 <= large, in pixels of mask area."""
_SHARES = ((0.001, "< 0.1 %"), (0.01, "0.1-1 %"), (0.1, "1-10 %"), (math.inf, ">= 10 %"))
_TILTS = ((5.0, "0-5 deg"), (15.0, "5-15 deg"), (30.0, "15-30 deg"), (math.inf, "30-45 deg"))
_COUNTS = ((0, "0"), (1, "1"), (4, "2-4"), (math.inf, "5+"))


def by_size(sample: Sample) -> tuple[str, ...]:
    """Mean area of the targets: ``small``, ``medium``, ``large`` with COCO's borders."""
    area = _mean_area(sample)
    if area is None:
        return ()
    return ("small" if area < SMALL_SIDE**2 else "medium" if area < MEDIUM_SIDE**2 else "large",)


def by_relative_size(sample: Sample) -> tuple[str, ...]:
    """Mean area of the targets as a share of the image."""
    area = _mean_area(sample)
    if area is None:
        return ()
    share = area / max(1, sample.size[0] * sample.size[1])
    return (next(name for bound, name in _SHARES if share < bound),)


def by_category(sample: Sample) -> tuple[str, ...]:
    """``meta["category"]``, else the labels of the targets."""
    named = sample.meta.get("category")
    if named:
        return (str(named),)
    return tuple(sorted({target.label for target in sample.targets or () if target.label}))


def by_angle(sample: Sample) -> tuple[str, ...]:
    """How far the annotated oriented boxes lean off the image's axes, 0 to 45 degrees; of the first target."""
    quads = [target.quad for target in sample.targets or () if target.quad is not None]
    if not quads:
        return ()
    theta = math.degrees(float(quad_to_obb(np.asarray(quads[0], np.float64), convention="le90")[4])) % 90.0
    tilt = min(theta, 90.0 - theta)
    return () if math.isnan(tilt) else (next(name for bound, name in _TILTS if tilt < bound),)


def by_targets(sample: Sample) -> tuple[str, ...]:
    """Number of targets: ``0``, ``1``, ``2-4``, ``5+``."""
    if sample.targets is None:
        return ()
    return (next(name for bound, name in _COUNTS if len(sample.targets or ()) <= bound),)


def by_uniqueness(sample: Sample) -> tuple[str, ...]:
    """``unique`` or ``non-unique``, by ``meta["is_unique"]``."""
    known = sample.meta.get("is_unique")
    return () if known is None else ("unique" if known else "non-unique",)


def by_empty(sample: Sample) -> tuple[str, ...]:
    """``absent`` (no target) or ``present``."""
    return () if sample.targets is None else ("present" if sample.targets else "absent",)


def by_axes(sample: Sample) -> tuple[str, ...]:
    """The difficulty axes the sample exercises, ``meta["axes"]``; a sample may be in several."""
    axes = sample.meta.get("axes") or ()
    return (axes,) if isinstance(axes, str) else tuple(str(axis) for axis in axes)


BREAKDOWNS: Mapping[str, Callable[[Sample], tuple[str, ...]]] = {
    "size": by_size,
    "relative-size": by_relative_size,
    "category": by_category,
    "angle": by_angle,
    "targets": by_targets,
    "uniqueness": by_uniqueness,
    "empty": by_empty,
    "axes": by_axes,
}
"""Breakdown → function that tells a sample's groups."""

ORDER: tuple[str, ...] = (
    *("small", "medium", "large"),
    *(name for table in (_SHARES, _TILTS, _COUNTS) for _, name in table),
    *("unique", "non-unique", "present", "absent"),
)
"""Groups that have an order, in it; others are listed by name."""


def group_keys(sample: Sample) -> Groups:
    """All groups of a sample, breakdowns that do not apply left out; JSON-able."""
    found = {name: groups(sample) for name, groups in BREAKDOWNS.items()}
    return {name: groups for name, groups in found.items() if groups}


def sorted_groups(groups: set[str]) -> list[str]:
    """Groups in their natural order, the unordered ones by name after them."""
    return sorted(groups, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def _mean_area(sample: Sample) -> float | None:
    areas = [_area(target) for target in sample.targets or () if target.is_located]
    return float(np.mean(areas)) if areas else None


def _area(region: Region) -> float:
    try:
        return area_of(region)
    except UNUSABLE:
        return 0.0
