"""A picture of score against length, whole and with its legend, as the report of a finished run draws it.

    rsground bench ceilings --out runs/ceilings
    python benchmarks/report_picture.py runs/ceilings --out docs/images/report.png

The chart is the report's own, so a browser draws it: Chromium or Chrome must be installed.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup
from PIL import Image, ImageChops

from rsground.bench.results import Run
from rsground.report.collect import Options, collect
from rsground.report.model import ReportData
from rsground.report.views import BoardView, board_view

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT, MARGIN = 1270, 1200, 14
"""Of the window, in pixels, and what is left around the chart; what is empty below is cut off."""


def main() -> None:
    """Collect, draw, cut."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder")
    parser.add_argument("--protocol", default="res", help="whose primary score is shown (default: %(default)s)")
    parser.add_argument("--browser", default=next(filter(shutil.which, BROWSERS), None), help="Chromium or Chrome")
    parser.add_argument("--out", type=Path, default=Path("docs/images/report.png"))
    args = parser.parse_args()
    if args.browser is None:
        parser.error(f"none of {', '.join(BROWSERS)} is installed; install one, or name it with --browser")
    with Run.open(args.run) as run:
        data = collect(run, Options(gallery=0, examples=False))
    picture = trimmed(drawn(page(data, args.protocol), args.browser))
    picture.save(args.out, optimize=True)
    print(f"{args.out}: {picture.width} x {picture.height}, {args.out.stat().st_size / 1e3:.0f} kB")


def page(data: ReportData, protocol: str) -> str:
    """The chart of the first data set that has one under ``protocol``, with title and legend, as a page of its own."""
    view = view_of(data, protocol)
    style = files("rsground.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
    legend = Markup().join(Markup("<li>{}<bdi>{}</bdi></li>").format(mark, name) for mark, name in view.families)
    body = Markup('<h4>{} against answer length</h4><figure>{}<ul class="legend">{}</ul></figure>').format(
        view.primary, view.length, legend
    )
    style += f"body {{ padding: {MARGIN}px; }} h4 {{ margin-top: 0; }}"
    return f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style>{body}'


def view_of(data: ReportData, protocol: str) -> BoardView:
    """What the report shows of a protocol.

    Raises:
        SystemExit: there is no chart: the run has no such protocol, or fewer than three systems write text.
    """
    for block in data.datasets:
        for board in block.boards:
            view = board_view(data, block, board, "chart")
            if board.metric == protocol and view.length:
                return view
    known = sorted({board.metric for block in data.datasets for board in block.boards})
    raise SystemExit(f"no chart of {protocol!r}: it takes three systems that write text; protocols: {', '.join(known)}")


def drawn(text: str, browser: str) -> Image.Image:
    """The page as a browser shows it."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(text, encoding="utf-8")
        command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={target}"]
        done = subprocess.run([*command, source.as_uri()], capture_output=True, text=True, timeout=300, check=False)
        if not target.is_file():
            raise SystemExit(f"{browser} made no picture: {done.stderr.strip()[-500:]}")
        return Image.open(io.BytesIO(target.read_bytes())).convert("RGB")


def trimmed(picture: Image.Image) -> Image.Image:
    """Without what is empty below; the first pixel is taken for empty.

    Raises:
        SystemExit: nothing was drawn, or something reaches the lower edge: the window is too low.
    """
    empty = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    box = ImageChops.difference(picture, empty).getbbox()
    if box is None or box[3] > picture.height - MARGIN:
        raise SystemExit("nothing was drawn" if box is None else f"the chart does not fit into {picture.height} pixels")
    return picture.crop((0, 0, picture.width, box[3] + MARGIN))


if __name__ == "__main__":
    main()
