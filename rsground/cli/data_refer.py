"""Make a referring data set from instance annotations, keeping only unambiguous expressions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsground.contracts.dataset import BrokenRecord
    from rsground.datasets.refer.build import Plan, Summary
    from rsground.datasets.refer.sources import Source

SUMMARY = "make a referring data set from instance annotations"
EPILOG = """examples:
  rsground data refer --from vhr10 /data/NWPU --out vhr10_refer
  rsground data refer --from isaid /data/iSAID --out isaid_refer --format jsonl rrsisd dior-rsvg
  rsground data refer --from dota /data/DOTA --out dota_refer --incomplete small-vehicle --per-image 20
  rsground data refer --from coco /data/mine --out mine_refer --kinds relation chain ordinal --seed 3

A broken-off run is taken up again by the same command. What is kept, and with what margin: docs/howto/refer.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read, what to make, how to write it."""
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the instance data set")
    parser.add_argument("--from", dest="source", required=True, metavar="NAME", help="coco, isaid, dota or vhr10")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to create")
    parser.add_argument("--format", nargs="+", default=["jsonl"], metavar="F", help="jsonl, rrsisd, dior-rsvg (jsonl)")
    parser.add_argument("--images", default="link", metavar="HOW", help="link (default), copy or none")
    reading = parser.add_argument_group("reading")
    reading.add_argument("--split", nargs="+", metavar="S", help="splits of the source to read (all that are there)")
    reading.add_argument("--image-root", metavar="DIR", help="folder of the images, where the layout has another one")
    reading.add_argument("--without-images", action="store_true", help="use annotations whose image is missing, too")
    reading.add_argument(
        "--incomplete", nargs="+", default=[], metavar="CAT", help="categories with instances left unlabelled"
    )
    making = parser.add_argument_group("making")
    making.add_argument("--split-by", default="auto", metavar="HOW", help="auto, source or hash (of the picture)")
    making.add_argument("--seed", type=int, default=0, help="of all draws (0)")
    making.add_argument("--per-image", type=_positive, default=12, metavar="N", help="most expressions an image (12)")
    making.add_argument("--limit", type=_positive, metavar="N", help="stop after so many expressions")
    making.add_argument("--kinds", nargs="+", metavar="K", help="kinds of expressions (all)")
    making.add_argument("--margin", type=float, metavar="PX", help="least slack of a box edge in pixels (4)")
    making.add_argument("--keep-border", action="store_true", help="refer to instances that touch the border, too")
    making.add_argument("--lower-case", action="store_true", help="no capital letter at the beginning")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def run(args: argparse.Namespace) -> int:
    """Build, show progress, tell what was made."""
    from rich.console import Console

    from rsground.datasets.refer.build import build
    from rsground.datasets.refer.sources import Source

    console = Console(stderr=True)
    plan = _plan(args)
    broken: list[BrokenRecord] = []
    source = Source(
        args.source,
        args.root,
        splits=tuple(args.split) if args.split else None,
        images=_absolute(args.image_root),
        incomplete=tuple(args.incomplete),
        need_images=not args.without_images,
        on_broken=broken.append,
    )
    with _Progress(console, source, args.quiet) as on_image:
        summary = build(source, args.out, tuple(args.format), plan, images=args.images, on_image=on_image)
    _tell(console, args.out, summary, broken)
    return 0


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).resolve())


def _plan(args: argparse.Namespace) -> Plan:
    from dataclasses import replace

    from rsground.datasets.refer.build import Plan
    from rsground.datasets.refer.engine import KINDS
    from rsground.errors import UnknownNameError

    plan = Plan(seed=args.seed, per_image=args.per_image, limit=args.limit, split_by=args.split_by)
    for kind in args.kinds or ():
        if kind not in KINDS:
            raise UnknownNameError("kind of expression", kind, KINDS)
    if args.kinds:
        plan = replace(plan, kinds=tuple(args.kinds))
    if args.margin is not None:
        plan = replace(plan, margin=replace(plan.margin, pixels=args.margin))
    if args.keep_border:
        plan = replace(plan, doubts=replace(plan.doubts, border=None))
    return replace(plan, capitalise=not args.lower_case)


class _Progress:
    """A progress bar that updates a few times a second, however fast the images come."""

    def __init__(self, console: object, source: Source, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, disable=quiet)  # type: ignore[arg-type]
        self.task = self.bar.add_task("images", total=source.total())

    def __enter__(self) -> _Progress:
        self.bar.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self.bar.__exit__(*reason)  # type: ignore[arg-type]

    def __call__(self, summary: Summary) -> None:
        self.bar.update(self.task, completed=summary.images, description=f"images, {summary.refs} expressions")


def _tell(console: object, out: Path, summary: Summary, broken: list[BrokenRecord]) -> None:
    from rich.console import Console
    from rich.markup import escape

    assert isinstance(console, Console)
    resumed = f" ({summary.resumed} of them from a broken-off run)" if summary.resumed else ""
    console.print(f"{escape(str(out))}: {summary.refs} expressions about {summary.images} images{resumed}")
    for title, counts in (
        ("targets", summary.by_targets),
        ("split", summary.by_split),
        ("kind", summary.by_kind),
        ("written", summary.written),
    ):
        console.print(f"  {title}: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    for record in broken[:10]:
        where = f"{record.path}:{record.line}" if record.line else str(record.path)
        console.print(f"  [yellow]left out[/] {escape(where)}: {escape(record.detail)}")
    if len(broken) > 10:
        console.print(f"  ... and {len(broken) - 10} more broken records: rsground data check names them all")
