"""Draw what the systems of a finished run answered, from questions that all get right to those that all get wrong.

    python benchmarks/head_to_head_picture.py runs/h2h --out docs/images/head-to-head.jpg
    python benchmarks/head_to_head_picture.py runs/h2h --protocol res --worst 0.5 --out masks.jpg

Each panel is one question of the run's first data set, evenly spaced in how well it was answered: what is annotated
in white, each system's answer in a colour of its own; as boxes, oriented boxes or the outlines of masks, as the
protocol asks.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rsground.bench.results import Run
from rsground.images import read_image
from rsground.regions import hbb_of, polygons_of, quad_of
from rsground.types import Region, Ring, Task

COLOURS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73")
SIDE, HEADER, FOOTER, PAD, COLUMNS, PANELS = 320, 58, 34, 10, 4, 8


def main() -> None:
    """Choose, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder")
    parser.add_argument("--systems", nargs="+", default=["geoground", "georsmllm", "specialist"])
    parser.add_argument("--protocol", default="rec-hbb", help="by which questions are chosen (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs/images/head-to-head.jpg"))
    parser.add_argument("--worst", type=share, default=1.0, help="draw from this share of the worst answered only")
    args = parser.parse_args()
    with Run.open(args.run) as run:
        panels = drawn(run, args.systems, args.protocol, args.worst)
    rows = -(-len(panels) // COLUMNS)
    wide, high = COLUMNS * (SIDE + PAD) + PAD, rows * (SIDE + HEADER + PAD) + PAD + FOOTER
    page = Image.new("RGB", (wide, high), "white")
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        page.paste(panel, (PAD + column * (SIDE + PAD), PAD + row * (SIDE + HEADER + PAD)))
    legend(ImageDraw.Draw(page), args.systems, high - FOOTER)
    page.save(args.out, quality=88)


def share(text: str) -> float:
    """A number above 0 and up to 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"it has to lie above 0 and be 1 at most, not {text}")
    return value


def drawn(run: Run, systems: list[str], protocol: str, worst: float) -> list[Image.Image]:
    """The panels, best answered first."""
    dataset = run.datasets[0].label
    tables = [run.columns(system, dataset, protocol) for system in systems]
    silent = [system for system, table in zip(systems, tables, strict=True) if len(table.index) < len(tables[0].index)]
    if silent or not len(tables[0].index):
        sys.exit(
            f"{protocol}: {', '.join(silent or systems)} did not answer all questions; choose others with --systems"
        )
    mean = np.mean([table.columns[table.metric.paired] for table in tables], axis=0)
    index = tables[0].index
    shown = {place for place, sample in run.samples(dataset, index.tolist()) if sample.targets}
    order = [int(index[at]) for at in np.argsort(-mean, kind="stable") if int(index[at]) in shown]
    order = order[-max(PANELS, round(worst * len(order))) :]
    chosen = [order[round(at)] for at in np.linspace(0, len(order) - 1, PANELS)]
    images = run.images(dataset, chosen)
    answers = {system: {each.index: each for each in run.answers(system, dataset, chosen)} for system in systems}
    panels = []
    for place in chosen:
        sample = answers[systems[0]][place].sample
        form = FORMS[sample.task]
        found = [answers[system][place].prediction.regions for system in systems]
        outlines = [
            (colour, [ring for region in regions for ring in form(region)])
            for colour, regions in zip(("white", *COLOURS), (sample.targets or (), *found), strict=False)
        ]
        panels.append(panel(read_image(images[place]), sample.expression, outlines))
    return panels


def panel(pixels: np.ndarray, expression: str, outlines: list[tuple[str, list[Ring]]]) -> Image.Image:
    """One question: its picture and, in each colour, some outlines."""
    scale = SIDE / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for width, dark in ((4, True), (2, False)):
        for colour, rings in outlines:
            for ring in rings:
                line = [(x * scale, y * scale) for x, y in (*ring, *ring[:2])]
                draw.line(line, fill="black" if dark else colour, width=width, joint="curve")
    made = Image.new("RGB", (SIDE, SIDE + HEADER), "white")
    made.paste(picture, (0, HEADER))
    told = "\n".join(textwrap.wrap(expression, 44)[:3])
    ImageDraw.Draw(made).multiline_text((0, 2), told, fill="black", font=font(14))
    return made


def box_of(region: Region) -> tuple[Ring, ...]:
    """The horizontal box, at least two pixels wide and high."""
    box = hbb_of(region)
    if box is None:
        return ()
    x1, y1, x2, y2 = box
    x2, y2 = max(x2, x1 + 2), max(y2, y1 + 2)
    return (((x1, y1), (x2, y1), (x2, y2), (x1, y2)),)


def oriented_of(region: Region) -> tuple[Ring, ...]:
    """The oriented box."""
    quad = quad_of(region)
    return () if quad is None else (quad,)


def outline_of(region: Region) -> tuple[Ring, ...]:
    """The mask's outline along pixel edges."""
    return polygons_of(region) or ()


FORMS: dict[Task, Callable[[Region], tuple[Ring, ...]]] = {
    Task.HBB: box_of,
    Task.OBB: oriented_of,
    Task.MASK: outline_of,
}


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
