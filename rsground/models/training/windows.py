"""Random windows of training images: a tower that saw few real images sees them at many scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsground.models.training.objects import Objects

_LEAST_SHOWN = 0.6


def window_of(
    image: NDArray[np.uint8], objects: Objects, size: int, least: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Objects]:
    """A random square window of an image, resized, and the objects in it.

    Args:
        image: ``(S, S, 3)`` uint8.
        objects: in its pixels.
        size: side of what is answered, pixels.
        least: least side of the window, as a share of the image's; 1 for the whole image.
        rng: of the chances; half of the windows are the whole image.

    Returns:
        ``(size, size, 3)`` uint8, and the objects of whose box at least six tenths lie in the window, in its pixels;
        what sticks out is not cut off.
    """
    whole = image.shape[0]
    side = whole if least >= 1 or rng.random() < 0.5 else round(whole * rng.uniform(least, 1))
    left, top = (int(each) for each in rng.integers(whole - side + 1, size=2))
    seen = Image.fromarray(image[top : top + side, left : left + side])
    boxes = objects.boxes - np.array([left, top, left, top], np.float32)
    inner = np.clip(boxes, 0, side)
    kept = _areas(inner) >= _LEAST_SHOWN * np.maximum(_areas(boxes), 1e-6)
    scale = np.float32(size / side)
    quads = (objects.quads - np.array([left, top], np.float32)) * scale
    told = (each[kept] for each in (objects.categories, objects.colours, objects.ids, objects.headings))
    held = Objects(boxes[kept] * scale, quads[kept], *told)
    return np.asarray(seen.resize((size, size), Image.Resampling.BILINEAR)), held


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    area: NDArray[np.float32] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area
