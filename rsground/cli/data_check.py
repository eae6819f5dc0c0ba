"""Read a data set to the end: counts per split, and every broken record with its file and line.

The exit status is 1 when a record is broken, else 0.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from rsground.cli.data_options import add_data_arguments, options_of

if TYPE_CHECKING:
    from rich.console import Console

    from rsground.datasets.checking import SplitCheck

EPILOG = """examples:
  rsground data check rrsis-d /data/rrsisd
  rsground data check dota /data/DOTA --split train --images
  rsground data check coco /data/mine -o annotations=labels.json -o need_images=false --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to check, how thoroughly, how to print it."""
    add_data_arguments(parser)
    parser.add_argument("--images", action="store_true", help="decode every image and compare its size")
    parser.add_argument("--show", type=int, default=50, metavar="N", help="broken records to print; 0 prints all (50)")
    parser.add_argument("--json", action="store_true", help="machine-readable: one JSON object with every record")


def run(args: argparse.Namespace) -> int:
    """Check and print."""
    from rich.console import Console

    splits = _check(args, Console(stderr=True))
    if args.json:
        Console(soft_wrap=True, markup=False, highlight=False, emoji=False).out(
            json.dumps(
                {"name": args.name, "root": args.root, "splits": [split.as_json() for split in splits]}, indent=1
            )
        )
    else:
        _print(splits, Console(), args.show)
    return 1 if any(split.broken for split in splits) else 0


def _check(args: argparse.Namespace, console: Console) -> list[SplitCheck]:
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from rsground.datasets.checking import SplitCheck, check_split
    from rsground.errors import LayoutError
    from rsground.registry import load_dataset, registry

    spec = registry().find("dataset", args.name)
    options = options_of(args.option)
    found: list[SplitCheck] = []
    failures: list[LayoutError] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for split in args.split or spec.splits:
            try:
                dataset = load_dataset(args.name, args.root, split, **options)
            except LayoutError as error:
                failures.append(error)
                found.append(SplitCheck(split, absent=error.message))
                continue
            tick = partial(progress.advance, progress.add_task(split, total=dataset.size_hint()))
            found.append(check_split(dataset, images=args.images, limit=args.limit, tick=tick))
    if failures and (args.split or len(failures) == len(found)):
        raise failures[0]
    return _without_twins(found)


def _without_twins(splits: list[SplitCheck]) -> list[SplitCheck]:
    """Splits that differ from ``all``: where nothing tells splits apart, each of them is everything."""
    whole = next((split for split in splits if split.split == "all" and split.absent is None), None)
    if whole is None:
        return splits
    facts = (whole.samples, whole.targets, whole.broken)
    return [split for split in splits if split is whole or (split.samples, split.targets, split.broken) != facts]


def _print(splits: list[SplitCheck], console: Console, show: int) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for heading in ("split", "samples", "images", "targets", "no target", "tasks", "mended", "broken"):
        table.add_column(heading, justify="left" if heading in ("split", "tasks", "mended") else "right")
    for split in splits:
        table.add_row(*_row(split))
    console.print(table)
    broken = list(dict.fromkeys(record for split in splits for record in split.broken))
    if not broken:
        return
    console.print(f"\nbroken records: {_counted(Counter(record.code for record in broken))}", highlight=False)
    for record in broken[: show or None]:
        where = record.path if record.line is None else f"{record.path}:{record.line}"
        console.out(f"{_plain(where)}: {record.code}: {_plain(record.detail)}", highlight=False)
    if show and len(broken) > show:
        console.print(f"... and {len(broken) - show} more: --show 0 prints all of them", highlight=False)


def _row(split: SplitCheck) -> list[str]:
    if split.absent is not None:
        return [split.split, "not there", *[""] * 6]
    numbers = (split.samples, split.images, split.targets, split.without_target)
    tail = (_counted(split.tasks), _counted(split.mended), f"{len(split.broken):,}")
    return [split.split, *(f"{number:,}" for number in numbers), *tail]


def _counted(counter: Counter[str] | dict[str, Any]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counter.items())) or "-"


def _plain(text: str) -> str:
    """Text from a file, safe to print: no control characters, nothing a terminal would obey."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
