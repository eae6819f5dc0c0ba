"""Tiles to image tokens: CLIP per tile, 2 x 2 patches to one cell, rows ended by a newline, views parted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rsground.errors import ShapeError
from rsground_segtoken.geopixel.full.config import VisionConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's normalisation of values in 0 ... 1."""


class VisionTower(nn.Module):
    """CLIP's image tower under the checkpoint's names, ``vision_tower.vision_model.*``."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModel

        built = CLIPVisionModel(CLIPVisionConfig(**asdict(config)))
        self.vision_tower = nn.Module()
        self.vision_tower.vision_model = getattr(built, "vision_model", built)

    def forward(self, tiles: Tensor) -> Tensor:
        """Patch states ``(n, patches, C)`` of ``(n, 3, S, S)``: after the last layer, before its norm, no class."""
        tower: Any = self.vision_tower.vision_model
        states: Tensor = tower(pixel_values=tiles).last_hidden_state[:, 1:]
        return states


def prepare(canvas: NDArray[np.uint8], tile: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, tuple[int, int]]:
    """A canvas ``(H, W, 3)`` as ``(1 + rows * columns, 3, tile, tile)``, global view first, and its (rows, columns).

    Raises:
        ShapeError: the canvas is not made of whole tiles.
    """
    height, width = canvas.shape[:2]
    if not height or not width or height % tile or width % tile:
        raise ShapeError(f"a canvas is made of whole tiles of {tile} pixels, got {width}x{height}; use 'hd-tiles'")
    pixels = torch.from_numpy(canvas.copy()).permute(2, 0, 1)[None].float() / 255.0
    mean, deviation = (torch.tensor(values)[None, :, None, None] for values in (_MEAN, _DEVIATION))
    pixels = (pixels - mean) / deviation
    whole = F.interpolate(pixels, size=(tile, tile), mode="bicubic", align_corners=False)
    rows, columns = height // tile, width // tile
    cells = pixels.view(3, rows, tile, columns, tile).permute(1, 3, 0, 2, 4).reshape(-1, 3, tile, tile)
    return torch.cat([whole, cells]).to(dtype), (rows, columns)


def fold(states: Tensor) -> Tensor:
    """Patches ``(n, s * s, C)`` as cells ``(n, s/2, s/2, 4C)``, four patches in a cell, its upper two first."""
    count, patches, width = states.shape
    side = int(patches**0.5)
    if side * side != patches or side % 2:
        raise ShapeError(f"patches of a tile form a square of even side, got {patches}")
    blocks = states.view(count, side // 2, 2, side // 2, 2, width).permute(0, 1, 3, 2, 4, 5)
    return blocks.reshape(count, side // 2, side // 2, 4 * width)


def join(states: Tensor, grid: tuple[int, int], newline: Tensor, separator: Tensor) -> Tensor:
    """Image tokens ``(N, 4C)`` of ``(1 + rows * columns, patches, C)``, global view first.

    Rows of cells, each ended by ``newline`` (4C values): those of the global view, then ``separator``, then those of
    the tiles put together. N = (rows * columns + 1) * cells^2 + 1 + (rows + 1) * cells.
    """
    cells = fold(states)
    rows, columns = grid
    side, width = cells.shape[1], cells.shape[3]
    tiles = cells[1:].view(rows, columns, side, side, width).permute(0, 2, 1, 3, 4)
    pieces = [
        _end_rows(cells[0], newline),
        separator.reshape(1, width),
        _end_rows(tiles.reshape(rows * side, columns * side, width), newline),
    ]
    return torch.cat(pieces)


def _end_rows(cells: Tensor, newline: Tensor) -> Tensor:
    """``(h, w, D)`` cells as ``(h * (w + 1), D)`` tokens."""
    ends = newline.reshape(1, 1, -1).expand(cells.shape[0], 1, -1).to(cells.dtype)
    return torch.cat([cells, ends], dim=1).flatten(0, 1)
