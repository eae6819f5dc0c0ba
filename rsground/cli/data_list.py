"""List the data sets that can be read, with their splits and tasks."""

from __future__ import annotations

import argparse
import json

EPILOG = """examples:
  rsground data list
  rsground data list --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How to print it."""
    parser.add_argument("--json", action="store_true", help="machine-readable: one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print the listing."""
    from rich.console import Console
    from rich.table import Table

    from rsground.registry import registry

    specs = [offer.spec for offer in registry().offers("dataset").values()]
    if args.json:
        keys = ("name", "summary", "tasks", "splits", "licence", "needs_root")
        rows = [{key: getattr(spec, key) for key in keys} for spec in specs]
        Console(soft_wrap=True, markup=False, highlight=False, emoji=False).out(json.dumps(rows, indent=1))
        return 0
    table = Table("name", "splits", "tasks", "what it is", box=None, header_style="bold")
    for spec in specs:
        table.add_row(spec.name, " ".join(spec.splits), " ".join(spec.tasks), spec.summary)
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    return 0
