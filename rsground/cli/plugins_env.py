"""``rsground plugins install``, ``remove`` and ``refresh``: isolated environments."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

ACTIONS = ("install", "remove", "refresh")


def add_parsers(commands: Any) -> None:
    """One subcommand each."""
    making = commands.add_parser("install", help="install a plugin into an environment of its own")
    making.add_argument("dist", help="distribution (rsground-mmrotate, rsground-x==1.2), folder or wheel")
    making.add_argument("--env", required=True, metavar="NAME", help="its heads are then called head@NAME")
    making.add_argument("--python", metavar="X", help="interpreter or version (default: the one that runs this)")
    making.add_argument("--constraint", metavar="FILE", help="versions to keep to, as pip takes them")
    making.add_argument("--deadline", type=_positive, metavar="S", help="seconds an answer may take (300)")
    making.add_argument("--memory", type=_positive, metavar="GIB", help="memory a worker may use (as much as there is)")
    removing = commands.add_parser("remove", help="remove an environment")
    removing.add_argument("env", metavar="NAME", help="of the environment")
    looking = commands.add_parser("refresh", help="ask an environment again what it offers")
    looking.add_argument("env", metavar="NAME", help="of the environment")


def run(args: argparse.Namespace) -> int:
    """Dispatch to the action."""
    from rsground.isolation import install

    if args.action == "remove":
        install.remove(args.env)
        _say(f"removed environment {args.env}")
        return 0
    began = time.monotonic()
    made = install.refresh(args.env) if args.action == "refresh" else _install(args)
    names = [offer.spec.name for offer in made.offers() if not offer.is_core]
    _say(f"environment {made.name} is ready after {time.monotonic() - began:.0f} s: {', '.join(names)}")
    for offer in made.offers():
        if offer.missing and not offer.is_core:
            _say(f"  {offer.spec.name} needs {', '.join(offer.missing)}, not installed there")
    if heads := [offer.spec.name for offer in made.offers() if offer.spec.kind == "head" and not offer.is_core]:
        _say(f'in a suite:  head = "{heads[0]}"')
    for system in (offer.spec.name for offer in made.offers() if offer.spec.kind == "system" and not offer.is_core):
        _say(f'in a suite:  system = "{system}"; alone:  rsground predict IMAGE -q TEXT --system {system}')
    return 0


def _install(args: argparse.Namespace) -> Any:
    from rich.console import Console
    from rich.markup import escape

    from rsground.isolation import install

    limits = {
        "sample_s": args.deadline,
        "memory_bytes": None if args.memory is None else int(args.memory * 2**30),
    }
    console = Console(file=sys.stderr)
    with console.status("starting") as status:
        return install.install(
            args.dist,
            args.env,
            python=args.python,
            constraint=args.constraint,
            limits={name: value for name, value in limits.items() if value is not None},
            say=lambda line: status.update(escape(line[: max(20, console.width - 4)])),
        )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def _say(text: str) -> None:
    print(text)  # noqa: T201
