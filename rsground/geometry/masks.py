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
    first, second = _same_size(as_masks(a, "a"), as_masks(b, "b"))
    stack = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    left, right = (np.broadcast_to(m, (*stack, *m.shape[-2:])).reshape(-1, *m.shape[-2:]) for m in (first, second))
    inter = np.array([np.count_nonzero(one & other) for one, other in zip(left, right, strict=True)], np.int64)
    union = _count(left) + _count(right) - inter
    return _ratio(inter, union).reshape(stack)


def iou_mask_matrix(a: ArrayLike, b: ArrayLike) -> Floats:
    """As :func:`iou_mask`, for every mask of ``a`` ``(N, H, W)`` with every one of ``b`` ``(M, H, W)``: ``(N, M)``."""
    first, second = _same_size(*(m if m.ndim == 3 else m[None] for m in (as_masks(a, "a"), as_masks(b, "b"))))
    packed_a, packed_b = _packed(first), _packed(second)
    inter = np.zeros((len(first), len(second)), np.int64)
    for i, row in enumerate(packed_a):
        inter[i] = _set_bits(packed_b & row)
    return _ratio(inter, _count(first)[:, None] + _count(second)[None] - inter)


def _same_size(a: Bools, b: Bools) -> tuple[Bools, Bools]:
    if a.shape[-2:] != b.shape[-2:]:
        raise ShapeError(f"masks must have one size, got {a.shape[-2:]} and {b.shape[-2:]}")
    return a, b


def _count(masks: Bools) -> NDArray[np.int64]:
    """Object pixels of each mask of a stack ``(N, H, W)``; one call a mask is faster than an axis."""
    return np.array([np.count_nonzero(mask) for mask in masks], np.int64)


def _packed(masks: Bools) -> NDArray[np.uint8]:
    return np.packbits(masks.reshape(len(masks), masks.shape[1] * masks.shape[2]), axis=1)


_BITS = np.array([bin(value).count("1") for value in range(256)], np.uint8)


def _set_bits(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Set bits of each row."""
    bits: NDArray[np.int64] = _BITS[packed].sum(axis=1, dtype=np.int64)
    return bits


def _ratio(inter: NDArray[np.int64], union: NDArray[np.int64]) -> Floats:
    return np.where(union == 0, 1.0, inter / np.maximum(union, 1))


def mask_to_hbb(mask: ArrayLike) -> Floats:
    """Bounding boxes on pixel edges: columns x1 ... x2-1 hold the object, so x2 is the last column plus one.

    Args:
        mask: ``(..., H, W)`` bool.

    Returns:
        ``(..., 4)`` float64; NaN where a mask is empty.
    """
    pixels = as_masks(mask)
    columns, rows = np.asarray(pixels.any(axis=-2)), np.asarray(pixels.any(axis=-1))
    empty = ~np.asarray(columns.any(axis=-1))
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
