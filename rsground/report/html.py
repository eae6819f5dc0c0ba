"""One self-contained HTML file: no request leaves it, and no text in it is ever taken for markup.

Three locks stand behind each other: Jinja escapes all text by default, the figures embedded as JSON hold no angle
brackets, and a content security policy lets the browser run only the one script whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from rsground import __version__
from rsground.report.data_json import as_json
from rsground.report.model import DatasetBlock, Failure, GalleryItem, Overlay, ReportData
from rsground.report.reference import published
from rsground.report.text import is_share, number, one_line, visible
from rsground.report.views import board_view, overview, where
from rsground.types import ISSUE_CODES


def render(data: ReportData) -> str:
    """The page."""
    style, script = _asset("style.css"), _asset("script.js")
    first = overview(data)
    blocks = [_block(data, block, f"d{place}") for place, block in enumerate(data.datasets)]
    tabs = [("overview", "Overview")] if first else []
    tabs += [(block["id"], one_line(block["label"], 60)) for block in blocks]
    tabs.append(("problems", "Problems"))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            facts=_facts(data),
            overview=first,
            blocks=blocks,
            tabs=tabs,
            issues=_issues(data),
            confidence=f"{100 * data.confidence:g} %",
            timed=any(cost.time is not None for block in data.datasets for cost in block.costs.values()),
            versions=", ".join(f"{name} {version}" for name, version in data.run.versions.items()),
            version=__version__,
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            json=Markup(script_json(as_json(data, examples=False))),
        )
    )


def script_json(value: Any) -> str:
    """JSON that can stand inside ``<script>``: no character in it can end the element or start a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("rsground.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Control and bidirectional characters are spelled out in every piece of text, wherever the template puts it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _asset(name: str) -> str:
    text = files("rsground.report").joinpath("templates", name).read_text(encoding="utf-8")
    return f"\n{text}"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _facts(data: ReportData) -> list[tuple[str, str]]:
    samples = sum(block.samples for block in data.datasets)
    aside = {label for block in data.datasets for board in block.boards for label in board.aside}
    rows = [
        ("run started", data.run.created),
        ("systems", f"{len(data.systems) - len(aside):,}" + (f", {len(aside):,} rows beside them" if aside else "")),
        ("data sets", ", ".join(one_line(block.label, 60) for block in data.datasets)),
        ("samples", f"{samples:,}"),
        ("seeds", ", ".join(map(str, data.run.seeds))),
        ("baseline", data.baseline or ""),
        *data.run.facts,
    ]
    return [(name, value) for name, value in rows if value]


def _block(data: ReportData, block: DatasetBlock, ident: str) -> dict[str, Any]:
    share = is_share(block.boards[0].paired or block.boards[0].primary) if block.boards else True
    return {
        "id": ident,
        "label": block.label,
        "facts": _block_facts(block),
        "boards": [board_view(data, block, board, f"{ident}-b{place}") for place, board in enumerate(block.boards)],
        "published": published(block.name, block.tasks, block.split),
        "gallery": [_gallery_item(item, share) for item in block.gallery],
        "no_gallery": "No gallery: none was asked for, or the run kept no sample to draw.",
        "failures": [_failure(row, share) for row in block.failures],
        "failures_total": f"{block.failures_total:,}",
        "failing": sorted({row.system for row in block.failures}),
        "codes": sorted({code for row in block.failures for code in _codes(row)}),
    }


def _block_facts(block: DatasetBlock) -> str:
    words = [block.name + (f", split {block.split}" if block.split else "")]
    words.append(f"{block.samples:,} samples on {block.images:,} images")
    if block.tasks:
        words.append(f"task {', '.join(block.tasks)}")
    return "; ".join(words) + (f". {block.note}" if block.note else ".")


def _gallery_item(item: GalleryItem, share: bool) -> dict[str, Any]:
    return {
        "sample": item.sample,
        "image": item.image,
        "expression": item.expression,
        "where": where(item.window, item.size) if item.jpeg else "",
        "picked": item.picked,
        "jpeg": bool(item.jpeg),
        "base64": base64.b64encode(item.jpeg).decode(),
        "width": item.width,
        "height": item.height,
        "target": item.target,
        "has_target": item.has_target,
        "why": item.why,
        "overlays": [_overlay(overlay, share) for overlay in item.overlays],
    }


def _overlay(overlay: Overlay, share: bool) -> dict[str, Any]:
    return {
        "system": overlay.system,
        "paths": overlay.paths,
        "score": overlay.score,
        "score_text": number(overlay.score, share),
        "issues": overlay.issues,
        "text": overlay.text,
        "error": overlay.error,
    }


def _failure(row: Failure, share: bool) -> dict[str, Any]:
    return {
        "system": row.system,
        "sample": row.sample,
        "image": row.image,
        "expression": one_line(row.expression, 240),
        "score": row.score,
        "score_text": number(row.score, share),
        "codes": _codes(row),
        "text": one_line(row.text, 240),
        "error": one_line(row.error, 240) if row.error else None,
        "category": row.category,
    }


def _codes(row: Failure) -> tuple[str, ...]:
    """Issue codes without repeats, ``error`` first for an answer that never came; blanks would break the filter."""
    codes = (*(("error",) if row.error else ()), *row.issues)
    return tuple(dict.fromkeys("-".join(code.split()) for code in codes))


def _issues(data: ReportData) -> list[dict[str, Any]]:
    rows = [
        {"system": system, "dataset": block.label, "code": code, "count": count, "meaning": ISSUE_CODES.get(code, "")}
        for block in data.datasets
        for system, counts in block.issues.items()
        for code, count in counts.items()
        if count
    ]
    return sorted(rows, key=lambda row: (-row["count"], row["system"], row["code"]))
