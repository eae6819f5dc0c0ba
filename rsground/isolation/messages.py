"""Samples with their pictures as messages, and answers as predictions."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ProtocolError
from rsground.records import prediction_from_json, sample_from_json, sample_to_json
from rsground.types import ImageRef, Prediction, Sample

if TYPE_CHECKING:
    from rsground.pipeline import Images

Pixels = NDArray[np.uint8]


def samples_to_message(
    samples: Sequence[Sample], images: Images | None, held: Collection[str], *, with_targets: bool
) -> tuple[dict[str, Any], bytes]:
    """What ``ground`` carries: samples, and as attachment the pictures that are no files.

    Args:
        samples: in the order of the answers.
        images: draws rendered pictures; None where the system never looks.
        held: names of pictures the worker has already.
        with_targets: whether the right answers go with them; only a system that repeats them may see them.
    """
    rows, pictures, attachment = [], {}, bytearray()
    for sample in samples:
        row = sample_to_json(sample if with_targets else replace(sample, targets=None, answer=None))
        rows.append(row)
        for ref in sample.images if images is not None else ():
            if ref.render is None or ref.uri in held or ref.uri in pictures:
                continue
            assert images is not None
            picture = to_png(images.read(ref))
            pictures[ref.uri] = [len(attachment), len(picture)]
            attachment += picture
    rendered = sorted({ref.uri for sample in samples for ref in sample.images if ref.render is not None})
    return {"samples": rows, "rendered": rendered, "pictures": pictures}, bytes(attachment)


def samples_from_message(message: Mapping[str, Any], attachment: bytes, images: Images) -> list[Sample]:
    """The samples that :func:`samples_to_message` wrote. ``images`` keeps what was drawn, by name."""
    pictures, rendered, held = message["pictures"], set(message["rendered"]), images.held

    def image(ref: ImageRef) -> ImageRef:
        if ref.uri not in rendered:
            return ref
        if ref.uri not in pictures:
            return replace(ref, render=partial(_held, ref.uri, held.get(ref.uri)))
        offset, length = pictures[ref.uri]
        return replace(ref, render=partial(from_png, attachment[offset : offset + length]))

    found = [sample_from_json(row) for row in message["samples"]]
    return [replace(sample, images=tuple(image(ref) for ref in sample.images)) for sample in found]


def _held(uri: str, pixels: Pixels | None) -> Pixels:
    if pixels is None:
        raise ProtocolError(f"picture {uri!r} was neither sent nor held")
    return pixels


def predictions_from_message(message: Mapping[str, Any], samples: Sequence[Sample]) -> list[Prediction]:
    """The answers to ``samples``.

    Raises:
        ProtocolError: another number of answers, an answer that is no prediction, or a mask of another size.
    """
    rows = message.get("predictions")
    if not isinstance(rows, list) or len(rows) != len(samples):
        got = len(rows) if isinstance(rows, list) else type(rows).__name__
        raise ProtocolError(f"{len(samples)} samples were asked, {got} answers came")
    return [_prediction(row, sample) for row, sample in zip(rows, samples, strict=True)]


def _prediction(row: Any, sample: Sample) -> Prediction:
    try:
        found = prediction_from_json(row)
        sizes = {tuple(region.rle.size) for region in found.regions if region.rle is not None}
        good = isinstance(found.text, str) and isinstance(found.error, str | None)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"the answer to sample {sample.id!r} is no prediction: {error!r}") from None
    if not good or sizes - {sample.size}:
        raise ProtocolError(f"the answer to sample {sample.id!r} has masks of {sizes}, its image is {sample.size}")
    return found


def to_png(pixels: Pixels) -> bytes:
    """A PNG of ``(H, W, 3)`` uint8, stored and not compressed: pipes are faster than deflate."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def from_png(data: bytes) -> Pixels:
    """The pixels ``(H, W, 3)`` uint8 of a PNG."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))
