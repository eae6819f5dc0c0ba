"""Draw what the systems of a finished run answered, from questions that all get right to those that all get wrong.

    python benchmarks/head_to_head_picture.py runs/h2h --out docs/images/head-to-head.jpg

Each panel is one question of the run's first data set, evenly spaced in how well it was answered: the annotated boxes
in white, each system's in a colour of its own.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rsground.bench.results import Run
from rsground.images import read_image
from rsground.regions import hbb_of
from rsground.types import Region

COLOURS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73")
SIDE, HEADER, FOOTER, PAD, COLUMNS, PANELS = 320, 58, 34, 10, 4, 8


def main() -> None:
    """Choose, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder")
    parser.add_argument("--systems", nargs="+", default=["geoground", "georsmllm", "specialist"])
    parser.add_argument("--protocol", default="rec-hbb", help="by which questions are chosen (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs/images/head-to-head.jpg"))
    args = parser.parse_args()
    with Run.open(args.run) as run:
        panels = drawn(run, args.systems, args.protocol)
    rows = -(-len(panels) // COLUMNS)
    wide, high = COLUMNS * (SIDE + PAD) + PAD, rows * (SIDE + HEADER + PAD) + PAD + FOOTER
    page = Image.new("RGB", (wide, high), "white")
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        page.paste(panel, (PAD + column * (SIDE + PAD), PAD + row * (SIDE + HEADER + PAD)))
    legend(ImageDraw.Draw(page), args.systems, high - FOOTER)
    page.save(args.out, quality=88)


def drawn(run: Run, systems: list[str], protocol: str) -> list[Image.Image]:
    """The panels, best answered first."""
    dataset = run.datasets[0].label
    tables = [run.columns(system, dataset, protocol) for system in systems]
    mean = np.mean([table.columns[table.metric.paired] for table in tables], axis=0)
    index = tables[0].index
    shown = {place for place, sample in run.samples(dataset, index.tolist()) if sample.targets}
    order = [int(index[at]) for at in np.argsort(-mean, kind="stable") if int(index[at]) in shown]
    chosen = [order[round(at)] for at in np.linspace(0, len(order) - 1, PANELS)]
    images = run.images(dataset, chosen)
    answers = {system: {each.index: each for each in run.answers(system, dataset, chosen)} for system in systems}
    panels = []
    for place in chosen:
        sample = answers[systems[0]][place].sample
        found = [answers[system][place].prediction.regions for system in systems]
        panels.append(panel(read_image(images[place]), sample.expression, sample.targets or (), found))
    return panels


def panel(
    pixels: np.ndarray, expression: str, targets: tuple[Region, ...], found: list[tuple[Region, ...]]
) -> Image.Image:
    """One question."""
    scale = SIDE / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    made = Image.new("RGB", (SIDE, SIDE + HEADER), "white")
    made.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), (0, HEADER))
    draw = ImageDraw.Draw(made)
    draw.multiline_text((0, 2), "\n".join(textwrap.wrap(expression, 44)[:3]), fill="black", font=font(14))
    for colour, regions in [("white", targets), *zip(COLOURS, found, strict=False)]:
        for region in regions:
            outline(draw, region, colour, scale)
    return made


def outline(draw: ImageDraw.ImageDraw, region: Region, colour: str, scale: float) -> None:
    """The box of a region."""
    box = hbb_of(region)
    if box is None:
        return
    x1, y1, x2, y2 = (each * scale for each in box)
    grow = 3 if colour == "white" else 0
    corners = (x1 - grow, y1 + HEADER - grow, max(x2, x1 + 2) + grow, max(y2, y1 + 2) + HEADER + grow)
    draw.rectangle(corners, outline="black", width=4)
    draw.rectangle(corners, outline=colour, width=2)


def legend(draw: ImageDraw.ImageDraw, systems: list[str], top: int) -> None:
    """Which colour is whose."""
    x = PAD
    for colour, name in [("white", "annotated"), *zip(COLOURS, systems, strict=False)]:
        draw.rectangle((x, top + 8, x + 18, top + 24), fill=colour, outline="black")
        draw.text((x + 26, top + 7), name, fill="black", font=font(15))
        x += 60 + int(draw.textlength(name, font=font(15)))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own."""
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main()
