"""Sprites: designs drawn once per process from polygons in metres, then sampled at any pose and scale.

A sprite stores the signed depth of its silhouette, so its mask is sharp at every scale, and its paint at several
resolutions, so that a car of five pixels is not a random pick of its windscreen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.frames import HALF, Cover, Window, coverage
from rsground.datasets.scenes.shapes import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

PAD_METRES = 2.0
"""Empty margin about a design; wider than half the coarsest pixel, so that sampling may clip to it."""
LEVELS = 5

Outline = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Layer:
    """One painted polygon of a design; later layers lie on earlier ones.

    Attributes:
        outline: (x, y) metres, x forward and y to the right, from the design's centre.
        rgb: fixed colour 0-255, or None for the object's own colour.
        light: factor on the colour.
        bevel: how much darker the rim is, 0 to 1; rounds fuselages, domes and car bodies.
        rim: metres over which the bevel falls off.
        solid: whether it belongs to the silhouette (else it is a marking and is cut by it).
    """

    outline: tuple[tuple[float, float], ...]
    rgb: tuple[float, float, float] | None = None
    light: float = 1.0
    bevel: float = 0.0
    rim: float = 0.5
    solid: bool = True


@dataclass(frozen=True, slots=True)
class Design:
    """A named design: its size in metres, the texel of its finest level and its layers."""

    length: float
    width: float
    texel: float
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """A design, drawn.

    Attributes:
        levels: per level ``(5, ny * nx)`` float32: silhouette depth in metres, fixed RGB, weight of the own colour.
        shapes: (ny, nx) per level.
        texel: metres of a texel at level 0; doubles with each level.
        half_u, half_v: metres the silhouette reaches from the centre along x and y.
        area: of the silhouette, square metres.
    """

    levels: tuple[F32, ...]
    shapes: tuple[tuple[int, int], ...]
    texel: float
    half_u: float
    half_v: float
    area: float


DESIGNS: dict[str, Callable[[], Design]] = {}
"""Name -> recipe; filled by the ``designs_*`` modules."""


def design(name: str) -> Callable[[Callable[[], Design]], Callable[[], Design]]:
    """Register a recipe under a name."""

    def keep(recipe: Callable[[], Design]) -> Callable[[], Design]:
        DESIGNS[name] = recipe
        return recipe

    return keep


def polygon_depth(outline: Outline, xs: F32, ys: F32) -> F32:
    """Signed distance (positive inside, even-odd) of points to a polygon; ``xs`` (1, nx) and ``ys`` (ny, 1)."""
    shape = np.broadcast_shapes(xs.shape, ys.shape)
    nearest = np.full(shape, np.float32(1e9))
    inside = np.zeros(shape, bool)
    for (ax, ay), (bx, by) in zip(outline, [*outline[1:], outline[0]], strict=True):
        ex, ey = bx - ax, by - ay
        long = ex * ex + ey * ey
        if long == 0:
            continue
        px, py = xs - np.float32(ax), ys - np.float32(ay)
        along = np.clip((px * np.float32(ex) + py * np.float32(ey)) * np.float32(1 / long), 0, 1)
        dx, dy = px - along * np.float32(ex), py - along * np.float32(ey)
        np.minimum(nearest, dx * dx + dy * dy, out=nearest)
        if ey != 0:
            spans = (ys >= min(ay, by)) & (ys < max(ay, by))
            inside ^= spans & (px < py * np.float32(ex / ey))
    return np.where(inside, np.sqrt(nearest), -np.sqrt(nearest)).astype(np.float32)


@lru_cache(maxsize=256)
def atlas(name: str) -> Atlas:
    """The drawn design of that name; made at first use."""
    plan = DESIGNS[name]()
    coarse = plan.texel * 2 ** (LEVELS - 1)
    nx = 2 * math.ceil((plan.length / 2 + PAD_METRES) / coarse) * 2 ** (LEVELS - 1)
    ny = 2 * math.ceil((plan.width / 2 + PAD_METRES) / coarse) * 2 ** (LEVELS - 1)
    xs = ((np.arange(nx, dtype=np.float32) + HALF - nx / 2) * np.float32(plan.texel)).astype(np.float32)[None, :]
    ys = ((np.arange(ny, dtype=np.float32) + HALF - ny / 2) * np.float32(plan.texel)).astype(np.float32)[:, None]
    stack = np.zeros((5, ny, nx), np.float32)
    stack[0] = -1e6
    for layer in plan.layers:
        _paint_layer(stack, layer, polygon_depth(layer.outline, xs, ys), plan.texel)
    filled = np.argwhere(stack[0] > 0)
    reach_v, reach_u = (np.abs(filled - [(ny - 1) / 2, (nx - 1) / 2]).max(axis=0) + 1) * plan.texel
    area = float(len(filled)) * plan.texel**2
    levels, shapes = [], []
    for _ in range(LEVELS):
        shapes.append((stack.shape[1], stack.shape[2]))
        levels.append(np.ascontiguousarray(stack.reshape(5, -1)))
        stack = (stack[:, ::2, ::2] + stack[:, 1::2, ::2] + stack[:, ::2, 1::2] + stack[:, 1::2, 1::2]) / np.float32(4)
    return Atlas(tuple(levels), tuple(shapes), plan.texel, float(reach_u), float(reach_v), area)


def _paint_layer(stack: F32, layer: Layer, depth: F32, texel: float) -> None:
    """Lay one polygon over what is there."""
    alpha = np.clip(depth * np.float32(1 / texel) + HALF, 0, 1)
    light = np.float32(layer.light) * (1 - np.float32(layer.bevel) * (1 - np.clip(depth / np.float32(layer.rim), 0, 1)))
    for band in range(3):
        wanted = np.float32(0) if layer.rgb is None else light * np.float32(layer.rgb[band])
        stack[1 + band] += alpha * (wanted - stack[1 + band])
    own = light if layer.rgb is None else np.float32(0)
    stack[4] += alpha * (own - stack[4])
    if layer.solid:
        np.maximum(stack[0], depth, out=stack[0])


@dataclass(frozen=True, slots=True)
class Sprite(Shape):
    """A design at a pose: ``scale`` pixels per metre. Made by :func:`sprite`."""

    name: str
    scale: float

    def cover(self, win: Window) -> Cover:
        """Coverage, and the paint sampled at the level whose texel is nearest to a pixel."""
        u, v = self.frame.local(win)
        drawn = atlas(self.name)
        level = level_for(self.scale, drawn.texel)
        ny, nx = drawn.shapes[level]
        per_pixel = np.float32(1 / (self.scale * drawn.texel * 2**level))
        column = (u * per_pixel + np.float32(nx / 2)).astype(np.int32)
        row = (v * per_pixel + np.float32(ny / 2)).astype(np.int32)
        np.minimum(np.maximum(column, 0, out=column), nx - 1, out=column)
        np.minimum(np.maximum(row, 0, out=row), ny - 1, out=row)
        row *= nx
        row += column
        sample = drawn.levels[level].take(row, axis=1)
        alpha = coverage(sample[0] * np.float32(self.scale))
        paint = sample[1:]
        paint *= alpha
        return Cover(alpha, u, v, paint, 1 - alpha)

    @property
    def extent(self) -> float:
        """Area of the silhouette in pixels."""
        return atlas(self.name).area * self.scale**2


def level_for(scale: float, texel: float) -> int:
    """The level whose texels are nearest in size to a pixel, at ``scale`` pixels per metre."""
    return min(max(math.floor(math.log2(1.25 / (scale * texel))), 0), LEVELS - 1)


def oval(half_x: float, half_y: float, x: float = 0.0, y: float = 0.0, n: int = 20) -> tuple[tuple[float, float], ...]:
    """An ellipse as a polygon."""
    turn = 2 * math.pi / n
    return tuple((x + half_x * math.cos(turn * i), y + half_y * math.sin(turn * i)) for i in range(n))


def slab(x1: float, y1: float, x2: float, y2: float) -> tuple[tuple[float, float], ...]:
    """An upright rectangle from corner to corner."""
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def mirrored(*half: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """A polygon symmetric about the x axis, from its y >= 0 half listed nose to tail."""
    return (*half, *((x, -y) for x, y in reversed(half) if y != 0))


def pair(outline: Outline) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
    """An outline and its mirror image about the x axis."""
    return tuple(outline), tuple((x, -y) for x, y in outline)
