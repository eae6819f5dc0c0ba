"""The DIOR-RSVG layout: a VOC file per image, and split files that number the objects of all files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

from rsground.datasets.refer.placing import file_name, place_image
from rsground.datasets.refer.records import ImageRecord, Ref
from rsground.errors import DataError
from rsground.types import HBB

SPLITS = ("train", "val", "test")
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_dior_rsvg(root: Path, records: Iterable[ImageRecord], images: str) -> int:
    """Write ``Annotations/*.xml``, ``JPEGImages/`` and ``train.txt``, ``val.txt``, ``test.txt``.

    The layout holds one box per expression, so expressions with several targets or none are left out, and images
    without any other expression too. An ``object`` stands for an expression: an instance with three expressions is
    there three times, as in the published files. The split files hold the running numbers of the objects over the
    files sorted by name.

    Returns:
        Number of expressions written.
    """
    annotations, pictures = root / "Annotations", root / "JPEGImages"
    annotations.mkdir(parents=True)
    pictures.mkdir(parents=True)
    split_of: dict[str, tuple[str, int]] = {}
    for record in records:
        singles = [ref for ref in record.refs if len(ref.targets) == 1]
        if not singles:
            continue
        name = Path(file_name(record)).stem + ".xml"
        if name in split_of:
            raise DataError(f"two images would both be {name}: their names differ in the ending only")
        split_of[name] = (record.split, len(singles))
        (annotations / name).write_text(_voc(record, singles), encoding="utf-8")
        place_image(record, pictures, images)
    numbers: dict[str, list[int]] = {split: [] for split in SPLITS}
    count = 0
    for name in sorted(split_of):
        split, many = split_of[name]
        numbers.setdefault(split, []).extend(range(count, count + many))
        count += many
    for split, found in numbers.items():
        (root / f"{split}.txt").write_text("".join(f"{number}\n" for number in found), encoding="utf-8")
    return count


def _voc(record: ImageRecord, refs: list[Ref]) -> str:
    height, width = record.size
    objects = "".join(_object(record, ref) for ref in refs)
    return (
        f"<annotation>\n\t<filename>{_text(file_name(record))}</filename>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


def _object(record: ImageRecord, ref: Ref) -> str:
    region = record.regions[ref.targets[0]]
    assert region.hbb is not None
    return (
        f"\t<object>\n\t\t<name>{_text(region.label or 'object')}</name>\n\t\t<pose>Unspecified</pose>\n"
        f"\t\t<bndbox>\n{_box(region.hbb)}\t\t</bndbox>\n"
        f"\t\t<description>{_text(ref.text)}</description>\n\t</object>\n"
    )


def _box(box: HBB) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    return "".join(f"\t\t\t<{name}>{value:.10g}</{name}>\n" for name, value in zip(names, box, strict=True))


def _text(value: str) -> str:
    return escape(_NOT_XML.sub(" ", value))
