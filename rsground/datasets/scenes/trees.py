"""Trees: the canopy bank laid over a scene, a whole crown wherever its centre's ground lets it grow."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import CANOPY_PITCHES, canopy, crop
from rsground.datasets.scenes.canvas import Canvas
from rsground.datasets.scenes.frames import Window
from rsground.datasets.scenes.plan import Plan
from rsground.datasets.scenes.shadows import ShadowMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

TREE_RGB = (70.0, 88.0, 50.0)
TREE_HEIGHT = 4.2
"""Metres; shadows start half way up a crown."""
TREE_SPACING = 7.5
"""Metres between crown centres in closed forest."""
MARGIN = 40
"""Pixels of repeated border, wider than any crown."""


def plant(plan: Plan, roots: NDArray[np.int32], labels: NDArray[np.int32], canvas: Canvas | None) -> None:
    """Let trees grow on what ``roots`` says: marks them in ``labels`` as ``len(plan.things)`` and paints them.

    A crown of the bank stands where its rank is below the tree density of the ground under its centre, so crowns are
    whole, overhang roads and cars, and are the same whether pixels are drawn or not.
    """
    win = canopy_window(plan)
    if win is None:
        return
    pitch = nearest_pitch(plan.gsd)
    ground = _framed(np.array([thing.trees for thing in plan.things], np.float32).take(roots))
    height, width = win.shape
    at = (plan.look.offset[0] + win.x0, plan.look.offset[1] + win.y0, width, height)
    stride = ground.shape[1]
    rows = np.arange(win.y0 + MARGIN, win.y1 + MARGIN, dtype=np.int32)[:, None] * stride
    place = rows + np.arange(win.x0 + MARGIN, win.x1 + MARGIN, dtype=np.int32)
    place += crop(_centre_offsets(pitch, stride), *at)
    bank = canopy(pitch)
    stands = ground.reshape(-1).take(place) > crop(bank.rank, *at)
    stands &= crop(bank.crown, *at)
    np.copyto(labels[win.at], np.int32(len(plan.things)), where=stands)
    if canvas is not None:
        _paint(canvas, win, stands, pitch, at)


def canopy_window(plan: Plan) -> Window | None:
    """What crowns can reach; None where nothing grows."""
    windows = [thing.win for thing in plan.things if thing.trees > 0]
    if not windows:
        return None
    reach = math.ceil(TREE_SPACING / plan.gsd)
    return Window(
        max(0, min(win.x0 for win in windows) - reach),
        max(0, min(win.y0 for win in windows) - reach),
        min(plan.size, max(win.x1 for win in windows) + reach),
        min(plan.size, max(win.y1 for win in windows) + reach),
    )


def nearest_pitch(gsd: float) -> int:
    """The canopy bank whose crowns are nearest to natural size."""
    return min(CANOPY_PITCHES, key=lambda pitch: abs(math.log2(pitch * gsd / TREE_SPACING)))


def _framed(density: F32) -> F32:
    """The map with its border repeated :data:`MARGIN` times on every side."""
    size = density.shape[0]
    framed = np.empty((size + 2 * MARGIN, size + 2 * MARGIN), np.float32)
    framed[MARGIN:-MARGIN, MARGIN:-MARGIN] = density
    framed[MARGIN:-MARGIN, :MARGIN] = density[:, :1]
    framed[MARGIN:-MARGIN, -MARGIN:] = density[:, -1:]
    framed[:MARGIN] = framed[MARGIN]
    framed[-MARGIN:] = framed[-MARGIN - 1]
    return framed


@lru_cache(maxsize=8)
def _centre_offsets(pitch: int, stride: int) -> NDArray[np.int32]:
    """From every pixel of the bank to its crown's centre, as steps in an array of rows ``stride`` long."""
    bank = canopy(pitch)
    return bank.to_y.astype(np.int32) * np.int32(stride) + bank.to_x


def _paint(canvas: Canvas, win: Window, stands: NDArray[np.bool_], pitch: int, at: tuple[int, int, int, int]) -> None:
    bank, look = canopy(pitch), canvas.look
    shadows = ShadowMap(canvas)
    shadows.cast(win, stands, TREE_HEIGHT)
    shadows.apply()
    lit = crop(bank.slope_x, *at) * np.float32(look.sun[0] * 0.42)
    lit += crop(bank.slope_y, *at) * np.float32(look.sun[1] * 0.42)
    lit += np.float32(0.94)
    lit *= crop(bank.tint, *at)
    alpha = crop(bank.edge, *at) * stands
    colours = np.empty((3, *stands.shape), np.float32)
    for band in range(3):
        np.multiply(lit, np.float32(TREE_RGB[band] * look.season[band]), out=colours[band])
    canvas.blend(win, alpha, colours)
