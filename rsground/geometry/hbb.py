"""Horizontal boxes ``(x1, y1, x2, y2)``: half-open, float, pixels, y down."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rsground.geometry.checks import Floats, as_last, as_rows, same_length
from rsground.types import Size


def hbb_area(hbb: ArrayLike) -> Floats:
    """Area ``(...)`` in square pixels of boxes ``(..., 4)``; 0 where x2 <= x1 or y2 <= y1, NaN stays NaN."""
    box = as_last(hbb, (4,), "hbb")
    area: Floats = np.maximum(box[..., 2] - box[..., 0], 0.0) * np.maximum(box[..., 3] - box[..., 1], 0.0)
    return area


def iou_hbb(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of box i of ``a`` and box i of ``b``.

    Args:
        a, b: ``(N, 4)`` each, or one of them a single box that is paired with all of the other.

    Returns:
        ``(N,)`` in [0, 1]; 0 for boxes that only touch, have no area (both of them, too), or hold a NaN.

    Raises:
        ShapeError: the arrays are no boxes, or do not pair up.
    """
    first, second = as_rows(a, 4, "a"), as_rows(b, 4, "b")
    if same_length(first, second, "iou_hbb") == 0:
        return np.zeros(0)
    return _iou(first, second)


def iou_hbb_matrix(a: ArrayLike, b: ArrayLike) -> Floats:
    """As :func:`iou_hbb`, for every box of ``a`` ``(N, 4)`` with every box of ``b`` ``(M, 4)``: ``(N, M)``."""
    first, second = as_rows(a, 4, "a"), as_rows(b, 4, "b")
    return _iou(first[:, None], second[None])


def _iou(a: Floats, b: Floats) -> Floats:
    with np.errstate(all="ignore"):
        width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
        height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
        inter = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        iou = inter / (hbb_area(a) + hbb_area(b) - inter)
    valid: Floats = np.where(np.isfinite(iou), np.clip(iou, 0.0, 1.0), 0.0)
    return valid


def clip_hbb(hbb: ArrayLike, size: Size) -> Floats:
    """Boxes ``(..., 4)`` cut to an image of ``size`` (H, W); a box outside collapses onto the border (no area)."""
    height, width = size
    limits = np.array([width, height, width, height], np.float64)
    clipped: Floats = np.minimum(np.maximum(as_last(hbb, (4,), "hbb"), 0.0), limits)
    return clipped


def hbb_to_quad(hbb: ArrayLike) -> Floats:
    """Corners ``(..., 4, 2)`` of boxes ``(..., 4)``: clockwise on screen from the top-left one."""
    box = as_last(hbb, (4,), "hbb")
    return np.stack([box[..., [0, 1]], box[..., [2, 1]], box[..., [2, 3]], box[..., [0, 3]]], axis=-2)


def quad_to_hbb(quad: ArrayLike) -> Floats:
    """Bounding boxes ``(..., 4)`` of quads ``(..., 4, 2)``."""
    corners = as_last(quad, (4, 2), "quad")
    return np.concatenate([corners.min(axis=-2), corners.max(axis=-2)], axis=-1)
