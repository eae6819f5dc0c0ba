"""VOC-style XML, one file per image."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from rsground.datasets.boxes import checked_size
from rsground.datasets.fields import RecordError, as_number, short
from rsground.datasets.files import parse_xml, read_bytes
from rsground.types import Size

_CORNERS = (
    "x_left_top",
    "y_left_top",
    "x_right_top",
    "y_right_top",
    "x_right_bottom",
    "y_right_bottom",
    "x_left_bottom",
    "y_left_bottom",
)
_SHORT_CORNERS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")


class VocFile(NamedTuple):
    """One annotation file.

    Attributes:
        image: file name of the image, as the XML has it; the XML's own stem where it has none.
        size: (H, W), None where the file does not say.
        objects: the ``object`` elements, in file order.
    """

    image: str
    size: Size | None
    objects: list[Element]


def read_voc(path: Path) -> VocFile:
    """An annotation file, its objects not yet looked at.

    Raises:
        RecordError: unreadable, not well-formed, or with an absurd size.
    """
    root = parse_xml(read_bytes(path), path.name)
    size = root.find("size")
    found: Size | None = None
    if size is not None and (size.findtext("height") or "0").strip() not in ("", "0"):
        found = checked_size(int(_number(size, "height")), int(_number(size, "width")))
    name = (root.findtext("filename") or "").strip()
    return VocFile(name or path.stem, found, root.findall("object"))


def text_of(element: Element, *tags: str) -> str:
    """Text of the first child of that name.

    Raises:
        RecordError: there is none, or it is blank.
    """
    for tag in tags:
        value = element.findtext(tag)
        if value is not None and value.strip():
            return value.strip()
    raise RecordError(
        "missing-field", f"the object has no <{tags[0]}>; it has {short([child.tag for child in element])}"
    )


def box_of(element: Element) -> list[float]:
    """xmin, ymin, xmax, ymax of an object, as written: taken as pixel edges.

    Raises:
        RecordError: a number is missing or none.
    """
    box = element.find("bndbox")
    if box is None:
        raise RecordError(
            "missing-field", f"the object has no <bndbox>; it has {short([child.tag for child in element])}"
        )
    return [_number(box, tag) for tag in ("xmin", "ymin", "xmax", "ymax")]


def corners_of(element: Element) -> list[float] | None:
    """Eight numbers of an object's ``robndbox`` or polygon ``bndbox``; None where it has an upright box only."""
    for tag in ("robndbox", "polygon", "bndbox"):
        box = element.find(tag)
        if box is None:
            continue
        for names in (_CORNERS, _SHORT_CORNERS):
            if all(box.find(name) is not None for name in names):
                return [_number(box, name) for name in names]
    return None


def _number(element: Element, tag: str) -> float:
    raw = (element.findtext(tag) or "").strip()
    try:
        return as_number(float(raw), tag)
    except ValueError:
        raise RecordError("bad-field", f"<{tag}> must be a number, got {short(raw)}") from None
