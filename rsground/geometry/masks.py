"""Masks ``(H, W)`` bool, or a stack of them: overlap, bounding boxes, oriented boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError
from rsground.geometry.checks import Bools, Floats, as_mask, as_masks
from rsground.geometry.hull import min_area_rect
from rsground.geometry.obb import Convention


def iou_mask(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of masks, pair by pair.

    Args:
        a, b: ``(H, W)`` or ``(N, H, W)`` bool of one size; one mask against N is compared with each.

    Returns:
        ``()`` or ``(N,)`` float64; two empty masks have IoU 1, an empty and a filled one 0.

    Raises:
        ShapeError: no masks, sizes that differ, or floats.
    """
    first, second = as_masks(a, "a"), as_masks(b, "b")
    if first.shape[-2:] != second.shape[-2:]:
        raise ShapeError(f"masks must have one size, got {first.shape[-2:]} and {second.shape[-2:]}")
    inter = np.count_nonzero(first & second, axis=(-2, -1))
    union = np.count_nonzero(first, axis=(-2, -1)) + np.count_nonzero(second, axis=(-2, -1)) - inter
    return _ratio(np.asarray(inter), np.asarray(union))


def iou_mask_matrix(a: ArrayLike, b: ArrayLike) -> Floats:
    """As :func:`iou_mask`, for every mask of ``a`` ``(N, H, W)`` with every one of ``b`` ``(M, H, W)``: ``(N, M)``."""
    first, second = (m if m.ndim == 3 else m[None] for m in (as_masks(a, "a"), as_masks(b, "b")))
    if first.shape[1:] != second.shape[1:]:
        raise ShapeError(f"masks must have one size, got {first.shape[1:]} and {second.shape[1:]}")
    flat_a, flat_b = np.packbits(first.reshape(len(first), -1), axis=1), np.packbits(second.reshape(len(second), -1), 1)
    inter = np.zeros((len(first), len(second)), np.int64)
    for i, row in enumerate(flat_a):
        inter[i] = _ones(flat_b & row)
    union = _ones(flat_a)[:, None] + _ones(flat_b)[None] - inter
    return _ratio(inter, union)


_BITS = np.array([bin(k).count("1") for k in range(256)], np.uint8)


def _ones(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Set bits of each row."""
    return _BITS[packed].sum(axis=1, dtype=np.int64)


def _ratio(inter: NDArray[np.integer], union: NDArray[np.integer]) -> Floats:
    return np.where(union == 0, 1.0, inter / np.maximum(union, 1))


def mask_to_hbb(mask: ArrayLike) -> Floats:
    """Bounding boxes on pixel edges: columns x1 ... x2-1 hold the object, so x2 is the last column plus one.

    Args:
        mask: ``(..., H, W)`` bool.

    Returns:
        ``(..., 4)`` float64; NaN where a mask is empty.
    """
    pixels = as_masks(mask)
    columns, rows = pixels.any(axis=-2), pixels.any(axis=-1)
    empty = ~columns.any(axis=-1)
    if pixels.shape[-1] == 0 or pixels.shape[-2] == 0:
        return np.full((*pixels.shape[:-2], 4), np.nan)
    x1, y1 = columns.argmax(axis=-1), rows.argmax(axis=-1)
    x2 = columns.shape[-1] - columns[..., ::-1].argmax(axis=-1)
    y2 = rows.shape[-1] - rows[..., ::-1].argmax(axis=-1)
    return np.where(empty[..., None], np.nan, np.stack([x1, y1, x2, y2], axis=-1).astype(np.float64))


def mask_to_obb(mask: ArrayLike, *, convention: Convention = "le90") -> Floats:
    """The rectangle of least area that covers all object pixels whole (their corners, not their centres).

    Args:
        mask: ``(H, W)`` bool.
        convention: how to write the angle.

    Returns:
        ``(5,)`` float64; NaN where the mask is empty.
    """
    return min_area_rect(_outline_points(as_mask(mask)), convention=convention)


def _outline_points(mask: Bools) -> Floats:
    """Corners of object pixels that can be on the hull: on each grid line the leftmost and the rightmost."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros((0, 2))
    band = mask[rows]
    left = band.argmax(axis=1)
    right = mask.shape[1] - band[:, ::-1].argmax(axis=1)
    x = np.concatenate([left, left, right, right])
    y = np.concatenate([rows, rows + 1, rows, rows + 1])
    return np.stack([x, y], axis=1).astype(np.float64)
