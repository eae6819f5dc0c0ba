"""Scenes drawn once and kept on disk, because a training run sees each of them many times."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.datasets.refer import expressions
from rsground.datasets.refer.engine import Expression
from rsground.datasets.scenes import Scene
from rsground.datasets.scenes.layout import VERSION, scene_rng
from rsground.models.training.objects import Objects, objects_of, stack_objects
from rsground.models.training.steps import Steps, steps_of
from rsground.types import RLE, ImageRef, Sample, Task, View

EXPRESSIONS = 24
"""Most expressions about one scene."""
_CHUNK = 64
_STREAM = 7
_FORM = 4
"""Of what is kept on disk."""


@dataclass(frozen=True, slots=True)
class SceneCache:
    """Pixels and objects of consecutive scenes.

    Attributes:
        images: ``(N, S, S, 3)`` uint8 RGB, mapped from disk.
        objects: what stands in each of them.
        expressions: per scene, (text, numbers of the objects meant) each.
        steps: per scene and expression, see :mod:`rsground.models.training.steps`.
        masks: per scene and object, COCO run-length counts.
        first: index of the first scene.
        seed: of the collection.
    """

    images: NDArray[np.uint8]
    objects: list[Objects]
    expressions: list[list[tuple[str, tuple[int, ...]]]]
    steps: list[list[Steps]]
    masks: list[list[bytes]]
    first: int
    seed: int

    def __len__(self) -> int:
        return len(self.objects)

    def view(self, at: int) -> View:
        """One scene as a model sees it."""
        image = self.images[at]
        return View((image,), (image.shape[0], image.shape[1]), meta={"uri": f"training/{at}"})

    def samples(self, at: int, task: Task) -> list[Sample]:
        """The expressions about one scene as samples of a task, their targets in every form."""
        size = self.images.shape[1:3]
        image = ImageRef(f"scenes:train/{self.seed}/{size[0]}/{self.first + at}", *size)
        regions = [
            self.objects[at].region(number, RLE((size[0], size[1]), mask)) for number, mask in enumerate(self.masks[at])
        ]
        return [
            Sample(f"{image.uri}#{number}", (image,), text, task, tuple(regions[each] for each in meant))
            for number, (text, meant) in enumerate(self.expressions[at])
        ]


def scene_cache(
    folder: Path, count: int, first: int = 0, seed: int = 0, size: int = 256, workers: int = 2
) -> SceneCache:
    """The scenes ``first`` to ``first + count``, drawn unless the folder holds them already.

    Args:
        folder: where they are kept; a folder of other scenes is drawn anew.
        count, first, seed, size: which scenes.
        workers: processes that draw.
    """
    wanted = {"version": VERSION, "count": count, "first": first, "seed": seed, "size": size, "each": EXPRESSIONS}
    wanted["form"] = _FORM
    stamp = folder / "scenes.json"
    if not stamp.is_file() or json.loads(stamp.read_text()) != wanted:
        _draw(folder, wanted, workers)
        stamp.write_text(json.dumps(wanted))
    images = np.load(folder / "images.npy", mmap_mode="r")
    words = folder / "expressions.json"
    with np.load(folder / "objects.npz") as held:
        objects = Objects.unstack({name: held[name] for name in held.files})
        told = json.loads(words.read_text())
    expressions = [[(text, tuple(meant)) for text, meant, _ in each] for each in told]
    steps = [[tuple((tuple(among), tuple(meant)) for among, meant in some) for _, _, some in each] for each in told]
    return SceneCache(images, objects, expressions, steps, _masks(folder, objects), first, seed)


def _draw(folder: Path, wanted: dict[str, Any], workers: int) -> None:
    from rich.progress import track

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenes.json").unlink(missing_ok=True)
    count, size = wanted["count"], wanted["size"]
    make: Any = np.lib.format.open_memmap  # typed by some releases of numpy only
    images = make(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(count, size, size, 3))
    starts = range(0, count, _CHUNK)
    jobs = [(wanted["seed"], wanted["first"] + start, min(_CHUNK, count - start), size) for start in starts]
    found: list[Objects] = []
    texts: list[Any] = []
    masks: list[bytes] = []
    with ProcessPoolExecutor(max_workers=min(workers, os.cpu_count() or 1)) as pool:
        drawn = pool.map(_some, jobs)
        for start, (pixels, scenes) in zip(track(starts, "drawing scenes"), drawn, strict=True):
            images[start : start + len(pixels)] = pixels
            for objects, counts, expressions in scenes:
                found.append(objects)
                masks += counts
                texts.append(expressions)
    images.flush()
    arrays: dict[str, Any] = {**stack_objects(found)}
    np.savez(folder / "objects.npz", **arrays)
    lengths = np.array([len(each) for each in masks])
    np.savez(folder / "masks.npz", counts=np.frombuffer(b"".join(masks), dtype=np.uint8), lengths=lengths)
    (folder / "expressions.json").write_text(json.dumps(texts))


_Drawn = tuple[Objects, list[bytes], list[tuple[str, list[int], list[list[list[int]]]]]]


def _some(job: tuple[int, int, int, int]) -> tuple[NDArray[np.uint8], list[_Drawn]]:
    seed, first, count, size = job
    scenes = [Scene(seed, index, size) for index in range(first, first + count)]
    return np.stack([scene.render() for scene in scenes]), [_told(scene) for scene in scenes]


def asked(scene: Scene) -> list[Expression]:
    """The expressions about a scene, as a cache of it holds them."""
    return expressions(scene.graph, scene_rng(scene.seed, scene.index, _STREAM), limit=EXPRESSIONS)


def _told(scene: Scene) -> _Drawn:
    graph = scene.graph
    things = (*graph.objects, *graph.places)
    numbers = {thing.id: number for number, thing in enumerate(things)}
    masks = [thing.region.rle.counts if thing.region.rle is not None else b"" for thing in things]
    texts = []
    for each in asked(scene):
        steps = [[[numbers[ident] for ident in ids] for ids in step] for step in steps_of(each, graph)]
        texts.append((each.text, [numbers[ident] for ident in each.target_ids], steps))
    return objects_of(graph), masks, texts


def _masks(folder: Path, objects: list[Objects]) -> list[list[bytes]]:
    with np.load(folder / "masks.npz") as held:
        counts, ends = held["counts"].tobytes(), np.cumsum(held["lengths"]).tolist()
    each = iter([counts[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)])
    return [[next(each) for _ in range(len(some))] for some in objects]
