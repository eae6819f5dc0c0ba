"""Photographs of a referring set with masks of all their instances, held as drawn scenes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rsground.errors import DataError, ImageError
from rsground.geometry import rle_to_mask
from rsground.images import read_image
from rsground.models.training.annotated import source_of
from rsground.models.training.refer_book import photographs
from rsground.models.training.refusal import Refusal, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rsground.types import RLE, Region

_LEAST = 0.4
"""Least side of a window, as a share of the photograph's."""


class Photographs:
    """Photographs of a set in the REFER form (RRSIS-D's layout), each whole and in random windows.

    Instances whose mask nobody annotated (``segmentation_from``) are not taught.

    Args:
        root: folder with ``rrsisd/instances.json`` and ``images/rrsisd/JPEGImages``.
        split: whose photographs.
        windows: random ones of each, of four tenths of its sides and more; few photographs are seen at many scales.
        size: side of what is held, pixels; aspects are not kept, as the image encoder does not keep them.
        seed: of the windows.

    Attributes:
        passed_over: photographs that cannot be read, or have no annotated mask.

    Raises:
        LayoutError: the files are not there.
        DataError: the split holds nothing, or more than half of its photographs are passed over.
    """

    def __init__(self, root: str, split: str, windows: int = 0, size: int = 256, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.size = size
        images, labels = [], []
        found = photographs(root, split)
        tally, passed_over = Tally(len(found)), []
        for samples, instances in found:
            try:
                masks = _masks(_annotated([region for region, _ in instances]))
                pixels = read_image(samples[0].image)
            except (DataError, ImageError) as error:
                passed_over.append(tally.bad(samples[0].image.uri, error))
                continue
            tally.good()
            shares = [1.0, *rng.uniform(_LEAST, 1, windows)]
            for share in shares:
                height, width = (round(share * side) for side in pixels.shape[:2])
                top, left = (int(rng.integers(a - b + 1)) for a, b in zip(pixels.shape, (height, width), strict=False))
                inside = slice(top, top + height), slice(left, left + width)
                shown = Image.fromarray(pixels[inside]).resize((size, size), Image.Resampling.BILINEAR)
                images.append(np.asarray(shown))
                labels.append(_labels([mask[inside] for mask in masks], size))
        self.passed_over: tuple[Refusal, ...] = tuple(passed_over)
        self.images: NDArray[np.uint8] = np.stack(images)
        self.labels: NDArray[np.uint16] = np.stack(labels)

    def ready(self) -> NDArray[np.int64]:
        """Positions of all."""
        return np.arange(len(self.images))


def _annotated(regions: Sequence[Region]) -> list[RLE]:
    planes = [region.rle for region in regions if region.rle is not None and source_of(region) is None]
    if not planes:
        raise DataError(f"none of its {len(regions)} instances has a mask that was annotated")
    return planes


def _masks(planes: Sequence[RLE]) -> list[NDArray[np.bool_]]:
    """Largest first, so that a smaller one is not hidden by what it stands on."""
    return sorted((rle_to_mask(plane) for plane in planes), key=lambda mask: -int(mask.sum()))


def _labels(masks: Sequence[NDArray[np.bool_]], size: int) -> NDArray[np.uint16]:
    """``(size, size)`` number of the object that covers half a pixel, later ones above earlier ones."""
    found = np.zeros((size, size), np.uint16)
    for number, mask in enumerate(masks, 1):
        plane = Image.fromarray(mask.astype(np.uint8) * 255).resize((size, size), Image.Resampling.BOX)
        found[np.asarray(plane) >= 128] = number
    return found
