"""The data set ``scenes``: endless, exact and free, split by index so that nothing trained on is ever tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rsground.contracts import Dataset
from rsground.datasets.refer import AXES, KINDS, Expression, SceneGraph, describe, expressions
from rsground.datasets.refer.query import to_json
from rsground.datasets.scenes.change import ChangeScene
from rsground.datasets.scenes.layout import VERSION, scene_rng
from rsground.datasets.scenes.scene import Scene
from rsground.errors import LayoutError, ShapeError, UnknownNameError
from rsground.types import Region, Sample, Task

if TYPE_CHECKING:
    import numpy as np

SPLITS: dict[str, tuple[int, int]] = {"train": (0, 10_000), "val": (1 << 30, 500), "test": (1 << 31, 1_000)}
"""Split -> (index of its first scene, scenes in it unless ``count`` says otherwise)."""
MOST_SCENES = 1 << 30
"""Room between two splits' first indices: no count makes them overlap."""
GROUNDING = (Task.HBB, Task.OBB, Task.MASK)
DEFAULT_TASKS = ("hbb", "obb", "mask", "gcg", "change")
RARE_KINDS = ("group", "chain")
"""Kinds of expressions that one scene in thirty and one in three allows."""
_WORDS, _TELL = 5, 6

INSTRUCTIONS = (
    "Describe the image and ground every phrase.",
    "Give a detailed description of this aerial image with segmentation masks for what you mention.",
    "What can be seen here? Interleave the answer with masks.",
)


