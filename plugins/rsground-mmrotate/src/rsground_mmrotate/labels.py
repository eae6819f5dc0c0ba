"""DOTA's label files: one object a line, ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rsground.errors import DataError
from rsground.images import read_image
from rsground.regions import quad_of
from rsground.types import Quad, Region
from rsground_mmrotate.annotated import Annotated

CLASSES = "classes.json"
"""Beside ``images/`` and ``labelTxt/``: the categories of an exported folder, a JSON list."""


class Exported(NamedTuple):
    """What :func:`export_dota` wrote.

    Attributes:
        images: how many.
        objects: per category as it is written.
        left_out: regions without a category or a place.
    """

    images: int
    objects: dict[str, int]
    left_out: int


def export_dota(images: Iterable[Annotated], folder: Path, *, header: bool = False) -> Exported:
    """Write annotated images in DOTA's layout: ``images/NAME.png`` and ``labelTxt/NAME.txt``.

    Pixels are written as they are read, without loss. Masks and upright boxes are written as the oriented box that
    is derived from them. Calling it again adds to the folder.

    Args:
        images: what to write.
        folder: made where it is not there.
        header: begin label files with ``imagesource:`` and ``gsd:`` as DOTA does. MMRotate's own reader takes only
            files without them.

    Raises:
        DataError: an image's name cannot be a file name, or the folder cannot be written.
        ImageError: an image cannot be read.
    """
    from PIL import Image

    places = (folder / "images", folder / "labelTxt")
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    count, left_out, objects = 0, 0, Counter[str](dict.fromkeys(_known(folder), 0))
    for each in images:
        if Path(each.name).name != each.name or each.name.startswith("."):
            raise DataError(f"image name {each.name!r} cannot be a file name")
        lines = [line for region in each.regions if (line := label_line(region)) is not None]
        left_out += len(each.regions) - len(lines)
        objects.update(line.split(" ")[8] for line in lines)
        top = ["imagesource:rsground", f"gsd:{'null' if each.gsd is None else each.gsd}"] if header else []
        Image.fromarray(read_image(each.image)).save(places[0] / f"{each.name}.png")
        (places[1] / f"{each.name}.txt").write_text("".join(f"{line}\n" for line in [*top, *lines]), "utf-8")
        count += 1
    (folder / CLASSES).write_text(json.dumps(sorted(objects)) + "\n", "utf-8")
    return Exported(count, {name: number for name, number in objects.items() if number}, left_out)


def label_line(region: Region) -> str | None:
    """The region as a line of a label file; None where it has no category or no oriented box."""
    quad = quad_of(region)
    if quad is None or not region.label:
        return None
    return f"{corners_text(quad)} {class_name(region.label)} {int(region.attributes.get('difficult', 0))}"


def corners_text(quad: Quad) -> str:
    """Eight numbers, to the thousandth of a pixel."""
    return " ".join(number_text(value) for corner in quad for value in corner)


def number_text(value: float) -> str:
    """A coordinate in as few characters as the thousandth of a pixel takes."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def class_name(category: str) -> str:
    """A category in one word, as DOTA writes it: ``"small vehicle"`` → ``"small-vehicle"``."""
    return "-".join(category.split())


def read_classes(folder: Path) -> list[str]:
    """The categories of an exported folder, in the order a detector's outputs have.

    Raises:
        DataError: the folder was not exported, or its list is damaged.
    """
    found = _known(folder)
    if not found:
        raise DataError("names no categories; 'rsground dota export' writes it", folder / CLASSES)
    return found


def _known(folder: Path) -> list[str]:
    path = folder / CLASSES
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", path) from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise DataError("must be a list of category names", path)
    return found
