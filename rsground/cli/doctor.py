"""Tell what works here and what does not, and why: versions, optional packages, plugins, disk."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

EPILOG = """examples:
  rsground doctor
  rsground doctor --json        for a bug report
"""

_NEEDED = ("numpy", "pluggy", "pycocotools", "pillow", "rich", "shapely", "jinja2")
_OPTIONAL = {
    "rasterio": "GeoTIFF images: pip install 'rsground[geo]'",
    "matplotlib": "static figures: pip install 'rsground[figures]'",
    "faster-coco-eval": "fast AP: pip install 'rsground[ap]'",
    "mistral-common": "output length in tokens: pip install 'rsground[tokens]'",
    "torch": "trained heads and backbones",
    "transformers": "vision-language backbones",
}


class Finding(NamedTuple):
    """One line of the examination: ``ok``, ``absent`` (optional) or ``broken``."""

    state: str
    what: str
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Output form."""
    parser.add_argument("--json", action="store_true", help="machine-readable: one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when anything is broken."""
    findings = list(examine())
    if args.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))  # noqa: T201
    else:
        _print(findings)
    return int(any(finding.state == "broken" for finding in findings))


def examine() -> Iterator[Finding]:
    """All findings: interpreter, packages, plugins, targets of every spec, scratch space."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})")
    for package in _NEEDED:
        yield _package(package, "broken", "reinstall rsground")
    for package, use in _OPTIONAL.items():
        yield _package(package, "absent", use)
    yield from _plugins()
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    yield Finding("ok" if free > 1 else "broken", "scratch space", f"{free:.1f} GiB free in {tempfile.gettempdir()}")


def _package(name: str, state: str, hint: str) -> Finding:
    try:
        return Finding("ok", name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(state, name, f"not installed; {hint}")


def _plugins() -> Iterator[Finding]:
    from rsground.registry import KINDS, registry

    found = registry()
    for plugin, why in found.broken.items():
        yield Finding("broken", f"plugin {plugin}", why)
    for plugin, distribution in found.distributions.items():
        if plugin in found.disabled:
            yield Finding("absent", f"plugin {plugin}", "switched off by RSGROUND_DISABLE")
        elif plugin not in found.broken:
            yield Finding("ok", f"plugin {plugin}", distribution)
    for kind in KINDS:
        for name, offer in found.offers(kind).items():
            yield from _target(kind, name, offer)


def _target(kind: str, name: str, offer: Any) -> Iterator[Finding]:
    from rsground.errors import PluginError
    from rsground.registry import target_of

    if offer.missing:
        yield Finding("absent", f"{kind} {name}", f"needs {', '.join(offer.missing)}")
        return
    if not hasattr(offer.spec, "target"):
        return
    try:
        target_of(offer.spec)
    except PluginError as error:
        yield Finding("broken", f"{kind} {name}", str(error))


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {"ok": Text("ok", "green"), "absent": Text("absent", "yellow"), "broken": Text("broken", "bold red")}
    table = Table("", "what", "detail", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for finding in findings:
        table.add_row(marks[finding.state], Text(finding.what), Text(finding.detail))
    console = Console()
    console.print(table)
    broken = sum(finding.state == "broken" for finding in findings)
    console.print(f"{broken} broken" if broken else "everything that is installed works")
