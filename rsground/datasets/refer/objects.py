"""What the expression engine knows about an instance: drawn or annotated, the record is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        complete: categories whose every instance in the image is listed, present or not. Expressions are made of
            these only: who cannot rule out an unlisted ship cannot say which ship is leftmost, or that there is none.
        gsd: metres per pixel, None where unknown.
        facts: scene-level facts. ``"places"`` → sequence of :class:`SceneObject` that only reasoning expressions name
            (``category="open ground"``: where a helicopter could land); their ids are unique among the objects' too,
            and their category stands in ``complete`` when all such places are listed.
    """

    height: int
    width: int
    objects: tuple[SceneObject, ...]
    complete: frozenset[str]
    gsd: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def places(self) -> tuple[SceneObject, ...]:
        """What only reasoning expressions name."""
        return tuple(self.facts.get("places", ()))

    def by_id(self, ids: Iterable[int]) -> tuple[SceneObject, ...]:
        """The objects and places with these ids, in the order of ``ids``.

        Raises:
            KeyError: no object or place has such an id.
        """
        known = {item.id: item for item in (*self.objects, *self.places)}
        return tuple(known[i] for i in ids)
