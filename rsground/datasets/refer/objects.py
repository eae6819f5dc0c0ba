"""What the expression engine knows about an instance: drawn or annotated, the record is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rsground.types import HBB, Quad, Region


@dataclass(frozen=True, slots=True, eq=False)
class SceneObject:
    """One instance in an image.

    Attributes:
        id: unique in the image.
        category: singular noun as a person would say it (``"storage tank"``).
        hbb: visible extent (x1, y1, x2, y2) in pixels, half-open.
        quad: oriented box, four corners clockwise, None where only upright boxes are known.
        area: visible pixels (mask area where there is a mask, box area otherwise).
        region: the full region with every form that is known; what a sample's target will be.
        attributes: ``"colour"`` → word, ``"heading"`` → degrees clockwise from north (up) of a directed object,
            ``"group"`` → id of a row or cluster it stands in, ``"on"`` → id or name of what it stands on ...; only
            facts a person could see.
        certain: false for an instance that exists but must not be referred to alone (truncated, difficult, hidden);
            it still counts as a distractor.
    """

    id: int
    category: str
    hbb: HBB
    area: float
    region: Region
    quad: Quad | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    certain: bool = True

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) centre of the horizontal box."""
        x1, y1, x2, y2 = self.hbb
        return ((x1 + x2) / 2, (y1 + y2) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class SceneGraph:
    """All instances of an image, and how complete the list is.

    Attributes:
        height, width: of the image, pixels.
        objects: every annotated or drawn instance.
        complete: categories whose every instance in the image is listed; absent-target and counting expressions are
            made of these only.
        gsd: metres per pixel, None where unknown.
        facts: scene-level facts for reasoning expressions (``"open_ground"`` → list of Regions ...).
    """

    height: int
    width: int
    objects: tuple[SceneObject, ...]
    complete: frozenset[str]
    gsd: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
