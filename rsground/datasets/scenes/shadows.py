"""Shadows: everything of one layer throws its shadow before any of it is painted, so shadows merge and never add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.frames import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.datasets.scenes.canvas import Canvas

SHADOW_TINT = (1.0, 0.94, 0.82)
"""Share of the shade that each band feels: skylight keeps shadows blue."""


PAD = 64
"""Pixels of shadow map around the image, so that shadows of small things need no clipping."""


def sweep(solid: NDArray[np.bool_], dx: float, dy: float) -> tuple[NDArray[np.bool_], int, int]:
    """The union of ``solid`` moved along the way from (0, 0) to (dx, dy) pixels.

    Made by doubling: what covers the first half of a way, and the same moved by that half, cover all of it.

    Returns:
        The swept mask, and the (x, y) of its corner relative to that of ``solid``.
    """
    doublings = max(0, math.ceil(math.log2(max(abs(dx), abs(dy), 1.0))))
    done_x = done_y = 0
    for doubling in range(doublings, -1, -1):
        goal_x, goal_y = round(dx / 2**doubling), round(dy / 2**doubling)
        solid = _doubled(solid, goal_x - done_x, goal_y - done_y)
        done_x, done_y = goal_x, goal_y
    return solid, min(0, done_x), min(0, done_y)


def _doubled(solid: NDArray[np.bool_], x: int, y: int) -> NDArray[np.bool_]:
    """The union of ``solid`` and itself moved by (x, y), in a larger array."""
    if x == 0 and y == 0:
        return solid
    rows, columns = solid.shape
    union = np.zeros((rows + abs(y), columns + abs(x)), bool)
    first_x, first_y = max(0, -x), max(0, -y)
    union[first_y : first_y + rows, first_x : first_x + columns] = solid
    moved = union[first_y + y :, first_x + x :][:rows, :columns]
    np.logical_or(moved, solid, out=moved)
    return union


class ShadowMap:
    """The shadows of one layer on a ``size`` x ``size`` canvas."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.size = canvas.planes.shape[1]
        self._shade: NDArray[np.bool_] | None = None
        self._reach = [self.size, self.size, 0, 0]

    def way(self, height: float) -> tuple[float, float]:
        """(x, y) pixels from what is ``height`` metres up to its shadow."""
        look = self.canvas.look
        length = height * (look.shadow / self.canvas.gsd)
        return -look.sun[0] * length, -look.sun[1] * length

    def cast(self, win: Window, solid: NDArray[np.bool_], height: float) -> None:
        """Throw the shadow of something ``height`` metres tall that stands on ``solid`` of a window."""
        dx, dy = self.way(height)
        if max(abs(dx), abs(dy)) < 0.5:
            return
        shade, at_x, at_y = sweep(solid, dx, dy)
        x0, y0 = win.x0 + at_x, win.y0 + at_y
        cut_x, cut_y = max(0, -x0), max(0, -y0)
        shade = shade[cut_y : self.size - y0, cut_x : self.size - x0]
        if not shade.size:
            return
        x0, y0 = x0 + cut_x, y0 + cut_y
        x1, y1 = x0 + shade.shape[1], y0 + shade.shape[0]
        view = self._map()[PAD + y0 : PAD + y1, PAD + x0 : PAD + x1]
        np.logical_or(view, shade, out=view)
        self._extend(x0, y0, x1, y1)

    def spread(self, pixel: NDArray[np.int64], owner: NDArray[np.int64], heights: Sequence[float]) -> None:
        """Shade from every pixel (flat index) along the way of its owner's height."""
        ways = np.array([self.way(height) for height in heights])
        np.clip(ways, -PAD, PAD, out=ways)
        steps = int(np.ceil(np.abs(ways).max(initial=0)))
        if not len(pixel) or steps < 1:
            return
        y, x = np.divmod(pixel, self.size)
        stride = self.size + 2 * PAD
        base = (y + PAD) * stride + (x + PAD)
        flat = self._map().reshape(-1)
        for step in range(1, steps + 1):
            moves = np.rint(ways * (step / steps)).astype(np.int64)
            flat[base + (moves[:, 1] * stride + moves[:, 0]).take(owner)] = True
        (low_x, low_y), (high_x, high_y) = ways.min(axis=0).tolist(), ways.max(axis=0).tolist()
        first_x, first_y = int(x.min() + min(low_x, 0)) - 1, int(y.min() + min(low_y, 0)) - 1
        self._extend(first_x, first_y, int(x.max() + max(high_x, 0)) + 2, int(y.max() + max(high_y, 0)) + 2)

    def _map(self) -> NDArray[np.bool_]:
        if self._shade is None:
            self._shade = np.zeros((self.size + 2 * PAD, self.size + 2 * PAD), bool)
        return self._shade

    def _extend(self, x0: int, y0: int, x1: int, y1: int) -> None:
        low_x, low_y, high_x, high_y = self._reach
        self._reach = [min(low_x, x0), min(low_y, y0), max(high_x, x1), max(high_y, y1)]

    def apply(self) -> None:
        """Darken what is painted so far."""
        if self._shade is None:
            return
        x0, y0 = max(self._reach[0], 0), max(self._reach[1], 0)
        x1, y1 = min(self._reach[2], self.size), min(self._reach[3], self.size)
        if x0 >= x1 or y0 >= y1:
            return
        shade, view = self._shade[PAD + y0 : PAD + y1, PAD + x0 : PAD + x1], self.canvas.planes[:, y0:y1, x0:x1]
        dark = shade.astype(np.float32)
        light = np.empty_like(dark)
        for band in range(3):
            np.multiply(dark, np.float32(-self.canvas.look.shade * SHADOW_TINT[band]), out=light)
            light += 1
            view[band] *= light
