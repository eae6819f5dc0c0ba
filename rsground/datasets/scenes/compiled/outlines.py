"""From a shape to the kernel that covers its window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import noise
from rsground.datasets.scenes.compiled import covers
from rsground.datasets.scenes.shapes import Blob, Boxes, Clipped, Disc, Ribbon, Shape, Stadium
from rsground.datasets.scenes.sprites import Sprite, atlas, level_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsground.datasets.scenes.frames import Window

    F32 = NDArray[np.float32]

At = tuple[int, int, float, float, float, float]
"""Corner of the window (x0, y0), then the frame: x, y, cos, sin."""


def is_known(shape: Shape) -> bool:
    """Whether there is a kernel for such a shape."""
    if type(shape) is Clipped:
        return is_known(shape.shape) and type(shape.shape) is not Sprite and is_known(shape.border)
    return type(shape) in _FILL


def cover(shape: Shape, win: Window) -> F32:
    """Coverage, u and v of the window, ``(3, h, w)``; of a sprite coverage and its sampled paint, ``(5, h, w)``."""
    if type(shape) is Clipped:
        field = cover(shape.shape, win)
        covers.clip(field, cover(shape.border, win))
        return field
    height, width = win.shape
    field = np.empty((5 if type(shape) is Sprite else 3, height, width), np.float32)
    x, y, _, cos, sin = shape.frame
    _FILL[type(shape)](shape, field, (win.x0, win.y0, x, y, cos, sin))
    return field


def _box(shape: Shape, field: F32, at: At) -> None:
    covers.box(field, *at, shape.half_u, shape.half_v)


def _boxes(shape: Boxes, field: F32, at: At) -> None:
    covers.boxes(field, *at, np.array(shape.parts, np.float32))


def _disc(shape: Disc, field: F32, at: At) -> None:
    covers.disc(field, *at, shape.half_u, shape.inner)


def _stadium(shape: Stadium, field: F32, at: At) -> None:
    covers.stadium(field, *at, shape.half_u - shape.half_v, shape.half_v)


def _ribbon(shape: Ribbon, field: F32, at: At) -> None:
    covers.ribbon(field, *at, shape.half_u, shape.step, shape.course, shape.widths)


def _blob(shape: Blob, field: F32, at: At) -> None:
    half_u, half_v = max(shape.half_u - shape.fray, 1.0), max(shape.half_v - shape.fray, 1.0)
    weights = (1 / half_u**2, 1 / half_v**2)
    covers.blob(field, *at, *weights, min(half_u, half_v), shape.fray, shape.seed, noise("shore"))


def _sprite(shape: Sprite, field: F32, at: At) -> None:
    drawn = atlas(shape.name)
    level = level_for(shape.scale, drawn.texel)
    per_pixel = 1 / (shape.scale * drawn.texel * 2**level)
    covers.sprite(field, *at, drawn.levels[level], *drawn.shapes[level], per_pixel, shape.scale)


_FILL: dict[type[Shape], Callable[..., None]] = {
    Shape: _box,
    Boxes: _boxes,
    Disc: _disc,
    Stadium: _stadium,
    Ribbon: _ribbon,
    Blob: _blob,
    Sprite: _sprite,
}
