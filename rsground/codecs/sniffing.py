"""Which format an answer is in: strict per format first, tolerant second; scales are guessed only when asked to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

from rsground.codecs.codec import Codec, Reading
from rsground.codecs.mend import ordered
from rsground.codecs.scan import MAX_TEXT, Notes, groups
from rsground.types import Issue, Region, Size

_SIGNS: Mapping[str, str] = {
    "text-hbb": r"<box>\s{0,4}\[\s{0,4}\[",
    "text-obb": r"<obb>",
    "text-mask": r"<seg>\s{0,4}[01] {0,4}\*",
    "text4seg": r"<seg>[^<*|]{1,200}\*",
    "box-mask": r"</box>\s{0,4}<seg>",
    "polygon-box": r"<poly>[0-9,. ]{7,80}:",
    "polygon": r"<poly>[0-9,. ]{1,400}",
    "point-set": r"\{\s{0,4}\(",
    "qwen2.5-vl": r'"bbox_2d"',
    "qwen3-vl": r'"bbox_2d"',
}
"""What gives a format away inside other text, for codecs that are no box dialect."""


@cache
def known_codecs() -> dict[str, Codec]:
    """Every format that can be told from others, with default options, by name; the more telling first."""
    from rsground.codecs import dialects
    from rsground.codecs.box_mask import BoxMask
    from rsground.codecs.boxes import TextBox
    from rsground.codecs.oriented import TextOBB
    from rsground.codecs.point_set import PointSet
    from rsground.codecs.polygon import PolygonText
    from rsground.codecs.polygon_box import PolygonBox
    from rsground.codecs.text_mask import Text4Seg, TextMask

    masks: list[Codec] = [BoxMask(), TextMask(), Text4Seg(), PolygonBox(), PolygonText()]
    boxes: list[Codec] = [TextBox(), TextOBB(), PointSet()]
    others: list[Codec] = [getattr(dialects, name)() for name in dialects.__all__]
    return {codec.name: codec for codec in (*masks, *boxes, *others)}


def sniff(text: str, size: Size = (1000, 1000)) -> tuple[str, ...]:
    """Names of the formats that an answer can be in, the best first.

    First those whose grammar accepts the answer as it stands, then those that have at least one region worded
    exactly in their way somewhere in it. Nothing is decided by how large the numbers are, so formats that differ in
    scale alone (GeoGround's boxes and InternVL's) come together.

    Args:
        text: any answer; never raises.
        size: (H, W) of the image, for formats in pixels.
    """
    text = text[:MAX_TEXT]
    codecs = known_codecs()
    exact = [name for name, codec in codecs.items() if _accepts(codec, text.strip(), size)]
    inside = [name for name, codec in codecs.items() if name not in exact and _holds(codec, text)]
    return (*exact, *inside)


def read_any(
    text: str,
    size: Size,
    asked: Codec | None = None,
    formats: Sequence[Codec] | None = None,
    scale: Literal["strict", "auto"] = "strict",
) -> Reading:
    """Read an answer whatever its format; ``Reading.dialect`` says which one matched.

    The format asked for is tried strictly, then all others strictly, then the one asked for tolerantly.

    Args:
        text: any answer; never raises.
        size: (H, W) of the image.
        asked: the codec the model was asked to answer in; None for any.
        formats: what else may match; all known formats by default.
        scale: ``"auto"`` takes four bare numbers as a box when nothing else matches, and guesses their scale from the
            largest: up to 1.5 fractions, up to 1000 thousandths, beyond that pixels. Small pixel coordinates are
            misread by this; it exists to compare with evaluations that do so.
    """
    if asked is not None and (_accepts(asked, text.strip(), size) or _holds(asked, text)):
        return asked.read(text, size)
    found = sniff(text, size) if formats is None else _sniffed(formats, text, size)
    candidates = known_codecs() if formats is None else {codec.name: codec for codec in formats}
    for name in found:
        reading = candidates[name].read(text, size)
        if reading.parsed and asked is not None and name != asked.name:
            note = Issue("other-format", f"answered as {name}, asked for {asked.name}")
            return Reading(reading.regions, (note, *reading.issues), reading.parsed, name)
        if reading.parsed:
            return reading
    if asked is not None:
        loose = asked.read(text, size)
        if loose.parsed or scale == "strict":
            return loose
    return _guessed(text, size) if scale == "auto" else Reading((), _reason(text), parsed=False)


def _sniffed(formats: Sequence[Codec], text: str, size: Size) -> list[str]:
    exact = [codec.name for codec in formats if _accepts(codec, text.strip(), size)]
    return [*exact, *(codec.name for codec in formats if codec.name not in exact and _holds(codec, text))]


def _accepts(codec: Codec, text: str, size: Size) -> bool:
    return bool(text) and codec.grammar(size).matches(text)


def _holds(codec: Codec, text: str) -> bool:
    """Whether one region of the format stands somewhere in the text, worded exactly."""
    from rsground.codecs.dialects.wording import BoxDialect

    if isinstance(codec, BoxDialect):
        return codec.holds(text[:MAX_TEXT])
    sign = _SIGNS.get(codec.name)
    return sign is not None and re.search(sign, text[:MAX_TEXT]) is not None


def _reason(text: str) -> tuple[Issue, ...]:
    if not text.strip():
        return (Issue("empty", "the answer holds no text"),)
    return (Issue("missing-tag", "in none of the known formats"),)


def _guessed(text: str, size: Size) -> Reading:
    """The first four numbers in brackets, else anywhere, scaled by their magnitude."""
    found = groups(text[:MAX_TEXT])
    numbers = next((group.numbers for group in found if len(group.numbers) == 4), None)
    numbers = numbers or [value for group in found for value in group.numbers][:4]
    if len(numbers) < 4:
        return Reading((), (Issue("too-few-numbers", f"{len(numbers)} numbers, 4 are needed"),), parsed=False)
    notes = Notes()
    largest = max(map(abs, numbers))
    height, width = size
    scale = (width, height) if largest <= 1.5 else (width / 1000, height / 1000) if largest <= 1000 else (1.0, 1.0)
    x1, y1, x2, y2 = ordered([value * scale[index % 2] for index, value in enumerate(numbers)], notes, None)
    box = (min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height))
    notes.add("other-format", f"scale guessed from the largest number, {largest:g}")
    return Reading((Region(hbb=box),), notes.done(), dialect="auto")
