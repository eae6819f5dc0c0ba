"""Scenes drawn once and kept as two flat arrays, so that training never waits for drawing.

A cache is a folder: ``images.npy`` ``(N, S, S, 3)`` uint8, ``labels.npy`` ``(N, S, S)`` uint16 (0 is background, k the
k-th object of the scene), ``done.npy`` ``(N,)`` bool and ``cache.json``, which says what was drawn. Drawing may stop at
any time and goes on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rsground.datasets.scenes import Scene
from rsground.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Pictures(Protocol):
    """What is trained on: square images and what stands in them.

    Attributes:
        images: ``(N, S, S, 3)`` uint8.
        labels: ``(N, S, S)`` uint16, 0 is background, k the k-th object of the image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint16]

    @property
    def size(self) -> int:
        """S, in pixels."""
        ...

    def ready(self) -> NDArray[np.int64]:
        """Positions of the images that are there."""
        ...


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What a cache holds.

    Attributes:
        seed: of the scenes.
        first: index of the first scene.
        count: scenes.
        size: side of a scene in pixels.
    """

    seed: int = 0
    first: int = 0
    count: int = 10_000
    size: int = 256


class SceneCache:
    """The scenes of one :class:`CacheKey` in one folder.

    Args:
        folder: made when absent.
        key: what to hold.

    Raises:
        DataError: the folder holds other scenes.
    """

    def __init__(self, folder: Path, key: CacheKey) -> None:
        self.folder, self.key = folder, key
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "cache.json"
        if note.exists() and json.loads(note.read_text()) != asdict(key):
            raise DataError(f"holds other scenes than {asdict(key)}: give another folder, or remove it", path=note)
        note.write_text(json.dumps(asdict(key)) + "\n")
        shape = (key.count, key.size, key.size)
        self.images: NDArray[np.uint8] = self._open("images", (*shape, 3), np.uint8)
        self.labels: NDArray[np.uint16] = self._open("labels", shape, np.uint16)
        self.done: NDArray[np.bool_] = self._open("done", (key.count,), np.bool_)

    def draw(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Draw what is not drawn yet; ``progress(drawn, of)`` is called after each scene."""
        for position in np.flatnonzero(~self.done).tolist():
            scene = Scene(self.key.seed, self.key.first + position, self.key.size)
            self.images[position] = scene.render()
            renumber = np.zeros(int(scene.labels.max()) + 1, np.uint16)
            renumber[[thing.id for thing in scene.graph.objects]] = np.arange(1, len(scene.graph.objects) + 1)
            self.labels[position] = renumber[scene.labels]
            self.done[position] = True
            if progress is not None:
                progress(int(position) + 1, self.key.count)

    @property
    def size(self) -> int:
        """Side of a scene, pixels."""
        return self.key.size

    def ready(self) -> NDArray[np.int64]:
        """Positions of the scenes that are drawn."""
        return np.flatnonzero(self.done).astype(np.int64)

    def _open(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """The array of that name, mapped for reading and writing, made of zeros when absent."""
        path = self.folder / f"{name}.npy"
        open_array: Callable[..., Any] = np.lib.format.open_memmap
        return open_array(path, mode="r+") if path.exists() else open_array(path, "w+", dtype, shape)