class ScenesDataset(Dataset):
    """Generated overhead scenes with exact masks, oriented and upright boxes; nothing is read, nothing is stored.

    Every scene gives its expressions once per grounding task, one grounded description, and questions about a before
    and after pair. Pixels are drawn only when an image is read.

    Args:
        root: not used, must be None.
        split: ``train``, ``val`` or ``test``; their scenes never coincide.
        seed: another seed is another world.
        size: side of the images in pixels, 64 to 8192.
        count: scenes; None for the split's usual number.
        tasks: what to ask, any of ``hbb``, ``obb``, ``mask``, ``gcg``, ``change``; one name or several.
        per_scene: most expressions about one scene.
        kinds: kinds of expressions, of :data:`rsground.datasets.refer.KINDS`; None for all.
        axes: keep only samples that exercise one of these difficulty axes; None for all.

    Raises:
        LayoutError: a root was given, or there is no such split.
        UnknownNameError: an unknown task, kind or axis.
        ShapeError: seed, size or count is out of range.
    """

    name = "scenes"

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "test",
        *,
        seed: int = 0,
        size: int = 256,
        count: int | None = None,
        tasks: str | Iterable[str] = DEFAULT_TASKS,
        per_scene: int = 4,
        kinds: str | Iterable[str] | None = None,
        axes: str | Iterable[str] | None = None,
    ) -> None:
        if root is not None:
            raise LayoutError("data set 'scenes' is generated and takes no root; leave it out", path=root)
        if split not in SPLITS:
            raise UnknownNameError("split of data set 'scenes'", split, SPLITS)
        super().__init__(root, split)
        self.first, usual = SPLITS[split]
        self.count = usual if count is None else count
        if not 0 <= self.count <= MOST_SCENES:
            raise ShapeError(f"data set 'scenes' holds 0 to {MOST_SCENES} scenes a split, got count={count}")
        if per_scene < 1:
            raise ShapeError(f"data set 'scenes' needs per_scene >= 1, got {per_scene}")
        self.seed, self.size, self.per_scene = seed, size, per_scene
        self.tasks = tuple(Task(name) for name in _known("task", tasks, DEFAULT_TASKS))
        self.kinds = None if kinds is None else _known("kind of expression", kinds, KINDS)
        self.axes = None if axes is None else frozenset(_known("difficulty axis", axes, AXES))
        Scene(seed, self.first, size)  # checks seed and size now, not at the first sample

    def __iter__(self) -> Iterator[Sample]:
        """All samples, scene by scene."""
        for place in range(self.count):
            for sample in self.about(self.first + place):
                if self.axes is None or self.axes & set(sample.meta["axes"]):
                    yield sample

    def about(self, index: int) -> Iterator[Sample]:
        """The samples of one scene, not filtered by axis."""
        scene = Scene(self.seed, index, self.size)
        grounding = [task for task in self.tasks if task in GROUNDING]
        if grounding:
            yield from self._expressions(scene, grounding)
        if Task.GCG in self.tasks:
            yield from self._description(scene)
        if Task.CHANGE in self.tasks:
            yield from self._changes(index)

    def _expressions(self, scene: Scene, tasks: list[Task]) -> Iterator[Sample]:
        graph, image = scene.graph, scene.image(self.split)
        rng = scene_rng(self.seed, scene.index, _WORDS)
        for number, expression in enumerate(self._worded(graph, rng)):
            targets = regions_by_id(graph, expression.target_ids)
            meta = {
                **self._facts(scene),
                "axes": list(expression.axes),
                "category": expression.category,
                "is_unique": len(targets) == 1,
                "kind": expression.kind,
                "query": to_json(expression.query),
            }
            for task in tasks:
                ident = f"{image.uri}#{number}/{task.value}"
                yield Sample(ident, (image,), expression.text, task, targets, meta=meta)

    def _worded(self, graph: SceneGraph, rng: np.random.Generator) -> list[Expression]:
        """Expressions about a scene; one of a kind that few scenes allow comes first, or it would hardly ever come."""
        rare = [kind for kind in RARE_KINDS if self.kinds is None or kind in self.kinds]
        found = expressions(graph, rng, kinds=rare, limit=1) if rare else []
        known = {expression.text for expression in found}
        more = expressions(graph, rng, kinds=self.kinds, limit=self.per_scene)
        return [*found, *(expression for expression in more if expression.text not in known)][: self.per_scene]

    def _description(self, scene: Scene) -> Iterator[Sample]:
        """A grounded description, where there is anything to ground."""
        rng = scene_rng(self.seed, scene.index, _TELL)
        instruction = INSTRUCTIONS[int(rng.integers(len(INSTRUCTIONS)))]
        told = describe(scene.graph, rng)
        if not told.phrases:
            return
        targets = tuple(
            replace(region, span=phrase.span)
            for phrase in told.phrases
            for region in regions_by_id(scene.graph, phrase.target_ids)
        )
        meta = {**self._facts(scene), "axes": ["plural"] if any(len(p.target_ids) > 1 for p in told.phrases) else []}
        image = scene.image(self.split)
        yield Sample(f"{image.uri}#gcg", (image,), instruction, Task.GCG, targets, told.text, meta)

    def _changes(self, index: int) -> Iterator[Sample]:
        pair = ChangeScene(self.seed, index, self.size)
        images = pair.images(self.split)
        for number, question in enumerate(pair.questions()):
            axes = _change_axes(question.category, len(question.regions))
            meta = {**self._facts(pair.scene), "axes": axes, "category": question.category, "kind": question.kind}
            ident = f"{images[1].uri}#{number}"
            yield Sample(ident, images, question.text, Task.CHANGE, question.regions, meta=meta)

    def _facts(self, scene: Scene) -> dict[str, object]:
        return {"gsd": scene.plan.gsd, "archetype": scene.plan.archetype}

    def size_hint(self) -> int | None:
        """About how many samples there are; None where an axis filter leaves too few to guess."""
        if self.axes is not None:
            return None
        grounding = sum(task in GROUNDING for task in self.tasks)
        each = grounding * self.per_scene + (Task.GCG in self.tasks) + 3 * (Task.CHANGE in self.tasks)
        return self.count * each

    def fingerprint(self) -> str:
        """Content key: the options, the generator's version, and what it makes of the first scenes."""
        digest = hashlib.blake2b(digest_size=16)
        options = (self.name, VERSION, self.split, self.seed, self.size, self.count, self.per_scene, self.tasks)
        digest.update(repr((*options, self.kinds, self.axes and sorted(self.axes))).encode())
        for sample in islice(self, 16):
            digest.update(f"{sample.id}\0{sample.expression}\0{sample.answer}\0".encode())
            for region in sample.targets or ():
                digest.update(region.rle.counts if region.rle is not None else b"")
        return digest.hexdigest()


def _known(what: str, names: str | Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple, all of them known."""
    given = (names,) if isinstance(names, str) else tuple(names)
    for name in given:
        if name not in known:
            raise UnknownNameError(what, name, known)
    return given


def _change_axes(category: str | None, count: int) -> list[str]:
    axes = [] if category is None else ["category"]
    if count == 0:
        return [*axes, "absent-target"]
    return [*axes, "plural"] if count > 1 else axes


def regions_by_id(graph: SceneGraph, ids: Iterable[int]) -> tuple[Region, ...]:
    """The regions of the objects and places with these ids."""
    return tuple(item.region for item in graph.by_id(ids))
