"""List plugins, write a new one, check one against its contracts, install one apart from the others."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rsground.cli import plugins_env

EPILOG = """examples:
  rsground plugins list
  rsground plugins new rsground-myhead        a working head plugin with tests, in ./rsground-myhead
  rsground plugins check rsground-textmask    run the conformance kit and print what it breaks
  rsground plugins install rsground-mmrotate --env mmr    into an environment of its own: its head is mmrotate@mmr
  rsground plugins remove mmr
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand each for listing, writing and checking."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = commands.add_parser("list", help="installed plugins, what each offers, and what is wrong with it")
    listing.add_argument("--json", action="store_true", help="machine-readable: one JSON array")
    new = commands.add_parser("new", help="write a working head plugin with tests")
    new.add_argument("name", help="distribution name, such as rsground-myhead")
    new.add_argument("--out", default=None, metavar="DIR", help="folder to write (default: ./NAME)")
    check = commands.add_parser("check", help="run the conformance kit on an installed plugin (needs rsground[test])")
    check.add_argument("dist", help="distribution or entry-point name; 'all' for everything installed")
    check.add_argument("-v", "--verbose", action="store_true", help="name every law that was checked")
    plugins_env.add_parsers(commands)


def run(args: argparse.Namespace) -> int:
    """Dispatch to the action."""
    if args.action == "new":
        from rsground.testing.scaffold import write_plugin

        folder = write_plugin(args.name, args.out)
        _say(f"wrote {folder}\n\n  pip install -e {folder}\n  pytest {folder}\n  rsground plugins check {args.name}")
        return 0
    if args.action == "check":
        from rsground.testing.check import check_plugin

        return check_plugin(args.dist, verbose=args.verbose)
    if args.action in plugins_env.ACTIONS:
        return plugins_env.run(args)
    return _list(as_json=args.json)


def _list(*, as_json: bool) -> int:
    rows = _rows()
    if as_json:
        _say(json.dumps(rows, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("plugin", "distribution", "offers", "state", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        offers = ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in row["offers"].items())
        style = "green" if row["state"] == "ready" else "yellow"
        table.add_row(Text(row["plugin"]), Text(row["distribution"]), offers or "-", Text(row["state"], style))
    Console().print(table)
    return 0


def _rows() -> list[dict[str, Any]]:
    from rsground.registry import KINDS, registry

    found = registry()
    rows = []
    for plugin, distribution in found.distributions.items():
        offers = {
            kind: number
            for kind in KINDS
            if (number := sum(offer.plugin == plugin for offer in found.offers(kind).values()))
        }
        if plugin in found.disabled:
            state = "switched off by RSGROUND_DISABLE"
        else:
            state = "; ".join(why for name, why in found.broken.items() if name.split(" ")[0] == plugin) or "ready"
        rows.append({"plugin": plugin, "distribution": distribution, "offers": offers, "state": state})
    for name, why in found.broken.items():
        if name.startswith("@"):  # an environment that cannot be used offers nothing
            rows.append({"plugin": name, "distribution": "environment", "offers": {}, "state": why})
    return rows


def _say(text: str) -> None:
    print(text)  # noqa: T201
