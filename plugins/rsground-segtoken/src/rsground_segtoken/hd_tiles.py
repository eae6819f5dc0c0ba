"""GeoPixel's adaptive image divider: a canvas of whole square tiles, and a global view of all of it.

The image is resized so that its longer side is a whole number of tiles, then padded with white. How many tiles: at
most s along the longer side, where s is the largest number with s * ceil(s / ratio) <= ``hd_num``. Upstream divides
differently in training and at inference; both are here, exact to the pixel. Ours is a cap on the tiles of an image,
since upstream's inference has none and then loses the question.
"""

from __future__ import annotations

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

Variant = Literal["inference", "training"]
Show = Literal["canvas", "global", "tiles"]

TILE = 560
MAX_TILES = 39
"""Tiles of one image at most. 40 of them are 16,441 tokens or more, and GeoPixel's bound is 16,384: up to the cap the
division is upstream's, and beyond it upstream's prompt would have been cut."""
_WHITE = 255
_GROWTH = 1.5
"""Training enlarges an image at most to the tiles that 1.5 times its longer side would touch."""
_MANY_IMAGES = 6
"""``hd_num`` when a question shows more than one image."""
_CUBIC = -0.75
"""Keys' cubic convolution, with the constant of torch and OpenCV."""


@dataclass(frozen=True, slots=True)
class Division:
    """How one image is laid onto its canvas; all in pixels of the canvas.

    Attributes:
        grid: (rows, columns) of tiles.
        content: (x1, y1, x2, y2) of the resized image; the rest is white.
        size: (H, W) of the canvas.
    """

    grid: tuple[int, int]
    content: tuple[int, int, int, int]
    size: Size


def divide(
    size: Size,
    hd_num: int = 9,
    variant: Variant = "inference",
    tile: int = TILE,
    max_tiles: int = MAX_TILES,
) -> Division:
    """The division of an image of ``size`` (H, W).

    Args:
        size: of the image.
        hd_num: the bound on tiles. At inference an image whose longer side is wider than the grid keeps about its
            own resolution, so that there may be more (3000 x 3000 with 9: 25).
        variant: ``"inference"`` enlarges to the largest grid and pads below; ``"training"`` enlarges at most half as
            large again, never exceeds the bound, and centres. Tall images are divided on their side.
        tile: side of a tile.
        max_tiles: the cap that holds whatever ``hd_num`` says: the longer side is shrunk to as many whole tiles as
            keep it (4000 x 3000: 30 instead of 42). Upstream has none: give a large number.
    """
    height, width = size
    long, short = max(height, width), min(height, width)
    ratio = long / short
    scale = 1
    while (scale + 1) * ceil((scale + 1) / ratio) <= hd_num:
        scale += 1
    used = max(long // tile, scale) if variant == "inference" else min(ceil(_GROWTH * long / tile), scale)
    length, depth, rows = _extent(used, ratio, tile)
    while used > 1 and used * rows > max_tiles:
        used -= 1
        length, depth, rows = _extent(used, ratio, tile)
    before = 0 if variant == "inference" else (rows * tile - depth) // 2
    if width < height:
        return Division((used, rows), (before, 0, before + depth, length), (length, rows * tile))
    return Division((rows, used), (0, before, length, before + depth), (rows * tile, length))


def _extent(columns: int, ratio: float, tile: int) -> tuple[int, int, int]:
    """Longer and shorter side in pixels, and rows, of content that is ``columns`` tiles long."""
    length = tile * columns
    depth = max(int(length / ratio), 1)
    return length, depth, ceil(depth / tile)


class HDTiles(Preprocessor):
    """The canvas, the global view of it or all the tiles as what the model sees.

    ``view.meta`` of the answer holds ``tiles`` ``(rows * columns, tile, tile, 3)`` uint8 in row-major order, ``grid``
    (rows, columns), ``content`` (x1, y1, x2, y2) on the canvas, ``global`` ``(tile, tile, 3)`` uint8, and ``source``,
    the view that was divided: segmenters look at that one. All are of the last image.

    Args:
        hd_num: bound on the number of tiles; 6 at most where two images are shown.
        variant: see :func:`divide`.
        tile: side of a tile in pixels.
        show: what the view's images become. ``"canvas"``: one image of whole tiles, for ``geopixel-7b``, which cuts
            it into these very tiles, and for backbones whose input grows with the image. ``"tiles"``: each tile as an
            image of its own and the global view last, for backbones of a fixed input that take several images; the
            canvas they would only shrink. ``"global"``: the global view alone. Coordinates are those of the last
            image.
        max_tiles: cap on the tiles of an image; see :func:`divide`.

    Raises:
        ShapeError: an option has no such value.
    """

    def __init__(
        self,
        hd_num: int = 9,
        variant: Variant = "inference",
        tile: int = TILE,
        show: Show = "canvas",
        max_tiles: int = MAX_TILES,
    ) -> None:
        if min(hd_num, tile, max_tiles) < 1:
            raise ShapeError(
                f"hd-tiles needs hd_num, tile and max_tiles of at least 1, got {hd_num}, {tile} and {max_tiles}"
            )
        for option, value, known in (("variant", variant, get_args(Variant)), ("show", show, get_args(Show))):
            if value not in known:
                raise ShapeError(f"option {option!r} of hd-tiles is one of {', '.join(known)}, got {value!r}")
        self.hd_num, self.variant, self.tile, self.show = hd_num, variant, tile, show
        self.max_tiles = max_tiles

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        del sample, backbone
        bound = self.hd_num if len(view.images) == 1 else min(self.hd_num, _MANY_IMAGES)
        divisions = [divide(_size(image), bound, self.variant, self.tile, self.max_tiles) for image in view.images]
        canvases = [lay_out(image, division) for image, division in zip(view.images, divisions, strict=True)]
        squeezed = [global_view(canvas, self.tile) for canvas in canvases]
        shown: list[NDArray[np.uint8]] = []
        for canvas, whole in zip(canvases, squeezed, strict=True):
            shown.extend(tiles_of(canvas, self.tile) if self.show == "tiles" else ())
            shown.append(canvas if self.show == "canvas" else whole)
        meta = {
            "tiles": tiles_of(canvases[-1], self.tile),
            "grid": divisions[-1].grid,
            "content": divisions[-1].content,
            "global": squeezed[-1],
            "source": view,
        }
        to_original = compose_affine(view.to_original, self._to_source(view.size, divisions[-1]))
        return replace(view, images=tuple(shown), to_original=to_original, meta={**view.meta, **meta})

    def _to_source(self, size: Size, division: Division) -> Affine:
        """From pixels of what is shown last to pixels of the view that came."""
        x1, y1, x2, y2 = division.content
        across, down = size[1] / (x2 - x1), size[0] / (y2 - y1)
        to_source = (across, 0.0, -x1 * across, 0.0, down, -y1 * down)
        if self.show == "canvas":
            return to_source
        squash = (division.size[1] / self.tile, 0.0, 0.0, 0.0, division.size[0] / self.tile, 0.0)
        return compose_affine(to_source, squash)


def lay_out(image: NDArray[np.uint8], division: Division) -> NDArray[np.uint8]:
    """The canvas ``(H, W, 3)`` uint8: the image resized into its place (bilinear, antialiased), white around it."""
    from PIL import Image

    x1, y1, x2, y2 = division.content
    tall = image.shape[1] < image.shape[0]
    upright = np.ascontiguousarray(image.swapaxes(0, 1) if tall else image)  # upstream turns tall images on their side
    size = (y2 - y1, x2 - x1) if tall else (x2 - x1, y2 - y1)
    resized = np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BILINEAR))
    canvas = np.full((*division.size, 3), _WHITE, np.uint8)
    canvas[y1:y2, x1:x2] = resized.swapaxes(0, 1) if tall else resized
    return canvas


