"""COCO run-length encodings, both ways, without ever decoding what does not fit its size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rsground.errors import ShapeError
from rsground.geometry.checks import Bools, Floats, Ints, as_mask
from rsground.geometry.raster import polygons_to_mask
from rsground.geometry.runs import fill_runs, run_lengths
from rsground.types import RLE, Size

_MAX_PIXELS = 1 << 32
"""pycocotools counts in 32 bits."""


def mask_to_rle(mask: ArrayLike) -> RLE:
    """Encode one bool mask ``(H, W)``; the bytes are those of pycocotools.

    Raises:
        ShapeError: no mask, or an array of floats.
    """
    pixels = as_mask(mask)
    height, width = pixels.shape
    columns = np.flatnonzero(pixels.any(axis=0))
    if not len(columns):
        return RLE((height, width), _to_text(np.array([height * width] if height * width else [], np.int64)))
    first, stop = int(columns[0]), int(columns[-1]) + 1
    counts = run_lengths(np.ravel(pixels[:, first:stop].T))
    counts[0] += first * height
    after = (width - stop) * height
    if len(counts) % 2:
        counts[-1] += after
    elif after:
        counts = np.append(counts, after)
    return RLE((height, width), _to_text(counts))


def rle_to_mask(rle: RLE) -> Bools:
    """The mask ``(H, W)`` bool.

    Raises:
        ShapeError: the runs cannot be read, or do not add up to H x W.
    """
    starts, stops = _object_runs(rle)
    height, width = rle.size
    mask = np.zeros((height, width), bool)
    if len(starts):
        first, stop = int(starts[0]) // height, (int(stops[-1]) - 1) // height + 1
        flat = fill_runs(starts - first * height, stops - first * height, (stop - first) * height)
        mask[:, first:stop] = flat.reshape(stop - first, height).T
    return mask


def _object_runs(rle: RLE) -> tuple[Ints, Ints]:
    """Starts and stops of the object's runs in the column-major mask; empty runs left out."""
    counts = rle_to_counts(rle)
    stops = np.cumsum(counts)[1::2]
    starts = stops - counts[1::2]
    filled = stops > starts
    return starts[filled], stops[filled]


