"""DOTA's Task1 files: detections of all images, one file a category, as its evaluation server takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rsground.errors import DataError
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.labels import class_name, corners_text

_PREFIX = "Task1_"
_FIELDS = 10


def write_task1(folder: Path, found: Iterable[tuple[str, Sequence[Detection]]], classes: Sequence[str]) -> int:
    """Write ``Task1_CATEGORY.txt`` files, lines ``image score x1 y1 x2 y2 x3 y3 x4 y4``; how many detections.

    Args:
        folder: made where it is not there.
        found: per image its name (without ending) and what was found in it.
        classes: every category gets a file, found or not.

    Raises:
        DataError: an image's name holds white space, or a category is none of ``classes``.
    """
    lines: dict[str, list[str]] = {class_name(name): [] for name in classes}
    for image, detections in found:
        if len(image.split()) != 1 or image != image.strip():
            raise DataError(f"image name {image!r} holds white space, which Task1 files cannot say")
        for each in detections:
            name = class_name(each.category)
            if name not in lines:
                raise DataError(f"category {each.category!r} is none of {', '.join(lines)}")
            lines[name].append(f"{image} {each.score:.6g} {corners_text(each.quad)}\n")
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in lines.items():
        (folder / f"{_PREFIX}{name}.txt").write_text("".join(rows), "utf-8")
    return sum(map(len, lines.values()))


def read_task1(folder: Path) -> tuple[dict[str, list[Detection]], list[str]]:
    """Detections per image and the categories, from ``Task1_*.txt`` files.

    Raises:
        DataError: there are none, or a line cannot be read.
    """
    files = sorted(folder.glob(f"{_PREFIX}*.txt"))
    if not files:
        raise DataError(f"there are no {_PREFIX}CATEGORY.txt files", folder)
    found: dict[str, list[Detection]] = {}
    for path in files:
        for image, detection in _rows(path, path.stem.removeprefix(_PREFIX)):
            found.setdefault(image, []).append(detection)
    return found, [path.stem.removeprefix(_PREFIX) for path in files]


def _rows(path: Path, category: str) -> Iterator[tuple[str, Detection]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            if len(words) != _FIELDS:
                raise ValueError(f"{len(words)} fields")
            score, *corners = map(float, words[1:])
        except ValueError as error:
            raise DataError(
                f"expected 'image score x1 y1 ... x4 y4', got {line[:60]!r} ({error})", path, number
            ) from None
        a, b, c, d = zip(corners[::2], corners[1::2], strict=True)
        yield words[0], Detection((a, b, c, d), category, score)
