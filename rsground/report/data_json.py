"""A report as JSON: everything in it but the pictures, with nan as null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rsground.report.model import ReportData
from rsground.report.reference import published

_SKIPPED = {"jpeg", "paths", "target"}
FORMAT = "rsground-report/1"
"""Version of the layout; it grows by new keys and changes only with the number."""


def as_json(data: ReportData, *, examples: bool = True) -> dict[str, Any]:
    """The report as JSON-able values; published figures stand in a key of their own.

    Args:
        data: the report.
        examples: whether gallery, failures, broken records, breakdowns and published figures are in it.
    """
    slim = data if examples else _without_examples(data)
    found = plain(slim)
    found["format"] = FORMAT
    if examples:
        for block, entry in zip(data.datasets, found["datasets"], strict=True):
            entry["published"] = [plain(table) for table in published(block.name, block.tasks, block.split)]
    return dict(found)


def _without_examples(data: ReportData) -> ReportData:
    blocks = tuple(
        replace(block, gallery=(), failures=(), boards=tuple(replace(board, breakdowns=()) for board in block.boards))
        for block in data.datasets
    )
    return replace(data, datasets=blocks, broken=())


def render(data: ReportData) -> str:
    """The JSON file."""
    return json.dumps(as_json(data), ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def plain(value: Any) -> Any:
    """Records as objects, tuples as arrays; a number that JSON does not have becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.name not in _SKIPPED}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