def rle_to_counts(rle: RLE) -> Ints:
    """Run lengths ``(R,)`` int64 of background, object, background ..., down the columns.

    COCO's text form: five bits a character (offset 48), bit 5 says that more follow, the last one's bit 4 is the
    sign; from the fourth run on, the difference to the run two before is stored.

    Raises:
        ShapeError: the runs cannot be read, or do not add up to H x W.
    """
    text = rle.counts
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(codes) and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 32):
        raise ShapeError(f"RLE counts {text[:24]!r}... of a {rle.size} mask are not COCO's compressed text")
    ends = np.flatnonzero((codes & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.intp)[: len(ends)]
    if len(ends) and (ends - starts).max() > 11:
        raise ShapeError(f"RLE counts {text[:24]!r}... of a {rle.size} mask hold a number of more than 60 bits")
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((codes & 31) << (5 * place), starts) if len(ends) else np.zeros(0, np.int64)
    negative = (codes[ends] & 16) != 0
    values = values - np.where(negative, np.int64(1) << np.minimum(5 * (ends - starts + 1), 62), 0)
    counts = values.copy()
    counts[1::2] = np.cumsum(values[1::2])
    counts[2::2] = np.cumsum(values[2::2])
    return _checked(counts, rle.size)


def _checked(counts: Ints, size: Size) -> Ints:
    height, width = size
    pixels = height * width
    if height < 0 or width < 0 or pixels >= _MAX_PIXELS:
        raise ShapeError(f"an RLE's size must be (H, W) >= 0 of less than 2^32 pixels, got {tuple(size)}")
    odd = counts[(counts < 0) | (counts > pixels)]
    if len(odd) or int(counts.sum()) != pixels:
        got = f"a run of {odd[0]}" if len(odd) else f"{counts.sum()}"
        raise ShapeError(f"RLE runs must be >= 0 and add up to {height}x{width} = {pixels} pixels, got {got}")
    return counts


def rle_from_counts(counts: Sequence[int] | Ints, size: Size) -> RLE:
    """Encode uncompressed run lengths (background first, down the columns) of a mask of ``size`` (H, W).

    Raises:
        ShapeError: a run is negative, or they do not add up to H x W.
    """
    try:
        runs = np.asarray(counts, dtype=np.int64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as reason:
        raise ShapeError(f"RLE runs must be whole numbers, got {str(counts)[:60]}: {reason}") from reason
    height, width = int(size[0]), int(size[1])
    _checked(runs, (height, width))
    return RLE((height, width), _to_text(runs))


def _to_text(counts: Ints) -> bytes:
    """COCO's text of run lengths; :func:`rle_to_counts` says how it is made."""
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    digits, alive = [], np.ones(len(rest), bool)
    while alive.any():
        low = rest & 31
        rest = rest >> 5
        more = np.where(low & 16, rest != -1, rest != 0)
        digits.append(np.where(alive, low + 48 + 32 * more, 0))
        alive = alive & more
    text = np.stack(digits, axis=1).ravel() if digits else np.zeros(0, np.int64)
    return text[text > 0].astype(np.uint8).tobytes()


def rle_from_coco(segmentation: Mapping[str, Any]) -> RLE:
    """Read COCO's ``{"size": [H, W], "counts": ...}``: compressed text, bytes, or a list of runs.

    Raises:
        ShapeError: keys are missing, or the runs do not fit the size.
    """
    try:
        height, width = (int(v) for v in segmentation["size"])
        counts = segmentation["counts"]
    except (KeyError, TypeError, ValueError) as reason:
        raise ShapeError(f"a COCO RLE needs 'size': [H, W] and 'counts', got {str(segmentation)[:80]}") from reason
    if not isinstance(counts, str | bytes):
        return rle_from_counts(counts, (height, width))
    rle = RLE((height, width), counts.encode("utf-8", "replace") if isinstance(counts, str) else counts)
    rle_to_counts(rle)
    return rle


def polygons_to_rle(rings: Iterable[ArrayLike], size: Size) -> RLE:
    """The union of the filled rings; the rule is :func:`rsground.geometry.polygons_to_mask`'s."""
    return mask_to_rle(polygons_to_mask(rings, size))


def rle_area(rle: RLE) -> int:
    """Object pixels of an encoded mask."""
    return int(rle_to_counts(rle)[1::2].sum())


def rle_to_hbb(rle: RLE) -> Floats:
    """Bounding box ``(4,)`` on pixel edges of an encoded mask; NaN where it is empty."""
    starts, stops = _object_runs(rle)
    height = rle.size[0]
    if not len(starts):
        return np.full(4, np.nan)
    x1, x2 = starts[0] // height, (stops[-1] - 1) // height + 1
    one_column = starts // height == (stops - 1) // height
    y1 = np.where(one_column, starts % height, 0).min()
    y2 = np.where(one_column, (stops - 1) % height + 1, height).max()
    return np.array([x1, y1, x2, y2], np.float64)


def rle_union(rles: Sequence[RLE], size: Size | None = None) -> RLE:
    """The union of encoded masks of one size; ``size`` is needed where there may be none of them.

    Raises:
        ShapeError: the sizes differ, or nothing says what size an empty union has.
    """
    from pycocotools import mask as coco

    sizes = {tuple(rle.size) for rle in rles} | ({(int(size[0]), int(size[1]))} if size is not None else set())
    if len(sizes) != 1:
        raise ShapeError(f"the union of masks needs one size, got {sorted(sizes) if sizes else 'no mask and no size'}")
    ((height, width),) = sizes
    if not rles:
        return rle_from_counts([height * width], (height, width))
    merged = coco.merge(_coco(rles))
    return RLE((height, width), merged["counts"])


def rle_iou_matrix(a: Sequence[RLE], b: Sequence[RLE]) -> Floats:
    """IoU ``(N, M)`` of encoded masks of one size, without decoding; 1 for two empty masks (a mask task's rule).

    Raises:
        ShapeError: the sizes differ.
    """
    from pycocotools import mask as coco

    if len({tuple(rle.size) for rle in (*a, *b)}) > 1:
        raise ShapeError(f"masks must have one size, got {sorted({tuple(rle.size) for rle in (*a, *b)})}")
    if not a or not b:
        return np.zeros((len(a), len(b)))
    first, second = _coco(a), _coco(b)
    iou = np.array(coco.iou(first, second, [0] * len(second)), np.float64)
    return np.where((coco.area(first) == 0)[:, None] & (coco.area(second) == 0)[None], 1.0, iou)


def _coco(rles: Sequence[RLE]) -> list[dict[str, Any]]:
    """As pycocotools takes them; each is checked first, since it trusts what it is given."""
    for rle in rles:
        rle_to_counts(rle)
    return [{"size": list(rle.size), "counts": rle.counts} for rle in rles]
