"""The map of one layer's shadows, filled and applied by kernels; the plain one is ``ShadowMap``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.compiled import shadows, stamps
from rsground.datasets.scenes.shadows import PAD, SHADOW_TINT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.datasets.scenes.canvas import Canvas
    from rsground.datasets.scenes.compiled.batches import Batch
    from rsground.datasets.scenes.frames import Window


class Shade:
    """The shadows of one layer on a ``size`` x ``size`` canvas."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.size = canvas.planes.shape[1]
        self.map: NDArray[np.uint8] | None = None
        look = canvas.look
        per_metre = look.shadow / canvas.gsd
        self._sun, self._per_metre = look.sun, per_metre

    def way(self, height: float) -> tuple[float, float]:
        """(x, y) pixels from what is ``height`` metres up to its shadow."""
        length = height * self._per_metre
        return -self._sun[0] * length, -self._sun[1] * length

    def cast(self, win: Window, field: NDArray[np.float32], height: float) -> None:
        """Throw the shadow of something ``height`` metres tall that stands where ``field[0]`` is at least one half."""
        dx, dy = self.way(height)
        far = max(abs(dx), abs(dy))
        if far < 0.5:
            return
        moves, done_x, done_y = [], 0, 0
        for doubling in range(max(0, math.ceil(math.log2(max(far, 1.0)))), -1, -1):
            goal_x, goal_y = round(dx / 2**doubling), round(dy / 2**doubling)
            if goal_x != done_x or goal_y != done_y:
                moves.append((goal_x - done_x, goal_y - done_y))
            done_x, done_y = goal_x, goal_y
        if moves:
            shadows.cast(field, win.x0, win.y0, np.array(moves), done_x, done_y, self._map())
        else:
            shadows.cast(field, win.x0, win.y0, np.zeros((0, 2), np.int64), 0, 0, self._map())

    def spread(self, batch: Batch, heights: list[float]) -> None:
        """Throw the shadows of small sprites."""
        ways = np.array([self.way(height) for height in heights])
        np.clip(ways, -PAD, PAD, out=ways)
        steps = math.ceil(max(ways.max(), -ways.min()))
        if steps >= 1:
            stamps.spread(batch.pixel, batch.alpha, batch.bounds, ways, steps, self._map())

    def _map(self) -> NDArray[np.uint8]:
        if self.map is None:
            self.map = np.zeros((self.size, self.size), np.uint8)
        return self.map

    def apply(self) -> None:
        """Darken what is painted so far."""
        if self.map is not None:
            share = np.array([-self.canvas.look.shade * tint for tint in SHADOW_TINT], np.float32)
            shadows.darken(self.canvas.planes, self.map, share)
