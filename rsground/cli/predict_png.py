"""Answers drawn on the image: masks tinted, outlines in a colour per question, a legend below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rsground.cli.predict_answers import Answer, Scene
from rsground.regions import hbb_of, mask_of
from rsground.types import Point, Region, Task

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2", "#ffffff")
"""Okabe and Ito's colours, which people who see few colours can tell apart, and white."""

_LEAST, _MOST = 640, 2400
"""Longer side of the picture: small images are magnified by a whole number, large ones shrunk."""
_TINT = 0.4


def overlay(scene: Scene, answers: Sequence[Answer]) -> NDArray[np.uint8]:
    """The picture ``(h, w, 3)`` uint8 RGB."""
    pixels = scene.pixels()
    scale = _scale(max(pixels.shape[:2]))
    picture = _tinted(pixels, answers, scale)
    draw = ImageDraw.Draw(picture)
    font = _font(15)
    taken: list[tuple[float, ...]] = []
    for number, answer in enumerate(answers):
        for region in answer.found.regions:
            _outline(draw, region, answer.task, COLOURS[number % len(COLOURS)], scale)
    for number, answer in enumerate(answers):
        for region in answer.found.regions:
            _name(draw, _tag(answer, region), region, COLOURS[number % len(COLOURS)], scale, font, taken)
    return np.asarray(_with_legend(picture, answers))


def _scale(side: int) -> float:
    return _MOST / side if side > _MOST else float(max(1, _LEAST // side))


def _tinted(pixels: NDArray[np.uint8], answers: Sequence[Answer], scale: float) -> Image.Image:
    """The image at the picture's size with every mask mixed in."""
    size = (pixels.shape[0], pixels.shape[1])
    mixed = pixels
    for number, answer in enumerate(answers):
        colour = np.array(_rgb(COLOURS[number % len(COLOURS)]), np.float32)
        for region in answer.found.regions:
            if not _has_mask(region):
                continue
            mask = mask_of(region, size)
            if mixed is pixels:
                mixed = pixels.copy()
            mixed[mask] = (mixed[mask] * (1 - _TINT) + colour * _TINT).astype(np.uint8)
    picture = Image.fromarray(mixed)
    width, height = max(1, round(size[1] * scale)), max(1, round(size[0] * scale))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return picture if scale == 1 else picture.resize((width, height), how)


def _has_mask(region: Region) -> bool:
    return region.rle is not None or region.polygons is not None


def _outline(draw: Any, region: Region, task: Task, colour: str, scale: float) -> None:
    for ring in _rings(region, task):
        points = [(x * scale, y * scale) for x, y in ring]
        draw.line([*points, *points[:2]], fill="black", width=5, joint="curve")
        draw.line([*points, *points[:2]], fill=colour, width=2, joint="curve")
    for x, y in region.points or ():
        draw.ellipse((x * scale - 5, y * scale - 5, x * scale + 5, y * scale + 5), fill=colour, outline="black")


def _rings(region: Region, task: Task) -> list[Sequence[Point]]:
    """The outlines to draw: of the form that was asked for, where the region has it, else of the richest."""
    if task == Task.OBB and region.quad is not None:
        return [region.quad]
    if task == Task.HBB and region.hbb is not None:
        return [_corners(region.hbb)]
    if region.rle is not None:
        from rsground.cli.predict_geojson import shape_of_mask
        from rsground.geometry import rle_to_mask

        shape = shape_of_mask(rle_to_mask(region.rle))
        parts = [shape] if shape.geom_type == "Polygon" else list(shape.geoms)
        return [list(ring.coords) for part in parts for ring in (part.exterior, *part.interiors)]
    if region.polygons is not None:
        return list(region.polygons)
    if region.quad is not None:
        return [region.quad]
    return [] if region.hbb is None else [_corners(region.hbb)]


def _corners(box: Sequence[float]) -> Sequence[Point]:
    x1, y1, x2, y2 = box
    return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def _tag(answer: Answer, region: Region) -> str:
    """What stands at a region: what the answer calls it, and its score; the legend has the question."""
    score = "" if region.score is None else f"{region.score:.2f}"
    return " ".join(word for word in (_short(answer.phrase(region) or "", 28), score) if word)


def _name(
    draw: Any, text: str, region: Region, colour: str, scale: float, font: Any, taken: list[tuple[float, ...]]
) -> None:
    """A name above its region, inside the picture, clear of those already there where there is room."""
    box = hbb_of(region)
    if not text or box is None:
        return
    width, height = draw.textlength(text, font=font) + 8, 20
    limit_x, limit_y = draw.im.size[0] - width, draw.im.size[1] - height
    x = min(max(0.0, box[0] * scale), max(0.0, limit_x))
    for y in (box[1] * scale - height - 2, box[3] * scale + 2, box[1] * scale + 2):
        y = min(max(0.0, y), max(0.0, limit_y))
        place = (x, y, x + width, y + height)
        if not any(_touch(place, other) for other in taken):
            break
    taken.append(place)
    draw.rectangle(place, fill="black")
    draw.text((x + 4, y + height / 2), text, fill=colour, font=font, anchor="lm")


def _touch(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    apart_x = first[2] <= second[0] or second[2] <= first[0]
    return not (apart_x or first[3] <= second[1] or second[3] <= first[1])


def _with_legend(picture: Image.Image, answers: Sequence[Answer]) -> Image.Image:
    letters = min(28, max(15, picture.width // 64))
    font, row = _font(letters), round(letters * 1.7)
    out = Image.new("RGB", (picture.width, picture.height + row * len(answers) + 8), "#1b1b1b")
    out.paste(picture, (0, 0))
    draw = ImageDraw.Draw(out)
    for number, answer in enumerate(answers):
        y = picture.height + 4 + row * number + row // 2
        half, left = letters // 2, 8 + 2 * letters
        draw.rectangle((8, y - half, 8 + 2 * half, y + half), fill=COLOURS[number % len(COLOURS)])
        text = _fitted(draw, _legend(answer), font, out.width - left - 8)
        draw.text((left, y), text, fill="#f2f2f2", font=font, anchor="lm")
    return out


def _legend(answer: Answer) -> str:
    found = answer.found
    if found.error is not None:
        state = "failed"
    elif not found.parsed:
        state = "answer cannot be read"
    else:
        state = (
            "nothing there" if not found.regions else "" if len(found.regions) == 1 else f"{len(found.regions)} regions"
        )
    return f"{' '.join(answer.expression.split())}{f' ({state})' if state else ''}"


def _fitted(draw: Any, text: str, font: Any, room: float) -> str:
    while len(text) > 4 and draw.textlength(text, font=font) > room:
        text = text[: max(3, int(len(text) * 0.9) - 3)].rstrip() + "..."
    return text


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def _font(size: int) -> Any:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow 10.0 has one size only
        return ImageFont.load_default()


def _rgb(colour: str) -> tuple[int, int, int]:
    value = int(colour[1:], 16)
    return (value >> 16, value >> 8 & 255, value & 255)
