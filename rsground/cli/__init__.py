"""The command line: a table of subcommands, each imported when it runs, and the one place where errors end.

``rsground --help`` imports no subcommand; plugins' commands are looked up only when the word typed is none of ours.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from rsground import __version__
from rsground.errors import RsgroundError, UnknownNameError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "bench": ("rsground.cli.bench", "run a suite: systems x data sets x seeds, with intervals and cost"),
    "compare": ("rsground.cli.compare", "compare a run with a baseline: what got worse beyond chance"),
    "predict": ("rsground.cli.predict", "ask a system about an image: boxes, masks, GeoJSON, a picture"),
    "train": ("rsground.cli.train", "train a system as a recipe says; broken-off runs go on"),
    "report": ("rsground.cli.report", "write the report of a run: HTML, Markdown, LaTeX, CSV, JSON"),
    "data": ("rsground.cli.data", "check data sets, and make referring sets from instance annotations"),
    "list": ("rsground.cli.list", "list what is registered: heads, data sets, metrics, codecs ..."),
    "plugins": ("rsground.cli.plugins", "list, write, check plugins; install one into an environment of its own"),
    "doctor": ("rsground.cli.doctor", "tell what works here and what does not, and why"),
}
"""Command → (module, one-line help)."""

_EPILOG = """examples:
  rsground bench ceilings                       how good could each paradigm be with a perfect model?
  rsground bench ceilings --data vhr10=/data/NWPU
  rsground data check rrsis-d /data/rrsisd      name every broken record with file and line
  rsground list heads                           what can be compared here
"""


class _Parser(argparse.ArgumentParser):
    """Raises our own error on a bad command line, so that every message ends in one place."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status: 0 done, 1 an error that was told, 2 a bad command line."""
    words = [*(sys.argv[1:] if argv is None else argv)]  # 'list' is a submodule here once it has run
    name = words[0] if words else ""
    try:
        if not name or name.startswith("-"):
            _top_parser(with_plugins=True).parse_args(words or ["--help"])
            return 0
        return _run(name, words[1:])
    except RsgroundError as error:
        for line in (error, *getattr(error, "__notes__", ())):
            print(f"rsground: {line}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("rsground: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # the reader (head, less) left; not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(name: str, words: list[str]) -> int:
    module = importlib.import_module(_module_of(name))
    parser = _Parser(
        prog=f"rsground {name}",
        description=module.__doc__,
        epilog=getattr(module, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(words)))


def _module_of(name: str) -> str:
    if name in COMMANDS:
        return COMMANDS[name][0]
    from rsground.registry import registry

    offers = registry().offers("command")
    if name in offers:
        return str(offers[name].spec.module)
    raise UnknownNameError("command", name, [*COMMANDS, *offers])


def _top_parser(*, with_plugins: bool) -> _Parser:
    rows = {name: summary for name, (_, summary) in COMMANDS.items()}
    if with_plugins and os.environ.get("RSGROUND_DISABLE") != "*":
        rows |= _plugin_rows()
    width = max(map(len, rows))
    listing = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in rows.items())
    parser = _Parser(
        prog="rsground",
        description="Compare ways of grounding language in overhead images.",
        epilog=f"commands:\n{listing}\n\n{_EPILOG}\n'rsground COMMAND --help' tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="rsground COMMAND [options]",
    )
    parser.add_argument("--version", action="version", version=f"rsground {__version__}")
    return parser


def _plugin_rows() -> dict[str, str]:
    from rsground.registry import registry

    return {name: offer.spec.summary for name, offer in registry().offers("command").items()}