def tiles_of(canvas: NDArray[np.uint8], tile: int = TILE) -> NDArray[np.uint8]:
    """The tiles ``(rows * columns, tile, tile, 3)`` of a canvas, row by row."""
    rows, columns = canvas.shape[0] // tile, canvas.shape[1] // tile
    cells = canvas.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(rows * columns, tile, tile, 3))


def global_view(canvas: NDArray[np.uint8], tile: int = TILE) -> NDArray[np.uint8]:
    """The whole canvas, white included, squashed to one tile ``(tile, tile, 3)`` uint8.

    Bicubic as torch has it (no antialiasing, pixel centres aligned), rounded to whole values.
    """
    squashed = _cubic(_cubic(canvas.astype(np.float32), tile, 0), tile, 1)
    return np.asarray(np.clip(np.rint(squashed), 0, 255), np.uint8)


def _cubic(values: NDArray[np.float32], count: int, axis: int) -> NDArray[np.float32]:
    """``values`` sampled at ``count`` places along an axis, four taps each, edges repeated."""
    length = values.shape[axis]
    centre = (np.arange(count, dtype=np.float64) + 0.5) * (length / count) - 0.5
    first = np.floor(centre)
    beyond = centre - first
    shape = [1] * values.ndim
    shape[axis] = count
    total = np.zeros((*values.shape[:axis], count, *values.shape[axis + 1 :]), np.float32)
    for tap in (-1, 0, 1, 2):
        weight = _weight(np.abs(beyond - tap)).astype(np.float32).reshape(shape)
        places = np.clip(first + tap, 0, length - 1).astype(np.intp)
        total += weight * np.take(values, places, axis=axis)
    return total


def _weight(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel at distances 0 ... 2."""
    near = ((_CUBIC + 2.0) * distance - (_CUBIC + 3.0)) * distance * distance + 1.0
    far = ((_CUBIC * distance - 5.0 * _CUBIC) * distance + 8.0 * _CUBIC) * distance - 4.0 * _CUBIC
    return np.where(distance <= 1.0, near, far)


def _size(image: NDArray[np.uint8]) -> Size:
    return (int(image.shape[0]), int(image.shape[1]))
