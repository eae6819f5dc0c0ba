"""Label images to run lengths: one at a time, and never kept as pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.datasets.fields import RecordError, short
from rsground.datasets.layout import is_file
from rsground.geometry import mask_to_rle, rle_from_counts
from rsground.types import RLE, Size


def read_labels(path: Path, size: Size | None) -> NDArray[Any]:
    """Pixel values of a label image, ``(H, W)`` or ``(H, W, channels)``, palette indices and 16 bits kept.

    Args:
        path: PNG, TIFF, BMP ...; masks are never JPEG.
        size: (H, W) it must have; None takes what is there.

    Raises:
        RecordError: missing, damaged, or of another size; the size is checked before anything is decoded.
    """
    from PIL import Image

    if not is_file(path):
        raise RecordError("missing-mask", f"there is no {path.parent.name}/{path.name}")
    try:
        with Image.open(path) as image:
            found = (image.height, image.width)
            if size is not None and found != tuple(size):
                raise RecordError("mask-size", f"{path.name} has {_by(found)} pixels, its image {_by(size)}")
            pixels = np.asarray(image)
    except RecordError:
        raise
    except Exception as error:  # Pillow's decoders fail in many ways; each means that the file is damaged
        raise RecordError("bad-mask", f"{path.name}: {type(error).__name__}: {short(str(error))}") from None
    if pixels.ndim not in (2, 3) or pixels.shape[:2] != found:
        raise RecordError("bad-mask", f"{path.name} is no label image: its pixels have shape {pixels.shape}")
    return pixels


def read_mask(path: Path, size: Size | None) -> NDArray[np.bool_]:
    """Where a label image is not zero, ``(H, W)``; in colour, where any channel but alpha is not."""
    pixels: NDArray[Any] = read_labels(path, size)
    if pixels.ndim == 3:
        colours = pixels[..., :-1] if pixels.shape[2] in (2, 4) else pixels
        pixels = np.asarray(colours.any(axis=2))
    return np.asarray(pixels != 0, np.bool_)


def read_mask_rle(path: Path, size: Size | None) -> RLE | None:
    """:func:`read_mask` as run lengths; None where no pixel is set."""
    mask = read_mask(path, size)
    return mask_to_rle(mask) if mask.any() else None


def colour_codes(pixels: NDArray[Any], name: str) -> NDArray[np.int64]:
    """iSAID's numbers of an RGB image ``(H, W, 3 or 4)``: R + 256 G + 65536 B, ``(H, W)`` int64; 0 is unlabelled.

    Raises:
        RecordError: no colour image of 8 bits.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype != np.uint8:
        raise RecordError("bad-mask", f"{name} must be an 8-bit RGB image, got {pixels.dtype} of {pixels.shape}")
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    return red + 256 * green + 65536 * blue


def instance_rles(codes: NDArray[np.int64]) -> list[tuple[int, RLE, tuple[int, int]]]:
    """Every instance of an id image ``(H, W)``: (id, mask, (row, column) of one of its pixels), by ascending id.

    One sort of the labelled pixels serves all instances; no mask is made dense.
    """
    height, width = codes.shape
    flat = codes.ravel(order="F")
    labelled = np.flatnonzero(flat)
    if not len(labelled):
        return []
    order = labelled[np.argsort(flat[labelled], kind="stable")]
    ids = flat[order]
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    stops = np.append(starts[1:], len(order))
    found = []
    for start, stop in zip(starts, stops, strict=True):
        places = order[start:stop]
        column, row = divmod(int(places[0]), height)
        found.append((int(ids[start]), rle_at(places, (height, width)), (row, column)))
    return found


def rle_at(places: NDArray[np.intp], size: Size) -> RLE:
    """The mask of ``size`` (H, W) with the pixels at ``places``: at least one, ascending in column-major order."""
    breaks = np.flatnonzero(np.diff(places) > 1)
    begins = places[np.append(0, breaks + 1)]
    ends = places[np.append(breaks, len(places) - 1)] + 1
    edges = np.empty(2 * len(begins) + 2, np.int64)
    edges[0], edges[-1] = 0, size[0] * size[1]
    edges[1:-1:2], edges[2:-1:2] = begins, ends
    return rle_from_counts(np.diff(edges), size)


def _by(size: Size) -> str:
    return f"{size[1]} x {size[0]}"
