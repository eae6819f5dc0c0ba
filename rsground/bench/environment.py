"""What a run was made with: versions, hardware, plugins, command line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import rsground
from rsground.registry import registry

_PACKAGES = ("numpy", "shapely", "pycocotools", "pillow", "pluggy", "torch", "transformers")


def environment(command: Iterable[str] = ()) -> dict[str, Any]:
    """JSON-able facts that a reader needs to believe, or repeat, a number."""
    return {
        "rsground": rsground.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": cores(),
        "versions": versions(),
        "plugins": dict(registry().distributions),
        "not_in_use": dict(registry().broken),
        "command": list(command),
        "workdir": os.getcwd(),
        "interpreter": sys.executable,
    }


def versions() -> dict[str, str]:
    """Versions of the packages that answers and scores stand on, as far as they are installed."""
    return {name: version for name in _PACKAGES if (version := _version(name)) is not None}


def cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The checkout's commit, ``+`` behind it where files are changed; None for an installed package."""
    home = Path(rsground.__file__).resolve().parents[1]
    if not (home / ".git").exists():
        return None
    try:
        head = _git(home, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(home, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(home: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(home), *words], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
