"""List what is registered, without importing any of it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from rsground.registry import Offer, Registry

EPILOG = """examples:
  rsground list                 how many of each kind
  rsground list heads
  rsground list systems         with their parts and the size of their weights
  rsground list datasets --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The kind to list."""
    parser.add_argument("kind", nargs="?", help="heads, preprocessors, backbones, segmenters, codecs, datasets, ...")
    parser.add_argument("--json", action="store_true", help="machine-readable: one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print the listing."""
    from rsground.registry import registry

    found = registry()
    if args.kind is None:
        _print_kinds(found, args.json)
    else:
        _print_offers(found, _singular(args.kind), args.json)
    return 0


def _singular(kind: str) -> str:
    from rsground.errors import UnknownNameError
    from rsground.registry import KINDS

    for name in KINDS:
        if kind.lower() in (name, f"{name}s"):
            return name
    raise UnknownNameError("kind of thing", kind, [f"{name}s" for name in KINDS])


def _print_kinds(found: Registry, as_json: bool) -> None:
    from rsground.registry import KINDS

    names = {f"{kind}s": list(found.offers(kind)) for kind in KINDS}
    if as_json:
        _print_json(names)
        return
    from rich.table import Table

    table = Table("kind", "number", "names", box=None, header_style="bold")
    for kind, known in names.items():
        table.add_row(kind, str(len(known)), ", ".join(known) or "-")
    _print_table(table, found)


def _print_offers(found: Registry, kind: str, as_json: bool) -> None:
    offers = found.offers(kind)
    if as_json:
        _print_json(
            [_row(offer) | (_system_facts(found, offer.spec) if kind == "system" else {}) for offer in offers.values()]
        )
        return
    if kind == "system":
        _print_table(_system_table(found, offers), found)
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "tasks", "summary", "from", "state", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, offer in offers.items():
        tasks = " ".join(getattr(offer.spec, "tasks", ()))
        state = f"needs {', '.join(offer.missing)}" if offer.missing else "ready"
        table.add_row(*map(escape, (name, tasks or "-", offer.spec.summary, offer.distribution, state)))
    _print_table(table, found)


def _system_table(found: Registry, offers: dict[str, Offer]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("name", "tasks", "summary", "parts", "weights", "from", "state"):
        table.add_column(title, justify="right" if title == "weights" else "left")
    for name, offer in offers.items():
        facts = _system_facts(found, offer.spec)
        size = "-" if facts["bytes"] is None else f"{facts['bytes'] / 1e6:.1f} MB"
        state = f"needs {', '.join(facts['missing'])}" if facts["missing"] else "ready"
        cells = (name, " ".join(facts["tasks"]), offer.spec.summary, " + ".join(facts["parts"]), size)
        table.add_row(*map(escape, (*cells, offer.distribution, state)))
    return table


def _system_facts(found: Registry, spec: Any) -> dict[str, Any]:
    """Parts, tasks, what is missing here, and bytes of weights, those that several systems share in each of them.

    None where there are none or they are not here.
    """
    parts = [("preprocessor", name) for name, _ in spec.preprocessors]
    parts += [("backbone", spec.backbone), ("head", spec.head)]
    parts += [("segmenter", spec.segmenter)] if spec.segmenter is not None else []
    offers = {part: _offer_of(found, *part) for part in parts}
    missing = [f"{kind} {name}" for (kind, name), offer in offers.items() if offer is None]
    missing += [module for offer in offers.values() if offer is not None for module in offer.missing]
    head = offers["head", spec.head]
    size, there = _size_of(_checkpoints(spec))
    return {
        "parts": [name for _, name in parts],
        "tasks": [] if head is None else list(head.spec.tasks),
        "bytes": size,
        "missing": list(dict.fromkeys(missing if there else [*missing, "its weights"])),
    }


def _offer_of(found: Registry, kind: str, name: str) -> Offer | None:
    from rsground.errors import DuplicateNameError, UnknownNameError

    try:
        return found.offer(kind, name)
    except (UnknownNameError, DuplicateNameError):
        return None


def _checkpoints(spec: Any) -> list[str]:
    """Where its weights are: its own folder, and those that the options of its parts name."""
    options = [spec.head_options, spec.backbone_options, spec.segmenter_options]
    options += [each for _, each in spec.preprocessors]
    named = [spec.checkpoint, *(each.get("checkpoint") for each in options)]
    return [str(each) for each in named if each is not None]


def _size_of(checkpoints: list[str]) -> tuple[int | None, bool]:
    """Bytes of all files of some checkpoints, each file once, and whether all are there."""
    from rsground.assembly import locate
    from rsground.errors import CheckpointError

    files: dict[Path, int] = {}
    try:
        for place in map(locate, checkpoints):
            inside = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
            if not place.exists():
                return None, False
            files.update((file.resolve(), file.stat().st_size) for file in inside)
    except (CheckpointError, OSError):
        return None, False
    return sum(files.values()) if checkpoints else None, True


def _row(offer: Offer) -> dict[str, Any]:
    spec = offer.spec
    return {
        "name": spec.name,
        "summary": spec.summary,
        "tasks": list(getattr(spec, "tasks", ())),
        "plugin": offer.plugin,
        "distribution": offer.distribution,
        "missing": list(offer.missing),
    }


def _print_table(table: Any, found: Registry) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    console.print(table)
    for plugin, why in found.broken.items():
        console.print(f"[yellow]not in use:[/] {escape(plugin)}: {escape(why)}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))  # noqa: T201
