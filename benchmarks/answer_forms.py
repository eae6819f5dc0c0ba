"""Draw what each way of writing a region down keeps of it: one object, the answer of every form, read back.

    python benchmarks/answer_forms.py --out docs/images/answer-forms.png

Each panel shows a drawn scene, the annotated outline in white and, in colour, the region that the head reads from its
own right answer. What a panel gets wrong, no training can mend. Needs rsground-textmask and rsground-pointset.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rsground.contracts import Head
from rsground.datasets.scenes import ScenesDataset
from rsground.images import read_image
from rsground.regions import area_of, hbb_of, mask_of, polygons_of, quad_of
from rsground.registry import load
from rsground.types import Generation, Region, Sample, Task, View

COLOUR = (255, 196, 0)
SIDE, HEADER, PAD, COLUMNS = 300, 92, 10, 4
LINE = 50
"""Characters of an answer on a line."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/answer-forms.png"))
    parser.add_argument("--seed", type=int, default=7, help="of the scenes")
    args = parser.parse_args()
    panels = list(drawn(args.seed))
    rows = -(-len(panels) // COLUMNS)
    wide, high = COLUMNS * (SIDE + PAD) + PAD, rows * (SIDE + HEADER + PAD) + PAD
    page = Image.new("RGB", (wide, high), "white")
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        page.paste(panel, (PAD + column * (SIDE + PAD), PAD + row * (SIDE + HEADER + PAD)))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    page.quantize(160, dither=Image.Dither.NONE).save(args.out, optimize=True)
    print(f"{args.out}: {len(panels)} panels, {args.out.stat().st_size / 1e3:.0f} kB")


def drawn(seed: int) -> Iterator[Image.Image]:
    """One panel per form."""
    sample = chosen(ScenesDataset(split="val", size=256, tasks=("mask",), seed=seed))
    geoground, corners = load("head", "geoground"), load("head", "georsmllm")
    coarse, inside = load("head", "geoground", resolution=16), load("head", "box-mask")
    yield panel(geoground, sample, Task.HBB, "geoground, hbb")
    yield panel(geoground, sample, Task.OBB, "geoground, obb (100 steps)")
    yield panel(coarse, sample, Task.MASK, "geoground, mask, 16 x 16")
    yield panel(geoground, sample, Task.MASK, "geoground, mask, 32 x 32")
    yield panel(inside, sample, Task.MASK, "box-mask, 12 x 12 in the box")
    yield panel(corners, sample, Task.OBB, "georsmllm, obb")
    yield panel(corners, sample, Task.MASK, "georsmllm, mask, before SAM 2")
    change = chosen(ScenesDataset(split="val", size=256, tasks=("change",), seed=seed))
    yield panel(corners, change, Task.CHANGE, "georsmllm, change (later image)")


def chosen(source: ScenesDataset) -> Sample:
    """The first sample with targets of a middling size, one where the task is no change."""
    for sample in source:
        areas = [area_of(region) for region in sample.targets or ()]
        several = sample.task is Task.CHANGE
        if areas and 250 < min(areas) <= max(areas) < 4000 and (several or (len(areas) == 1 and tilted(sample))):
            return sample
    raise SystemExit("no sample of these scenes suits")


def tilted(sample: Sample) -> bool:
    """Whether the oriented box says more than the box."""
    (target,) = sample.targets or ()
    box, quad = hbb_of(target), quad_of(target)
    assert box is not None
    return area_of(Region(quad=quad)) < 0.7 * area_of(Region(hbb=box))


def panel(head: Head, sample: Sample, task: Task, title: str) -> Image.Image:
    """Title, answer, and the scene around the object with what is read from the answer."""
    asked = replace(sample, task=task)
    pixels = tuple(read_image(ref) for ref in sample.images)
    view = View(pixels, sample.size)
    answer = head.target(asked, view)
    found = head.read(Generation(answer), asked, view)
    window = around(sample)
    made = Image.new("RGB", (SIDE, SIDE + HEADER), "white")
    pen = ImageDraw.Draw(made)
    pen.text((0, 0), title, "black", ImageFont.load_default(15))
    said = answer.replace("\n", "\\n")
    lines = [said[start : start + LINE] for start in range(0, len(said), LINE)]
    shown = [*lines[:3], *(["..."] if len(lines) > 3 else [])]
    pen.multiline_text((0, 20), "\n".join(shown), (70, 70, 70), ImageFont.load_default(11), spacing=2)
    pen.text((SIDE, 2), f"{len(answer)} characters", (70, 70, 70), ImageFont.load_default(11), anchor="ra")
    made.paste(picture(pixels[-1], found.regions, sample.targets or (), window), (0, HEADER))
    return made


def around(sample: Sample) -> tuple[float, float, float]:
    """(left, top, side) of a square around all targets."""
    boxes = np.array([hbb_of(region) for region in sample.targets or ()])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = min(2.0 * float((high - low).max()), float(min(sample.size)))
    middle = (low + high) / 2
    left = min(max(middle[0] - side / 2, 0.0), sample.size[1] - side)
    top = min(max(middle[1] - side / 2, 0.0), sample.size[0] - side)
    return left, top, side


def picture(
    pixels: NDArray[np.uint8],
    found: tuple[Region, ...],
    targets: tuple[Region, ...],
    window: tuple[float, float, float],
) -> Image.Image:
    """The window enlarged: answers filled in colour, annotations outlined in white."""
    left, top, side = window
    scale = SIDE / side
    box = (left, top, left + side, top + side)
    scene = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    layer = Image.new("L", (SIDE, SIDE), 0)
    pen = ImageDraw.Draw(layer)
    size = (pixels.shape[0], pixels.shape[1])
    for region in found:
        if region.rle is not None:
            mask = Image.fromarray(mask_of(region, size).astype(np.uint8) * 130)
            layer.paste(130, mask=mask.resize((SIDE, SIDE), Image.Resampling.NEAREST, box=box).point(bool_to_full))
        for ring in () if region.rle is not None else polygons_of(region) or ():
            pen.polygon([((x - left) * scale, (y - top) * scale) for x, y in ring], fill=130)
    scene.paste(COLOUR, mask=layer)
    pen = ImageDraw.Draw(scene)
    for region in targets:
        for ring in polygons_of(replace(region, hbb=None)) or ():
            corners = [((x - left) * scale, (y - top) * scale) for x, y in ring]
            pen.line([*corners, corners[0]], fill="white", width=2)
    for region in found:
        for x, y in region.points or ():
            across, down = (x - left) * scale, (y - top) * scale
            pen.ellipse((across - 5, down - 5, across + 5, down + 5), fill="white", outline="black", width=2)
    return scene


def bool_to_full(value: int) -> int:
    """Any set pixel covers fully."""
    return 255 if value else 0


if __name__ == "__main__":
    main()
