"""The spec cache of an environment: written when its packages change, read by :mod:`rsground.environments`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsground.environments import FORMAT, RECORD, python_of, stamp
from rsground.errors import InstallError
from rsground.isolation.process import CallError, WorkerDiedError, WorkerProcess


def write_record(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the environment what it offers, and write that down.

    Args:
        folder: of the environment.
        facts: what to write beside it: ``requirement``, ``limits`` ...

    Raises:
        InstallError: its interpreter does not answer, or a plugin there is broken.
    """
    found = probe(folder)
    record = {"format": FORMAT, **facts, **found, "stamp": stamp(found["packages"])}
    unfinished = folder / f"{RECORD}.new"
    unfinished.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    os.replace(unfinished, folder / RECORD)
    return record


def probe(folder: Path) -> dict[str, Any]:
    """What :func:`rsground.isolation.describe.here` says in an environment.

    Raises:
        InstallError: its interpreter does not answer, or a plugin there is broken.
    """
    worker = None
    try:
        worker = WorkerProcess(python_of(folder))
        found = worker.call("describe", seconds=worker.limits.start_s)
    except (WorkerDiedError, CallError) as error:
        raise InstallError(f"environment {folder.name!r} cannot say what it offers: {error}") from error
    finally:
        if worker is not None:
            worker.stop()
    if found.get("broken"):
        told = "; ".join(f"{name}: {why}" for name, why in found["broken"].items())
        raise InstallError(f"in environment {folder.name!r} a plugin does not work: {told}")
    return found
