"""Before and after: one place drawn twice, with objects added, removed or moved, under different light and season.

What changed is known exactly: both pictures are drawn from one list of things, some hidden before and others after, so
a pixel has changed if and only if it shows another thing. Light, haze, season and noise differ too and are no change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rsground.datasets.refer.lexicon import plural
from rsground.datasets.scenes.graph import regions_of
from rsground.datasets.scenes.layout import make_look, scene_rng
from rsground.datasets.scenes.plan import Plan, Thing
from rsground.datasets.scenes.render import draw, expose
from rsground.datasets.scenes.runs import label_runs
from rsground.datasets.scenes.scene import Scene
from rsground.datasets.scenes.sprites import Sprite
from rsground.types import ImageRef, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHANGE, _LATER = 3, 4
UNCHANGED_SHARE = 0.15
MOST_CHANGES = 8
MIN_PIXELS = 30
"""Objects with fewer visible pixels are left as they are."""


class Question(NamedTuple):
    """One question about a pair.

    Attributes:
        text: what is asked.
        kind: ``"all"``, ``"added"`` or ``"removed"``.
        category: of the objects asked for, None for all.
        regions: the answer.
    """

    text: str
    kind: str
    category: str | None
    regions: tuple[Region, ...]


class ChangeScene:
    """A pair of pictures of one scene.

    Args:
        seed, index, size: as for :class:`rsground.datasets.scenes.scene.Scene`.
    """

    def __init__(self, seed: int, index: int, size: int = 256) -> None:
        self.scene = Scene(seed, index, size)

    @cached_property
    def plans(self) -> tuple[Plan, Plan]:
        """What is seen before and after; both share one list of things."""
        scene = self.scene
        rng = scene_rng(scene.seed, scene.index, _CHANGE, scene.size)
        plan, added, removed = _draw_changes(scene, rng)
        light = make_look(scene_rng(scene.seed, scene.index, _LATER))
        later = replace(light, offset=plan.look.offset)  # the same ground, the same trees
        return replace(plan, hidden=added), replace(plan, hidden=removed, look=later)

    @cached_property
    def labels(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Label maps ``(H, W)`` before and after; equal numbers are the same thing."""
        before, after = self.plans
        return draw(before, pixels=False).labels, draw(after, pixels=False).labels

    @property
    def mask(self) -> NDArray[np.bool_]:
        """``(H, W)`` bool: where another thing is seen."""
        before, after = self.labels
        changed: NDArray[np.bool_] = before != after
        return changed

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Every changed object as far as it is seen, ``attributes["change"]`` is ``"added"`` or ``"removed"``."""
        before, after = self.plans
        gone = _seen(before, self.labels[0], after.hidden, "removed")
        return (*_seen(after, self.labels[1], before.hidden, "added"), *gone)

    def render(self, moment: int) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB of the picture before (0) or after (1)."""
        drawing = draw(self.plans[moment], pixels=True)
        assert drawing.planes is not None
        return expose(drawing.planes, self.plans[moment].look)

    def images(self, split: str = "val") -> tuple[ImageRef, ImageRef]:
        """Both pictures, drawn when they are read."""
        scene = self.scene
        before, after = (
            ImageRef(
                f"scenes:{split}/{scene.seed}/{scene.size}/{scene.index}/{name}",
                scene.size,
                scene.size,
                partial(render_moment, scene.seed, scene.index, scene.size, moment),
            )
            for moment, name in enumerate(("before", "after"))
        )
        return before, after

    def questions(self) -> list[Question]:
        """What changed at all; what appeared and what disappeared, per category; one about nothing."""
        found = [Question("What has changed between the two images?", "all", None, self.regions)]
        for kind, verb in (("added", "appeared in"), ("removed", "disappeared by")):
            chosen = [region for region in self.regions if region.attributes["change"] == kind]
            for category in sorted({region.label or "" for region in chosen}):
                regions = tuple(region for region in chosen if region.label == category)
                found.append(Question(_ask(category, len(regions), verb), kind, category, regions))
        found.append(self._about_nothing())
        return found

    def _about_nothing(self) -> Question:
        """Asks for a change of something that is there and stayed as it was."""
        changed = {region.label for region in self.regions}
        present = Counter(item.category for item in self.scene.graph.objects)
        idle = sorted(category for category in present if category not in changed) or ["roundabout"]
        return Question(_ask(idle[self.scene.index % len(idle)], 2, "appeared in"), "added", idle[0], ())


def _ask(category: str, count: int, verb: str) -> str:
    noun = category if count == 1 else plural(category)
    return f"The {noun} that {verb} the second image"


def _draw_changes(scene: Scene, rng: np.random.Generator) -> tuple[Plan, frozenset[int], frozenset[int]]:
    """The common plan, and the things that are only in the second and only in the first picture."""
    plan = scene.plan
    able = [
        item
        for item in scene.graph.objects
        if item.certain and item.area >= MIN_PIXELS and not plan.things[item.id].steady
    ]
    if not able or rng.random() < UNCHANGED_SHARE:
        return plan, frozenset(), frozenset()
    if rng.random() < 0.5:
        kind = able[int(rng.integers(len(able)))].category
        able = [item for item in able if item.category == kind]
    count = int(rng.integers(1, min(MOST_CHANGES, len(able)) + 1))
    chosen = [able[i].id for i in rng.permutation(len(able))[:count]]
    cut = int(rng.integers(0, count + 1))
    added, removed = chosen[:cut], chosen[cut:]
    things = list(plan.things)
    for new, old in zip(added, removed, strict=False):
        if things[new].category == things[old].category and rng.random() < 0.5:
            things[new] = moved(things[new], things[old], plan.size)
    return replace(plan, things=tuple(things)), frozenset(added), frozenset(removed)


def moved(there: Thing, what: Thing, size: int) -> Thing:
    """``what`` at the place and heading of ``there``; ``there`` itself where they are no sprites."""
    if not isinstance(there.shape, Sprite) or not isinstance(what.shape, Sprite):
        return there
    shape = replace(what.shape, frame=there.shape.frame)
    win = shape.window(size)
    if win is None:
        return there
    attributes = {**there.attributes}
    if "colour" in what.attributes:
        attributes["colour"] = what.attributes["colour"]
    return there._replace(shape=shape, win=win, paint=what.paint, height=what.height, attributes=attributes)


def _seen(plan: Plan, labels: NDArray[np.int32], numbers: Sequence[int] | frozenset[int], change: str) -> list[Region]:
    """The visible regions of some things in one picture."""
    keep = np.zeros(len(plan.things) + 1, bool)
    keep[list(numbers)] = True
    runs = label_runs(labels, keep)
    return [replace(region, attributes={**region.attributes, "change": change}) for region in regions_of(plan, runs)]


def render_moment(seed: int, index: int, size: int, moment: int) -> NDArray[np.uint8]:
    """``(size, size, 3)`` uint8 RGB of one picture of a pair; what image references call."""
    return ChangeScene(seed, index, size).render(moment)
