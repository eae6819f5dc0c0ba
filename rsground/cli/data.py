"""Check data sets, look at their samples, and make referring sets from instance annotations."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping

SUBCOMMANDS: Mapping[str, tuple[str, str]] = {
    "check": ("rsground.cli.data_check", "count, validate, and name every broken record with file and line"),
    "show": ("rsground.cli.data_show", "print the first samples as JSON Lines"),
    "list": ("rsground.cli.data_list", "list the data sets that can be read"),
    "refer": ("rsground.cli.data_refer", "make a referring data set from instance annotations"),
}
"""Subcommand → (module, one-line help); a module is imported when its subcommand runs."""

EPILOG = "subcommands:\n" + "\n".join(f"  {name:<6} {summary}" for name, (_, summary) in SUBCOMMANDS.items())
EPILOG += """

examples:
  rsground data check rrsis-d /data/rrsisd --split val
  rsground data show dior-rsvg /data/DIOR_RSVG
  rsground data refer --from coco /data/isaid --out /data/isaid-refer

'rsground data SUBCOMMAND --help' tells more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand; what follows it is parsed by its own module."""
    parser.add_argument("subcommand", choices=list(SUBCOMMANDS), metavar="SUBCOMMAND", help=", ".join(SUBCOMMANDS))
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="its own arguments")
    parser.set_defaults(parser_class=type(parser))


def run(args: argparse.Namespace) -> int:
    """Hand over to the subcommand."""
    name = args.subcommand
    module = importlib.import_module(SUBCOMMANDS[name][0])
    parser: argparse.ArgumentParser = args.parser_class(
        prog=f"rsground data {name}",
        description=module.__doc__,
        epilog=getattr(module, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(args.words)))
