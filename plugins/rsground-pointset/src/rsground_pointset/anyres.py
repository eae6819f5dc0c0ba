"""Dynamic high resolution ("any-res") of LLaVA-NeXT: a canvas of square tiles that suits the image, and a global view.

GeoRSMLLM says "we apply the dynamic high-resolution scheme technique" of Liu et al., "LLaVA-NeXT: Improved reasoning,
OCR, and world knowledge" (2024), and no more. The arithmetic here is that of LLaVA-NeXT:

* of the canvases offered, the one that keeps most of the image's pixels; of equal ones the smallest;
* the image is resized into it with its aspect kept and centred, black around it;
* the canvas is cut into tiles; beside them stands the image squeezed to one tile, its aspect not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from rsground.contracts import Backbone, Preprocessor
from rsground.errors import ShapeError
from rsground.geometry import Affine, compose_affine
from rsground.types import Sample, Size, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

Show = Literal["canvas", "global", "tiles"]
Grid = tuple[int, int]

TILE = 384
"""Side of a tile: the input of SigLIP's large towers. GeoRSMLLM names SigLIP and no size; LLaVA-NeXT itself has 336."""
LLAVA_NEXT: tuple[Grid, ...] = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1))
"""(rows, columns) that LLaVA-NeXT's released configuration offers."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """How one image is laid onto its canvas; all in pixels of the canvas.

    Attributes:
        grid: (rows, columns) of tiles.
        content: (x1, y1, x2, y2) of the resized image; the rest is black.
        size: (H, W) of the canvas.
    """

    grid: Grid
    content: tuple[int, int, int, int]
    size: Size


def best_grid(size: Size, grids: Sequence[Grid] = LLAVA_NEXT, tile: int = TILE) -> Grid:
    """The grid for an image of ``size`` (H, W): most pixels kept, then least canvas wasted, then first in the list.

    Pixels kept are those of the image scaled to fit, sides rounded down, but never more than the image has.
    """
    height, width = size

    def rank(grid: Grid) -> tuple[int, int]:
        rows, columns = grid[0] * tile, grid[1] * tile
        scale = min(columns / width, rows / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return (kept, kept - rows * columns)

    return max(grids, key=rank)


def fit(size: Size, grids: Sequence[Grid] = LLAVA_NEXT, tile: int = TILE) -> Fitting:
    """Where an image of ``size`` (H, W) lies on its canvas; the side that does not fill it is rounded up."""
    height, width = size
    grid = best_grid(size, grids, tile)
    rows, columns = grid[0] * tile, grid[1] * tile
    across, down = columns / width, rows / height
    wide, high = columns, rows
    if across < down:
        high = min(ceil(height * across), rows)
    else:
        wide = min(ceil(width * down), columns)
    left, top = (columns - wide) // 2, (rows - high) // 2
    return Fitting(grid, (left, top, left + wide, top + high), (rows, columns))


class AnyRes(Preprocessor):
    """The canvas, the global view or both as what the model sees.

    ``view.meta`` of the answer holds ``tiles`` ``(rows * columns, tile, tile, 3)`` uint8 in row-major order, ``grid``
    (rows, columns), ``content`` (x1, y1, x2, y2) on the canvas, ``global`` ``(tile, tile, 3)`` uint8, and ``source``,
    the view that was tiled: segmenters look at that one. All are of the last image.

    Args:
        tile: side of a tile in pixels.
        grids: (rows, columns) that are offered.
        show: what the view's images become. ``"canvas"``: one image of whole tiles, for backbones whose input grows
            with the image or that tile by themselves (a LLaVA-NeXT cuts it into these very tiles). ``"tiles"``: each
            tile as an image of its own and the global view last, for backbones of a fixed input that take several
            images. ``"global"``: the global view alone. Coordinates are those of the last image.

    Raises:
        ShapeError: an option has no such value.
    """

    def __init__(self, tile: int = TILE, grids: Sequence[Sequence[int]] = LLAVA_NEXT, show: Show = "canvas") -> None:
        self.grids = tuple((int(rows), int(columns)) for rows, columns in grids)
        if tile < 1 or not self.grids or min(map(min, self.grids)) < 1:
            raise ShapeError(f"anyres needs a tile of at least 1 and grids of at least (1, 1), got {tile} and {grids}")
        if show not in get_args(Show):
            raise ShapeError(f"option 'show' of anyres is one of {', '.join(get_args(Show))}, got {show!r}")
        self.tile, self.show = tile, show

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        del sample, backbone
        fittings = [fit(_size(image), self.grids, self.tile) for image in view.images]
        canvases = [lay_out(image, fitting) for image, fitting in zip(view.images, fittings, strict=True)]
        squeezed = [resized(image, (self.tile, self.tile)) for image in view.images]
        shown: list[NDArray[np.uint8]] = []
        for canvas, whole in zip(canvases, squeezed, strict=True):
            shown.extend(tiles_of(canvas, self.tile) if self.show == "tiles" else ())
            shown.append(canvas if self.show == "canvas" else whole)
        to_source = self._to_source(view.size, fittings[-1])
        meta = {
            "tiles": tiles_of(canvases[-1], self.tile),
            "grid": fittings[-1].grid,
            "content": fittings[-1].content,
            "global": squeezed[-1],
            "source": view,
        }
        return replace(
            view,
            images=tuple(shown),
            to_original=compose_affine(view.to_original, to_source),
            meta={**view.meta, **meta},
        )

    def _to_source(self, size: Size, fitting: Fitting) -> Affine:
        """From pixels of what is shown last to pixels of the view that came."""
        height, width = size
        if self.show != "canvas":
            return (width / self.tile, 0.0, 0.0, 0.0, height / self.tile, 0.0)
        x1, y1, x2, y2 = fitting.content
        across, down = width / (x2 - x1), height / (y2 - y1)
        return (across, 0.0, -x1 * across, 0.0, down, -y1 * down)


def lay_out(image: NDArray[np.uint8], fitting: Fitting) -> NDArray[np.uint8]:
    """The canvas ``(H, W, 3)`` uint8: the image resized into its place, black around it."""
    x1, y1, x2, y2 = fitting.content
    canvas = np.zeros((*fitting.size, 3), np.uint8)
    canvas[y1:y2, x1:x2] = resized(image, (y2 - y1, x2 - x1))
    return canvas


def resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """The image at another size (H, W): bicubic, antialiased, as LLaVA does through Pillow."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def tiles_of(canvas: NDArray[np.uint8], tile: int = TILE) -> NDArray[np.uint8]:
    """The tiles ``(rows * columns, tile, tile, 3)`` of a canvas, row by row."""
    rows, columns = canvas.shape[0] // tile, canvas.shape[1] // tile
    cells = canvas.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(rows * columns, tile, tile, 3))


def _size(image: NDArray[np.uint8]) -> Size:
    return (int(image.shape[0]), int(image.shape[1]))
