"""Key points well inside a mask: the deepest point of each part, then points far from those.

GeoRSMLLM says only that key points lie within the box; this is our deterministic reading: the pole of inaccessibility
of each connected part, largest part first, then farthest-point sampling among pixels at least half as deep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_FINE = 96
"""Cells per side that distances are computed on; larger masks are coarsened first."""
_DEEP = 0.5


def distance_inside(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """``(H, W)`` Euclidean distance of each object pixel's centre to the nearest centre outside, in pixels.

    Exact: distances along columns first, then the lower envelope over each row (H * W * W steps, so meant for small
    masks). What lies beyond the array counts as outside.
    """
    height, width = mask.shape
    padded = np.pad(mask, 1)
    index = np.arange(height + 2)[:, None]
    above = np.maximum.accumulate(np.where(padded, 0, index), axis=0)
    below = np.minimum.accumulate(np.where(padded, height + 1, index)[::-1], axis=0)[::-1]
    down = np.minimum(index - above, below - index).astype(np.float64) ** 2
    across = np.arange(width + 2, dtype=np.float64)
    squared = np.empty_like(down)
    for row in range(height + 2):
        squared[row] = ((across[:, None] - across[None, :]) ** 2 + down[row][None, :]).min(axis=1)
    return np.asarray(np.sqrt(squared[1:-1, 1:-1]), np.float64)


def key_points(
    mask: NDArray[np.bool_], count: int, snap: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
) -> NDArray[np.float64]:
    """Up to ``count`` points inside the mask.

    Args:
        mask: ``(H, W)`` bool.
        count: how many; fewer where the mask has fewer pixels.
        snap: what writing and reading does to points ``(K, 2)``; pixels that leave the mask by it are not chosen
            while there are others.

    Returns:
        ``(n, 2)`` float64 (x, y) pixel centres, the deepest point of the largest part first; ``(0, 2)`` for an empty
        mask.
    """
    parts = _parts(mask)
    chosen: list[NDArray[np.float64]] = []
    clouds = []
    for part, left, top in parts[:count]:
        places, depth = _places(part, left, top)
        usable = depth * _stays(places, mask, snap)
        depth = usable if usable.any() else depth
        chosen.append(places[int(np.argmax(depth))])
        clouds.append(places[depth >= _DEEP * depth.max()])
    candidates = np.concatenate(clouds) if clouds else np.zeros((0, 2))
    while 0 < len(chosen) < count:
        gaps = np.min([((candidates - point) ** 2).sum(axis=1) for point in chosen], axis=0)
        if gaps.max() < 1.0:
            break
        chosen.append(candidates[int(np.argmax(gaps))])
    return np.array(chosen).reshape(-1, 2)


def _parts(mask: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], int, int]]:
    """Connected parts (8 neighbours) as crops with their column and row, largest first."""
    from rsground.geometry import mask_to_polygons, polygons_to_mask

    found = []
    for ring in mask_to_polygons(mask, holes="fill"):
        left, top = (int(value) for value in ring.min(axis=0))
        right, bottom = (int(value) for value in ring.max(axis=0))
        crop = mask[top:bottom, left:right]
        found.append((crop & polygons_to_mask([ring - (left, top)], (bottom - top, right - left)), left, top))
    return sorted(found, key=lambda part: -int(np.count_nonzero(part[0])))


def _places(part: NDArray[np.bool_], left: int, top: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel centres ``(K, 2)`` of a part, coarsened where it is large, and their depths ``(K,)``."""
    step = max(1, -(-max(part.shape) // _FINE))
    height, width = (-(-side // step) * step for side in part.shape)
    padded = np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1])))
    blocks = padded.reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    depth = distance_inside(blocks > 0.5) if (blocks > 0.5).any() else blocks
    # The pixel at the middle of a block stands for it; where that is outside of the mask, the block is left out.
    rows, columns = (np.nonzero(depth)[axis] * step + step // 2 for axis in (0, 1))
    inside = padded[rows, columns]
    if not inside.any():
        rows, columns = np.nonzero(part)
        return np.stack([columns + left + 0.5, rows + top + 0.5], axis=1), np.ones(len(rows))
    places = np.stack([columns + left + 0.5, rows + top + 0.5], axis=1)[inside]
    return places, depth[np.nonzero(depth)][inside]


def _stays(
    places: NDArray[np.float64],
    mask: NDArray[np.bool_],
    snap: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None,
) -> NDArray[np.bool_]:
    if snap is None:
        return np.ones(len(places), np.bool_)
    columns, rows = np.floor(snap(places)).astype(np.int64).T
    height, width = mask.shape
    return np.asarray(mask[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)], np.bool_)
