"""How a command says something: notes for people on standard error, one JSON object on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(text: str) -> None:
    """A line on standard error, by name."""
    print(f"rsground: {text}", file=sys.stderr)  # noqa: T201


def print_json(value: Any) -> None:
    """Records, arrays and paths in it become what JSON has."""
    from rsground.records import dumps

    print(json.dumps(json.loads(dumps(value)), indent=2))  # noqa: T201
