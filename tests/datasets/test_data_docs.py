"""The reference page names every reader and every reason for which a record is left out."""

from __future__ import annotations

import re
from pathlib import Path

from rsground.builtin.datasets import DATASETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/datasets.md").read_text(encoding="utf-8")


def test_every_reader_is_documented():
    missing = [spec.name for spec in DATASETS if spec.needs_root and f"`{spec.name}`" not in PAGE]
    assert missing == []


def test_every_code_is_documented():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "rsground/datasets").glob("*.py")]
    codes = {code for text in sources for code in re.findall(r"RecordError\(\s*\"([a-z0-9-]+)\"", text)}
    assert {"bad-box", "seg-count", "duplicate-id"} <= codes
    assert sorted(code for code in codes if f"`{code}`" not in PAGE) == []
    notes = {note for text in sources for note in re.findall(r"notes\[\"([a-z-]+)\"\]", text)}
    assert sorted(note for note in notes if f"`{note}`" not in PAGE) == []
