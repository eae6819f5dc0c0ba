"""Queries from a file: a line each, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsground.errors import DataError

_KEYS = ("expression", "id", "task")


def read_queries(path: Path) -> list[Mapping[str, Any]]:
    """``{"expression": ...}``, with ``id`` and ``task`` where the file has them; blank lines are left out.

    Raises:
        DataError: the file cannot be read, holds no query, or a line is not as it should be.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"queries cannot be read: {error}", path) from error
    parse = _object if path.suffix.lower() in (".jsonl", ".ndjson") else _plain
    found = [parse(line.strip(), path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError("the file holds no query", path)
    return found


def _plain(line: str, path: Path, number: int) -> Mapping[str, Any]:
    del path, number
    return {"expression": line}


def _object(line: str, path: Path, number: int) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"a line must be a JSON object: {error}", path, number) from None
    if not isinstance(row, dict) or not isinstance(row.get("expression"), str) or not row["expression"].strip():
        raise DataError('a line must be an object with the text "expression"', path, number)
    kept = {key: row[key] for key in _KEYS if row.get(key) is not None}
    if not isinstance(kept.get("task", ""), str) or not isinstance(kept.get("id", ""), str | int):
        raise DataError('"task" must be a text, and "id" a text or a number', path, number)
    return {**kept, "id": str(kept["id"])} if "id" in kept else kept
