"""From what a backbone says about its last layer to a map of where it looked (GeoMag, Eq. 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ContractError
from rsground.types import Size
from rsground_magcrop.choices import Heads

Floats = NDArray[np.float64]


def relevance(attended: Any, heads: Heads = "mean") -> Floats:
    """``(V,)`` relevance of each visual token: attention * ReLU(gradient), over heads and the T tokens that were asked.

    Eq. 4 of GeoMag, without its factor 1/N: N is the number of image tokens, the same for all of them. What is not
    finite counts 0.

    Args:
        attended: ``attention`` and ``gradient`` ``(heads, T, V)``, torch or numpy; see the backbone's ``attend``.
        heads: ``mean`` over heads, or the ``max`` of them; the mean over the T tokens in either case.

    Raises:
        ContractError: the two do not fit.
    """
    attention, gradient = _array(attended.attention), _array(attended.gradient)
    if attention.ndim != 3 or attention.shape != gradient.shape:
        raise ContractError(
            "attend must answer attention and gradient of one shape (heads, T, V), "
            f"got {attention.shape} and {gradient.shape}"
        )
    weighted = np.nan_to_num(attention * np.maximum(gradient, 0.0), nan=0.0, posinf=0.0, neginf=0.0)
    if not weighted.size:
        return np.zeros(attention.shape[2])
    if heads == "max":
        weighted = weighted.max(axis=0)
    found: Floats = weighted.reshape(-1, attention.shape[2]).mean(axis=0)
    return found


def token_boxes(attended: Any, count: int) -> Floats:
    """``(V, 4)`` boxes of the visual tokens in pixels of the view; NaN rows for tokens that show no place.

    Raises:
        ContractError: another number of boxes than of tokens.
    """
    boxes = _array(attended.boxes)
    if boxes.shape != (count, 4):
        raise ContractError(f"attend must answer one box (x1, y1, x2, y2) per visual token: {count}, got {boxes.shape}")
    return boxes


def paint(boxes: Floats, values: Floats, size: Size, shape: Size) -> Floats:
    """The values spread evenly over their boxes, as totals per cell of a map of ``shape`` ``(rows, columns)``.

    Exact: a cell that a box covers in part gets that part. So the map's total within any area is the attention of what
    lies there, also where tokens of several sizes overlap (tiles and a thumbnail). What reaches beyond the view is cut
    off; rows that are not finite or have no area are left out.

    Args:
        boxes: ``(V, 4)`` pixels of a view of ``size``.
        values: ``(V,)``.
    """
    rows, columns = shape
    keep = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = boxes[keep]
    down = _shares(kept[:, 1], kept[:, 3], rows / size[0], rows)
    across = _shares(kept[:, 0], kept[:, 2], columns / size[1], columns)
    painted: Floats = (down * values[keep, None]).T @ across
    return painted


def map_shape(size: Size, side: int) -> Size:
    """(rows, columns) of a map with ``side`` cells along the view's longer side; never more cells than pixels."""
    scale = min(1.0, side / max(size))
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def _shares(start: Floats, stop: Floats, scale: float, cells: int) -> Floats:
    """``(V, cells)``: the share of each interval that lies in each cell."""
    edges = np.arange(cells, dtype=np.float64)
    low, high = (start * scale)[:, None], (stop * scale)[:, None]
    overlap = np.minimum(high, edges + 1.0) - np.maximum(low, edges)
    shares: Floats = np.maximum(overlap, 0.0) / (high - low)
    return shares


def _array(values: Any) -> Floats:
    """Torch (any device, any precision) or numpy as float64."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, np.float64)
